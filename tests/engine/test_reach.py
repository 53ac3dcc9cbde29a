"""What a driver was seen to do corrects the transfer: blinks close, lips meet, small movers are helped."""

import numpy as np
import pytest

from mien.clock import NS_PER_S
from mien.drive.reach import Reach
from mien.face.camera import Camera
from mien.face.retargeting import BLINK, EXPRESSION, Reference, relative_motion
from mien.face.rig import INDEX
from mien.face.subject import Subject
from mien.frames import FaceParams

pytestmark = pytest.mark.unit

FPS = 25
DRIVER = Reference.of(Subject("test", np.zeros(2, np.float32), Camera.guess(640, 480)))


def frame(n: int, **weights: float) -> FaceParams:
    expression = np.zeros(52, np.float32)
    for name, weight in weights.items():
        expression[INDEX[name]] = weight
    return FaceParams(n * NS_PER_S // FPS, expression=expression)


def talking(n: int, closed: float) -> float:
    """Jaw of somebody whose lips meet for a quarter of the time and read `closed` then."""
    return closed + 0.3 * max(float(np.sin(n * 0.6)) - 0.0, 0.0) if n % 4 else closed


def watch(reach: Reach, seconds: float, play) -> Reference:
    adapted = DRIVER
    for n in range(round(seconds * FPS)):
        adapted = reach.adapted(DRIVER, play(n))
    return adapted


def test_a_first_frame_changes_nothing() -> None:
    adapted = Reach().adapted(DRIVER, frame(0, jawOpen=0.2))
    np.testing.assert_allclose(adapted.gains, DRIVER.gains, atol=1e-6)
    assert adapted.lips_closed == DRIVER.lips_closed


def test_a_weak_blinker_closes_the_eyes() -> None:
    def blinking(n: int) -> FaceParams:
        lids = 0.72 * max(0.0, 1 - abs(n % 75 - 5) / 4)
        return frame(n, eyeBlinkLeft=lids, eyeBlinkRight=lids)

    first = relative_motion(frame(0, eyeBlinkLeft=0.72, eyeBlinkRight=0.72), DRIVER)
    assert (first[EXPRESSION][BLINK] < 0.9).all()
    adapted = watch(Reach(), 30, blinking)
    closed = relative_motion(frame(0, eyeBlinkLeft=0.72, eyeBlinkRight=0.72), adapted)
    np.testing.assert_allclose(closed[EXPRESSION][BLINK], 1.0, atol=0.02)


def test_lips_that_read_open_when_closed_meet_after_a_while() -> None:
    adapted = watch(Reach(), 40, lambda n: frame(n, jawOpen=talking(n, 0.03)))
    assert adapted.lips_closed == pytest.approx(0.03, abs=0.008)
    motion = relative_motion(frame(0, jawOpen=0.03), adapted)[EXPRESSION]
    assert motion[INDEX["jawOpen"]] - motion[INDEX["mouthClose"]] < 0.004


def test_a_mouth_that_stays_open_is_not_taken_for_closed() -> None:
    adapted = watch(Reach(), 120, lambda n: frame(n, jawOpen=0.2))
    motion = relative_motion(frame(0, jawOpen=0.2), adapted)[EXPRESSION]
    assert motion[INDEX["jawOpen"]] - motion[INDEX["mouthClose"]] > 0.16


def test_a_small_smile_counts_for_more_and_a_still_face_is_left_alone() -> None:
    def smiling(n: int) -> FaceParams:
        smile = 0.36 * (n % 100 < 40)
        return frame(n, mouthSmileLeft=smile, mouthSmileRight=smile)

    smile = INDEX["mouthSmileLeft"]
    assert 1.1 < watch(Reach(), 60, smiling).gains[smile] <= 1.25 + 1e-6
    assert watch(Reach(), 240, frame).gains[smile] < 1.02


def test_the_same_frames_give_the_same() -> None:
    one, other = (watch(Reach(), 20, lambda n: frame(n, jawOpen=talking(n, 0.02))) for _ in range(2))
    np.testing.assert_array_equal(one.gains, other.gains)
    assert one.lips_closed == other.lips_closed
