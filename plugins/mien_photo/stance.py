"""How the head stands in a frame: the wish, held within what one photograph can show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mien.face.camera import axis_angle, rotation_matrix
from mien.face.subject import Subject
from mien.frames import FaceParams, Float

_TURN_KNEE = np.radians(20.0)
_TURN_END = np.radians(32.0)
_THREE_QUARTER = np.radians(30.0)
_SHIFT_KNEE_CM = 4.0
_SHIFT_END_CM = 7.0
_DEPTH_KNEE = 0.06
_DEPTH_END = 0.16
_GAZE_KNEE = np.radians(30.0)
_GAZE_END = np.radians(40.0)


@dataclass(frozen=True, slots=True)
class Stance:
    """rotation: (3, 3) head to camera space; translation: (3,) cm; pivot: (3,) cm, camera space, where the
    neck's pivot is; gaze: (2, 2) radians, how far each eye has turned since the portrait.
    """

    rotation: Float
    translation: Float
    pivot: Float
    gaze: Float


def _bent(value: Any, knee: Any, end: Any) -> Float:
    """Unchanged up to the knee, then bending towards +-end."""
    over = np.maximum(np.abs(value) - knee, 0)
    room = np.asarray(end) - knee
    return np.asarray(
        np.where(over > 0, np.copysign(knee + room * np.tanh(over / room), value), value), np.float32
    )


class Limits:
    """Keeps poses near the portrait's. Beyond the knees they bend softly; nothing ever breaks: what isn't finite is as
    in the portrait.
    """

    def __init__(self, subject: Subject, pivot: Float) -> None:
        """pivot: (3,) cm, head space, where the head turns on the neck."""
        self._subject = subject
        self._rest = rotation_matrix(subject.rest_rotation)
        self._pivot = np.asarray(pivot, np.float32)
        facing = float(np.arctan2(self._rest[0, 2], self._rest[2, 2]))
        self._side = float(np.clip(facing / _THREE_QUARTER, -1, 1))
        self._looking = _bent(subject.rest_gaze, _GAZE_KNEE, _GAZE_END)
        self._home = self._rest @ self._pivot + subject.rest_translation

    def stance(self, params: FaceParams) -> Stance:
        finite = np.isfinite(params.rotation).all() and np.isfinite(params.translation).all()
        if not finite:
            params = replace(
                params, rotation=self._subject.rest_rotation, translation=self._subject.rest_translation
            )
        wish = rotation_matrix(params.rotation)
        turn = axis_angle(wish @ self._rest.T)
        angle = float(np.linalg.norm(turn))
        # A head seen from the side cannot turn its hidden side to the camera, and not much further away.
        sideways = float(turn[1]) * self._side / max(angle, 1e-6)
        held = 1 - (0.6 * -sideways if sideways < 0 else 0.4 * sideways)
        knee, end = _TURN_KNEE * held, _TURN_END * held
        if angle > knee:
            turn = turn * np.float32(float(_bent(angle, knee, end)) / angle)
            rotation = rotation_matrix(turn) @ self._rest
        else:
            rotation = wish
        pivot = wish @ self._pivot + params.translation
        ratio = float(np.clip(pivot[2] / self._home[2], 0.2, 5.0))
        away = pivot[:2] / ratio - self._home[:2]
        far = float(np.linalg.norm(away))
        if far > _SHIFT_KNEE_CM:
            away = away * float(_bent(far, _SHIFT_KNEE_CM, _SHIFT_END_CM)) / far
        depth = float(np.exp(_bent(np.log(ratio), _DEPTH_KNEE, _DEPTH_END)))
        place = np.append(self._home[:2] + away, self._home[2]) * depth
        gaze = np.where(np.isfinite(params.gaze), params.gaze, self._subject.rest_gaze)
        gaze = _bent(gaze, _GAZE_KNEE, _GAZE_END) - self._looking
        return Stance(
            np.ascontiguousarray(rotation, np.float32),
            np.asarray(place - rotation @ self._pivot, np.float32),
            np.asarray(place, np.float32),
            gaze,
        )
