"""A plain software renderer to look at a model with: z-buffer, smooth normals, two lamps, painted skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mien.face.camera import Camera, rotation_matrix
from mien.face.make.complexion import SKIN, complexion
from mien.face.model import EYES, FaceModel, Region
from mien.face.normals import vertex_normals
from mien.frames import Bytes, Float

COLOURS = {
    Region.FACE: SKIN, Region.HEAD: SKIN, Region.NECK: SKIN,
    Region.MOUTH_SOCKET: (70, 22, 24), Region.GUMS: (176, 86, 86), Region.TEETH: (236, 230, 214),
    Region.EYE_LEFT: (240, 238, 234), Region.EYE_RIGHT: (240, 238, 234), Region.TONGUE: (196, 96, 98),
}  # fmt: skip
IRIS_DEGREES, PUPIL_DEGREES = 27.0, 11.0
_IRIS, _LIMBUS = (104, 78, 58), (44, 34, 30)
_HAIR = np.array((62, 46, 38), np.float32)
_PLAIN, _SKIN, _EYE, _HEAD = 0, 1, 2, 3
_HAIRLINE = 0.5
"""Height above the eyes, cm, of the hair's edge at the sides; it falls towards the neck."""
_FINER = 2
"""Pictures are drawn that many times as large, then averaged."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a picture is lit and coloured.

    lamps: towards each lamp (x, y, z), and how bright it is; ambient: what comes from everywhere, of the same
    unit. skin: factors of red, green and blue; iris: its colour, 0 to 255.
    """

    lamps: tuple[tuple[float, float, float, float], ...] = ((0.35, 0.5, 0.79, 0.58), (-0.8, 0.1, 0.59, 0.22))
    ambient: float = 0.26
    skin: tuple[float, float, float] = (1.0, 1.0, 1.0)
    iris: tuple[int, int, int] = _IRIS


class Painter:
    """Draws one model. The colours of its skin are painted once."""

    def __init__(self, model: FaceModel, look: Look | None = None) -> None:
        self.model = model
        look = Look() if look is None else look
        tint = np.array(look.skin, np.float32)
        self._lamps = np.array(look.lamps, np.float32)
        self._ambient = np.float32(look.ambient)
        self._eye = np.array([look.iris, _LIMBUS], np.float32)
        self._skin = complexion(model) * tint
        self._colours = np.array([COLOURS[Region(r)] for r in model.triangle_region], np.float32)
        self._colours[np.isin(model.triangle_region, (Region.HEAD, Region.NECK))] *= tint
        self._above = (model.mean[:, 1] + 0.45 * model.mean[:, 2] - _HAIRLINE).astype(np.float32)
        """(V,) cm above the hair's edge, where it is on the head."""
        self._kind = np.full(len(model.triangles), _PLAIN, np.int8)
        self._kind[model.triangle_region == Region.FACE] = _SKIN
        self._kind[np.isin(model.triangle_region, EYES)] = _EYE
        self._kind[model.triangle_region == Region.HEAD] = _HEAD

    def picture(
        self, vertices: Float, yaw: float = 0, pitch: float = 0, size: int = 256,
        middle: tuple[float, float] = (0, -2.5), reach: float = 11.0,
    ) -> Bytes:  # fmt: skip
        """From afar, (size, size, 3) uint8 RGB. yaw, pitch: degrees; `reach` cm around `middle` (x, y) are
        shown.
        """
        turn = rotation_matrix(np.radians([pitch, 0, 0])) @ rotation_matrix(np.radians([0, yaw, 0]))
        about = np.array([0, -2.5, -3.0])
        p = (vertices - about) @ turn.T + about
        scale = _FINER * size / (2 * reach)
        half = _FINER * size / 2
        screen = np.stack(
            [half + (p[:, 0] - middle[0]) * scale, half - (p[:, 1] - middle[1]) * scale, p[:, 2]], axis=1
        )
        return self._drawn(p, screen, size, size)

    def photograph(self, vertices: Float, camera: Camera, rotation: Float, translation: Float) -> Bytes:
        """As `camera` sees it, (H, W, 3) uint8 RGB. rotation: (3,) axis-angle; translation: (3,) cm."""
        p = vertices @ rotation_matrix(rotation).T + translation
        screen = np.column_stack([camera.project(p) * _FINER, -1 / p[:, 2]])
        return self._drawn(p, screen, camera.width, camera.height)

    def _drawn(self, p: NDArray[np.floating], screen: NDArray[np.floating], width: int, height: int) -> Bytes:  # type: ignore[type-arg]
        t = self.model.triangles
        normals = vertex_normals(p.astype(np.float32), t)
        out = np.full((_FINER * height, _FINER * width, 3), 250, np.float32)
        _draw(
            screen.astype(np.float32), t, normals, self._colours, self._kind, self.model.uv, self._skin, self._above,
            _HAIR, self._eye, np.float32(IRIS_DEGREES), np.float32(PUPIL_DEGREES), self._lamps,
            self._ambient, out,
        )  # fmt: skip
        smooth = out.reshape(height, _FINER, width, _FINER, 3).mean(axis=(1, 3))
        return np.asarray(smooth.clip(0, 255), np.uint8)


