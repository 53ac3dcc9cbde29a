"""The driver: hold, idle, regain, pause, recentre; never a jump, always the same."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mien.clock import NS_PER_S
from mien.controls import Controls
from mien.drive.demo import demo_motion
from mien.driver import Driver, DriverState
from mien.face.camera import Camera, rotation_matrix
from mien.face.retargeting import BLINK, MOUTH, Reference, absolute_params, head_angles
from mien.face.rig import INDEX
from mien.face.subject import Subject
from mien.frames import FaceParams, Float

pytestmark = pytest.mark.unit

FPS = 25
STEP_NS = NS_PER_S // FPS
IDENTITY = np.zeros(2, np.float32)
AVATAR = Subject("test", IDENTITY, Camera.guess(512, 512), rest_translation=np.array([0, 1, -45], np.float32))
PERSON = Subject("test", IDENTITY, Camera.guess(640, 480), rest_translation=np.array([3, 0, -70], np.float32))
FAR_OFF = np.array([0.2, 0.25, 0.1], np.float32)


def weights(**named: float) -> Float:
    result = np.zeros(52, np.float32)
    for name, weight in named.items():
        result[INDEX[name]] = weight
    return result


def posing(step: int, *, rotation: Float = FAR_OFF, **expression: float) -> FaceParams:
    """Somebody who keeps a posture that the idle face never has."""
    return FaceParams(
        step * STEP_NS - 20_000_000,
        rotation,
        PERSON.rest_translation,
        weights(**(expression or {"jawOpen": 0.6, "browDownLeft": 0.9})),
        index=1000 + step,
    )


def acting(step: int) -> FaceParams:
    """The demo performance under the test person's camera."""
    return absolute_params(MOTION.at(step * STEP_NS), Reference.of(PERSON), FaceParams(step * STEP_NS))


MOTION = demo_motion(0)
Play = Callable[[int], FaceParams | None]


def run(
    driver: Driver, play: Play, first: int, last: int, source: Subject | None = PERSON
) -> list[FaceParams]:
    return [driver.step(play(i), source, i * STEP_NS, i) for i in range(first, last)]


def nobody(_: int) -> None:
    return None


def yaw(params: FaceParams) -> float:
    return float(np.degrees(head_angles(rotation_matrix(params.rotation))[0]))


def head_speed(frames: list[FaceParams]) -> Float:
    """Degrees per frame."""
    angles = np.degrees([head_angles(rotation_matrix(frame.rotation)) for frame in frames])
    return np.asarray(np.abs(np.diff(angles, axis=0)).max(axis=1), np.float32)


def mouth_speed(frames: list[FaceParams]) -> float:
    return float(np.abs(np.diff([frame.expression[MOUTH] for frame in frames], axis=0)).max())


def test_the_first_frame_is_followed_at_once() -> None:
    driver = Driver(AVATAR, Controls(), FPS)
    first = driver.step(posing(0), PERSON, 0, 0)
    assert driver.state is DriverState.DRIVEN
    assert yaw(first) == pytest.approx(np.degrees(0.25), abs=1.5)
    assert first.expression[INDEX["jawOpen"]] == pytest.approx(0.6, abs=0.01)


def test_times_index_epoch_and_confidence_are_carried() -> None:
    driver = Driver(AVATAR, Controls(), FPS)
    tracked = replace(posing(3), epoch=4, confidence=0.9)
    driven = driver.step(tracked, PERSON, 3 * STEP_NS, 17)
    assert (driven.capture_ns, driven.index, driven.epoch) == (tracked.capture_ns, 17, 4)
    assert driven.confidence == pytest.approx(0.9)
    idle = driver.step(None, None, 4 * STEP_NS, 18)
    assert (idle.capture_ns, idle.index, idle.epoch, idle.confidence) == (4 * STEP_NS, 18, 4, 0)


def test_deterministic_under_a_seed() -> None:
    def play(step: int) -> FaceParams | None:
        return acting(step) if step % 60 < 40 else None

    def all_of(seed: int) -> Float:
        frames = run(Driver(AVATAR, Controls(), FPS, seed), play, 0, 150)
        return np.stack([np.concatenate([frame.rotation, frame.expression]) for frame in frames])

    np.testing.assert_array_equal(all_of(1), all_of(1))
    assert np.abs(all_of(1) - all_of(2)).max() > 0.05


