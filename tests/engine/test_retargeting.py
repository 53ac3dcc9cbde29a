"""Relative transfer: what one person does, another one does."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.face import lips
from mien.face.camera import Camera, axis_angle, rotation_matrix
from mien.face.retargeting import (
    BLINK,
    EXPRESSION,
    EYE_LOOK,
    GAZE,
    HEAD,
    MOTION_SIZE,
    PIVOT,
    SHIFT,
    Reference,
    absolute_params,
    edited,
    head_angles,
    head_matrix,
    mirrored,
    mirrored_motion,
    relative_motion,
    rest_expression,
    soft_limit,
)
from mien.face.rig import INDEX
from mien.face.subject import Subject
from mien.frames import FaceParams, Float

pytestmark = pytest.mark.unit


def subject(**values: object) -> Subject:
    return Subject("test", np.zeros(2, np.float32), Camera.guess(640, 480), **values)  # type: ignore[arg-type]


def expression(**weights: float) -> Float:
    result = np.zeros(52, np.float32)
    for name, weight in weights.items():
        result[INDEX[name]] = weight
    return result


def random_params(seed: int) -> FaceParams:
    rng = np.random.default_rng(seed)
    return FaceParams(
        7,
        rng.normal(0, 0.2, 3).astype(np.float32),
        np.array([*rng.normal(0, 3, 2), -60 + rng.normal(0, 8)], np.float32),
        rng.uniform(0, 0.5, 52).astype(np.float32),
        rng.normal(0, 0.1, (2, 2)).astype(np.float32),
        rng.normal(0, 1, (9, 3)).astype(np.float32),
    )


ZERO = np.zeros(MOTION_SIZE, np.float32)
STAMP = FaceParams(0)


@given(*(st.floats(-1.2, 1.2) for _ in range(3)))
@settings(max_examples=50, deadline=None)
def test_head_angles_invert_the_matrix(yaw: float, pitch: float, roll: float) -> None:
    angles = np.array([yaw, pitch, roll], np.float32)
    np.testing.assert_allclose(head_angles(head_matrix(angles)), angles, atol=2e-5)


def test_head_angles_have_the_documented_signs() -> None:
    forwards, up = np.array([0, 0, 1]), np.array([0, 1, 0])
    assert (head_matrix(np.array([0.3, 0, 0], np.float32)) @ forwards)[0] > 0  # to the subject's left
    assert (head_matrix(np.array([0, 0.3, 0], np.float32)) @ forwards)[1] > 0  # up
    assert (head_matrix(np.array([0, 0, 0.3], np.float32)) @ up)[0] < 0  # crown to the subject's right


@pytest.mark.parametrize("seed", range(5))
def test_transfer_to_oneself_changes_nothing(seed: int) -> None:
    person = subject(
        rest_rotation=np.array([0.1, -0.2, 0.05], np.float32),
        rest_translation=np.array([3, -2, -70], np.float32),
        rest_gaze=np.array([[0.05, 0.02], [-0.05, 0.02]], np.float32),
    )
    params = random_params(seed)
    params = replace(
        params, expression=np.where(BLINK, 0.3, params.expression * 0.6 + 0.1).astype(np.float32)
    )
    params.expression.setflags(write=True)
    params.expression[INDEX["mouthClose"]] = 0.0
    back = absolute_params(relative_motion(params, Reference.of(person)), Reference.of(person), params)
    np.testing.assert_allclose(back.rotation, params.rotation, atol=1e-5)
    np.testing.assert_allclose(back.translation, params.translation, atol=1e-4)
    np.testing.assert_allclose(back.gaze, params.gaze, atol=1e-6)
    np.testing.assert_allclose(back.expression[~EYE_LOOK], params.expression[~EYE_LOOK], atol=1e-5)
    assert not back.light.any()


def test_a_driver_at_rest_leaves_the_avatar_at_rest() -> None:
    driver = subject(
        neutral=expression(browDownLeft=0.3, eyeBlinkLeft=0.2, jawOpen=0.02),
        rest_rotation=np.array([0.2, 0.3, -0.1], np.float32),
        rest_translation=np.array([8, 5, -45], np.float32),
    )
    avatar = subject(rest_rotation=np.array([0, -0.1, 0], np.float32))
    resting = FaceParams(0, driver.rest_rotation, driver.rest_translation, driver.neutral, driver.rest_gaze)
    result = absolute_params(relative_motion(resting, Reference.of(driver)), Reference.of(avatar), resting)
    np.testing.assert_allclose(result.rotation, avatar.rest_rotation, atol=1e-6)
    np.testing.assert_allclose(result.translation, avatar.rest_translation, atol=1e-4)
    np.testing.assert_allclose(result.expression, 0, atol=1e-6)


def test_a_nod_of_somebody_who_sits_askew_is_a_nod() -> None:
    askew = rotation_matrix(np.array([0, 0.5, 0]))
    nod = rotation_matrix(np.array([0.2, 0, 0]))
    driver = subject(rest_rotation=axis_angle(askew))
    params = FaceParams(0, axis_angle(askew @ nod))
    np.testing.assert_allclose(relative_motion(params, Reference.of(driver))[HEAD], [0, -0.2, 0], atol=1e-6)


def test_turning_about_the_neck_is_no_shift() -> None:
    driver = subject(rest_translation=np.array([4, 0, -60], np.float32))
    turn = head_matrix(np.array([0.4, 0.1, 0.1], np.float32))
    pivot = PIVOT + driver.rest_translation
    params = FaceParams(0, axis_angle(turn), (pivot - turn @ PIVOT).astype(np.float32))
    np.testing.assert_allclose(relative_motion(params, Reference.of(driver))[SHIFT], 0, atol=1e-5)


def test_leaning_in_scales_with_distance() -> None:
    """A tenth nearer is a tenth nearer, whoever sits where."""
    driver = subject(rest_translation=np.array([10, -6, -90], np.float32))
    near = (driver.rest_translation + PIVOT) * 0.9 - PIVOT
    motion = relative_motion(FaceParams(0, translation=near.astype(np.float32)), Reference.of(driver))
    np.testing.assert_allclose(motion[SHIFT], [0, 0, np.log(0.9)], atol=1e-5)
    avatar = subject(rest_translation=np.array([1, 2, -40], np.float32))
    result = absolute_params(motion, Reference.of(avatar), STAMP)
    np.testing.assert_allclose(result.translation + PIVOT, (avatar.rest_translation + PIVOT) * 0.9, rtol=1e-4)


# --- expression ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 2.0])
def test_a_full_blink_always_closes(strength: float) -> None:
    gains = np.ones(52, np.float32)
    gains[BLINK] = 1.3
    driver = subject(neutral=expression(eyeBlinkLeft=0.15, eyeBlinkRight=0.1), gains=gains)
    avatar = subject(neutral=expression(eyeBlinkLeft=0.4, eyeBlinkRight=0.4))
    params = FaceParams(0, expression=expression(eyeBlinkLeft=0.78, eyeBlinkRight=0.75))
    motion = edited(relative_motion(params, Reference.of(driver)), 1.0, strength, ZERO)
    result = absolute_params(motion, Reference.of(avatar), STAMP)
    np.testing.assert_allclose(result.expression[BLINK], 1.0)


@pytest.mark.parametrize("strength", [0.5, 1.0, 2.0])
def test_lips_that_meet_stay_together(strength: float) -> None:
    """A p with the jaw down: mouthClose as large as jawOpen, on the avatar as on the driver."""
    driver = subject(neutral=expression(jawOpen=0.05), gains=np.full(52, 1.2, np.float32))
    avatar = subject(neutral=expression(jawOpen=0.2, mouthSmileLeft=0.8, mouthSmileRight=0.8))
    params = FaceParams(0, expression=expression(jawOpen=0.38, mouthClose=0.36))
    motion = edited(relative_motion(params, Reference.of(driver)), 1.0, strength, ZERO)
    weights = absolute_params(motion, Reference.of(avatar), STAMP).expression
    assert weights[INDEX["jawOpen"]] > 0.1
    assert weights[INDEX["mouthClose"]] == pytest.approx(weights[INDEX["jawOpen"]], abs=1e-6)


def test_a_closed_mouth_closes_an_open_portrait() -> None:
    avatar = subject(neutral=expression(jawOpen=0.3, mouthUpperUpLeft=0.4, mouthLowerDownLeft=0.2))
    weights = absolute_params(ZERO, Reference.of(avatar), STAMP).expression
    assert not weights.any()


def test_a_driver_enrolled_with_an_open_mouth_can_still_open_it() -> None:
    driver = subject(neutral=expression(jawOpen=0.3, mouthLowerDownLeft=0.3))
    speaking = FaceParams(0, expression=expression(jawOpen=0.3, mouthLowerDownLeft=0.3))
    motion = relative_motion(speaking, Reference.of(driver))
    assert motion[EXPRESSION][INDEX["jawOpen"]] > 0.2
    assert motion[EXPRESSION][INDEX["mouthLowerDownLeft"]] > 0.2


def test_a_smiling_portrait_keeps_a_hint_of_it() -> None:
    smiling = subject(neutral=expression(mouthSmileLeft=0.9, cheekSquintLeft=0.25, jawOpen=0.2))
    rest = rest_expression(smiling)
    assert rest[INDEX["mouthSmileLeft"]] == pytest.approx(0.12)
    assert rest[INDEX["cheekSquintLeft"]] == pytest.approx(0.25)
    assert rest[INDEX["jawOpen"]] == 0


def test_full_weight_reaches_full_weight_and_never_exceeds_it() -> None:
    avatar = subject(neutral=np.full(52, 0.2, np.float32))
    motion = ZERO.copy()
    motion[EXPRESSION] = 1.0
    weights = absolute_params(motion, Reference.of(avatar), STAMP).expression
    assert weights[~EYE_LOOK].min() == pytest.approx(1.0)
    motion[EXPRESSION] = -1.0
    assert not absolute_params(motion, Reference.of(avatar), STAMP).expression[~EYE_LOOK].any()


def test_expression_transfer_is_continuous() -> None:
    driver = subject(neutral=expression(jawOpen=0.1, eyeBlinkLeft=0.1))
    weights = [
        absolute_params(
            relative_motion(
                FaceParams(0, expression=expression(jawOpen=w, mouthClose=w * w, eyeBlinkLeft=w)),
                Reference.of(driver),
            ),
            Reference.of(driver),
            STAMP,
        ).expression
        for w in np.linspace(0, 1, 1001)
    ]
    assert np.abs(np.diff(weights, axis=0)).max() < 0.005


def test_lids_follow_the_gaze() -> None:
    motion = ZERO.copy()
    motion[GAZE] = [0.2, -0.3, 0.2, -0.3]
    weights = absolute_params(motion, Reference.of(subject()), STAMP).expression
    for name in ("eyeLookDownLeft", "eyeLookDownRight", "eyeLookOutLeft", "eyeLookInRight"):
        assert weights[INDEX[name]] > 0.2
    for name in ("eyeLookUpLeft", "eyeLookInLeft", "eyeLookOutRight"):
        assert weights[INDEX[name]] == 0


# --- limits -------------------------------------------------------------------------------------------


def test_soft_limit_leaves_small_values_and_never_passes_its_end() -> None:
    values = np.linspace(-200, 200, 4001).astype(np.float32)
    knee, end = np.float32(18), np.float32(28)
    limited = soft_limit(values, knee, end)
    inside = np.abs(values) <= 18
    np.testing.assert_array_equal(limited[inside], values[inside])
    assert np.abs(limited).max() <= 28.001
    steps = np.diff(limited)
    assert (steps >= 0).all()
    assert steps.max() <= 0.1001


def test_pose_shift_and_gaze_stay_within_what_a_picture_can_show() -> None:
    motion = ZERO.copy()
    motion[HEAD], motion[SHIFT], motion[GAZE] = 1.5, [50, 50, 2], 1.5
    shown = edited(motion, 2.0, 1.0, ZERO)
    assert (np.degrees(shown[HEAD]) <= [28.01, 28.01, 25.01]).all()
    assert (shown[SHIFT] <= [4.01, 2.21, 0.121]).all()
    assert (np.degrees(shown[GAZE]) <= 38.01).all()


def test_eye_contact_is_kept_when_the_head_turns_less_than_the_drivers() -> None:
    motion = ZERO.copy()
    motion[HEAD] = [0.15, 0, 0]
    motion[GAZE] = [-0.15, 0, -0.15, 0]
    shown = edited(motion, 0.5, 1.0, ZERO)
    np.testing.assert_allclose(shown[HEAD][0] + shown[GAZE][[0, 2]], 0, atol=1e-6)


# --- mirror -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_mirroring_twice_is_the_identity(seed: int) -> None:
    params = random_params(seed)
    twice = mirrored(mirrored(params))
    for name in ("rotation", "translation", "expression", "gaze", "light"):
        np.testing.assert_array_equal(getattr(twice, name), getattr(params, name))
    motion = np.random.default_rng(seed).normal(size=MOTION_SIZE).astype(np.float32)
    np.testing.assert_array_equal(mirrored_motion(mirrored_motion(motion)), motion)


@pytest.mark.parametrize("seed", range(5))
def test_mirroring_the_picture_or_the_motion_is_the_same(seed: int) -> None:
    params, driver = random_params(seed), subject()
    np.testing.assert_allclose(
        relative_motion(mirrored(params), Reference.of(driver)),
        mirrored_motion(relative_motion(params, Reference.of(driver))),
        atol=1e-5,
    )


def test_a_mirror_swaps_sides() -> None:
    params = FaceParams(
        0,
        head_angle := np.array([0.1, 0.2, 0.3], np.float32),
        np.array([5, 1, -60], np.float32),
        expression(mouthSmileLeft=0.7),
        np.array([[0.1, 0.2], [0.3, 0.4]], np.float32),
    )
    seen = mirrored(params)
    np.testing.assert_allclose(seen.rotation, head_angle * [1, -1, -1])
    assert seen.translation[0] == -5
    assert seen.expression[INDEX["mouthSmileRight"]] == pytest.approx(0.7)
    np.testing.assert_allclose(seen.gaze, [[-0.3, 0.4], [-0.1, 0.2]])


def test_what_parts_the_lips_at_rest_is_not_taken_off_a_small_opening() -> None:
    """Enrolled while talking, with upper lip and chin up: 2 % of the face's height stay 2 %."""
    driver = subject(
        neutral=expression(jawOpen=0.07, mouthUpperUpLeft=0.1, mouthUpperUpRight=0.1, mouthFunnel=0.1)
    )
    speaking = FaceParams(
        0, expression=expression(jawOpen=0.11, mouthUpperUpLeft=0.05, mouthUpperUpRight=0.05)
    )
    weights = absolute_params(
        relative_motion(speaking, Reference.of(driver)), Reference.of(subject()), STAMP
    ).expression
    assert lips.parted(weights) == pytest.approx(lips.parted(speaking.expression) - 0.02, abs=0.005)
