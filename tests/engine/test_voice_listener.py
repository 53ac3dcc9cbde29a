"""The listener in virtual time, over a network that is scripted: what comes out when, and what bad sound does."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from mien.config import VoiceSection
from mien.errors import ConfigError
from mien.face.lips import parted
from mien.face.rig import ARKIT_NAMES, INDEX
from mien.frames import AudioFrame
from mien.stage import Kind, Network, Runtime, TensorSpec
from mien.testing.context import FakeContext
from mien.voice.activity import Activity
from mien.voice.articulation import CHANNEL, CODE, decode, encode, rounded, spoken
from mien.voice.features import BANDS
from mien.voice.listener import SpeechListener
from mien.voice.network import AHEAD, BEHIND, SPAN_FRAMES, STEP

pytestmark = pytest.mark.unit

RATE = 48_000
MS = 1_000_000
SILENCE_FEATURE = -2.6


class Loudest(Network):
    """Opens the mouth by how loud the frame in question is; speaks where anything is heard."""

    inputs: Mapping[str, TensorSpec] = {
        "features": TensorSpec((None, SPAN_FRAMES, BANDS), np.dtype(np.float32)),
        "reach": TensorSpec((1,), np.dtype(np.int64)),
    }
    outputs: Mapping[str, TensorSpec] = {"code": TensorSpec((None, len(CODE) + 1), np.dtype(np.float32))}

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        frame = inputs["features"][0, SPAN_FRAMES - 1 - STEP * AHEAD]
        code = np.zeros((1, len(CODE) + 1), np.float32)
        loud = np.clip((frame.max() - SILENCE_FEATURE) / 3, 0, 1)
        code[0, [CHANNEL["jaw"], CHANNEL["opening"], -1]] = 0.6 * loud, 0.8 * loud, loud > 0.2
        return {"code": code}


class LoudestRuntime(Runtime):
    def load(self, model, *, precision="fp32"):
        return Loudest()


class PictureRuntime(Runtime):
    """Its network takes pictures."""

    def load(self, model, *, precision="fp32"):
        network = Loudest()
        network.inputs = {"picture": TensorSpec((1, 3, 256, 256), np.dtype(np.float32))}
        return network


class OtherRuntime(Runtime):
    """Its network hears, and says something else."""

    def load(self, model, *, precision="fp32"):
        network = Loudest()
        network.outputs = {"other": Loudest.outputs["code"]}
        return network


def listener(fps: float = 25.0, **settings) -> SpeechListener:
    made = SpeechListener()
    made.open(FakeContext(fps=fps, voice=VoiceSection(**settings), services={Kind.RUNTIME: LoudestRuntime}))
    return made


def burst(seconds: float, start_s: float, end_s: float, amount: float = 0.2) -> np.ndarray:
    """Noise from start to end, silence about it."""
    rng = np.random.default_rng(0)
    sound = (rng.normal(size=(round(seconds * RATE), 1)) * amount).astype(np.float32)
    sound[: round(start_s * RATE)] = 0
    sound[round(end_s * RATE) :] = 0
    return sound


def heard(listener, sound, frame_ms=20, start_ns=0, rate=RATE):
    step = rate * frame_ms // 1000
    answers = []
    for first in range(0, len(sound), step):
        part = sound[first : first + step].copy()
        answers += listener.process(AudioFrame(part, rate, start_ns + first * 1_000_000_000 // rate))
    return answers


def opened(answers) -> list[int]:
    return [a.capture_ns for a in answers if parted(a.expression) > 0.1]


def test_any_frames_give_the_same_answers():
    sound = burst(2, 0.5, 1.2)
    one, other = heard(listener(), sound, 20), heard(listener(), sound, 7)
    assert [a.capture_ns for a in one] == [a.capture_ns for a in other]
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a.expression, b.expression)
        assert a.confidence == b.confidence


@pytest.mark.parametrize(("look_ahead_ms", "most"), [(120, 120), (80, 80), (40, 40)])
def test_look_ahead_is_kept(look_ahead_ms, most):
    made = listener(look_ahead_ms=look_ahead_ms)
    assert most - 20 < made.look_ahead_ms <= most
    sound = burst(1, 0, 1)
    for index in range(100):
        part = sound[index * 480 : (index + 1) * 480].copy()
        for answer in made.process(AudioFrame(part, RATE, index * 10 * MS)):
            waited_ms = (index + 1) * 10 - answer.capture_ns / MS
            assert waited_ms <= made.look_ahead_ms + 10


@pytest.mark.parametrize("fps", [25.0, 30.0, 50.0])
def test_one_answer_per_frame_interval(fps):
    times = np.array([a.capture_ns for a in heard(listener(fps), burst(3, 0, 3))]) / 1e9
    assert np.diff(times).mean() == pytest.approx(1 / fps, rel=0.01)
    assert np.diff(times).min() >= 0.5 / fps


def test_motion_stands_where_the_sound_is():
    times = opened(heard(listener(), burst(2, 0.5, 1.0), start_ns=7_000 * MS))
    assert 7_460 * MS <= times[0] <= 7_560 * MS
    assert 7_960 * MS <= times[-1] <= 8_080 * MS


def test_only_the_lower_face_is_set():
    allowed = ("jaw", "mouth", "tongue", "cheek")
    weights = np.max([a.expression for a in heard(listener(), burst(1, 0.2, 0.8))], axis=0)
    moved = [name for name, value in zip(ARKIT_NAMES, weights, strict=True) if value > 0]
    assert moved
    assert all(name.startswith(allowed) for name in moved)


def test_silence_is_rest():
    for answer in heard(listener(), burst(2, 2, 2)):
        assert not answer.expression.any()
        assert answer.confidence == 0


def test_a_voice_that_stops_eases_shut_once():
    answers = heard(listener(hangover_ms=200), burst(3, 0.5, 1.0))
    confidence = np.array([a.confidence for a in answers])
    after = confidence[[a.capture_ns > 1_100 * MS for a in answers]]
    assert (np.diff(after) <= 0).all()
    assert after[-1] == 0
    assert not answers[-1].expression.any()


def test_short_pauses_do_not_chatter():
    sound = burst(2, 0.2, 1.8)
    for start in range(12_000, 84_000, 12_000):
        sound[start : start + 4_000] = 0
    confidence = np.array([a.confidence for a in heard(listener(), sound)])
    assert (np.diff((confidence > 0.5).astype(int)) == 1).sum() == 1


def test_what_never_stops_is_the_room():
    """An air conditioner is no voice, however loud, once it has run for some seconds."""
    answers = heard(listener(), burst(8, 0, 8), frame_ms=100)
    assert all(a.confidence == 0 for a in answers if a.capture_ns > 6_000 * MS)


def test_a_gap_begins_anew():
    made = listener()
    sound = burst(1, 0, 1)
    heard(made, sound)
    answers = heard(made, sound, start_ns=5_000 * MS)
    assert answers[0].capture_ns >= 5_000 * MS
    assert [a.capture_ns for a in answers] == [
        a.capture_ns for a in heard(listener(), sound, start_ns=5_000 * MS)
    ]


def test_time_that_goes_back_begins_anew():
    made = listener()
    heard(made, burst(1, 0, 1), start_ns=60_000 * MS)
    assert heard(made, burst(1, 0, 1))[0].capture_ns < 100 * MS


def test_jitter_and_drift_are_followed():
    """A sound card that is slow by 0.5 %, with stamps that jitter by 3 ms: answers keep to the stamps' mean."""
    made, rng = listener(), np.random.default_rng(4)
    sound = np.zeros((160, 1), np.float32)
    behind_ms = []
    for index in range(500):
        stamp = round(index * 20 * MS * 1.005 + rng.uniform(-3, 3) * MS)
        answers = made.process(AudioFrame(sound, 8_000, stamp))
        behind_ms += [(stamp - answer.capture_ns) / MS for answer in answers]
    assert np.mean(behind_ms[-50:]) == pytest.approx(np.mean(behind_ms[:20]), abs=10), "it drifted by 50 ms"


