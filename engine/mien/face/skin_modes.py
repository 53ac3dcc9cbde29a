"""The smoothest functions on a model's face: low-dimensional fields for reflectance and for shape.

Eigenfunctions of the mesh Laplacian with the smallest eigenvalues (Taubin 1995, "A signal processing approach to
fair surface design"): what a Fourier series is to an interval. They come from the mesh, so every model has them, and
they know nothing of people. The lips count as sewn together, so that no field of displacements parts them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import eigsh
from scipy.spatial.distance import cdist

from mien.face.landmark_basis import LIP_PAIRS
from mien.face.model import FaceModel, Region
from mien.frames import Float

_THREAD = 50.0
_SHIFT = -1e-3
"""Just below the smallest eigenvalue, zero: the matrix is singular there."""


def skin_modes(model: FaceModel, count: int) -> Float:
    """(count, V) float32: root mean square 1 over the face, orthogonal there, zero elsewhere; the first is constant.

    Takes about a third of a second for the built-in model; keep what it returns.
    """
    face = np.flatnonzero(model.vertex_region == Region.FACE)
    place = np.full(len(model.mean), -1)
    place[face] = np.arange(len(face))
    inside = (place[model.triangles] >= 0).all(axis=1)
    laplacian, area = _laplacian(
        model.mean[face].astype(np.float64), place[model.triangles[inside]], place[_across_the_mouth(model)]
    )
    # A fixed start makes the result the same on every run.
    start = np.random.default_rng(0).standard_normal(len(face))
    values, modes = eigsh(laplacian, k=count, M=sparse.diags(area), sigma=_SHIFT, which="LM", v0=start)
    modes = modes[:, np.argsort(values)]
    modes = modes / np.sqrt((area[:, None] * modes**2).sum(axis=0) / area.sum())
    modes *= np.where(modes[np.argmax(np.abs(modes), axis=0), np.arange(count)] < 0, -1, 1)
    full = np.zeros((count, len(model.mean)), np.float32)
    full[:, face] = modes.T
    full[0, face] = 1
    return full


def _across_the_mouth(model: FaceModel) -> NDArray[np.int64]:
    """(S, 2) vertices of the inner edges of the lips, each with the nearest on the other lip."""
    landmarks = model.landmarks
    firmest = landmarks.vertices[np.arange(len(landmarks.vertices)), landmarks.weights.argmax(axis=1)]
    upper, lower = (np.unique(firmest[list(points)]) for points in zip(*LIP_PAIRS, strict=True))
    nearest = cdist(model.mean[upper], model.mean[lower]).argmin(axis=1)
    return np.stack([upper, lower[nearest]], axis=1)


def _laplacian(
    points: NDArray[np.float64], triangles: NDArray[Any], sewn: NDArray[Any]
) -> tuple[sparse.csc_matrix, NDArray[np.float64]]:
    """Cotangent weights (Pinkall and Polthier 1993) and the area that belongs to each vertex. sewn: (S, 2)."""
    count = len(points)
    rows, columns = [*sewn.T], [*sewn.T[::-1]]
    weights = [np.full(len(sewn), _THREAD)] * 2
    area = np.full(count, 1e-6)
    for k in range(3):
        a, b, c = triangles[:, k], triangles[:, (k + 1) % 3], triangles[:, (k + 2) % 3]
        u, v = points[a] - points[c], points[b] - points[c]
        twice = np.linalg.norm(np.cross(u, v), axis=1)
        # Slivers would have weights beyond all bounds, and obtuse corners negative ones.
        weight = np.clip((u * v).sum(axis=1) / np.maximum(twice, 1e-9), 0.05, 5.0) / 2
        rows += [a, b]
        columns += [b, a]
        weights += [weight, weight]
        np.add.at(area, c, twice / 6)
    joined = sparse.coo_matrix(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape=(count, count)
    )
    degree = np.asarray(joined.sum(axis=1)).ravel() + 1e-9
    return sparse.csc_matrix(sparse.diags(degree) - joined), area
