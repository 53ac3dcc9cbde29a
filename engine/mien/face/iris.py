"""Irises by their edge: where the picture shows an eye large enough, the limbus says where the eye looks.

A landmarker draws an iris where faces mostly have one: too near to the middle of the opening, and nearer still
under falling lids. Dark iris against white is an edge that can be found to a fraction of a pixel (after Daugman 1993,
"High confidence visual recognition of persons by a test of statistical independence", section III): the eye is laid
flat, as if looked into along the guessed gaze, so that the limbus is a circle; of all circles near the guess the
one wins along which it gets brighter outwards, most of all to the left and right, where no lid or lash comes in
between. What lies on the lids or near them doesn't count, one bright spot no more than any other place on the circle.
It is believed as far as the rim is seen to the left and right, and as to its height as far as there is something of the
rim that rises or falls: most of it is hidden by lids, but how the sides bend tells the rest.
"""

from __future__ import annotations

from math import ceil, isfinite, sqrt

import numpy as np

from mien.face import iris_kernels
from mien.face.landmark_basis import EYE_CORNERS, IRISES
from mien.face.model import LIDS, both_ways
from mien.frames import Bytes, Float

RADIUS_CM = 0.6
"""Of the limbus: 0.585 in adults (Rüfer et al. 2005), 0.545 in `mien-head`; of a face of average size, as all are
fitted."""
_SAMPLES = 12
"""px of the flattened eye per radius."""
_HALF = 23
_LID = np.array([1.0, 1.5, 0.06], np.float32)
"""px of the flattened eye: what is as near to a lid doesn't count, and from how much further on it counts in full.
Contrast between iris and white, of full brightness, that slopes are measured in units of at least."""
_LEAST_SEEN = 0.3
_TUNING = np.array([0.55, _LEAST_SEEN, 200.0, _SAMPLES], np.float32)
"""Steepest slope that counts, per px of the flattened eye, of the contrast between iris and white; how much of the rim
must be seen, of 2; what a slope counts for against what is expected."""
_SURE, _UNSURE = np.array([1 / 3, 1 / 2, 1.5], np.float32), np.array([1 / 3, 1 / 2, 1 / 3], np.float32)
"""1 / deviation of place and radius, px of the flattened eye, from what is expected; before the radius is known."""
_REACH, _FAR = np.array([6.0, 6.0, 0.0], np.float32), np.array([6.0, 6.0, 3.0], np.float32)
"""px of the flattened eye that place and radius are looked for at, around what is expected; then before it is known."""
_STEPS, _ROUNDS = np.array([2.0, 2.0, 1.0], np.float32), 4
_RIM = 28
"""Places that the rim is looked at."""
_KNOWN, _MEMORY = 20.0, 400.0
"""Eyes seen until the radius of their irises is known, and over how many it is a mean."""
_LEARNT_FROM = 0.5
"""How sure one must be of an iris to learn its size from it."""
_RADII_CM = (0.5, 0.75)
_LEAST_PX, _MOST_PX = 4.0, 250.0
"""Radii of irises that are looked at at all."""
_STEEP, _SEEN, _PX, _CONTRAST = (0.12, 0.24), (0.25, 0.6), (4.0, 7.0), (0.08, 0.16)
"""What says nothing and what says all: mean slope, how much of the rim is seen, radius in px, contrast."""
_LEVEL = (0.02, 0.12)
"""The same for the height: of what tells it, how much is seen."""
_MEETING = 20.0
"""Times that an iris is seen until it is known how its landmark is off. Later on its owner may look anywhere."""


def _rim() -> Float:
    """(N, 3): directions around the iris, and how much each counts."""
    angle = (np.arange(_RIM) + 0.5) * 2 * np.pi / _RIM
    weight = np.abs(np.cos(angle))
    rim = np.stack([np.cos(angle), np.sin(angle), 2 * weight / weight.sum()], axis=1)
    return np.asarray(rim, np.float32)


