"""The colours of one person's skin, finer than the mesh, from many pictures.

Colours sit on the vertices and on the middles of all edges, so every triangle is painted as four. Geometry needs no
more vertices for that: a pixel's triangle and barycentrics say which of the four it is in.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import cg

from mien.face.model import FaceModel
from mien.frames import Float
from mien.stage import Fragments

Ints = NDArray[np.int32]

_SMOOTHNESS = 0.05
"""How much neighbours draw a node to them, in pixels."""
_DRAW = 1e-3
"""How much a node keeps to the colour that it had, in pixels."""
_STEPS = 60


class Skin:
    """The nodes that colours sit on, for one model. ends: (N, 2) int32, the vertices that each node lies midway
    between (twice the same for a vertex); triangles: (4 T, 3) int32, nodes; triangle t becomes 4 t to 4 t + 3.
    """

    def __init__(self, model: FaceModel) -> None:
        corners = model.triangles.astype(np.int64)
        size = len(model.mean)
        sides = np.stack([corners[:, [1, 2]], corners[:, [2, 0]], corners[:, [0, 1]]], axis=1)
        sides.sort(axis=2)
        edges, which = np.unique(sides.reshape(-1, 2), axis=0, return_inverse=True)
        middle = size + which.reshape(-1, 3)
        itself = np.repeat(np.arange(size)[:, None], 2, axis=1)
        self.ends: Ints = np.concatenate([itself, edges]).astype(np.int32)
        parts = [
            np.stack([corners[:, 0], middle[:, 2], middle[:, 1]], axis=1),
            np.stack([middle[:, 2], corners[:, 1], middle[:, 0]], axis=1),
            np.stack([middle[:, 1], middle[:, 0], corners[:, 2]], axis=1),
            middle,
        ]
        self.triangles: Ints = np.ascontiguousarray(np.stack(parts, axis=1).reshape(-1, 3).astype(np.int32))
        self.vertices = size

    def __len__(self) -> int:
        return len(self.ends)

    def spread(self, values: Float) -> Float:
        """(V, ...) on the vertices -> (N, ...) on the nodes."""
        return np.asarray((values[self.ends[:, 0]] + values[self.ends[:, 1]]) / 2, np.float32)

    def refine(self, fragments: Fragments) -> Fragments:
        """The same pixels in terms of `triangles`."""
        triangle, barycentric = np.empty_like(fragments.triangle), np.empty_like(fragments.barycentric)
        _refine(fragments.triangle[0], fragments.barycentric[0], triangle[0], barycentric[0])
        return Fragments(triangle, barycentric, fragments.depth)


class AlbedoEstimate:
    """A colour per node: least squares over all pixels that showed it.

    A pixel shows sum_i b_i s_i a_i: the albedo of its triangle's corners, each under its own shading, weighted by
    the barycentrics. So colours are deblurred as far as the pixels say, not averaged over the triangles.
    """

    def __init__(self, skin: Skin) -> None:
        self._skin = skin
        self.matrix = np.zeros((len(skin.triangles), 3, 3, 3), np.float32)
        """of the normal equations: triangle, channel, corner, corner"""
        self.right = np.zeros((len(skin), 3), np.float32)

    @property
    def seen(self) -> Float:
        """(N,) pixels that each node had a share in."""
        shares = self.matrix[:, 1].sum(axis=2)
        corners = self._skin.triangles.reshape(-1)
        return np.bincount(corners, shares.reshape(-1), len(self._skin)).astype(np.float32)

    def solve(self, before: Float) -> Float:
        """(N, 3) float32; `before` (N, 3) is where to begin, and what nodes keep that no pixel shows."""
        triangles, size = self._skin.triangles, len(self._skin)
        seen = self.matrix[:, 1].any(axis=(1, 2))
        corners = triangles[seen]
        i = np.repeat(corners[:, :, None], 3, axis=2).ravel()
        j = np.repeat(corners[:, None, :], 3, axis=1).ravel()
        ends = np.concatenate([triangles[:, [k, (k + 1) % 3]] for k in range(3)])
        joined = sparse.coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(size, size)).tocsr()
        joined = joined + joined.T
        laplacian = sparse.diags(np.asarray(joined.sum(axis=1)).ravel()) - joined
        still = _SMOOTHNESS * laplacian + sparse.diags(np.full(size, _DRAW))
        albedo = np.empty((size, 3), np.float32)
        for channel in range(3):
            shown = sparse.coo_matrix((self.matrix[seen, channel].ravel(), (i, j)), shape=(size, size))
            matrix = (shown.tocsr() + still).tocsr()
            right = self.right[:, channel] + _DRAW * before[:, channel]
            inverse = sparse.diags(1 / matrix.diagonal())
            albedo[:, channel], _ = cg(
                matrix, right, x0=before[:, channel], M=inverse, maxiter=_STEPS, rtol=1e-4
            )
        return np.clip(albedo, 0.01, 1.2)


@njit(
    "void(Array(i4, 2, 'C', readonly=True), Array(f4, 3, 'C', readonly=True), i4[:, ::1], f4[:, :, ::1])",
    cache=True,
    nogil=True,
    fastmath=True,
)
def _refine(triangle: Ints, barycentric: Float, out: Ints, weights: Float) -> None:
    """Which of the four parts, and where in it: the corner whose weight exceeds a half, else the middle one."""
    for row in range(triangle.shape[0]):
        for column in range(triangle.shape[1]):
            t = triangle[row, column]
            if t < 0:
                out[row, column] = -1
                weights[row, column, 0] = weights[row, column, 1] = 0
                continue
            a, b = 2 * barycentric[row, column, 0], 2 * barycentric[row, column, 1]
            c = 2 - a - b
            if a > 1:
                out[row, column] = 4 * t
                a -= 1
            elif b > 1:
                out[row, column] = 4 * t + 1
                b -= 1
            elif c > 1:
                out[row, column] = 4 * t + 2
            else:
                # Its corners are the middles of the sides opposite to the triangle's corners.
                out[row, column], a, b = 4 * t + 3, 1 - a, 1 - b
            weights[row, column, 0] = a
            weights[row, column, 1] = b
