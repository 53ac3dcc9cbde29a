"""Images that describe a posed face to a renderer or a network, any subset of them on request.

name             channels, type   meaning
depth            1 float32        distance from the camera, cm; 0 where nothing is
normals          3 float32        camera space, unit length; 0 where nothing is
uv               2 float32        the model's texture coordinates
correspondence   3 float32        place on the mean face, each axis scaled to [0, 1] (PNCC, Zhu et al. 2016)
regions          1 int8           values of `mien.face.model.Region`; -1 where nothing is
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.face.camera import Camera, rotation_matrix
from mien.face.model import FaceModel, PosedFace
from mien.frames import Conditioning, FaceParams, Float
from mien.render.projection import lens_of, pose_matrix, to_clip
from mien.stage import Rasterizer

NAMES = ("depth", "normals", "uv", "correspondence", "regions")


class Conditioner:
    """Draws conditioning images of one person. Not thread-safe."""

    def __init__(self, face: PosedFace, camera: Camera, rasterizer: Rasterizer) -> None:
        self._face = face
        self._model: FaceModel = face.model
        self._camera = camera
        self._rasterizer = rasterizer
        self._clip = np.empty((len(face.neutral), 4), np.float32)
        low, high = self._model.mean.min(axis=0), self._model.mean.max(axis=0)
        self._place = np.asarray((self._model.mean - low) / (high - low), np.float32)

    def images(self, params: FaceParams, names: Iterable[str] = NAMES) -> Conditioning:
        """Images (H, W, C) of the camera's size. Raises `ValueError` for a name that is not in `NAMES`."""
        wanted = list(names)
        if unknown := set(wanted) - set(NAMES):
            raise ValueError(f"unknown conditioning images {sorted(unknown)}; known: {', '.join(NAMES)}")
        rotation = rotation_matrix(params.rotation)
        posed = self._face.vertices(params.expression.copy(), params.gaze.copy())
        to_clip(posed, pose_matrix(rotation, params.translation), lens_of(self._camera), self._clip)
        triangles = self._model.triangles
        hits = self._rasterizer.rasterize(
            self._clip[None], triangles, self._camera.height, self._camera.width
        )

        def drawn(attributes: Float) -> Float:
            return np.asarray(self._rasterizer.interpolate(attributes[None], hits, triangles)[0])

        made: dict[str, NDArray[Any]] = {}
        for name in wanted:
            if name == "depth":
                away = -(posed @ rotation[2] + params.translation[2])
                made[name] = drawn(np.asarray(away[:, None], np.float32))
            elif name == "normals":
                smooth = drawn(np.asarray(vertex_normals(posed, triangles) @ rotation.T, np.float32))
                made[name] = smooth / np.maximum(np.linalg.norm(smooth, axis=2, keepdims=True), 1e-6)
            elif name == "uv":
                made[name] = drawn(self._model.uv)
            elif name == "correspondence":
                made[name] = drawn(self._place)
            else:
                hit = hits.triangle[0]
                made[name] = np.where(hit >= 0, self._model.triangle_region[hit], np.int8(-1))[..., None]
        return Conditioning(made, params.capture_ns, params.index, params.epoch)


def vertex_normals(points: Float, triangles: NDArray[np.int32]) -> Float:
    """points: (V, 3) -> (V, 3) float32 unit normals, triangles weighted by their area."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    total = np.zeros_like(points)
    for k in range(3):
        np.add.at(total, triangles[:, k], across)
    return np.asarray(total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12), np.float32)
