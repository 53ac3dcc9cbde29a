"""What is looked up per pixel: attributes of the triangle there, and textures."""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mien.frames import Float

Ints = NDArray[np.int32]

_IN2, _IN3 = "Array(f4, 2, 'C', readonly=True)", "Array(f4, 3, 'C', readonly=True)"
_INDEX2 = "Array(i4, 2, 'C', readonly=True)"
WRAP, CLAMP, ZERO = 0, 1, 2
"""What lies beyond a texture: itself again, its edge, nothing."""


@njit(
    f"void({_IN2}, {_INDEX2}, {_IN3}, {_INDEX2}, i8, i8, f4[:, :, ::1])",
    cache=True,
    nogil=True,
    fastmath=True,
)
def interpolate(
    attributes: Float, triangle: Ints, barycentric: Float, triangles: Ints, top: int, bottom: int, out: Float
) -> None:
    """attributes: (V, C) -> rows top to bottom (excluded) of out: (H, W, C), zero where no triangle is."""
    channels = attributes.shape[1]
    for row in range(top, bottom):
        for column in range(triangle.shape[1]):
            index = triangle[row, column]
            if index < 0:
                for k in range(channels):
                    out[row, column, k] = np.float32(0.0)
                continue
            a, b, c = triangles[index, 0], triangles[index, 1], triangles[index, 2]
            l0, l1 = barycentric[row, column, 0], barycentric[row, column, 1]
            l2 = np.float32(1.0) - l0 - l1
            if channels == 3:  # the usual; a loop over so few costs more than what it does
                out[row, column, 0] = l0 * attributes[a, 0] + l1 * attributes[b, 0] + l2 * attributes[c, 0]
                out[row, column, 1] = l0 * attributes[a, 1] + l1 * attributes[b, 1] + l2 * attributes[c, 1]
                out[row, column, 2] = l0 * attributes[a, 2] + l1 * attributes[b, 2] + l2 * attributes[c, 2]
                continue
            for k in range(channels):
                out[row, column, k] = l0 * attributes[a, k] + l1 * attributes[b, k] + l2 * attributes[c, k]


@njit("i8(i8, i8, i8)", cache=True, nogil=True)
def _texel(at: int, size: int, boundary: int) -> int:
    """The texel that stands for `at`, -1 for none."""
    if 0 <= at < size:
        return at
    if boundary == WRAP:
        return at % size
    if boundary == CLAMP:
        return min(max(at, 0), size - 1)
    return -1


@njit(f"void({_IN3}, {_IN3}, i8, i8, i8, f4[:, :, ::1])", cache=True, nogil=True)
def lookup(texture: Float, uv: Float, boundary: int, top: int, bottom: int, out: Float) -> None:
    """texture: (Th, Tw, C), uv: (H, W, 2) -> rows top to bottom (excluded) of out: (H, W, C), bilinear.

    u goes along columns, v along rows; (0, 0) is the corner of the first texel, whose centre lies half a texel in.
    """
    high, wide, channels = texture.shape
    half, one = np.float32(0.5), np.float32(1.0)
    for row in range(top, bottom):
        for column in range(uv.shape[1]):
            x, y = uv[row, column, 0] * np.float32(wide) - half, uv[row, column, 1] * np.float32(high) - half
            for k in range(channels):
                out[row, column, k] = np.float32(0.0)
            if not (np.abs(x) < np.float32(1e9) and np.abs(y) < np.float32(1e9)):
                continue
            left, above = int(np.floor(x)), int(np.floor(y))
            fx, fy = x - np.float32(left), y - np.float32(above)
            for dy in range(2):
                at_y = _texel(above + dy, high, boundary)
                for dx in range(2):
                    at_x = _texel(left + dx, wide, boundary)
                    if at_x < 0 or at_y < 0:
                        continue
                    weight = (fx if dx else one - fx) * (fy if dy else one - fy)
                    for k in range(channels):
                        out[row, column, k] += weight * texture[at_y, at_x, k]
