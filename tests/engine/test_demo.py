"""The demo performance: speaks, looks, nods, blinks; reproducible; plays live and offline."""

import numpy as np
import pytest

from mien.clock import NS_PER_S, Clock
from mien.drive.demo import demo_motion
from mien.drive.loop import Loop
from mien.drive.moods import MOODS
from mien.drive.script import DURATION_S, LINES, LOOKS, MOODS_PLAYED, NODS
from mien.drive.sources import DemoSource, demo_subject
from mien.drive.speech import articulate, timed
from mien.face.retargeting import EXPRESSION, GAZE, HEAD, SHIFT
from mien.face.rig import INDEX
from mien.frames import FaceParams, Float
from mien.testing.context import FakeContext

pytestmark = pytest.mark.unit

RATE = 100


@pytest.fixture(scope="module")
def demo() -> Float:
    motion = demo_motion(0)
    return np.stack([motion.at(i * NS_PER_S // RATE) for i in range(round(DURATION_S * RATE))])


def weight(demo: Float, name: str) -> Float:
    return demo[:, EXPRESSION.start + INDEX[name]]


def test_the_script_is_well_formed() -> None:
    for part in (LINES, LOOKS, MOODS_PLAYED, NODS):
        times = [entry.start_s for entry in part]
        assert times == sorted(times)
        assert 0 <= times[0] <= times[-1] < DURATION_S
    assert {mood.name for mood in MOODS_PLAYED} <= set(MOODS)
    for weights in MOODS.values():
        assert set(weights) <= set(INDEX)


def test_nobody_speaks_two_lines_at_once() -> None:
    rng = np.random.default_rng(0)
    ends = [timed(line.words, line.start_s, rng, line.pace)[-1].end_s for line in LINES]
    starts = [line.start_s for line in LINES]
    for end, following in zip(ends, [*starts[1:], starts[0] + DURATION_S], strict=True):
        assert end < following + 0.25


def test_reproducible() -> None:
    one, same, other = demo_motion(5), demo_motion(5), demo_motion(6)
    for at in (0, 5 * NS_PER_S, 30 * NS_PER_S):
        np.testing.assert_array_equal(one.at(at), same.at(at))
    assert np.abs(one.at(5 * NS_PER_S) - other.at(5 * NS_PER_S)).max() > 0.01


def test_it_loops_without_a_seam(demo: Float) -> None:
    seam = np.abs(demo[0] - demo[-1])
    assert (seam <= np.abs(np.diff(demo, axis=0)).max(axis=0) + 1e-3).all()
    assert np.degrees(seam[HEAD]).max() < 0.5


def test_the_head_is_lively_and_human(demo: Float) -> None:
    head = np.degrees(demo[:, HEAD])
    assert (np.abs(head).max(axis=0) < [17, 14, 12]).all()
    assert np.ptp(head[:, 0]) > 18
    assert np.ptp(head[:, 1]) > 9
    speed = np.abs(np.gradient(head, 1 / RATE, axis=0))
    assert speed.max() < 120
    assert (np.abs(np.gradient(speed, 1 / RATE, axis=0)).max(axis=0) < 1500).all()
    assert (np.abs(demo[:, SHIFT]) < [1.2, 0.5, 0.08]).all()
    assert np.abs(np.degrees(demo[:, GAZE])).max() < 35


def test_weights_are_weights_and_lips_do_not_cross(demo: Float) -> None:
    weights = demo[:, EXPRESSION]
    assert weights.min() >= 0
    assert weights.max() <= 1
    assert (weight(demo, "mouthClose") <= weight(demo, "jawOpen") + 1e-6).all()


def test_it_blinks_like_somebody_who_talks(demo: Float) -> None:
    lids = weight(demo, "eyeBlinkLeft")
    onsets = np.flatnonzero((lids[1:] > 0.5) & (lids[:-1] <= 0.5)) / RATE
    assert 14 <= len(onsets) * 60 / DURATION_S <= 34
    assert np.diff(onsets).max() < 9


def test_the_mouth_moves_at_the_rate_of_syllables(demo: Float) -> None:
    jaw = weight(demo, "jawOpen")[round(4.6 * RATE) : round(7.3 * RATE)]
    peaks = ((jaw[1:-1] > jaw[:-2]) & (jaw[1:-1] >= jaw[2:])).sum()
    assert 2.5 <= peaks / 2.7 <= 7
    assert 0.2 < jaw.max() < 0.75


def test_silence_closes_the_mouth(demo: Float) -> None:
    jaw = weight(demo, "jawOpen")
    assert jaw[round(26.0 * RATE)] < 0.01
    assert jaw[round(44.5 * RATE)] < 0.01


@pytest.mark.parametrize(
    ("words", "name", "least"),
    [
        ("AA1 .", "jawOpen", 0.35),
        ("UW1 .", "mouthPucker", 0.45),
        ("AO1 .", "mouthFunnel", 0.3),
        ("IY1 .", "mouthStretchLeft", 0.12),
        ("AA F AA .", "mouthRollLower", 0.3),
        ("SH IY .", "mouthFunnel", 0.2),
    ],
)
def test_sounds_have_their_shapes(words: str, name: str, least: float) -> None:
    loop, rng = Loop(3.0), np.random.default_rng(0)
    weights = articulate(loop, timed(words, 1.0, rng), rng)
    assert weights[:, INDEX[name]].max() > least


@pytest.mark.parametrize("vowel", ["AA1", "IY1", "UW1"])
def test_lips_meet_for_p_b_m_whatever_is_around(vowel: str) -> None:
    loop, rng = Loop(3.0), np.random.default_rng(0)
    phonemes = timed(f"{vowel} P {vowel} .", 1.0, rng)
    weights = articulate(loop, phonemes, rng)
    middle = round(phonemes[2].middle_s * 200)
    assert phonemes[2].symbol == "B"
    opened = weights[middle, INDEX["jawOpen"]] - weights[middle, INDEX["mouthClose"]]
    assert opened < 0.01
    assert weights[middle, INDEX["mouthLowerDownLeft"]] < 0.01


class SteppingClock(Clock):
    """Sleeping moves it, a little late each time, as a real one is."""

    def __init__(self, late_ns: int) -> None:
        self.now = 1_000_000
        self.late_ns = late_ns

    def now_ns(self) -> int:
        return self.now

    async def sleep_until(self, when_ns: int) -> None:
        self.now = max(self.now, when_ns) + self.late_ns


async def test_offline_it_plays_one_round_by_media_time() -> None:
    source = DemoSource()
    await source.open(FakeContext(fps=25))
    frames = [frame async for frame in source.frames()]
    await source.close()
    assert len(frames) == DURATION_S * 25
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert frames[25].capture_ns == NS_PER_S


async def test_live_it_is_stamped_on_arrival_and_keeps_its_pace() -> None:
    clock = SteppingClock(late_ns=55_000_000)
    source = DemoSource()
    await source.open(FakeContext(clock=clock, live=True, fps=25))
    frames: list[FaceParams] = []
    async for frame in source.frames():
        assert frame.capture_ns == clock.now
        frames.append(frame)
        if len(frames) == 40:
            break
    assert source.info.fps == 25
    # 55 ms late each time, more than a frame: frames are skipped rather than played in slow motion.
    elapsed_s = (frames[-1].capture_ns - frames[0].capture_ns) / NS_PER_S
    assert frames[-1].index == pytest.approx(25 * elapsed_s, abs=2)
    assert frames[-1].index > 50


def test_the_demo_is_nobody() -> None:
    subject = demo_subject()
    assert not subject.identity.any()
    assert subject.model == "mien-head"
