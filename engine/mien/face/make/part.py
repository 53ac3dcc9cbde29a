"""What a model is put together from, and how each part follows the skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from mien.face.model import Region

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Part:
    """New vertices behind the face, and triangles that may also use the face's own vertices.

    points: (N, 3). triangles: (T, 3), index < face count: a face vertex, else face count + own index.
    region: of triangles and vertices. follow: (N, F) sparse, displacement of skin that a vertex shares.
    jaw: (N,) how firmly it hangs on the lower jaw as a rigid body; only used where it follows no skin.
    """

    points: Doubles
    triangles: Ints
    region: Region
    follow: csr_matrix
    jaw: Doubles

    @classmethod
    def rigid(cls, points: Doubles, triangles: Ints, region: Region, faces: int, jaw: float = 0.0) -> Part:
        """Triangles are given in own indices."""
        count = len(points)
        return cls(points, triangles + faces, region, csr_matrix((count, faces)), np.full(count, jaw))


def strip(before: list[int], after: list[int], closed: bool) -> list[tuple[int, int, int]]:
    """Triangles that continue a surface beyond its rim.

    `before` runs as the surface's own triangles do along that rim; `after` lies further out, one for one.
    """
    count = len(before)
    faces = []
    for i in range(count if closed else count - 1):
        a, b, c, d = before[i], before[(i + 1) % count], after[i], after[(i + 1) % count]
        faces += [(b, a, c), (b, c, d)]
    return faces


def one_to_one(columns: list[int], faces: int, share: Doubles | float = 1.0) -> csr_matrix:
    """Follow matrix: row i follows face vertex columns[i] with weight share."""
    count = len(columns)
    weights = np.broadcast_to(share, (count,)).astype(np.float64)
    return csr_matrix((weights, (np.arange(count), columns)), (count, faces))


def stacked(matrices: list[csr_matrix]) -> csr_matrix:
    return vstack(matrices).tocsr()
