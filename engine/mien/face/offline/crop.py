"""The face cut out of a frame at the resolution of one level."""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from mien.face.camera import Camera
from mien.frames import Bytes, Float

_MARGIN = 1.3
"""Side of the cut, in extents of the landmarks."""


@dataclass(frozen=True, slots=True)
class Crop:
    """colours: (S, S, 3) float32 in [0, 1], a little softened. camera: under which the cut was seen."""

    colours: Float
    camera: Camera


def cut(pixels: Bytes, camera: Camera, points: Float, side: int) -> Crop:
    """The square around the face, resized to `side`, or to the pixels that there are if those are fewer.

    pixels: (H, W, 3) uint8 RGB, under `camera`; points: (478, 2 or 3) px, the face's landmarks in it. Beyond the
    picture's edge its last row or column goes on.
    """
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    extent = max(float((high - low).max()) * _MARGIN, 16.0)
    left, top = (low + high) / 2 - extent / 2
    side = min(side, int(np.ceil(extent)))
    step = extent / side
    colours = np.empty((side, side, 3), np.float32)
    _resample(np.ascontiguousarray(pixels), float(left), float(top), step, colours)
    soft = np.empty_like(colours)
    _soften(colours, soft)
    lens = Camera(side, side, camera.focal / step, (camera.cx - left) / step, (camera.cy - top) / step)
    return Crop(soft, lens)


def seen_by(crop: Camera, before: Camera, after: Camera) -> Camera:
    """The camera of a cut when that of the whole picture turns out to be `after`, not `before` (focal length)."""
    return Camera(crop.width, crop.height, crop.focal * after.focal / before.focal, crop.cx, crop.cy)


@njit(
    "void(Array(u1, 3, 'C', readonly=True), f8, f8, f8, f4[:, :, ::1])", cache=True, nogil=True, fastmath=True
)
def _resample(pixels: Bytes, left: float, top: float, step: float, out: Float) -> None:
    """Each pixel of `out` is the mean of as many bilinear samples as it covers pixels of the source."""
    height, width = pixels.shape[0], pixels.shape[1]
    taps = max(int(np.ceil(step)), 1)
    share = np.float32(1.0 / (255.0 * taps * taps))
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            r, g, b = np.float32(0), np.float32(0), np.float32(0)
            for i in range(taps):
                y = min(max(top + (row + (i + 0.5) / taps) * step - 0.5, 0.0), height - 1.0)
                y0 = min(int(y), height - 2)
                fy = np.float32(y - y0)
                for j in range(taps):
                    x = min(max(left + (column + (j + 0.5) / taps) * step - 0.5, 0.0), width - 1.0)
                    x0 = min(int(x), width - 2)
                    fx = np.float32(x - x0)
                    a = (1 - fx) * (1 - fy)
                    c = fx * (1 - fy)
                    d = (1 - fx) * fy
                    e = fx * fy
                    p, q = pixels[y0, x0], pixels[y0, x0 + 1]
                    s, t = pixels[y0 + 1, x0], pixels[y0 + 1, x0 + 1]
                    r += a * p[0] + c * q[0] + d * s[0] + e * t[0]
                    g += a * p[1] + c * q[1] + d * s[1] + e * t[1]
                    b += a * p[2] + c * q[2] + d * s[2] + e * t[2]
            out[row, column, 0] = r * share
            out[row, column, 1] = g * share
            out[row, column, 2] = b * share


@njit("void(f4[:, :, ::1], f4[:, :, ::1])", cache=True, nogil=True, fastmath=True)
def _soften(colours: Float, out: Float) -> None:
    """A 3x3 binomial filter: what is left is what a gradient can follow."""
    size = colours.shape[0]
    quarter, half = np.float32(0.25), np.float32(0.5)
    for row in range(size):
        above, below = max(row - 1, 0), min(row + 1, size - 1)
        for column in range(size):
            before, after = max(column - 1, 0), min(column + 1, size - 1)
            for k in range(3):
                a = (
                    quarter * (colours[above, before, k] + colours[above, after, k])
                    + half * colours[above, column, k]
                )
                m = (
                    quarter * (colours[row, before, k] + colours[row, after, k])
                    + half * colours[row, column, k]
                )
                z = (
                    quarter * (colours[below, before, k] + colours[below, after, k])
                    + half * colours[below, column, k]
                )
                out[row, column, k] = quarter * (a + z) + half * m
