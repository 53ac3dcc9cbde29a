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