class Irises:
    """Of one person, and how large they are. Not thread-safe."""

    def __init__(self) -> None:
        side = 2 * _HALF + 1
        rings = [both_ways(ring, inner) for ring, (_, inner) in zip(LIDS, EYE_CORNERS, strict=True)]
        self._lids = [(np.array(upper, np.int32), np.array(lower, np.int32)) for lower, upper in rings]
        self._rim = _rim()
        # A step of the flattened eye is less than 2 px of the shrunk picture, along either of two diagonals.
        self._grey = np.empty((ceil(2 * 2 * sqrt(2) * (_HALF + 1)) + 3) ** 2, np.float32)
        self._flat, self._mask = np.empty((side, side), np.float32), np.empty((side, side), np.float32)
        self._field = np.empty((side, side, 3), np.float32)
        self._axes = np.empty((2, 2), np.float32)
        self._chains = [
            tuple(np.empty((len(chain), 2), np.float32) for chain in chains) for chains in self._lids
        ]
        self._sides, self._out = np.empty(5, np.float32), np.zeros(11, np.float32)
        self.radius_cm = RADIUS_CM
        """Of both, as far as known."""
        self._seen = 0.0
        # (2, 2): of each eye, across and down its disc, radii; and how often it was seen.
        self._habit, self._met = np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32)

    @property
    def known(self) -> bool:
        """Whether enough of them was seen for `radius_cm` to be trusted."""
        return self._seen >= _KNOWN

    def find(
        self, pixels: Bytes, points: Float, eye: int, px_per_cm: float, across: Float, gaze: Float
    ) -> tuple[Float, tuple[float, float]]:
        """Where the middle of an iris is, (2,) px, and how much the picture says about it across and down, 0 to 1.

        After the first time, less what the landmarker was off by when they met, see `_learn_habit`.

        pixels: (H, W, 3); points: (478, 2) px; eye: 0 left, 1 right; px_per_cm: at its place; across: (3,), the head's
        x axis; gaze: (3,) unit, where it looks, more or less; both in camera space.
        """
        px = px_per_cm * self.radius_cm
        at = points[IRISES[eye]]
        if not (_LEAST_PX < px < _MOST_PX and isfinite(at[0] + at[1])):
            return at, (0.0, 0.0)
        known = self.known
        iris_kernels.find(
            pixels, points, IRISES[eye], *self._lids[eye], across, gaze, px, _LID, self._rim,
            _SURE if known else _UNSURE, _TUNING, _REACH if known else _FAR, _STEPS, _ROUNDS,
            self._grey, self._flat, self._mask, self._field, self._axes, *self._chains[eye], self._sides, self._out,
        )  # fmt: skip
        _x, _y, contrast, u, v, radius, left, right, left_seen, right_seen, level = self._out.tolist()
        seen = left_seen + right_seen
        # An iris has two sides: what has one may be half of it and half of a lid, or of a pupil.
        steep = min(left / max(left_seen, _LEAST_SEEN / 2), right / max(right_seen, _LEAST_SEEN / 2))
        sure = _ramp(steep, *_STEEP) * _ramp(seen, *_SEEN) * _ramp(px, *_PX) * _ramp(contrast, *_CONTRAST)
        if sure > _LEARNT_FROM:
            self._seen = min(self._seen + sure, _MEMORY)
            grown = self.radius_cm * (1 + sure / self._seen * (radius / _SAMPLES - 1))
            self.radius_cm = min(max(grown, _RADII_CM[0]), _RADII_CM[1])
        found = self._out[:2].copy()
        across_down = (sure, sure * _ramp(level, *_LEVEL))
        if sure > 0:
            found -= (self._habit[eye] * _SAMPLES) @ self._axes
            self._learn_habit(eye, (u / _SAMPLES, v / _SAMPLES), across_down)
        return found, across_down

    def _learn_habit(self, eye: int, off: tuple[float, float], sure: tuple[float, float]) -> None:
        """Of the landmarker, to see an iris beside its place when its owner first looks at the camera.

        Where eyeballs lie is learned from landmarks then (`mien.face.enrolment`): less this, edges and landmarks say
        the same about eyes at rest, and nothing jumps when lids hide the one or the other. Whoever looks elsewhere in
        that second is taken to look ahead then, by this as by the enrolment. off: across and down, radii.
        """
        for axis in range(2):
            if sure[axis] > _LEARNT_FROM and self._met[eye, axis] < _MEETING:
                self._met[eye, axis] += sure[axis]
                share = sure[axis] / self._met[eye, axis]
                self._habit[eye, axis] += share * (off[axis] - self._habit[eye, axis])


def _ramp(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)
