"""From head space to clip space, quickly: what every renderer does to its vertices first."""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np
from numba import njit

from mien.face.camera import Camera
from mien.frames import Float

NEAR_CM, FAR_CM = 5.0, 1000.0


def pose_matrix(rotation: Float, translation: Float) -> Float:
    """rotation: (3, 3), translation: (3,) cm -> (3, 4) float32, head space to camera space."""
    return np.ascontiguousarray(np.concatenate([rotation, translation[:, None]], axis=1), np.float32)


def lens_of(camera: Camera) -> Float:
    """(5,) float32: width, height, focal, cx, cy in px, as the kernels take it."""
    return np.array([camera.width, camera.height, camera.focal, camera.cx, camera.cy], np.float32)


@njit(cache=True, nogil=True, fastmath=True)
def to_clip(points: Float, pose: Float, lens: Float, out: Float) -> None:
    """points: (V, 3) float32 head space -> out: (V, 4) float32 clip space, as `Camera.clip_matrix` has it.

    pose: (3, 4), see `pose_matrix`; lens: (5,), see `lens_of`.
    """
    width, height, focal, cx, cy = lens[0], lens[1], lens[2], lens[3], lens[4]
    kx, ky = 2 * focal / width, 2 * focal / height
    ox, oy = 2 * cx / width - 1, 1 - 2 * cy / height
    a = np.float32((FAR_CM + NEAR_CM) / (FAR_CM - NEAR_CM))
    b = np.float32(-2 * FAR_CM * NEAR_CM / (FAR_CM - NEAR_CM))
    for i in range(points.shape[0]):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        w = -(pose[2, 0] * x + pose[2, 1] * y + pose[2, 2] * z + pose[2, 3])
        out[i, 0] = kx * (pose[0, 0] * x + pose[0, 1] * y + pose[0, 2] * z + pose[0, 3]) + ox * w
        out[i, 1] = ky * (pose[1, 0] * x + pose[1, 1] * y + pose[1, 2] * z + pose[1, 3]) + oy * w
        out[i, 2] = a * w + b
        out[i, 3] = w


def warm() -> None:
    """Compile this module's kernel (or load it from the cache)."""
    points = np.zeros((1, 3), np.float32)
    pose = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -60]], np.float32)
    to_clip(points, pose, np.array([4, 4, 8, 2, 2], np.float32), np.empty((1, 4), np.float32))
