"""The lids, which turn about the eyeball."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.face.make.fields import Fields
from mien.face.make.topology import LOWER_LID_LEFT, UPPER_LID_LEFT

Doubles = NDArray[np.float64]

UPPER_FOLD_LEFT = (414, 286, 258, 257, 259, 260, 467)
LOWER_FOLD_LEFT = (341, 256, 252, 253, 254, 339, 255)
"""The next row of points beyond the lid margins, inner corner to outer."""


class Lids:
    """The lids of the subject's left eye, which turn about the eyeball. centre: (3,), radius: cm."""

    def __init__(self, centre: Doubles, radius: float) -> None:
        self.centre = centre
        self.radius = radius

    def shapes(self, points: Doubles, fields: Fields) -> dict[str, Doubles]:
        upper, lower = points[list(UPPER_LID_LEFT)], points[list(LOWER_LID_LEFT)]
        # The closed seam: mostly where the lower lid was, bowed like it, and off the eyeball.
        outwards = np.linspace(0, 1, len(upper))[:, None]
        corner = 0.58 - 0.48 * outwards
        share = corner + (0.86 - corner) * np.sin(np.pi * outwards) ** 0.6
        seam = self.lifted(upper + share * (lower - upper), 0.16)
        return {
            "eyeBlinkLeft": self._lidded(points, fields, seam - upper, seam - lower),
            "eyeLookDownLeft": self._lidded(points, fields, *self._share(upper, lower, 0.52, -0.14)),
            "eyeLookUpLeft": self._lidded(points, fields, *self._share(upper, lower, -0.20, 0.08)),
            "eyeLookInLeft": self._lidded(points, fields, *self._aside(upper, lower, -0.05)),
            "eyeLookOutLeft": self._lidded(points, fields, *self._aside(upper, lower, 0.05)),
        }

    def lifted(self, points: Doubles, above: float) -> Doubles:
        """Points nearer to the centre than radius + above pushed straight out to there."""
        away = points - self.centre
        length = np.linalg.norm(away, axis=1, keepdims=True)
        return self.centre + away * np.maximum(1, (self.radius + above) / length)

    def _share(self, upper: Doubles, lower: Doubles, fall: float, rise: float) -> tuple[Doubles, Doubles]:
        """The upper lid falls, the lower rises, by shares of the opening."""
        gap = lower - upper
        return (self.lifted(upper + fall * gap, 0.10) - upper, self.lifted(lower - rise * gap, 0.09) - lower)

    @staticmethod
    def _aside(upper: Doubles, lower: Doubles, x: float) -> tuple[Doubles, Doubles]:
        bow = np.sin(np.pi * np.linspace(0, 1, len(upper)))[:, None]
        return bow * (x, 0.0, 0.0), bow * (x, 0.0, 0.0) + 0 * lower

    def _lidded(self, points: Doubles, fields: Fields, upper: Doubles, lower: Doubles) -> Doubles:
        handles: dict[int, tuple[float, float, float]] = {}
        for ring, moved in ((UPPER_LID_LEFT, upper), (LOWER_LID_LEFT, lower)):
            for i, d in zip(ring, moved, strict=True):
                handles[i] = (float(d[0]), float(d[1]), float(d[2]))
        handles[362] = handles[263] = (0.0, 0.0, 0.0)
        # The skin above the crease and below the lower lid is drawn along a little, and unfolds.
        for ring, fold, share in (
            (UPPER_LID_LEFT, UPPER_FOLD_LEFT, 0.32),
            (LOWER_LID_LEFT, LOWER_FOLD_LEFT, 0.55),
        ):
            for i, k in zip(ring[1:-1], fold, strict=True):
                handles[k] = (share * handles[i][0], share * handles[i][1], share * handles[i][2])
        return fields.within(handles, 1.5)
