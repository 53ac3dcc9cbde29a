"""The sliders' share in a motion, following them smoothly."""

from __future__ import annotations

import numpy as np

from mien.controls import Controls
from mien.drive.following import covered
from mien.face.emotions import emotion_expression, with_emotion
from mien.face.retargeting import EXPRESSION, GAZE, HEAD, MOTION_SIZE, Motion, edited
from mien.face.rig import INDEX
from mien.face.subject import Subject
from mien.frames import EXPRESSIONS, Float

_TIME_CONSTANT_S = 0.08
"""Sliders arrive in steps, some ten a second; the face shall not."""

_EMOTION_S = 0.15
"""An emotion is chosen all at once, and comes over a face in half a second."""


class Editor:
    """Applies strengths, offsets and emotions of `Controls` to a motion; changes are eased in.

    avatar: whose face it is that shows the emotions.
    """

    def __init__(self, controls: Controls, avatar: Subject) -> None:
        self._wanted = controls
        self._avatar = avatar
        self._head_strength = controls.head_strength
        self._expression_strength = controls.expression_strength
        self._goal = _offset(controls)
        self._offset = self._goal
        self._emotion_goal = _emotion(controls, avatar)
        self._emotion = self._emotion_goal

    def set_avatar(self, avatar: Subject) -> None:
        """Another face shows the same from now on."""
        self._avatar = avatar
        self._emotion_goal = _emotion(self._wanted, avatar)

    def follow(self, controls: Controls, elapsed_s: float) -> None:
        """Go towards `controls` for `elapsed_s`."""
        if controls is not self._wanted:
            self._wanted = controls
            self._goal = _offset(controls)
            self._emotion_goal = _emotion(controls, self._avatar)
        part = covered(elapsed_s, _TIME_CONSTANT_S)
        self._head_strength += (controls.head_strength - self._head_strength) * part
        self._expression_strength += (controls.expression_strength - self._expression_strength) * part
        self._offset = self._offset + (self._goal - self._offset) * np.float32(part)
        if self._emotion is not self._emotion_goal:
            part = covered(elapsed_s, _EMOTION_S)
            change = self._emotion_goal - self._emotion
            near = float(np.abs(change).max()) < 1e-3
            self._emotion = self._emotion_goal if near else self._emotion + change * np.float32(part)

    def apply(self, motion: Motion) -> Motion:
        result = edited(motion, self._head_strength, self._expression_strength, self._offset)
        if self._emotion.any():
            result[EXPRESSION] = with_emotion(result[EXPRESSION], self._emotion)
        return result


def _emotion(controls: Controls, avatar: Subject) -> Float:
    if not controls.emotion:
        return np.zeros(EXPRESSIONS, np.float32)
    return emotion_expression(controls.emotion, avatar)


def _offset(controls: Controls) -> Motion:
    offset = np.zeros(MOTION_SIZE, np.float32)
    head, gaze = controls.head, controls.gaze
    offset[HEAD] = np.radians([head.yaw, head.pitch, head.roll])
    offset[GAZE] = np.radians([gaze.yaw, gaze.pitch, gaze.yaw, gaze.pitch])
    for name, weight in controls.expression.items():
        offset[EXPRESSION.start + INDEX[name]] = weight
    return offset
