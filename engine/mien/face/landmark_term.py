"""Landmarks linearised: how the reprojection error of one frame changes with everything that is estimated.

For the estimates that share unknowns between frames (focal length, identity) or join landmarks with pixels. The
real-time fit has a compiled path of its own for pose and expression alone (`fitting_kernels`); the residuals are the
same: centimetres in the plane of the face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.face.camera import Camera
from mien.face.landmark_basis import LID_PAIRS, LIP_PAIRS, LandmarkBasis
from mien.frames import EXPRESSIONS, Float

Double = NDArray[np.float64]

POSE = slice(EXPRESSIONS, EXPRESSIONS + 6)
"""Columns of the rotation's increment (left-multiplied, radians) and of the translation's (cm)."""
FRAME = EXPRESSIONS + 6
"""Unknowns of one frame: expression weights, then pose. Shared ones follow: shape, then log focal length."""

_PAIRS = np.array([pair for side in LID_PAIRS for pair in side] + list(LIP_PAIRS))
_PAIR_WEIGHT = 30.0
"""How far lips and lids are apart is seen much better than where they are. Pixels cannot say it: what lies within the
mouth has no colour to compare, so a mouth drawn too far open would cost nothing.
"""


@dataclass(frozen=True, slots=True)
class Linearised:
    """Weighted rows: jacobian (R, 58 + S + 1), of the 52 weights, 6 of pose, S of shape, 1 of log focal length;
    residual (R,), seen minus predicted, so that jacobian @ change = residual is what is wanted.
    """

    jacobian: Double
    residual: Double

    def equations(self, unknowns: int | None = None) -> tuple[Double, Double]:
        """Matrix and right side of the normal equations of the first `unknowns` columns (all without it)."""
        jacobian = self.jacobian[:, :unknowns]
        return jacobian.T @ jacobian, jacobian.T @ self.residual


def projection_slopes(points: Double, rotation: Float, translation: Float, camera: Camera) -> Double:
    """(P, 2, 3): how u and v (px) move with a point of the head, at `points` (P, 3) cm, head space."""
    seen = points @ rotation.T.astype(np.float64) + translation
    depth = -seen[:, 2]
    k = camera.focal / depth
    across = np.zeros((len(points), 2, 3))
    across[:, 0, 0] = k
    across[:, 0, 2] = k * seen[:, 0] / depth
    across[:, 1, 1] = -k
    across[:, 1, 2] = -k * seen[:, 1] / depth
    return across @ rotation.astype(np.float64)


def fields_of(basis: LandmarkBasis, shape: Float | None = None) -> Double:
    """(478, 3, 52 + S) cm per unit: how landmarks move with the expression weights, and with the fields that all frames
    share. shape: (S, 478, 3), none without it.
    """
    columns = basis.expression.transpose(2, 1, 0)
    if shape is not None:
        columns = np.concatenate([columns, shape.transpose(1, 2, 0)], axis=2)
    return np.ascontiguousarray(columns, np.float64)


def linearise(
    basis: LandmarkBasis,
    points: Float,
    posed: Float,
    fields: Double,
    rotation: Float,
    translation: Float,
    camera: Camera,
) -> Linearised:
    """points: (478, 2 or 3) px, seen. posed: (478, 3) cm, the face as it is assumed now, head space. fields: of
    `fields_of`. rotation: (3, 3); translation: (3,).
    """
    turned = posed.astype(np.float64) @ rotation.T.astype(np.float64)
    seen = turned + translation
    per_px = -float(translation[2]) / camera.focal
    slopes = projection_slopes(posed.astype(np.float64), rotation, translation, camera) * per_px
    predicted = camera.project(seen.astype(np.float32)).astype(np.float64)

    unknowns = fields.shape[2] + 7  # those of the pose, and the focal length
    jacobian = np.empty((len(posed), 2, unknowns))
    moved = slopes @ fields
    jacobian[:, :, :EXPRESSIONS] = moved[:, :, :EXPRESSIONS]
    jacobian[:, :, FRAME:-1] = moved[:, :, EXPRESSIONS:]
    in_camera = slopes @ rotation.T.astype(np.float64)
    # d(turned) = increment x turned, so a row g of slopes becomes turned x g.
    jacobian[:, :, EXPRESSIONS : EXPRESSIONS + 3] = np.cross(turned[:, None, :], in_camera)
    jacobian[:, :, EXPRESSIONS + 3 : FRAME] = in_camera
    jacobian[:, :, -1] = (predicted - (camera.cx, camera.cy)) * per_px
    residual = (points[:, :2].astype(np.float64) - predicted) * per_px

    weight = np.sqrt(basis.trust * _facing(basis, seen, rotation))
    upper, lower = _PAIRS.T
    pairs = np.sqrt(_PAIR_WEIGHT) * (jacobian[upper] - jacobian[lower])
    parted = np.sqrt(_PAIR_WEIGHT) * (residual[upper] - residual[lower])
    return Linearised(
        np.concatenate([jacobian * weight[:, None, None], pairs]).reshape(-1, unknowns),
        np.concatenate([residual * weight[:, None], parted]).reshape(-1),
    )


def _facing(basis: LandmarkBasis, seen: Double, rotation: Float) -> Double:
    """(478,) How much a landmark is to be believed: what turns away is guessed by the landmark network."""
    normals = basis.normal.T.astype(np.float64) @ rotation.T.astype(np.float64)
    facing = -(normals * seen).sum(axis=1) / np.linalg.norm(seen, axis=1)
    return np.asarray(np.clip(0.4 + 1.5 * facing, 0.15, 1.0))
