"""Smooth fields on the control mesh: values given at a few points, the rest as smooth as can be.

The energy is a mix of the membrane's and the thin plate's on the mesh itself (Botsch and Kobbelt 2004),
so what is apart along the skin (upper and lower lip, the two lids) stays apart, however near in space.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from scipy.sparse.csgraph import dijkstra

Doubles = NDArray[np.float64]


class Fields:
    """Solves on one mesh. points: (N, 3), triangles: (T, 3)."""

    def __init__(self, points: Doubles, triangles: NDArray[np.int64], stiffness: float = 1.0) -> None:
        count = len(points)
        a, b, c = (points[triangles[:, k]] for k in range(3))
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
        weights = csr_matrix((count, count))
        for k in range(3):
            i, j, o = triangles[:, k], triangles[:, (k + 1) % 3], triangles[:, (k + 2) % 3]
            u, v = points[i] - points[o], points[j] - points[o]
            cotangent = (u * v).sum(axis=1) / np.linalg.norm(np.cross(u, v), axis=1).clip(1e-6)
            half = (cotangent / 2).clip(0.02, 5)
            weights = (
                weights
                + csr_matrix((half, (i, j)), (count, count))
                + csr_matrix((half, (j, i)), (count, count))
            )
        mass = np.zeros(count)
        for k in range(3):
            np.add.at(mass, triangles[:, k], area / 3)
        laplacian = diags(np.asarray(weights.sum(axis=1)).ravel()) - weights
        plate = laplacian @ diags(1 / mass) @ laplacian
        self._energy = (laplacian + stiffness * plate).toarray()
        edges = csr_matrix(
            (
                np.linalg.norm(points[triangles] - points[np.roll(triangles, -1, axis=1)], axis=2).ravel(),
                (triangles.ravel(), np.roll(triangles, -1, axis=1).ravel()),
            ),
            (count, count),
        )
        self.distance: Doubles = dijkstra(edges, directed=False)
        """(N, N) along edges, cm"""

    def solve(self, given: Mapping[int, float | tuple[float, ...]]) -> Doubles:
        """given: point -> value or vector. Returns (N,) or (N, C)."""
        known = np.array(list(given))
        values = np.array(list(given.values()), np.float64)
        free = np.setdiff1d(np.arange(len(self._energy)), known)
        result = np.zeros((len(self._energy), *values.shape[1:]))
        result[known] = values
        right = -self._energy[np.ix_(free, known)] @ values
        result[free] = np.linalg.solve(self._energy[np.ix_(free, free)], right)
        return result

    def within(self, handles: Mapping[int, tuple[float, ...]], reach: float) -> Doubles:
        """As `solve`, and zero wherever the nearest handle is more than `reach` cm away."""
        near = self.distance[list(handles)].min(axis=0)
        given = {int(i): (0.0, 0.0, 0.0) for i in np.flatnonzero(near > reach)}
        return self.solve(given | dict(handles))
