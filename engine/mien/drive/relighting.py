"""The light on the avatar's face goes with the light on the driver's, or stays its portrait's.

As with motion, what is transferred is the change: the driver's light now against the light in which the driver was met
(`Subject.rest_light`). Where that is not known, while nobody is seen, and when it is not wanted, the light
goes back to the portrait's.
"""

from __future__ import annotations

import numpy as np

from mien.controls import Controls
from mien.drive.following import Following
from mien.face.light import COEFFICIENTS, ambient, relative_light
from mien.face.retargeting import mirrored_light
from mien.face.subject import Subject
from mien.frames import FaceParams, Float

_FOLLOW_S = 0.25
"""Lamps are switched at once; a sensor's noise is not to be seen."""
_LEAVE_S = 0.8
_NEAR = 1e-3
"""Change of light, of 1, below which it is none."""
_AS_PORTRAIT = ambient()
_UNKNOWN = np.zeros((COEFFICIENTS, 3), np.float32)
_UNKNOWN.setflags(write=False)


class Relighting:
    """Of one avatar. One caller at a time."""

    def __init__(self) -> None:
        self._following = Following(_AS_PORTRAIT, _FOLLOW_S, _LEAVE_S, _NEAR)

    def step(
        self, seen: FaceParams | None, source: Subject | None, controls: Controls, elapsed_s: float
    ) -> Float:
        """(9, 3) float32, read-only: the light of the avatar relative to its portrait's, zeros where it is the same.

        seen: the driver's face, None when it is not seen just now; source: whose it is.
        """
        light = self._following.step(self._goal(seen, source, controls), elapsed_s)
        return _UNKNOWN if light is None else light

    @staticmethod
    def _goal(seen: FaceParams | None, source: Subject | None, controls: Controls) -> Float | None:
        if controls.light != "driver" or controls.light_strength == 0 or controls.paused:
            return None
        if seen is None or source is None or not source.rest_light.any() or not seen.light.any():
            return None
        light = relative_light(seen.light, source.rest_light, controls.light_strength)
        return mirrored_light(light) if controls.mirror else light
