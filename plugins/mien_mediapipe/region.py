"""Where in a picture to look: the rotated square that a face network is shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import atan2, ceil, cos, floor, hypot, pi, sin

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.frames import Bytes, Float

# Outer eye corners, subject's right and left, and the margin around the face: what MediaPipe's mesh
# network was trained with (Kartynnik et al. 2019, "Real-time facial surface geometry", section 3).
_RIGHT_EYE, _LEFT_EYE = 33, 263
_MARGIN = 1.5


@dataclass(frozen=True, slots=True)
class Region:
    """A square in a picture. x, y: its centre, px; side: px; angle: radians, clockwise as one sees it."""

    x: float
    y: float
    side: float
    angle: float = 0.0

    @classmethod
    def around(cls, points: Float) -> Region:
        """The square that shows a face well whose landmarks, (478, 2 or 3) px, are known."""
        low, high = points[:468, :2].min(axis=0), points[:468, :2].max(axis=0)
        across = points[_LEFT_EYE] - points[_RIGHT_EYE]
        side = _MARGIN * float((high - low).max())
        x, y = (low + high) / 2
        return cls(float(x), float(y), side, atan2(float(across[1]), float(across[0])))

    def inside(self, other: Region) -> bool:
        """Whether this square's centre lies well within `other`."""
        return hypot(self.x - other.x, self.y - other.y) < 0.35 * other.side

    def scaled(self, factor: float) -> Region:
        return replace(self, side=self.side * factor)

    def nudged(self, right: float, down: float, factor: float) -> Region:
        """Moved by fractions of its side, and scaled."""
        return Region(self.x + right * self.side, self.y + down * self.side, self.side * factor, self.angle)

    def drawn_towards(self, wanted: Region, slack: float) -> Region:
        """Follow `wanted` on a rubber band of length `slack` (fraction of the side; radians for the angle).

        A square that jumps with the noise of the landmarks feeds the noise back; one that rests on a
        still face does not.
        """
        x, y, side, angle = self.x - wanted.x, self.y - wanted.y, self.side - wanted.side, self.angle
        angle = (angle - wanted.angle + pi) % (2 * pi) - pi
        room = slack * wanted.side
        return Region(
            wanted.x + min(max(x, -room), room),
            wanted.y + min(max(y, -room), room),
            wanted.side + min(max(side, -2 * room), 2 * room),
            wanted.angle + min(max(angle, -slack), slack),
        )

    def to_picture(self) -> NDArray[np.float64]:
        """(2, 3): maps (u, v, 1), u and v in [0, 1] over the square, to px of the picture."""
        c, s = self.side * cos(self.angle), self.side * sin(self.angle)
        return np.array([[c, -s, self.x - (c - s) / 2], [s, c, self.y - (s + c) / 2]])

    def crop(self, pixels: Bytes, size: int) -> Bytes:
        """Cut the square out of `pixels` (H, W, 3) -> (size, size, 3); black where there is no picture.

        Reduces by area first, so that large pictures neither alias nor cost more than small ones.
        """
        height, width = pixels.shape[:2]
        to_picture = self.to_picture()
        shrink = max(1, int(self.side / size))
        if shrink > 1:
            reach = self.side * (abs(cos(self.angle)) + abs(sin(self.angle))) / 2 + shrink
            left, right = max(0, floor(self.x - reach)), min(width, ceil(self.x + reach))
            top, bottom = max(0, floor(self.y - reach)), min(height, ceil(self.y + reach))
            columns, rows = (right - left) // shrink, (bottom - top) // shrink
            if columns < 1 or rows < 1:
                return np.zeros((size, size, 3), np.uint8)
            part = pixels[top : top + rows * shrink, left : left + columns * shrink]
            pixels = np.asarray(cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
            to_picture = (to_picture - [[0, 0, left], [0, 0, top]]) / shrink
        # OpenCV counts from pixel centres: index i lies at i + 0.5.
        matrix = to_picture.copy()
        matrix[:, :2] /= size
        matrix[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(pixels, matrix, (size, size), flags=flags), np.uint8)

    def place(self, points: Float) -> Float:
        """points: (N, 3), in fractions of the square's side -> px of the picture (z: px, same sign)."""
        to_picture = self.to_picture()
        placed = np.empty_like(points)
        placed[:, :2] = points[:, :2] @ to_picture[:, :2].T + to_picture[:, 2]
        placed[:, 2] = points[:, 2] * self.side
        return placed
