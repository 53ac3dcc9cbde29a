"""Where on a face its light is read: landmarks that lie on open skin, and the mesh that gives them normals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay
from scipy.spatial.distance import cdist

from mien.face.landmark_basis import MESH, OUTER_CORNERS, LandmarkBasis
from mien.face.model import INNER_LIPS, LIDS, FaceModel
from mien.face.normals import vertex_normals
from mien.face.reflectance import FIELD_NAMES, Reflectance
from mien.frames import Float

Ints = NDArray[np.int32]

_TRUSTED = 0.9
_ALIKE = 0.85
"""Cosine between the normal of the landmarks' own coarse mesh and that of the model: below it, as under the nose, the
coarse one misses what is there."""
_AXIS_CM = -7.0
"""Where the axis of the cylinder that landmarks are laid out on passes, behind the eyes."""
_LITTLE = 0.3
"""What lips, brows and the surroundings of the eyes count for: they shine, move, or have hair."""
_MOST_AREA = 3.0


@dataclass(frozen=True, slots=True)
class LightPoints:
    """P of a model's landmarks. chosen: (P,) which. triangles: (T, 3), between the points of `LandmarkBasis` but for
    the irises, counter-clockwise from outside. weight: (P,) float32, mean 1: the area that a point stands for, less
    where skin is no matt surface. twin: (P,) the point on the other side of the face. paint: reflectance at them.
    """

    chosen: Ints
    triangles: Ints
    weight: Float
    twin: NDArray[np.int64]
    paint: Reflectance

    @classmethod
    def of(cls, model: FaceModel) -> LightPoints:
        """Takes half a second for a model that was not asked for before."""
        return _read(model)


@lru_cache(maxsize=4)
def _read(model: FaceModel) -> LightPoints:
    basis = LandmarkBasis.of(model)
    triangles = _laid_out(basis.mean[:MESH])
    area = _areas(basis.mean, triangles)
    normals = vertex_normals(basis.mean, triangles)
    usable = basis.trust >= _TRUSTED
    usable[[*INNER_LIPS, *(point for ring in LIDS for point in ring)]] = False
    usable &= (normals * basis.normal.T).sum(axis=1) > _ALIKE
    chosen = np.flatnonzero(usable)
    whole = Reflectance.of(model)
    landmarks = model.landmarks
    fields = landmarks.apply(np.ascontiguousarray(whole.fields.T))[chosen].T
    paint = Reflectance(np.ascontiguousarray(fields), landmarks.apply(whole.average)[chosen])
    parts = [FIELD_NAMES.index(name) for name in ("lips", "brows", "eye sockets")]
    covered = np.clip(fields[parts].max(axis=0), 0, 1)
    weight = np.minimum(area[chosen] / area[chosen].mean(), _MOST_AREA) * (1 - (1 - _LITTLE) * covered)
    mirrored = basis.mean[chosen] * np.array([-1, 1, 1], np.float32)
    return LightPoints(
        chosen.astype(np.int32),
        triangles,
        np.asarray(weight / weight.mean(), np.float32),
        cdist(mirrored, basis.mean[chosen]).argmin(axis=1),
        paint,
    )


def _laid_out(points: Float) -> Ints:
    """(T, 3) triangles between points (L, 3) of a face, by their place on a cylinder around the head."""
    x, y, z = points.T
    around = np.arctan2(x, z - _AXIS_CM) * -_AXIS_CM
    triangles = Delaunay(np.column_stack([around, y])).simplices
    a, b, c = (np.column_stack([around, y])[triangles[:, k]] for k in range(3))
    turns = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    triangles = np.where(turns[:, None] < 0, triangles[:, ::-1], triangles)
    return np.ascontiguousarray(triangles, np.int32)


def _areas(points: Float, triangles: Ints) -> Float:
    """(L,) the area around each point, squared cm."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    size = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    return np.bincount(triangles.reshape(-1), np.repeat(size, 3), len(points)).astype(np.float32)


def across_px(points: Float) -> float:
    """points: (478, 2 or 3) px -> the distance of the outer eye corners."""
    right, left = OUTER_CORNERS
    return float(np.linalg.norm(points[right, :2] - points[left, :2]))
