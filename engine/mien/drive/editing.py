"""The sliders' share in a motion, following them smoothly."""

from __future__ import annotations

import math

import numpy as np

from mien.controls import Controls
from mien.face.retargeting import EXPRESSION, GAZE, HEAD, MOTION_SIZE, Motion, edited
from mien.face.rig import INDEX

_TIME_CONSTANT_S = 0.08
"""Sliders arrive in steps, some ten a second; the face shall not."""


class Editor:
    """Applies strengths and offsets of `Controls` to a motion; changes take effect in a quarter second."""

    def __init__(self, controls: Controls) -> None:
        self._wanted = controls
        self._head_strength = controls.head_strength
        self._expression_strength = controls.expression_strength
        self._goal = _offset(controls)
        self._offset = self._goal

    def follow(self, controls: Controls, elapsed_s: float) -> None:
        """Go towards `controls` for `elapsed_s`."""
        if controls is not self._wanted:
            self._wanted = controls
            self._goal = _offset(controls)
        share = 1.0 - math.exp(-elapsed_s / _TIME_CONSTANT_S)
        self._head_strength += (controls.head_strength - self._head_strength) * share
        self._expression_strength += (controls.expression_strength - self._expression_strength) * share
        self._offset = self._offset + (self._goal - self._offset) * np.float32(share)

    def apply(self, motion: Motion) -> Motion:
        return edited(motion, self._head_strength, self._expression_strength, self._offset)


def _offset(controls: Controls) -> Motion:
    offset = np.zeros(MOTION_SIZE, np.float32)
    head, gaze = controls.head, controls.gaze
    offset[HEAD] = np.radians([head.yaw, head.pitch, head.roll])
    offset[GAZE] = np.radians([gaze.yaw, gaze.pitch, gaze.yaw, gaze.pitch])
    for name, weight in controls.expression.items():
        offset[EXPRESSION.start + INDEX[name]] = weight
    return offset
