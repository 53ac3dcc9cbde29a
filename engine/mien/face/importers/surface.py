"""Triangle surfaces, and the points of them that lie nearest and face the same way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mien.face.normals import vertex_normals

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

TURN_CM = 1.0
"""A point whose normal is 90 degrees off counts as 1.4 times this further away. It keeps the two lips apart."""
_CANDIDATES = 8


@dataclass(frozen=True, slots=True)
class Nearest:
    """What lies nearest to P points: triangle: (P,); weights: (P, 3) of its corners; points: (P, 3); distance:
    (P,) cm; agreement: (P,) cosine between the normals.
    """

    triangle: Integers
    weights: Doubles
    points: Doubles
    distance: Doubles
    agreement: Doubles


class Surface:
    """points: (V, 3) cm; triangles: (T, 3), counter-clockwise seen from outside."""

    def __init__(self, points: NDArray[np.floating[Any]], triangles: NDArray[np.integer[Any]]) -> None:
        self.points = np.asarray(points, np.float64)
        self.triangles = np.asarray(triangles, np.int64)
        self.normals: Doubles = vertex_normals(self.points, self.triangles)
        corners = self.points[self.triangles]
        facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        size = np.linalg.norm(facing, axis=1, keepdims=True)
        self._facing = np.ascontiguousarray(facing / np.maximum(size, 1e-12))
        self._corners = np.ascontiguousarray(corners)
        self._tree = cKDTree(np.concatenate([corners.mean(axis=1), TURN_CM * self._facing], axis=1))

    def nearest(self, points: Doubles, facing: Doubles) -> Nearest:
        """points, facing: (P, 3), unit normals. Distance and turn count together (`TURN_CM`)."""
        count = min(_CANDIDATES, len(self.triangles))
        _, found = self._tree.query(np.concatenate([points, TURN_CM * facing], axis=1), count)
        found = np.asarray(found).reshape(len(points), count)
        triangle = np.empty(len(points), np.int64)
        weights = np.empty((len(points), 3))
        feet, distance = np.empty((len(points), 3)), np.empty(len(points))
        _choose(
            np.ascontiguousarray(points), np.ascontiguousarray(facing), np.ascontiguousarray(found, np.int64),
            self._corners, self._facing, triangle, weights, feet, distance,
        )  # fmt: skip
        agreement = (self._facing[triangle] * facing).sum(axis=1)
        return Nearest(triangle, weights, feet, distance, agreement)


@njit(
    "void(f8[:,::1],f8[:,::1],i8[:,::1],f8[:,:,::1],f8[:,::1],i8[::1],f8[:,::1],f8[:,::1],f8[::1])",
    cache=True,
    nogil=True,
)
def _choose(points, facing, found, corners, normal, triangle, weights, feet, distance):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The best of each point's candidates; nearest point of a triangle: Ericson 2005, section 5.1.5."""
    foot = np.empty(3)
    for p in range(points.shape[0]):
        best = 1e300
        for k in range(found.shape[1]):
            t = found[p, k]
            d1, d2, d3, d4, d5, d6 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for i in range(3):
                ab, ac = corners[t, 1, i] - corners[t, 0, i], corners[t, 2, i] - corners[t, 0, i]
                x = points[p, i]
                d1 += ab * (x - corners[t, 0, i])
                d2 += ac * (x - corners[t, 0, i])
                d3 += ab * (x - corners[t, 1, i])
                d4 += ac * (x - corners[t, 1, i])
                d5 += ab * (x - corners[t, 2, i])
                d6 += ac * (x - corners[t, 2, i])
            va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
            if d1 <= 0 and d2 <= 0:
                v, w = 0.0, 0.0
            elif d3 >= 0 and d4 <= d3:
                v, w = 1.0, 0.0
            elif vc <= 0 and d1 >= 0 and d3 <= 0:
                v, w = d1 / (d1 - d3), 0.0
            elif d6 >= 0 and d5 <= d6:
                v, w = 0.0, 1.0
            elif vb <= 0 and d2 >= 0 and d6 <= 0:
                v, w = 0.0, d2 / (d2 - d6)
            elif va <= 0 and d4 - d3 >= 0 and d5 - d6 >= 0:
                w = (d4 - d3) / ((d4 - d3) + (d5 - d6))
                v = 1.0 - w
            else:
                whole = va + vb + vc
                v, w = vb / whole, vc / whole
            u = 1.0 - v - w
            square, turn = 0.0, 0.0
            for i in range(3):
                foot[i] = u * corners[t, 0, i] + v * corners[t, 1, i] + w * corners[t, 2, i]
                square += (foot[i] - points[p, i]) ** 2
                turn += (normal[t, i] - facing[p, i]) ** 2
            cost = square + TURN_CM * TURN_CM * turn
            if cost < best:
                best = cost
                triangle[p] = t
                weights[p, 0], weights[p, 1], weights[p, 2] = u, v, w
                feet[p, 0], feet[p, 1], feet[p, 2] = foot[0], foot[1], foot[2]
                distance[p] = np.sqrt(square)
