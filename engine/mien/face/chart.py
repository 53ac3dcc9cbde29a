"""A chart of the face: a flat map, the same for everybody, that fine motion of the skin is told on.

The chart is the face seen straight from the front: x to the subject's left and y up, head space, cm, of the model's
mean face. `FaceParams.detail` holds one displacement per node of a coarse lattice laid over it; pictures are compared
pixel by pixel of a finer one. Beyond the oval of the face, where no landmark is, a rim goes on with hair, ears and
neck.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mien.face.landmark_basis import MESH, LandmarkBasis
from mien.face.model import FACE_OVAL, INNER_LIPS, LIDS, FaceModel
from mien.face.outline import doubled_areas
from mien.face.rig import INDEX
from mien.face.skin_kernels import weighted_sums
from mien.frames import DETAIL, Float

Ints = NDArray[np.int32]

ROWS, COLUMNS = DETAIL[:2]
STEP = 6
"""Pixels of the chart from node to node."""
PIXEL_CM = 0.14
NODE_CM = STEP * PIXEL_CM
LEFT_CM, TOP_CM = -7.14, 6.3
"""Where the first node lies: as far to the subject's right, and as high, as any landmark."""
_LONGEST_CM = 2.6
"""Edges of the triangles between landmarks; longer ones bridge what is no skin."""
_LONGEST_RIM_CM = 5.5
_OVAL = np.array(FACE_OVAL)
_RIM = 0.35
"""How far the rim reaches beyond them, as a share of their distance from the middle of the face."""
_BEHIND_CM = 6.0
"""How far it lies behind them: heads are round."""
_PARTED = 0.5
"""Of jawOpen: lips that touch would be sewn together."""
_SLIVER_CM2 = 1e-3


