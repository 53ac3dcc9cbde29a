"""Focal length from several poses of one face.

A face seen from one pose alone says almost nothing about the lens: nearer and wider looks like farther and longer
with a flatter face. Turning the head separates the two. All frames share the focal length and the identity; pose and
expression are each frame's own. Gauss-Newton with the frames' unknowns eliminated (the Schur complement of bundle
adjustment, Triggs et al. 2000, section 6), with a prior on log f that decides when the poses don't.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import exp, log, sqrt

import numpy as np

from mien.errors import NoFaceError
from mien.face.camera import Camera, rotation_matrix
from mien.face.fitting import Fit, Fitter
from mien.face.landmark_basis import LandmarkBasis
from mien.face.landmark_term import FRAME, Double, linearise
from mien.face.model import FaceModel
from mien.frames import EXPRESSIONS, Float

PRIOR_SPREAD = 0.45
"""Standard deviation of log f about `Camera.guess`: f from 1.3 to 3.1 times the longer side is likely."""
_ROUNDS = 12
_NOISE_CM = 0.05
"""Error of a landmark where it is measured well; what errors share is no noise, hence `_TOGETHER`."""
_TOGETHER = 40.0
"""Landmarks that err together as if they were one: the network's errors are smooth over the face."""
_RIDGE = 0.6
_RELIEF_CM = 0.25
"""How far a person's relief may lie off what the identity modes can make, per smooth field. Without it the
model's own relief would pass for a measurement, and a frontal clip for one that shows the lens."""
_MOST_FRAMES = 20
_LIKELY_RANGE = (0.5, 12.0)


@dataclass(frozen=True, slots=True)
class FocalEstimate:
    """camera: with the estimated focal length. spread: posterior standard deviation of log f. confidence: the
    share of the prior's variance that the frames removed, 0 (the prior alone speaks) to 1.
    """

    camera: Camera
    spread: float
    confidence: float


def estimate_focal(model: FaceModel, camera: Camera, frames: Iterable[Float]) -> FocalEstimate:
    """Estimate the focal length from landmarks (478, 2 or 3) px of one person under one lens.

    camera: size and principal point, and the focal length that the prior is centred on. Of many frames those are
    used whose poses differ most. Raises `NoFaceError` when there are none.
    """
    points = [np.asarray(one, np.float32) for one in frames]
    if not points:
        raise NoFaceError("There is no face to tell the lens from. Use a clip that shows one.")
    basis = LandmarkBasis.of(model)
    fitter = Fitter(model, camera)
    fits = []
    for one in points:
        fitter.reset()
        fits.append(fitter.fit(one))
    chosen = spread_poses(fits, _MOST_FRAMES)
    points, fits = [points[i] for i in chosen], [fits[i] for i in chosen]
    rotations = [rotation_matrix(fit.rotation) for fit in fits]
    translations = [fit.translation.astype(np.float64) for fit in fits]
    expressions = [fit.expression.astype(np.float64) for fit in fits]
    modes = len(basis.identity)
    shape = np.concatenate([basis.identity, _relief(basis.mean)])
    coefficients = np.zeros(len(shape))
    # In units of the noise: `_TOGETHER` rows count as one.
    per_row = _TOGETHER * _NOISE_CM**2
    ridge = np.where(np.arange(len(shape)) < modes, per_row, per_row / _RELIEF_CM**2)
    centre = log(camera.focal)
    current = centre
    low, high = (log(factor * max(camera.width, camera.height)) for factor in _LIKELY_RANGE)
    spread = PRIOR_SPREAD
    for _ in range(_ROUNDS):
        lens = replace(camera, focal=exp(current))
        shared = np.zeros((len(shape) + 1, len(shape) + 1))
        right = np.zeros(len(shape) + 1)
        eliminated: list[tuple[Double, Double]] = []
        neutral = basis.mean + np.tensordot(coefficients, shape, 1)
        for i, seen in enumerate(points):
            weights = expressions[i].astype(np.float32)
            posed = np.asarray(neutral + np.tensordot(weights, basis.expression, 1).T, np.float32)
            rows = linearise(
                basis, seen, posed, shape, rotations[i], translations[i].astype(np.float32), lens
            )
            matrix, pull = rows.equations()
            matrix[np.diag_indices(EXPRESSIONS)] += _RIDGE
            matrix[np.diag_indices(FRAME)] += 1e-6
            pull[:EXPRESSIONS] -= _RIDGE * expressions[i]
            solved = np.linalg.solve(
                matrix[:FRAME, :FRAME], np.column_stack([matrix[:FRAME, FRAME:], pull[:FRAME]])
            )
            shared += matrix[FRAME:, FRAME:] - matrix[FRAME:, :FRAME] @ solved[:, :-1]
            right += pull[FRAME:] - matrix[FRAME:, :FRAME] @ solved[:, -1]
            eliminated.append((solved[:, :-1], solved[:, -1]))
        shared[np.diag_indices(len(shape))] += ridge
        right[:-1] -= ridge * coefficients
        shared[-1, -1] += per_row / PRIOR_SPREAD**2
        right[-1] += per_row * (centre - current) / PRIOR_SPREAD**2
        change = np.linalg.solve(shared, right)
        spread = sqrt(max(per_row * float(np.linalg.inv(shared)[-1, -1]), 0.0))
        step = min(1.0, 0.3 / max(abs(float(change[-1])), 1e-9))
        coefficients += step * change[:-1]
        before, current = current, min(max(current + step * float(change[-1]), low), high)
        for i, (by_shared, own) in enumerate(eliminated):
            moved = own - by_shared @ (step * change)
            expressions[i] = np.clip(expressions[i] + moved[:EXPRESSIONS], 0, 1)
            increment = np.asarray(moved[EXPRESSIONS : EXPRESSIONS + 3], np.float32)
            rotations[i] = rotation_matrix(increment) @ rotations[i]
            translations[i] += moved[EXPRESSIONS + 3 :]
            # Distance goes with the focal length, or a large step would leave the linear range.
            translations[i][2] = min(translations[i][2], -5.0)
        if abs(current - before) < 1e-4:
            break
    confidence = min(max(1 - (spread / PRIOR_SPREAD) ** 2, 0.0), 1.0)
    return FocalEstimate(replace(camera, focal=float(exp(current))), spread, confidence)


def _relief(mean: Float) -> Float:
    """(24, 478, 3): for each axis, depth and the polynomials of second and third order over the face, 1 cm at its
    rim. (Those of first order are taken by pose and by the width and length among the identity modes.)
    """
    x, y, z = (mean / np.abs(mean).max(axis=0)).T
    smooth = np.stack([z, x * x, x * y, y * y, x**3, x * x * y, x * y * y, y**3])
    fields = np.zeros((3, len(smooth), len(mean), 3), np.float32)
    for axis in range(3):
        fields[axis, :, :, axis] = smooth
    return fields.reshape(-1, len(mean), 3)


def spread_poses(fits: Sequence[Fit], count: int) -> list[int]:
    """Indices of the frames whose poses lie farthest apart, the most frontal one first (farthest-point choice)."""
    rotations = np.array([fit.rotation for fit in fits])
    chosen = [int(np.argmin(np.linalg.norm(rotations, axis=1)))]
    nearest = np.linalg.norm(rotations - rotations[chosen[0]], axis=1)
    while len(chosen) < min(count, len(fits)):
        farthest = int(np.argmax(nearest))
        chosen.append(farthest)
        nearest = np.minimum(nearest, np.linalg.norm(rotations - rotations[farthest], axis=1))
        nearest[chosen] = -1
    return chosen