def test_lost_then_held_then_idle_then_regained_without_a_jump() -> None:
    driver = Driver(AVATAR, Controls(), FPS)
    driven = run(driver, posing, 0, 20)
    assert driver.state is DriverState.DRIVEN

    held = run(driver, nobody, 20, 29)
    assert driver.state is DriverState.HOLDING
    assert abs(yaw(held[-1]) - yaw(driven[-1])) < 1.0

    idle = run(driver, nobody, 29, 100)
    assert driver.state is DriverState.IDLE
    assert abs(yaw(idle[-1])) < 6
    assert idle[-1].expression[INDEX["browDownLeft"]] == pytest.approx(0, abs=0.01)

    back = run(driver, posing, 100, 110)
    assert driver.state is DriverState.DRIVEN
    assert yaw(back[6]) == pytest.approx(yaw(driven[-1]), abs=0.1), "within 250 ms"

    away = driven[-2:] + held + idle
    assert head_speed(away).max() < 1.6, "14 degrees over a second, minimum jerk"
    assert mouth_speed(away) < 0.12
    assert head_speed([idle[-1], *back]).max() < 6.0, "14 degrees over a quarter second"


def test_a_moving_head_does_not_stop_dead_when_it_is_lost() -> None:
    driver = Driver(AVATAR, Controls(), FPS)

    def turning(step: int) -> FaceParams:
        return posing(step, rotation=np.array([0, 0.02 * step, 0], np.float32))

    frames = run(driver, turning, 0, 8) + run(driver, nobody, 8, 20)
    speed = head_speed(frames)
    assert speed[7] > 0.4 * speed[6]
    assert np.abs(np.diff(speed[6:])).max() < 0.6 * speed[6]


def test_one_dropped_frame_is_hardly_seen() -> None:
    driver = Driver(AVATAR, Controls(), FPS)

    def dropping(step: int) -> FaceParams | None:
        return None if step == 50 else acting(step)

    dropped = run(driver, dropping, 0, 60)
    whole = run(Driver(AVATAR, Controls(), FPS), acting, 0, 60)
    np.testing.assert_allclose(dropped[53].rotation, whole[53].rotation, atol=1e-3)
    np.testing.assert_allclose(dropped[53].expression, whole[53].expression, atol=1e-3)


def test_lids_do_not_stay_shut_when_the_driver_is_lost_in_a_blink() -> None:
    driver = Driver(AVATAR, Controls(), FPS, seed=1)

    def blinking(step: int) -> FaceParams:
        return posing(step, eyeBlinkLeft=1.0, eyeBlinkRight=1.0)

    run(driver, blinking, 0, 10)
    after = run(driver, nobody, 10, 20)
    assert after[8].expression[BLINK].max() < 0.1


def test_pause_lets_nothing_through() -> None:
    """Two people who act differently from the moment of the pause on leave the same picture."""
    paused = Controls(paused=True)

    def record(play: Play, source: Subject | None) -> list[FaceParams]:
        driver = Driver(AVATAR, Controls(), FPS)
        run(driver, acting, 0, 40)
        driver.set_controls(paused)
        frames = run(driver, play, 40, 140, source)
        assert driver.state is DriverState.PAUSED
        return frames

    def groups(frames: list[FaceParams]) -> list[Float]:
        return [np.concatenate([f.rotation, f.translation, f.expression, f.gaze.ravel()]) for f in frames]

    alone = record(nobody, None)
    watched = record(posing, replace(PERSON, epoch=5, rest_rotation=FAR_OFF))
    np.testing.assert_array_equal(groups(alone), groups(watched))
    assert max(frame.confidence for frame in watched) == 0
    assert np.abs([yaw(frame) for frame in watched[25:]]).max() < 6
    assert watched[-1].expression[INDEX["browDownLeft"]] == pytest.approx(0, abs=0.01)


def test_a_pause_ends_smoothly() -> None:
    driver = Driver(AVATAR, Controls(), FPS)
    driver.set_controls(Controls(paused=True))
    before = run(driver, posing, 0, 30)
    driver.set_controls(Controls())
    after = run(driver, posing, 30, 45)
    assert driver.state is DriverState.DRIVEN
    assert head_speed([before[-1], *after]).max() < 6
    assert yaw(after[-1]) == pytest.approx(np.degrees(0.25), abs=1.5)


def test_without_anybody_the_face_lives_and_is_idle() -> None:
    driver = Driver(AVATAR, Controls(), FPS)
    frames = run(driver, nobody, 0, 20 * FPS)
    assert driver.state is DriverState.IDLE
    lids = np.array([frame.expression[INDEX["eyeBlinkLeft"]] for frame in frames])
    assert 2 <= ((lids[1:] > 0.5) & (lids[:-1] <= 0.5)).sum() <= 10
    assert head_speed(frames).max() < 2
    assert np.ptp([yaw(frame) for frame in frames]) > 1