@njit(cache=True)
def _draw(p, t, normals, colours, kind, uv, skin, above, hair, eye, iris, pupil, lamps, ambient, out):  # type: ignore[no-untyped-def]
    h, w = out.shape[:2]
    depth = np.full((h, w), np.float32(-1e9))
    for i in range(t.shape[0]):
        a, b, c = t[i]
        area = (p[b, 0] - p[a, 0]) * (p[c, 1] - p[a, 1]) - (p[b, 1] - p[a, 1]) * (p[c, 0] - p[a, 0])
        if area >= 0:
            continue
        x0 = max(0, int(min(p[a, 0], p[b, 0], p[c, 0])))
        x1 = min(w - 1, int(max(p[a, 0], p[b, 0], p[c, 0])) + 1)
        y0 = max(0, int(min(p[a, 1], p[b, 1], p[c, 1])))
        y1 = min(h - 1, int(max(p[a, 1], p[b, 1], p[c, 1])) + 1)
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                px, py = x + 0.5, y + 0.5
                u = ((p[b, 0] - px) * (p[c, 1] - py) - (p[b, 1] - py) * (p[c, 0] - px)) / area
                v = ((p[c, 0] - px) * (p[a, 1] - py) - (p[c, 1] - py) * (p[a, 0] - px)) / area
                s = 1 - u - v
                if u < 0 or v < 0 or s < 0:
                    continue
                z = u * p[a, 2] + v * p[b, 2] + s * p[c, 2]
                if z <= depth[y, x]:
                    continue
                depth[y, x] = z
                nx = u * normals[a, 0] + v * normals[b, 0] + s * normals[c, 0]
                ny = u * normals[a, 1] + v * normals[b, 1] + s * normals[c, 1]
                nz = u * normals[a, 2] + v * normals[b, 2] + s * normals[c, 2]
                length = (nx * nx + ny * ny + nz * nz) ** 0.5 + 1e-9
                light = ambient
                for k in range(lamps.shape[0]):
                    facing = lamps[k, 0] * nx + lamps[k, 1] * ny + lamps[k, 2] * nz
                    light += lamps[k, 3] * max(np.float32(0.0), facing / length)
                across = u * uv[a, 0] + v * uv[b, 0] + s * uv[c, 0]
                down = u * uv[a, 1] + v * uv[b, 1] + s * uv[c, 1]
                if kind[i] == 2:
                    # The white scatters light, so its shade is soft.
                    r = 180 * ((across - 0.5) ** 2 + (down - 0.5) ** 2) ** 0.5
                    light = 0.55 + 0.45 * light
                    for j in range(3):
                        colour = colours[i, j]
                        if r < iris:
                            ring = min(max((r - 0.72 * iris) / (0.28 * iris), 0.0), 1.0)
                            colour = eye[0, j] + ring * (eye[1, j] - eye[0, j]) if r > pupil else 12.0
                        out[y, x, j] = colour * light
                elif kind[i] == 1:
                    column = min(int(across * skin.shape[1]), skin.shape[1] - 1)
                    row = min(int(down * skin.shape[0]), skin.shape[0] - 1)
                    for j in range(3):
                        out[y, x, j] = skin[row, column, j] * light
                else:
                    hairy = kind[i] == 3 and u * above[a] + v * above[b] + s * above[c] > 0
                    for j in range(3):
                        out[y, x, j] = (hair[j] if hairy else colours[i, j]) * light
