"""A plain software renderer to look at a model with: z-buffer, smooth normals, two lamps, flat colours."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mien.face.model import FaceModel, Region

COLOURS = {
    Region.FACE: (224, 172, 148), Region.HEAD: (205, 160, 140), Region.NECK: (214, 164, 142),
    Region.MOUTH_SOCKET: (70, 22, 24), Region.GUMS: (176, 86, 86), Region.TEETH: (236, 230, 214),
    Region.EYE_LEFT: (240, 238, 234), Region.EYE_RIGHT: (240, 238, 234), Region.TONGUE: (196, 96, 98),
}  # fmt: skip
IRIS_DEGREES, PUPIL_DEGREES = 27.0, 11.0


def picture(
    model: FaceModel, vertices: NDArray[np.float32], yaw: float = 0, pitch: float = 0, size: int = 256,
    middle: tuple[float, float] = (0, -2.5), reach: float = 11.0,
) -> NDArray[np.uint8]:  # fmt: skip
    """(size, size, 3) uint8 RGB. yaw, pitch: degrees; `reach` cm around `middle` (x, y) are shown."""
    cy, sy, cp, sp = (f(np.radians(a)) for a in (yaw, pitch) for f in (np.cos, np.sin))
    turn = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]]) @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about = np.array([0, -2.5, -3.0])
    p = (vertices - about) @ turn.T + about
    t = model.triangles
    n = np.cross(p[t[:, 1]] - p[t[:, 0]], p[t[:, 2]] - p[t[:, 0]])
    normals = np.zeros_like(p)
    for k in range(3):
        np.add.at(normals, t[:, k], n)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-9)
    scale = size * 2 / (2 * reach)
    screen = np.stack(
        [size + (p[:, 0] - middle[0]) * scale, size - (p[:, 1] - middle[1]) * scale, p[:, 2]], axis=1
    )
    colours = np.array([COLOURS[Region(r)] for r in model.triangle_region], np.float32)
    eye = np.isin(model.triangle_region, (Region.EYE_LEFT, Region.EYE_RIGHT))
    out = np.full((2 * size, 2 * size, 3), 250, np.float32)
    _draw(
        screen.astype(np.float32), t, normals.astype(np.float32), colours, eye,
        (model.uv - 0.5) * np.float32(180), np.float32(IRIS_DEGREES), np.float32(PUPIL_DEGREES), out,
    )  # fmt: skip
    return out.reshape(size, 2, size, 2, 3).mean(axis=(1, 3)).clip(0, 255).astype(np.uint8)


@njit(cache=True)
def _draw(p, t, normals, colours, eye, uv, iris, pupil, out):  # type: ignore[no-untyped-def]
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
                light = 0.26 + 0.58 * max(0.0, (0.35 * nx + 0.5 * ny + 0.79 * nz) / length)
                light += 0.22 * max(0.0, (-0.8 * nx + 0.1 * ny + 0.59 * nz) / length)
                k = 1.0
                if eye[i]:
                    du = u * uv[a, 0] + v * uv[b, 0] + s * uv[c, 0]
                    dv = u * uv[a, 1] + v * uv[b, 1] + s * uv[c, 1]
                    r = (du * du + dv * dv) ** 0.5
                    k = 0.12 if r < pupil else (0.45 if r < iris else 1.0)
                for j in range(3):
                    out[y, x, j] = colours[i, j] * light * k
