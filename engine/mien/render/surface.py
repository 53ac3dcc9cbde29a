"""Normals of a moving mesh, quickly."""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mien.frames import Float


def vertex_normals(points: Float, triangles: NDArray[np.int32]) -> Float:
    """points: (V, 3) -> (V, 3) float32 unit normals, triangles weighted by their area; 0 for lone vertices."""
    out = np.empty(points.shape, np.float32)
    _normals(np.ascontiguousarray(points, np.float32), np.ascontiguousarray(triangles, np.int32), out)
    return out


@njit(
    "void(Array(f4, 2, 'C', readonly=True), Array(i4, 2, 'C', readonly=True), f4[:, ::1])",
    cache=True,
    nogil=True,
    fastmath=True,
)
def _normals(points: Float, triangles: NDArray[np.int32], out: Float) -> None:
    out[:] = 0
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, uy, uz = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
        vx, vy, vz = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1], points[c, 2] - points[a, 2]
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for k in (a, b, c):
            out[k, 0] += x
            out[k, 1] += y
            out[k, 2] += z
    for v in range(out.shape[0]):
        length = np.sqrt(out[v, 0] ** 2 + out[v, 1] ** 2 + out[v, 2] ** 2)
        scale = np.float32(1) / max(length, np.float32(1e-12))
        for k in range(3):
            out[v, k] *= scale


def warm() -> None:
    """Compile this module's kernel (or load it from the cache)."""
    vertex_normals(np.zeros((3, 3), np.float32), np.zeros((1, 3), np.int32))