def test_low_confidence_counts_as_lost() -> None:
    driver = Driver(AVATAR, Controls(), FPS)
    run(driver, posing, 0, 10)
    run(driver, lambda i: replace(posing(i), confidence=0.02), 10, 40)
    assert driver.state is DriverState.IDLE


def test_a_doubtful_frame_moves_the_face_only_in_part() -> None:
    driver = Driver(AVATAR, Controls(), FPS)
    before = run(driver, posing, 0, 20)[-1]
    glitch = replace(posing(20, rotation=np.zeros(3, np.float32)), confidence=0.2)
    after = driver.step(glitch, PERSON, 20 * STEP_NS, 20)
    assert abs(yaw(after) - yaw(before)) < 0.4 * np.degrees(0.25)


def test_strangers_are_eased_in_relative_to_their_first_frames() -> None:
    driver = Driver(AVATAR, Controls(), FPS)
    frames = run(driver, posing, 0, 30, source=None)
    assert driver.state is DriverState.DRIVEN
    assert abs(yaw(frames[-1])) < 0.5, "whatever the pose, it is theirs to rest in"
    assert head_speed(frames).max() < 1.5


def test_enrolment_does_not_make_the_face_jump() -> None:
    driver = Driver(AVATAR, Controls(), FPS)
    frames = run(driver, posing, 0, 30, source=None)
    frames += run(driver, posing, 30, 60, source=PERSON)
    assert head_speed(frames).max() < 6
    assert yaw(frames[-1]) == pytest.approx(np.degrees(0.25), abs=1.5)
    better = replace(PERSON, epoch=1, rest_rotation=np.array([0, 0.1, 0], np.float32))
    frames += run(driver, posing, 60, 90, source=better)
    assert head_speed(frames[-32:]).max() < 3
    assert yaw(frames[-1]) == pytest.approx(np.degrees(0.15), abs=2.5)


def test_an_equal_subject_made_anew_changes_nothing() -> None:
    driver, copying = Driver(AVATAR, Controls(), FPS), Driver(AVATAR, Controls(), FPS)
    for i in range(30):
        one = driver.step(acting(i), PERSON, i * STEP_NS, i)
        other = copying.step(acting(i), replace(PERSON), i * STEP_NS, i)
        np.testing.assert_array_equal(one.rotation, other.rotation)


def test_recentring_makes_the_present_pose_the_rest() -> None:
    driver = Driver(AVATAR, Controls(), FPS)
    frames = run(driver, posing, 0, 20)
    driver.recentre()
    frames += run(driver, posing, 20, 50)
    assert abs(yaw(frames[-1])) < 0.1
    assert head_speed(frames).max() < 4
    assert frames[-1].expression[INDEX["jawOpen"]] == pytest.approx(0.6, abs=0.01), "the expression stays"
    newer = replace(PERSON, epoch=1)
    frames += run(driver, posing, 50, 80, source=newer)
    assert abs(yaw(frames[-1])) < 0.1, "a refined identity does not undo it"


def test_a_second_of_rest_makes_pose_and_expression_neutral() -> None:
    driver = Driver(AVATAR, Controls(), FPS)
    resting = {"rotation": FAR_OFF, "browDownLeft": 0.3, "jawOpen": 0.015, "mouthSmileLeft": 0.2}
    frames = run(driver, lambda i: posing(i, **resting), 0, 20)
    assert frames[-1].expression[INDEX["browDownLeft"]] > 0.2
    driver.calibrate()
    frames += run(driver, lambda i: posing(i, **resting), 20, 70)
    assert abs(yaw(frames[-1])) < 0.1
    assert frames[-1].expression[INDEX["browDownLeft"]] < 0.01
    assert frames[-1].expression[INDEX["mouthSmileLeft"]] < 0.01
    assert head_speed(frames).max() < 4
    frowning = run(driver, lambda i: posing(i, **(resting | {"browDownLeft": 1.0})), 70, 90)
    assert frowning[-1].expression[INDEX["browDownLeft"]] == pytest.approx(1, abs=0.05)
    elsewhere = run(driver, lambda i: replace(posing(i, **resting), epoch=1), 90, 130)
    assert elsewhere[-1].expression[INDEX["browDownLeft"]] > 0.2, "somebody else has another neutral face"


def test_what_one_person_was_calibrated_to_is_not_the_next_ones() -> None:
    driver = Driver(AVATAR, Controls(), FPS)
    frowning = {"rotation": FAR_OFF, "browDownLeft": 0.3}
    run(driver, lambda i: posing(i, **frowning), 0, 20)
    driver.calibrate()
    calibrated = run(driver, lambda i: posing(i, **frowning), 20, 70)
    next_one = run(
        driver, lambda i: posing(i, **frowning), 70, 110, source=replace(PERSON, epoch=3, person=1)
    )
    assert calibrated[-1].expression[INDEX["browDownLeft"]] < 0.01
    assert next_one[-1].expression[INDEX["browDownLeft"]] > 0.2
    assert yaw(next_one[-1]) == pytest.approx(np.degrees(0.25), abs=1.5)
    assert head_speed(calibrated + next_one).max() < 6


