"""The tracked mesh over the video, so that one sees at a glance what was tracked and how well."""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mien.face.camera import rotation_matrix
from mien.face.model import EYES, FaceModel, PosedFace, Region
from mien.face.normals import vertex_normals
from mien.face.subject import Subject
from mien.frames import Bytes, FaceParams, Float
from mien.render.projection import lens_of, pose_matrix, to_clip
from mien.stage import Rasterizer

_SKIN, _EYES = (0.55, 0.85, 1.0), (1.0, 0.75, 0.35)
_COVER = 0.22
_LINE_PX, _LINE_COVER = 0.8, 0.55


class Overlay:
    """Draws one model's mesh over pictures. Not thread-safe."""

    def __init__(self, model: FaceModel, rasterizer: Rasterizer) -> None:
        self._model = model
        self._rasterizer = rasterizer
        shown = np.isin(model.triangle_region, (Region.FACE, *EYES))
        self._tint = np.zeros((len(model.triangles), 3), np.float32)
        self._tint[shown] = _SKIN
        self._tint[np.isin(model.triangle_region, EYES)] = _EYES
        self._clip = np.empty((len(model.mean), 4), np.float32)
        self._face: PosedFace | None = None
        self._subject: Subject | None = None

    def draw(self, pixels: Bytes, subject: Subject, params: FaceParams) -> Bytes:
        """pixels: (H, W, 3) uint8 RGB -> the same with the mesh over it. Raises ValueError when they are not of the
        size of the subject's camera.
        """
        if pixels.shape != (subject.camera.height, subject.camera.width, 3):
            raise ValueError(f"pixels are {pixels.shape}, under a camera of {subject.camera}")
        if self._face is None or subject is not self._subject:
            self._subject, self._face = subject, PosedFace(self._model, subject.identity, subject.offsets)
        model, camera = self._model, subject.camera
        rotation = rotation_matrix(params.rotation)
        points = self._face.vertices(params.expression.copy(), params.gaze.copy())
        toward = np.ascontiguousarray((vertex_normals(points, model.triangles) @ rotation.T)[:, 2:])
        to_clip(points, pose_matrix(rotation, params.translation), lens_of(camera), self._clip)
        hits = self._rasterizer.rasterize(self._clip[None], model.triangles, camera.height, camera.width)
        lit = self._rasterizer.interpolate(toward[None], hits, model.triangles)[0, :, :, 0]
        seen = camera.project(np.asarray(points @ rotation.T + params.translation, np.float32))
        out = np.empty_like(pixels)
        _blend(
            np.ascontiguousarray(pixels),
            hits.triangle[0],
            hits.barycentric[0],
            model.triangles,
            seen,
            self._tint,
            lit,
            out,
        )
        return out


@njit(
    "void(Array(u1, 3, 'C', readonly=True), i4[:, ::1], f4[:, :, ::1], Array(i4, 2, 'C', readonly=True), "
    "Array(f4, 2, 'C', readonly=True), f4[:, ::1], f4[:, ::1], u1[:, :, ::1])",
    cache=True,
    nogil=True,
    fastmath=True,
)
def _blend(
    pixels: Bytes, triangle: NDArray[np.int32], barycentric: Float, triangles: NDArray[np.int32], seen: Float,
    tint: Float, lit: Float, out: Bytes,
) -> None:  # fmt: skip
    """A translucent, softly shaded mesh with its edges, where it faces the camera."""
    for row in range(triangle.shape[0]):
        for column in range(triangle.shape[1]):
            t = triangle[row, column]
            if t < 0 or tint[t, 0] == 0:
                for k in range(3):
                    out[row, column, k] = pixels[row, column, k]
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            l0, l1 = barycentric[row, column, 0], barycentric[row, column, 1]
            l2 = 1 - l0 - l1
            abx, aby = seen[b, 0] - seen[a, 0], seen[b, 1] - seen[a, 1]
            acx, acy = seen[c, 0] - seen[a, 0], seen[c, 1] - seen[a, 1]
            bcx, bcy = seen[c, 0] - seen[b, 0], seen[c, 1] - seen[b, 1]
            area = abs(abx * acy - aby * acx)
            # Distances in px from the three edges.
            near = area * min(
                l0 / max(np.sqrt(bcx * bcx + bcy * bcy), 1e-6),
                l1 / max(np.sqrt(acx * acx + acy * acy), 1e-6),
                l2 / max(np.sqrt(abx * abx + aby * aby), 1e-6),
            )
            line = min(max(_LINE_PX - near, 0.0), 1.0)
            # Where triangles are smaller than a few px their edges would be all there is to see.
            line *= min(max((np.sqrt(area) - 2.0) / 6.0, 0.0), 1.0)
            cover = _COVER + (_LINE_COVER - _COVER) * line
            shade = 255.0 * (0.25 + 0.75 * max(lit[row, column], 0.0)) * (1 + 0.6 * line)
            for k in range(3):
                value = pixels[row, column, k] * (1 - cover) + cover * min(shade * tint[t, k], 255.0)
                out[row, column, k] = np.uint8(value)
