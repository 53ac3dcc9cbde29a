"""Normals of a triangle mesh: of a face that moves every frame, and of scans that a model is laid over."""

# mypy: disable-error-code="no-untyped-def,untyped-decorator"
# Kernels are typed by their numba signatures.

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

Precision = TypeVar("Precision", np.float32, np.float64)
Triangles = NDArray[np.integer[Any]]

_FAST = {"cache": True, "nogil": True, "fastmath": True, "error_model": "numpy"}
_PRECISIONS = ("f4", "f8")
"""What moves and is drawn is single; registration of scans adds up many small steps and is double."""


def vertex_normals(points: NDArray[Precision], triangles: Triangles) -> NDArray[Precision]:
    """points: (V, 3) -> (V, 3) unit normals, triangles weighted by their area; 0 for lone vertices.

    triangles: (T, 3), counter-clockwise seen from outside.
    """
    out = area_normals(points, triangles)
    _to_unit(out)
    return out


def area_normals(points: NDArray[Precision], triangles: Triangles) -> NDArray[Precision]:
    """The same before they are brought to unit length: as long as twice the area of the triangles around."""
    out = np.empty(points.shape, points.dtype)
    _sum_facing(np.ascontiguousarray(points), np.ascontiguousarray(triangles, np.int32), out)
    return out


@njit(
    [f"void(Array({f},2,'C',readonly=True),Array(i4,2,'C',readonly=True),{f}[:,::1])" for f in _PRECISIONS],
    **_FAST,
)
def _sum_facing(points, triangles, out):  # pragma: no cover - compiled
    out[:] = 0
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, uy, uz = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
        vx, vy, vz = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1], points[c, 2] - points[a, 2]
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for v in (a, b, c):
            out[v, 0] += x
            out[v, 1] += y
            out[v, 2] += z


@njit([f"void({f}[:,::1])" for f in _PRECISIONS], **_FAST)
def _to_unit(out):  # pragma: no cover - compiled
    for v in range(out.shape[0]):
        x, y, z = out[v, 0], out[v, 1], out[v, 2]
        length = max(np.sqrt(x * x + y * y + z * z), np.float32(1e-12))
        out[v, 0], out[v, 1], out[v, 2] = x / length, y / length, z / length