@dataclass(frozen=True, slots=True)
class Lookup:
    """Where P points lie on the lattice. node: (P, 4) int32, of `ROWS * COLUMNS`, row by row from the top; weight:
    (P, 4) float32, bilinear.
    """

    node: Ints
    weight: Float

    @classmethod
    def of(cls, points: Float) -> Lookup:
        """points: (P, 2) or more columns, cm; beyond the lattice its border counts."""
        across = ((points[:, 0] - LEFT_CM) / NODE_CM).clip(0, COLUMNS - 1.001)
        down = ((TOP_CM - points[:, 1]) / NODE_CM).clip(0, ROWS - 1.001)
        column, row = across.astype(np.int32), down.astype(np.int32)
        u, v = across - column, down - row
        first = row * COLUMNS + column
        return cls(
            np.stack([first, first + 1, first + COLUMNS, first + COLUMNS + 1], axis=1).astype(np.int32),
            np.stack([(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v], axis=1).astype(np.float32),
        )

    def __call__(self, lattice: Float) -> Float:
        """lattice: (ROWS, COLUMNS, C) or (ROWS * COLUMNS, C) -> (P, C) float32."""
        return weighted(lattice.reshape(ROWS * COLUMNS, -1), self.node, self.weight)


@dataclass(frozen=True, slots=True)
class Pixels:
    """N pixels of the chart that lie on skin, cell of the lattice by cell.

    corner: (N, 3) int32 landmarks around each and share: (N, 3) their barycentric weights. triangle: (N,) int32 which
    one that is. cell: (N,) int32 its first node, weight: (N, 4) as in `Lookup`.
    """

    corner: Ints
    share: Float
    triangle: Ints
    cell: Ints
    weight: Float


@dataclass(frozen=True, slots=True)
class Chart:
    """triangles: (T, 3) int32 of points, see `with_rim`; areas: (T,) float32, twice theirs on the chart, cm2, negative
    where they run the other way round. fine, coarse: one pixel in two, and one in four. nodes: (ROWS * COLUMNS, 3)
    int32 points around each node, shares: (ROWS * COLUMNS, 3) their weights; skin: (ROWS * COLUMNS,) bool, which lie on
    the face. landmarks: where the 468 lie on the lattice.
    """

    triangles: Ints
    areas: Float
    fine: Pixels
    coarse: Pixels
    nodes: Ints
    shares: Float
    skin: NDArray[np.bool_]
    landmarks: Lookup

    @classmethod
    def of(cls, model: FaceModel) -> Chart:
        """Kept, so asking again for the same model costs nothing."""
        return _made(model)


@lru_cache(maxsize=4)
def _made(model: FaceModel) -> Chart:
    from scipy.spatial import Delaunay, cKDTree

    basis = LandmarkBasis.of(model)
    points = with_rim(basis.mean[:MESH, :2]).astype(np.float64)
    opened = basis.mean[:MESH, :2] + _PARTED * basis.expression[INDEX["jawOpen"]].T[:MESH, :2]
    everywhere = Delaunay(with_rim(opened)).simplices
    triangles = everywhere[_on_skin(points, everywhere)]
    x = LEFT_CM + PIXEL_CM * np.arange((COLUMNS - 1) * STEP + 1)
    y = TOP_CM - PIXEL_CM * np.arange((ROWS - 1) * STEP + 1)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    triangle, share = _located(x, y, points, triangles)
    column, row = np.arange(len(grid)) % len(x), np.arange(len(grid)) // len(x)
    lookup = Lookup.of(grid.astype(np.float32))
    skin = np.flatnonzero(triangle >= 0)
    skin = skin[np.argsort(lookup.node[skin, 0], kind="stable")]
    some = skin[(column[skin] + row[skin]) % 2 == 0]
    few = skin[(column[skin] % 2 == 0) & (row[skin] % 2 == 0)]

    def pixels(chosen: NDArray[np.int64]) -> Pixels:
        return Pixels(
            np.ascontiguousarray(triangles[triangle[chosen]], np.int32),
            np.ascontiguousarray(share[chosen], np.float32),
            triangle[chosen].astype(np.int32),
            np.ascontiguousarray(lookup.node[chosen, 0]),
            np.ascontiguousarray(lookup.weight[chosen]),
        )

    at = grid[(column % STEP == 0) & (row % STEP == 0)]
    inside, shares = _located(x[::STEP], y[::STEP], points, everywhere)
    nodes = everywhere[inside]
    beyond = inside < 0
    nodes[beyond] = cKDTree(points).query(at[beyond], 3)[1]
    shares[beyond] = 1 / 3
    return Chart(
        triangles.astype(np.int32),
        doubled_areas(points, triangles).astype(np.float32),
        pixels(some),
        pixels(few),
        nodes.astype(np.int32),
        shares.astype(np.float32),
        (nodes < MESH).all(axis=1),
        Lookup.of(points[:MESH].astype(np.float32)),
    )


def weighted(values: Float, index: Ints, weight: Float) -> Float:
    """values: (N, C); index and weight: (M, K) -> (M, C) float32, sums of some of them."""
    out = np.empty((len(index), values.shape[1]), np.float32)
    weighted_sums(np.ascontiguousarray(values, np.float32), index, weight, out)
    return out


def with_rim(points: Float) -> Float:
    """points: (468 or more, 2) of a face, or (..., 3) in head space -> those of the face and 36 around it."""
    face = points[:MESH]
    oval = face[_OVAL]
    rim = oval + np.float32(_RIM) * (oval - oval.mean(axis=0))
    if rim.shape[1] == 3:
        rim[:, 2] = oval[:, 2] - np.float32(_BEHIND_CM)
    return np.concatenate([face, rim])


def _on_skin(points: NDArray[np.float64], triangles: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which triangles neither span an opening nor bridge a gap, nor are too thin to tell anything."""
    limit = np.where((triangles < MESH).all(axis=1), _LONGEST_CM, _LONGEST_RIM_CM)
    corners = points[triangles]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    good = (longest < limit) & (np.abs(doubled_areas(points, triangles)) > _SLIVER_CM2)
    for ring in (INNER_LIPS, *LIDS):
        good &= ~np.isin(triangles, ring).all(axis=1)
    return np.asarray(good)


def _located(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    points: NDArray[np.float64],
    triangles: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """In which triangle each point of the grid with columns x, ascending, and rows y, descending, lies, -1 for none,
    and its barycentric weights: (X * Y,) and (X * Y, 3), row by row.
    """
    which = np.full((len(y), len(x)), -1)
    share = np.zeros((len(y), len(x), 3))
    for k, corners in enumerate(points[triangles]):
        a, b, c = corners
        low, high = corners.min(axis=0), corners.max(axis=0)
        left, right = np.searchsorted(x, (low[0], high[0] + 1e-9))
        top, bottom = np.searchsorted(-y, (-high[1], -low[1] + 1e-9))
        edges = np.column_stack([b - a, c - a])
        if left >= right or top >= bottom or abs(np.linalg.det(edges)) < _SLIVER_CM2:
            continue
        near = np.stack(np.meshgrid(x[left:right], y[top:bottom]), axis=-1)
        second = (near - a) @ np.linalg.inv(edges).T
        inside = (second >= -1e-6).all(axis=-1) & (second.sum(axis=-1) <= 1 + 1e-6)
        which[top:bottom, left:right][inside] = k
        weights = np.concatenate([1 - second.sum(axis=-1, keepdims=True), second], axis=-1)
        share[top:bottom, left:right][inside] = weights[inside]
    return which.ravel(), share.reshape(-1, 3)
