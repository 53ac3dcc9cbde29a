"""The network that ships, through the whole listener: shut when nobody speaks, moving when somebody does."""

import importlib
import shutil

import numpy as np
import pytest

from mien.face.lips import parted
from mien.frames import AudioFrame
from mien.stage import Kind
from mien.testing.context import FakeContext
from mien.voice.listener import SpeechListener
from mien.voice.network import WEIGHTS

pytest.importorskip("onnxruntime", exc_type=ImportError)

pytestmark = pytest.mark.plugin

RATE = 16_000


def listened(sound: np.ndarray, rate: int = RATE, runtime: str = "mien_onnxruntime.runtime:OnnxRuntime"):
    module, _, name = runtime.partition(":")
    listener = SpeechListener()
    context = FakeContext(services={Kind.RUNTIME: getattr(importlib.import_module(module), name)})
    listener.open(context)
    answers = []
    for first in range(0, len(sound), rate // 50):
        samples = sound[first : first + rate // 50, None].astype(np.float32)
        answers += listener.process(AudioFrame(samples, rate, first * 1_000_000_000 // rate))
    listener.close()
    context.close()
    return answers


def openings(answers) -> np.ndarray:
    return np.array([parted(answer.expression) for answer in answers])


def spoken(text: str, voice: str = "en-us+f2") -> tuple[np.ndarray, int, list]:
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    from mien_train.espeak import Speaker
    from mien_train.phonetics import looks

    said = Speaker().say(text, voice, words_per_minute=140)
    rest = np.zeros(said.rate // 2, np.float32)
    return (
        np.concatenate([rest, 0.5 * said.samples, rest, rest]),
        said.rate,
        looks(said.sounds, len(said.samples) / said.rate),
    )


def test_it_is_small():
    assert WEIGHTS.stat().st_size < 2_000_000


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=count) * 0.05


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(3 * RATE),
        0.2 * np.sin(2 * np.pi * 1000 * np.arange(5 * RATE) / RATE),
        noise(5 * RATE),
        np.full(3 * RATE, 0.3),
    ],
    ids=["silence", "tone", "noise", "offset"],
)
def test_the_mouth_stays_shut_when_nobody_speaks(sound):
    settled = openings(listened(sound))[50:]
    assert settled.max() < 0.05


def test_a_voice_moves_the_mouth_and_its_end_shuts_it():
    sound, rate, _ = spoken("My father bought a car.")
    answers = listened(sound, rate)
    opening = openings(answers)
    assert opening.max() > 0.25
    assert opening[-3:].max() == 0.0
    assert answers[-1].confidence == 0.0


def test_lips_meet_on_labials():
    sound, rate, phonemes = spoken("A baby, a puppy, a mama, a bobby, a poppy.")
    answers = listened(sound, rate)
    opening, times_s = openings(answers), np.array([answer.capture_ns for answer in answers]) / 1e9
    labials = [p.middle_s + 0.5 for p in phonemes if p.symbol == "B"]
    met = [opening[np.abs(times_s - moment) < 0.07].min() < 0.05 for moment in labials]
    assert np.mean(met) >= 0.7
    vowels = [
        p.middle_s + 0.5 for p in phonemes if p.symbol in {"AA", "EH", "AH"} and p.end_s - p.start_s > 0.07
    ]
    apart = [opening[np.abs(times_s - moment) < 0.05].max() > 0.08 for moment in vowels]
    assert np.mean(apart) >= 0.7


def music(seconds: float = 6.0) -> np.ndarray:
    """A piano, of a kind: chords struck twice a second, with a drum."""
    t = np.arange(round(seconds * RATE)) / RATE
    since = t % 0.5
    sound = 0.4 * np.random.default_rng(1).normal(size=len(t)) * np.exp(-since / 0.02)
    for index, chord in enumerate(((262, 330, 392), (220, 262, 330), (175, 220, 262), (196, 247, 294))):
        struck = (t // 0.5 % 4 == index) * np.exp(-since / 0.25)
        sound += sum(struck * np.sin(2 * np.pi * hz * n * t) / n**2 for hz in chord for n in range(1, 6))
    return 0.1 * sound


def test_music_does_not_open_the_mouth_as_a_voice_does():
    opening = openings(listened(music()))[50:]
    assert np.percentile(opening, 95) < 0.3


@pytest.mark.parametrize("spoilt", ["clipped", "offset", "soft"])
def test_a_voice_is_read_however_badly_it_is_recorded(spoilt):
    sound, rate, _ = spoken("My father bought a car, and maybe a boat.")
    bad = {"clipped": np.clip(8 * sound, -0.9, 0.9), "offset": sound + 0.3, "soft": 0.3 * sound}[spoilt]
    good, bad = openings(listened(sound, rate)), openings(listened(bad, rate))
    assert np.corrcoef(good, bad)[0, 1] > 0.8
    assert bad[-3:].max() < 0.02


def test_two_who_speak_at_once_are_one_mouth_that_shuts():
    one, rate, _ = spoken("My father bought a car.")
    other, _, _ = spoken("Who put a big pumpkin there?", "en-us+m3")
    both = np.zeros(max(len(one), len(other)))
    both[: len(one)] += one
    both[: len(other)] += other
    opening = openings(listened(both, rate))
    assert 0.2 < opening.max() <= 1
    assert opening[-3:].max() == 0.0


def test_damaged_sound_is_survived():
    sound, rate, _ = spoken("One two three.")
    sound[8_000:8_100] = np.nan
    sound[12_000:12_050] = 1e9
    answers = listened(sound, rate)
    assert all(np.isfinite(answer.expression).all() for answer in answers)


def test_runtimes_agree():
    pytest.importorskip("openvino", exc_type=ImportError)
    sound, rate, _ = spoken("Maybe.")
    one, other = listened(sound, rate), listened(sound, rate, "mien_openvino.runtime:OpenVino")
    assert openings(one) == pytest.approx(openings(other), abs=2e-3)
