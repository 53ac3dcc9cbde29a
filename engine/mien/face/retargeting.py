"""Relative transfer: one person's motion on another person's face.

Deep Video Portraits (Kim et al. 2018, section 5) transfers pose, expression and gaze relative to each
person's own reference, so that a driver who sits off-centre or has heavy lids doesn't move the avatar
out of its picture or shut its eyes. Here that happens in two steps with a person-free value between:

    FaceParams of the driver ── relative_motion ──▶ Motion ── absolute_params ──▶ FaceParams of the avatar

A `Motion` can be blended, limited, mirrored and made by hand (idle, demo, sliders).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from mien.face import lips
from mien.face.camera import axis_angle, rotation_matrix
from mien.face.rig import INDEX, MIRROR, names_mask
from mien.face.subject import Subject
from mien.frames import EXPRESSIONS, FaceParams, Float

Motion = Float
"""(62,) float32, all of it relative to the person's rest, zeros = at rest:

- `HEAD`: yaw (to the subject's left), pitch (up), roll (crown to the subject's right), radians, about the
  person's own axes; intrinsic rotations in that order.
- `SHIFT`: where the pivot of the neck went: x (camera's right), y (up), cm; log of the depth ratio.
- `GAZE`: yaw and pitch of the left eye, then of the right, radians, in head space.
- `EXPRESSION`: ARKit weights; 1 is all that this face can do, below 0 takes away from its resting look.
"""

MOTION_SIZE = 10 + EXPRESSIONS
HEAD = slice(0, 3)
SHIFT = slice(3, 6)
GAZE = slice(6, 10)
EXPRESSION = slice(10, MOTION_SIZE)

PIVOT: Float = np.array([0.0, -8.0, -8.0], np.float32)
"""Where an adult head turns on the neck, cm from midway between the eyeballs, in head space.

The same for both sides of a transfer: what it gets wrong of the driver's neck it gets wrong of the avatar's.
"""
PIVOT.setflags(write=False)


MOUTH = names_mask("jaw", "mouth", "cheekPuff", "tongueOut")
"""What dubbing moves."""
BLINK = names_mask("eyeBlink")
EYE_LOOK = names_mask("eyeLook")
"""Follows from the gaze, never transferred as such."""

_JAW, _CLOSE = INDEX["jawOpen"], INDEX["mouthClose"]
_LIDS = np.flatnonzero(BLINK)
_EYE_LOOKS = np.flatnonzero(EYE_LOOK)


# --- limits -------------------------------------------------------------------------------------------

_DEG = np.pi / 180
_HEAD_KNEE = np.array([18, 18, 16], np.float32) * np.float32(_DEG)
_HEAD_END = np.array([28, 28, 25], np.float32) * np.float32(_DEG)
"""A picture warped further than this shows that it is one."""
_SHIFT_KNEE = np.array([1.6, 1.0, 0.05], np.float32)
_SHIFT_END = np.array([4.0, 2.2, 0.12], np.float32)
"""Further, and the collar and shoulders of a photograph are dragged along."""
_GAZE_KNEE, _GAZE_END = np.float32(28 * _DEG), np.float32(38 * _DEG)
"""Further hardly anybody turns the eyes without the head, and an iris leaves the opening. Renderers may end before."""
_CONTACT_KNEE, _CONTACT_END = np.float32(10 * _DEG), np.float32(18 * _DEG)
"""How far the eyes make up for a turn of the head that the avatar doesn't follow."""


def soft_limit(value: Float, knee: Float | np.float32, end: Float | np.float32) -> Float:
    """Unchanged up to +-knee, then bending (tanh, slope 1 at the knee) towards the asymptote +-end."""
    over = np.abs(value) - knee
    if not (over > 0).any():
        return value
    room = end - knee
    bent = np.copysign(knee + room * np.tanh(np.maximum(over, 0) / room), value)
    return np.asarray(np.where(over > 0, bent, value), dtype=np.float32)


# --- angles -------------------------------------------------------------------------------------------


def head_matrix(head: Float) -> Float:
    """(3,) yaw, pitch, roll, radians -> (3, 3) float32 rotation of the head about its own axes."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(head).tolist(), np.sin(head).tolist()
    return np.array(
        [
            [cy * cr - sy * sp * sr, -cy * sr - sy * sp * cr, sy * cp],
            [cp * sr, cp * cr, sp],
            [-sy * cr - cy * sp * sr, sy * sr - cy * sp * cr, cy * cp],
        ],
        np.float32,
    )


def head_angles(matrix: Float) -> Float:
    """(3, 3) rotation -> (3,) float32 yaw, pitch, roll; inverse of `head_matrix` for |pitch| < 90 degrees."""
    m = np.asarray(matrix, np.float64)
    return np.array(
        [np.arctan2(m[0, 2], m[2, 2]), np.arcsin(np.clip(m[1, 2], -1, 1)), np.arctan2(m[1, 0], m[1, 1])],
        np.float32,
    )


def eye_look(gaze: Float) -> Float:
    """(2, 2) gaze, radians -> (52,) float32 with the eight eyeLook weights, which make the lids follow."""
    weights = np.zeros(EXPRESSIONS, np.float32)
    looks = []
    for (yaw, pitch), outwards in zip(gaze.tolist(), (1.0, -1.0), strict=True):
        out, up = yaw * outwards / _FULL_LOOK[0], pitch / _FULL_LOOK[1]
        looks += [min(max(way, 0.0), 1.0) for way in (out, -out, up, -up)]
    weights[_LOOKS] = looks
    return weights


_FULL_LOOK = (36 * _DEG, 27 * _DEG)
"""The yaw and pitch at which an eyeLook shape is at 1."""
_LOOKS = np.array(
    [INDEX[f"eyeLook{way}{side}"] for side in ("Left", "Right") for way in ("Out", "In", "Up", "Down")]
)


# --- a person's rest ----------------------------------------------------------------------------------

_KEPT_SHARE = np.ones(EXPRESSIONS, np.float32)
_KEPT_MOST = np.full(EXPRESSIONS, 0.3, np.float32)
for _stems, _share, _most in (
    # A speaking face starts from closed lips: nothing of an open, pursed or crooked mouth is kept.
    (("jaw", "mouth", "tongue", "cheekPuff", "eyeLook"), 0.0, 0.0),
    # The folds and cheeks of a smile are in the picture's light and shade: without any of the smile
    # in its shape the face would look sour, with all of it it could neither speak nor be serious.
    (("mouthSmile",), 0.5, 0.12),
    (("mouthDimple", "mouthFrown"), 0.5, 0.15),
    # Half-closed lids are opened, so that a blink has a way to go.
    (("eyeBlink",), 0.7, 0.2),
):
    _KEPT_SHARE[names_mask(*_stems)] = _share
    _KEPT_MOST[names_mask(*_stems)] = _most


_NEUTRAL_MOST = np.full(EXPRESSIONS, 0.5, np.float32)
for _stems, _most in (
    # An open mouth is open, even if it was so all through enrolment; only a fit's bias is taken off.
    (("jawOpen", "mouthClose"), 0.02),
    (("mouthUpperUp", "mouthLowerDown"), 0.05),
    (("mouthPucker", "mouthFunnel"), 0.1),
    (("tongueOut",), 0.0),
):
    _NEUTRAL_MOST[names_mask(*_stems)] = _most


_MOST_LIPS_CLOSED = 0.02
"""Whoever speaks while being enrolled has an open mouth; only a fit's bias is taken off."""


def rest_expression(subject: Subject) -> Float:
    """(52,) float32: how an avatar looks while its driver is at rest.

    What the portrait shows (`subject.neutral`) as far as it is natural for a resting face: brows, lids and
    cheeks stay, half of a smile up to a hint (0.12), nothing of an open mouth.
    """
    return np.asarray(np.minimum(subject.neutral * _KEPT_SHARE, _KEPT_MOST), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Reference:
    """A subject, prepared for transfer from it (as a driver) and to it (as an avatar).

    rotation: (3, 3); pivot: (3,) cm, camera space; gaze: (2, 2); all at rest. neutral: (52,), what the fit
    reports at rest, as far as that is believed. gains: (52,), what a weight above it counts for.
    expression: (52,), what an avatar shows at rest. lips_closed: how far apart the fit reports lips that
    touch, see `mien.face.lips.parted`.
    """

    rotation: Float
    pivot: Float
    gaze: Float
    neutral: Float
    gains: Float
    expression: Float
    lips_closed: float

    @classmethod
    def of(cls, subject: Subject) -> Reference:
        rotation = rotation_matrix(subject.rest_rotation)
        neutral = np.minimum(subject.neutral, _NEUTRAL_MOST)
        return cls(
            rotation,
            np.asarray(rotation @ PIVOT + subject.rest_translation, np.float32),
            subject.rest_gaze,
            neutral,
            np.asarray(subject.gains / np.maximum(1.0 - neutral, 0.25), np.float32),
            rest_expression(subject),
            min(max(lips.parted(subject.neutral), 0.0), _MOST_LIPS_CLOSED),
        )


# --- from a person ------------------------------------------------------------------------------------


def relative_motion(params: FaceParams, driver: Reference) -> Motion:
    """What the driver does, relative to how the driver looks at rest.

    The turn of the head is taken about the driver's own axes (a nod of somebody who sits askew stays a
    nod). The shift is that of the neck's pivot, along the line of sight: leaning in changes the depth only.
    A full blink reads 1 and a closed mouth is closed, whatever the fit reports.
    """
    motion = np.empty(MOTION_SIZE, np.float32)
    now = rotation_matrix(params.rotation)
    motion[HEAD] = head_angles(driver.rotation.T @ now)

    pivot = now @ PIVOT + params.translation
    ratio = max(float(pivot[2] / driver.pivot[2]), 1e-3)
    motion[SHIFT] = pivot - driver.pivot * np.float32(ratio)
    motion[SHIFT.stop - 1] = math.log(ratio)

    motion[GAZE] = (params.gaze - driver.gaze).reshape(4)

    change = params.expression - driver.neutral
    weights = np.where(change > 0, change * driver.gains, change)
    weights[_EYE_LOOKS] = 0.0
    for lid in _LIDS:
        if weights[lid] > 0.5:
            weights[lid] = 0.5 + (weights[lid] - 0.5) * _LIDS_FASTER
    apart = lips.parted(params.expression) - driver.lips_closed
    lips.set_opening(weights, lips.opening(apart) * float(driver.gains[_JAW]))
    motion[EXPRESSION] = np.minimum(weights, 1.0)
    return motion


_LIDS_FASTER = 0.5 / 0.38
"""From half-closed on, so that a blink that reads 0.88 is closed: fits seldom report the last tenth."""


# --- to a person --------------------------------------------------------------------------------------


def absolute_params(
    motion: Motion, avatar: Reference, stamp: FaceParams, light: Float | None = None
) -> FaceParams:
    """The avatar's parameters under its own camera. Time, index, epoch, confidence and detail are those of
    `stamp`.

    Wishes above 0 use up the room that the avatar's resting weight leaves, so 1 is always all of it. The
    lips never cross (mouthClose is at most jawOpen) and the eyeLook shapes follow from the gaze. The
    light is relative to that of the avatar's portrait, zeros where it is the same (`mien.drive.relighting`).
    """
    rotation = avatar.rotation @ head_matrix(motion[HEAD])
    x, y, depth = motion[SHIFT].tolist()
    pivot = avatar.pivot * math.exp(depth) + np.array([x, y, 0.0])
    gaze = avatar.gaze + motion[GAZE].reshape(2, 2)

    wish, rest = motion[EXPRESSION], avatar.expression
    weights = rest + np.where(wish > 0, wish * (1.0 - rest), wish)
    weights += eye_look(gaze)
    np.clip(weights, 0.0, 1.0, out=weights)
    weights[_CLOSE] = min(weights[_CLOSE], weights[_JAW])
    return FaceParams(
        stamp.capture_ns,
        axis_angle(rotation),
        np.asarray(pivot - rotation @ PIVOT, np.float32),
        np.asarray(weights, np.float32),
        np.asarray(gaze, np.float32),
        _SAME if light is None else light,
        stamp.confidence,
        stamp.index,
        stamp.epoch,
        detail=stamp.detail,
        detail_around=stamp.detail_around,
    )


_SAME = np.zeros((9, 3), np.float32)


# --- changes to a motion ------------------------------------------------------------------------------


def edited(motion: Motion, head_strength: float, expression_strength: float, offset: Motion) -> Motion:
    """Exaggerate, offset, and keep within what a picture can show.

    head_strength: scales turn and shift. expression_strength: scales all but the blinks. offset: added.
    Eye contact is kept: where the head turns less or more than the driver's, the eyes make up for it.
    """
    result = np.empty(MOTION_SIZE, np.float32)
    head = motion[HEAD]
    result[HEAD] = soft_limit(head * head_strength + offset[HEAD], _HEAD_KNEE, _HEAD_END)
    result[SHIFT] = soft_limit(motion[SHIFT] * head_strength + offset[SHIFT], _SHIFT_KNEE, _SHIFT_END)

    result[GAZE] = motion[GAZE] + offset[GAZE]
    result = with_eye_contact(result, motion)
    result[GAZE] = soft_limit(result[GAZE], _GAZE_KNEE, _GAZE_END)

    weights = motion[EXPRESSION]
    result[EXPRESSION] = weights * np.float32(expression_strength)
    result[EXPRESSION][_LIDS] = weights[_LIDS]
    result[EXPRESSION] += offset[EXPRESSION]
    return result


def with_eye_contact(motion: Motion, meant: Motion) -> Motion:
    """`motion` with the eyes making up, within limits, for the turn of the head by which it differs from
    the one that was `meant`: who looks at the viewer goes on doing so.
    """
    result = motion.copy()
    missing = soft_limit(meant[HEAD][:2] - motion[HEAD][:2], _CONTACT_KNEE, _CONTACT_END)
    result[GAZE] += np.concatenate([missing, missing])
    return result


_MIRROR = np.array(MIRROR)
_FLIP = np.ones(MOTION_SIZE, np.float32)
_FLIP[[0, 2, 3, 6, 8]] = -1.0
_SWAP = np.arange(MOTION_SIZE)
_SWAP[GAZE] = [8, 9, 6, 7]
_SWAP[EXPRESSION] = EXPRESSION.start + _MIRROR
_LIGHT_FLIP = np.ones((9, 1), np.float32)
_LIGHT_FLIP[[3, 4, 7]] = -1.0
"""The harmonics that are odd in x: x, xy, xz in the order of Ramamoorthi and Hanrahan (2001)."""


def mirrored_motion(motion: Motion) -> Motion:
    """The motion as seen in a mirror; twice is the identity."""
    return np.asarray(motion[_SWAP] * _FLIP, dtype=np.float32)


def mirrored_light(light: Float) -> Float:
    """light: (9, 3), as in a mirror; twice is the identity."""
    return np.asarray(light * _LIGHT_FLIP, np.float32)


def mirrored_detail(detail: Float) -> Float:
    """detail: `DETAIL`, cm, as in a mirror; twice is the identity."""
    return np.asarray(detail[:, ::-1] * np.array([-1, 1], np.float32), np.float32)


def mirrored(params: FaceParams) -> FaceParams:
    """The face as seen in a mirror by a camera whose principal point is centred; twice is the identity."""
    return replace(
        params,
        rotation=params.rotation * np.array([1, -1, -1], np.float32),
        translation=params.translation * np.array([-1, 1, 1], np.float32),
        expression=params.expression[_MIRROR],
        gaze=params.gaze[::-1] * np.array([-1, 1], np.float32),
        light=mirrored_light(params.light),
        detail=None if params.detail is None else mirrored_detail(params.detail),
    )