def test_a_change_of_rate_is_taken():
    made = listener()
    heard(made, burst(1, 0, 1))
    assert opened(heard(made, burst(1, 0.0, 1.0)[::3], start_ns=1_000 * MS, rate=16_000))


@pytest.mark.parametrize("damage", [np.nan, np.inf, 40.0])
def test_damaged_samples_do_no_lasting_harm(damage):
    made = listener()
    sound = burst(2, 0.2, 0.6)
    sound[30_000:30_400] = damage
    answers = heard(made, sound)
    assert all(np.isfinite(a.expression).all() for a in answers)
    assert all(((a.expression >= 0) & (a.expression <= 1)).all() for a in answers)
    assert not answers[-1].expression.any()


def test_epochs_travel_and_reset_forgets():
    made = listener()
    heard(made, burst(1, 0.2, 1))
    made.reset()
    quiet = np.zeros((RATE // 2, 1), np.float32)
    answers = made.process(AudioFrame(quiet, RATE, 1_000 * MS, epoch=3))
    assert answers
    assert all(a.epoch == 3 and a.confidence == 0 for a in answers)


def test_empty_frames_are_nothing():
    assert listener().process(AudioFrame(np.zeros((0, 1), np.float32), RATE, 0)) == []


def test_ten_hours_of_sound():
    """Time is kept in integers from the first sample on: after ten hours an answer stands where it should."""
    made = listener()
    start_ns = 36_000 * 1_000 * MS
    made.process(AudioFrame(np.zeros((960, 1), np.float32), RATE, 0))
    made._samples = 36_000 * RATE
    made._blocks = 36_000 * 100
    assert made._resampler is not None
    made._resampler._next = 36_000 * 16_000
    made._resampler._held_from = 36_000 * RATE - len(made._resampler._held)
    made._answered_ns = None
    times = opened(heard(made, burst(1, 0.4, 0.8), start_ns=start_ns))
    assert start_ns + 360 * MS <= times[0] <= start_ns + 460 * MS


def test_the_wrong_network_is_refused(tmp_path):
    made = SpeechListener()
    with pytest.raises(ConfigError, match="picture"):
        made.open(FakeContext(services={Kind.RUNTIME: PictureRuntime}))
    with pytest.raises(ConfigError, match=r"gives other .*, not code"):
        made.open(FakeContext(services={Kind.RUNTIME: OtherRuntime}))
    with pytest.raises(ConfigError, match=r"nowhere\.onnx"):
        made.open(
            FakeContext(
                voice=VoiceSection(model=tmp_path / "nowhere.onnx"), services={Kind.RUNTIME: LoudestRuntime}
            )
        )
    made.close()


# --- parts ----------------------------------------------------------------------------------------------


def test_the_network_sees_no_further_than_it_may():
    assert STEP * BEHIND * 10 >= 200
    assert STEP * AHEAD * 10 + 12.5 + 2 <= 120


@pytest.mark.parametrize("opening", [0.0, 0.1, 0.3, 0.6])
def test_the_lips_part_as_far_as_the_code_says(opening):
    code = np.zeros(len(CODE), np.float32)
    code[[CHANNEL["jaw"], CHANNEL["opening"], CHANNEL["funnel"], CHANNEL["lower"]]] = 0.3, opening, 0.3, 0.2
    weights = decode(code)
    assert parted(weights) == pytest.approx(opening, abs=0.03)
    assert ((weights >= 0) & (weights <= 1)).all()


def test_an_f_is_no_half_open_mouth():
    code = np.zeros(len(CODE), np.float32)
    code[[CHANNEL["jaw"], CHANNEL["opening"], CHANNEL["lower"]]] = 0.15, 0.2, 0.15
    openings, rolls = [], []
    for tuck in (0.0, 0.1, 0.3, 0.5):
        code[CHANNEL["tuck"]] = tuck
        weights = decode(code)
        openings.append(parted(weights))
        rolls.append(weights[INDEX["mouthRollLower"]])
    assert openings[1] > 0.9 * openings[0], "every sound has a little of it"
    assert 0.03 < openings[3] < 0.1, "the lip touches the teeth, not the other lip"
    assert np.all(np.diff(openings) <= 0)
    assert np.all(np.diff(rolls) > 0)
    assert rolls[3] > 0.5


def test_code_of_what_it_means_is_itself():
    rng = np.random.default_rng(2)
    for _ in range(20):
        code = rng.uniform(0.05, 0.5, len(CODE)).astype(np.float32)
        code[[CHANNEL["tuck"], CHANNEL["press"]]] = 0
        again = encode(decode(code))
        for name in ("opening", "pucker", "spread", "tongue"):
            assert again[CHANNEL[name]] == pytest.approx(code[CHANNEL[name]], abs=0.05), name


@pytest.mark.parametrize("name", ["pucker", "funnel"])
def test_lips_that_are_half_meant_to_be_round_are_round(name):
    said = np.zeros((6, len(CODE)), np.float32)
    said[:, CHANNEL[name]] = 0.0, 0.12, 0.25, 0.4, 0.8, 1.2
    made = np.array([rounded(code) for code in said])
    shown = made[:, CHANNEL[name]]
    assert shown[[0, 1, 4, 5]] == pytest.approx(said[[0, 1, 4, 5], CHANNEL[name]]), (
        "a hint is none, round is round"
    )
    assert shown[2] > said[2, CHANNEL[name]]
    assert shown[3] > 0.47
    assert (np.diff(shown) > 0).all()
    assert np.array_equal(np.delete(made, CHANNEL[name], 1), np.delete(said, CHANNEL[name], 1))


def test_a_voice_opens_no_mouth_as_far_as_a_shout():
    said = np.zeros((5, len(CODE)), np.float32)
    said[:, CHANNEL["opening"]] = (0.2, 0.5, 0.7, 1.0, 1.4)
    said[:, CHANNEL["jaw"]] = 0.8 * said[:, CHANNEL["opening"]]
    said[:, CHANNEL["press"]] = 0.3
    made = np.array([spoken(code) for code in said])
    opening = made[:, CHANNEL["opening"]]
    assert np.array_equal(made[:2], said[:2]), "what speech needs stays"
    assert (np.diff(opening) > 0).all()
    assert opening[2] > 0.62
    assert opening[-1] < 0.85
    assert made[:, CHANNEL["jaw"]] == pytest.approx(0.8 * opening), "the jaw goes along"
    assert np.array_equal(made[:, CHANNEL["press"]], said[:, CHANNEL["press"]])


@pytest.mark.parametrize(("pucker", "press", "apart"), [(0, 0, False), (0.7, 0, True), (0.7, 1, False)])
def test_round_lips_are_shut_only_where_they_are_pressed(pucker: float, press: float, apart: bool):
    code = np.zeros(len(CODE), np.float32)
    channels = [CHANNEL[name] for name in ("jaw", "opening", "pucker", "press")]
    code[channels] = 0.2, -0.06, pucker, press
    assert (parted(decode(spoken(code))) > 0.08) == apart


def test_a_room_is_learned_and_a_voice_stands_out():
    activity = Activity(hangover_ms=200)
    for _ in range(400):
        activity.push(-11.0)
    assert not activity.push(-10.5)
    assert activity.push(-7.0)
