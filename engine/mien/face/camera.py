"""The pinhole camera, OpenGL convention.

A head-space point p (cm) lies at c = R p + t in camera space: x right, y up, the camera looks along -z.
It is seen at u = cx + f c_x / -c_z, v = cy - f c_y / -c_z in px, v down, pixel centres at .5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.frames import Float


@dataclass(frozen=True, slots=True)
class Camera:
    """Intrinsics in px. `focal` applies to both axes."""

    width: int
    height: int
    focal: float
    cx: float
    cy: float

    @classmethod
    def guess(cls, width: int, height: int) -> Camera:
        """A typical webcam or portrait lens: focal length twice the longer side, centred."""
        return cls(width, height, 2.0 * max(width, height), width / 2, height / 2)

    def scaled(self, factor: float) -> Camera:
        """The same camera for a picture resized by `factor`."""
        return Camera(
            round(self.width * factor), round(self.height * factor),
            self.focal * factor, self.cx * factor, self.cy * factor,
        )  # fmt: skip

    def project(self, points: Float) -> Float:
        """points: (..., 3) camera space, cm -> (..., 2) px."""
        k = self.focal / -points[..., 2]
        pixels = np.stack([self.cx + k * points[..., 0], self.cy - k * points[..., 1]], axis=-1)
        return np.asarray(pixels, dtype=np.float32)

    def clip_matrix(self, near_cm: float = 5.0, far_cm: float = 1000.0) -> Float:
        """(4, 4) float32: camera space -> clip space of a viewport as large as the picture."""
        w, h, f = self.width, self.height, self.focal
        m = np.zeros((4, 4), np.float32)
        m[0, 0] = 2 * f / w
        m[0, 2] = 1 - 2 * self.cx / w
        m[1, 1] = 2 * f / h
        m[1, 2] = 2 * self.cy / h - 1
        m[2, 2] = -(far_cm + near_cm) / (far_cm - near_cm)
        m[2, 3] = -2 * far_cm * near_cm / (far_cm - near_cm)
        m[3, 2] = -1
        return m


def rotation_matrix(axis_angle: NDArray[np.floating[Any]]) -> Float:
    """(3,) axis-angle, radians -> (3, 3) float32 (Rodrigues' formula)."""
    v = np.asarray(axis_angle, np.float64)
    angle = float(np.sqrt(v @ v))
    if angle < 1e-12:
        return np.eye(3, dtype=np.float32)
    x, y, z = v / angle
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k), dtype=np.float32)


def axis_angle(matrix: NDArray[np.floating[Any]]) -> Float:
    """(3, 3) rotation -> (3,) float32 axis-angle, radians, angle in [0, pi]."""
    m = np.asarray(matrix, np.float64)
    skew = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]])
    sine, cosine = np.linalg.norm(skew) / 2, (np.trace(m) - 1) / 2
    angle = np.arctan2(sine, cosine)
    if sine > 1e-6:
        return np.asarray(skew / (2 * sine) * angle, dtype=np.float32)
    if cosine > 0:
        return np.asarray(skew / 2, dtype=np.float32)
    # Half a turn: the axis is the eigenvector of eigenvalue 1, read off the symmetric part.
    column = int(np.argmax(np.diag(m)))
    axis = (m + np.eye(3))[:, column]
    return np.asarray(axis / np.linalg.norm(axis) * np.pi, dtype=np.float32)
