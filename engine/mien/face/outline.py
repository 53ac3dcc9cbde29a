"""Outlines and triangles in the plane."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.face.normals import Precision


def enclosed(points: NDArray[np.floating[Any]], outline: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Which of the points (P, 2) lie in the closed polygon (N, 2), whichever way round it goes -> (P,) bool.

    A ray to the right crosses its edges an odd number of times (Shimrat 1962, Algorithm 112).
    """
    ends = np.roll(outline, -1, axis=0)
    (x, y), (ax, ay), (bx, by) = points.T[:, :, None], outline.T, ends.T
    crossed = ((ay > y) != (by > y)) & (x < (bx - ax) * (y - ay) / np.where(by == ay, 1e-9, by - ay) + ax)
    return np.asarray(crossed.sum(axis=1) % 2 == 1)


def doubled_areas(points: NDArray[Precision], triangles: NDArray[np.integer[Any]]) -> NDArray[Precision]:
    """Twice the area of each triangle, negative where it runs clockwise with y up: points (P, 2), triangles (T, 3) ->
    (T,).
    """
    a, b, c = (points[triangles[:, k]] for k in range(3))
    across, up = b - a, c - a
    return np.asarray(across[:, 0] * up[:, 1] - across[:, 1] * up[:, 0], points.dtype)