def test_a_face_that_is_hardly_seen_does_not_become_neutral() -> None:
    driver = Driver(AVATAR, Controls(), FPS)
    run(driver, lambda i: posing(i, browDownLeft=0.3), 0, 20)
    driver.calibrate()
    run(driver, lambda i: posing(i, browDownLeft=0.3) if i % 30 == 20 else None, 20, 60)
    frames = run(driver, lambda i: posing(i, browDownLeft=0.3), 60, 80)
    assert frames[-1].expression[INDEX["browDownLeft"]] > 0.2, "not yet seen for a second on end"
    frames = run(driver, lambda i: posing(i, browDownLeft=0.3), 80, 110)
    assert frames[-1].expression[INDEX["browDownLeft"]] < 0.01


def test_another_source_is_met_without_prejudice() -> None:
    driver = Driver(AVATAR, Controls(), FPS)
    driver.recentre()
    run(driver, posing, 0, 20)
    frames = run(driver, lambda i: replace(posing(i), epoch=1), 20, 50)
    assert yaw(frames[-1]) == pytest.approx(np.degrees(0.25), abs=1.5)


def test_sliders_take_effect_smoothly() -> None:
    driver = Driver(AVATAR, Controls(), FPS)
    frames = run(driver, lambda i: posing(i, rotation=np.zeros(3, np.float32), jawOpen=0.0), 0, 20)
    driver.set_controls(Controls().patched({"head": {"yaw": 12}, "expression": {"cheekPuff": 1}}))
    frames += run(driver, lambda i: posing(i, rotation=np.zeros(3, np.float32), jawOpen=0.0), 20, 45)
    assert yaw(frames[-1]) == pytest.approx(12, abs=0.2)
    assert frames[-1].expression[INDEX["cheekPuff"]] == pytest.approx(1, abs=0.01)
    assert frames[20].expression[INDEX["cheekPuff"]] < 0.6
    assert (np.diff([yaw(frame) for frame in frames[20:]]) > -1e-3).all()


@pytest.mark.parametrize(
    ("mode", "head", "brows"), [("full", True, True), ("face", False, True), ("dubbing", False, False)]
)
def test_modes_give_the_rest_to_the_idle_face(mode: str, head: bool, brows: bool) -> None:
    driver = Driver(AVATAR, Controls().patched({"mode": mode}), FPS)
    last = run(driver, posing, 0, 30)[-1]
    assert last.expression[INDEX["jawOpen"]] == pytest.approx(0.6, abs=0.01)
    assert (abs(yaw(last)) > 10) is head
    assert bool(last.expression[INDEX["browDownLeft"]] > 0.8) is brows


def test_mirroring_turns_the_other_way_without_a_jump() -> None:
    driver = Driver(AVATAR, Controls(), FPS)
    frames = run(driver, posing, 0, 20)
    driver.set_controls(Controls(mirror=True))
    frames += run(driver, posing, 20, 45)
    assert yaw(frames[-1]) == pytest.approx(-yaw(frames[19]), abs=0.1)
    assert frames[-1].expression[INDEX["browDownRight"]] > 0.8
    assert head_speed(frames).max() < 8


def test_another_avatar_goes_on_with_the_same_motion() -> None:
    driver = Driver(AVATAR, Controls(), FPS)
    run(driver, posing, 0, 20)
    other = replace(AVATAR, rest_translation=np.array([1, 2, -80], np.float32))
    driver.set_avatar(other)
    there = driver.step(posing(20), PERSON, 20 * STEP_NS, 20)
    assert there.translation[2] < -70
    assert yaw(there) == pytest.approx(np.degrees(0.25), abs=1.5)


def test_pose_is_softly_limited() -> None:
    driver = Driver(AVATAR, Controls(head_strength=2.0), FPS)
    last = run(driver, lambda i: posing(i, rotation=np.array([0, 1.2, 0], np.float32)), 0, 30)[-1]
    assert 20 < yaw(last) < 28.1


def test_the_demo_drives_within_human_speed() -> None:
    frames = run(Driver(AVATAR, Controls(), FPS), acting, 0, 54 * FPS)
    speed = head_speed(frames) * FPS
    assert np.percentile(speed, 50) > 1.5, "never quite still"
    assert speed.max() < 130
