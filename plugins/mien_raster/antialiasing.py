"""Smooth silhouettes after the fact, as nvdiffrast has them (Laine et al. 2020, section 3.6).

Between two neighbouring pixels that show different triangles may run an edge of the nearer one that is a silhouette:
behind it lies something else. Where it crosses the line between the two centres says how much of the pixel that it
crosses belongs to either, and the two colours are mixed accordingly.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mien.frames import Float

Ints = NDArray[np.int32]

_IN2, _IN3 = "Array(f4, 2, 'C', readonly=True)", "Array(f4, 3, 'C', readonly=True)"
_INDEX2 = "Array(i4, 2, 'C', readonly=True)"


def opposite_corners(triangles: Ints) -> Ints:
    """triangles: (T, 3) -> (T, 3) int32: across the edge from corner k to k + 1, the neighbour's third corner.

    -1 at the rim of the surface, and where more than two triangles meet.
    """
    starts, ends = triangles, np.roll(triangles, -1, axis=1)
    thirds = np.roll(triangles, -2, axis=1).reshape(-1)
    low, high = np.minimum(starts, ends).astype(np.int64), np.maximum(starts, ends).astype(np.int64)
    keys = (low * (int(triangles.max(initial=0)) + 1) + high).reshape(-1)
    order = np.argsort(keys, kind="stable")
    _, first, counts = np.unique(keys[order], return_index=True, return_counts=True)
    pairs = first[counts == 2]
    one, other = order[pairs], order[pairs + 1]
    across = np.full(keys.shape, -1, np.int32)
    across[one], across[other] = thirds[other], thirds[one]
    return across.reshape(triangles.shape)


@njit("f4(f4, f4, f4, f4, f4, f4)", cache=True, nogil=True)
def _side(ax: float, ay: float, bx: float, by: float, px: float, py: float) -> float:
    """Positive on one side of the line from a to b, negative on the other."""
    return (bx - ax) * (py - ay) - (by - ay) * (px - ax)


@njit(f"void({_IN3}, {_INDEX2}, {_IN2}, {_IN2}, {_INDEX2}, {_INDEX2}, f4[:, :, ::1])", cache=True, nogil=True)
def antialias(
    colours: Float, triangle: Ints, depth: Float, screen: Float, triangles: Ints, across: Ints, out: Float
) -> None:
    """colours: (H, W, C) -> out: the same with smooth silhouettes.

    triangle, depth: (H, W) of the picture; screen: (V, 4), see `mien_raster.kernels.to_screen`; triangles, across:
    (T, 3), see `opposite_corners`. Triangles with a corner outside the near or far plane stay as they are.
    """
    height, width, channels = colours.shape
    half, one, zero = np.float32(0.5), np.float32(1.0), np.float32(0.0)
    out[:] = colours
    for row in range(height):
        for column in range(width):
            here = triangle[row, column]
            for down in range(2):
                row2, column2 = row + down, column + 1 - down
                if row2 >= height or column2 >= width:
                    continue
                there = triangle[row2, column2]
                if here == there:
                    continue
                front_is_here = depth[row, column] < depth[row2, column2]
                index = here if front_is_here else there
                y, x = (row, column) if front_is_here else (row2, column2)
                y2, x2 = (row2, column2) if front_is_here else (row, column)
                px, py = np.float32(x) + half, np.float32(y) + half
                step_x, step_y = np.float32(x2 - x), np.float32(y2 - y)
                for k in range(3):
                    a, b = triangles[index, k], triangles[index, (k + 1) % 3]
                    c, d = triangles[index, (k + 2) % 3], across[index, k]
                    if screen[a, 3] == zero or screen[b, 3] == zero or screen[c, 3] == zero:
                        break
                    ax, ay, bx, by = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1]
                    # Along the axis of the pair, edges are crossed that run more across than along it.
                    if (abs(by - ay) < abs(bx - ax)) == (down == 0):
                        continue
                    own = _side(ax, ay, bx, by, screen[c, 0], screen[c, 1])
                    shared = d >= 0 and screen[d, 3] != zero
                    if shared and own * _side(ax, ay, bx, by, screen[d, 0], screen[d, 1]) < zero:
                        continue  # the surface goes on beyond the edge
                    from_here = _side(ax, ay, bx, by, px, py)
                    from_there = _side(ax, ay, bx, by, px + step_x, py + step_y)
                    if from_here * own < zero or from_there * own >= zero or from_here == from_there:
                        continue
                    at = from_here / (from_here - from_there)
                    # The crossing must lie on the edge, not on its line beyond the ends.
                    cx, cy = px + at * step_x, py + at * step_y
                    before, after = (cy - ay, cy - by) if down == 0 else (cx - ax, cx - bx)
                    if before * after > zero:
                        continue
                    if at > half:
                        for j in range(channels):
                            out[y2, x2, j] += (at - half) * (colours[y, x, j] - colours[y2, x2, j])
                    else:
                        share = min(half - at, one)
                        for j in range(channels):
                            out[y, x, j] += share * (colours[y2, x2, j] - colours[y, x, j])
                    break
