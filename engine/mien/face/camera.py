"""The pinhole camera, OpenGL convention.

A head-space point p (cm) lies at c = R p + t in camera space: x right, y up, the camera looks along -z.
It is seen at u = cx + f c_x / -c_z, v = cy - f c_y / -c_z in px, v down, pixel centres at .5.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, cos, sin, sqrt
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
        pixels = np.empty((*points.shape[:-1], 2), np.float32)
        pixels[..., 0] = self.cx + k * points[..., 0]
        pixels[..., 1] = self.cy - k * points[..., 1]
        return pixels

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
    # In Python's own numbers: on three of them numpy takes ten times as long, and this is done a dozen times a frame.
    x, y, z = axis_angle.tolist()
    angle = sqrt(x * x + y * y + z * z)
    if angle < 1e-12:
        return np.eye(3, dtype=np.float32)
    x, y, z = x / angle, y / angle, z / angle
    s, c = sin(angle), cos(angle)
    k = 1 - c
    return np.array(
        [
            [c + k * x * x, k * x * y - s * z, k * x * z + s * y],
            [k * x * y + s * z, c + k * y * y, k * y * z - s * x],
            [k * x * z - s * y, k * y * z + s * x, c + k * z * z],
        ],
        np.float32,
    )


def axis_angle(matrix: NDArray[np.floating[Any]]) -> Float:
    """(3, 3) rotation -> (3,) float32 axis-angle, radians, angle in [0, pi]."""
    m = matrix.tolist()
    x, y, z = m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]
    sine, cosine = sqrt(x * x + y * y + z * z) / 2, (m[0][0] + m[1][1] + m[2][2] - 1) / 2
    if sine > 1e-6 or cosine > 0:
        half = atan2(sine, cosine) / (2 * sine) if sine > 1e-6 else 0.5
        return np.array([half * x, half * y, half * z], np.float32)
    # Half a turn: the axis is the eigenvector of eigenvalue 1, read off the symmetric part.
    column = int(np.argmax(np.diag(matrix)))
    axis = (np.asarray(matrix, np.float64) + np.eye(3))[:, column]
    return np.asarray(axis / np.linalg.norm(axis) * np.pi, dtype=np.float32)
