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
from mien.face.choosing import farthest_apart
from mien.face.fitting import Fit, Fitter
from mien.face.landmark_basis import LandmarkBasis
from mien.face.landmark_term import FRAME, Double, fields_of, linearise
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
_SETTLED = 1e-4


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
    fitter = Fitter(model, camera)
    fits = []
    for one in points:
        fitter.reset()
        fits.append(fitter.fit(one))
    search = FocalSearch(model, camera, points, fits, camera.focal)
    while not search.step():
        pass
    return search.estimate


class FocalSearch:
    """The same in bounded steps of one frame each, a millisecond or two, so that a live tracker can spread the work."""

    def __init__(
        self, model: FaceModel, camera: Camera, points: Sequence[Float], fits: Sequence[Fit], likely: float
    ) -> None:
        """points: as of `estimate_focal`; fits: what was fitted to each of them under `camera`; likely: the focal
        length that the prior is centred on, px. Raises `NoFaceError` when there are no points.
        """
        if not points:
            raise NoFaceError("There is no face to tell the lens from. Use a clip that shows one.")
        chosen = farthest_apart(np.array([fit.rotation for fit in fits]), _MOST_FRAMES)
        self._points = [np.asarray(points[i], np.float32) for i in chosen]
        self._rotations = [rotation_matrix(fits[i].rotation) for i in chosen]
        self._translations = [fits[i].translation.astype(np.float64) for i in chosen]
        self._expressions = [fits[i].expression.astype(np.float64) for i in chosen]
        self._camera = camera
        self._basis = basis = LandmarkBasis.of(model)
        modes = len(basis.identity)
        self._shape = np.concatenate([basis.identity, _relief(basis.mean)])
        self._fields = fields_of(basis, self._shape)
        self._coefficients = np.zeros(len(self._shape))
        # In units of the noise: `_TOGETHER` rows count as one.
        self._per_row = _TOGETHER * _NOISE_CM**2
        self._ridge = np.where(
            np.arange(len(self._shape)) < modes, self._per_row, self._per_row / _RELIEF_CM**2
        )
        self._log_focal = log(camera.focal)
        self._log_likely = log(likely)
        self._spread = PRIOR_SPREAD
        self._rounds = 0
        self._begin_round()

    @property
    def estimate(self) -> FocalEstimate:
        """As far as it has come."""
        confidence = min(max(1 - (self._spread / PRIOR_SPREAD) ** 2, 0.0), 1.0)
        return FocalEstimate(
            replace(self._camera, focal=float(exp(self._log_focal))), self._spread, confidence
        )

    def step(self) -> bool:
        """Work on one frame; True once the search has come to its end."""
        if self._rounds >= _ROUNDS:
            return True
        self._linearise(len(self._eliminated))
        if len(self._eliminated) < len(self._points):
            return False
        changed = self._solve()
        self._rounds = _ROUNDS if changed < _SETTLED else self._rounds + 1
        self._begin_round()
        return self._rounds >= _ROUNDS

    def _begin_round(self) -> None:
        size = len(self._shape) + 1
        self._shared, self._right = np.zeros((size, size)), np.zeros(size)
        self._eliminated: list[tuple[Double, Double]] = []
        self._neutral = self._basis.mean + np.tensordot(self._coefficients, self._shape, 1)

    def _linearise(self, i: int) -> None:
        """Add what one frame says about what all share; its own unknowns are eliminated."""
        posed = self._basis.posed(self._neutral, self._expressions[i].astype(np.float32))
        lens = replace(self._camera, focal=exp(self._log_focal))
        rows = linearise(
            self._basis, self._points[i], posed, self._fields, self._rotations[i],
            self._translations[i].astype(np.float32), lens,
        )  # fmt: skip
        matrix, pull = rows.equations()
        matrix[np.diag_indices(EXPRESSIONS)] += _RIDGE
        matrix[np.diag_indices(FRAME)] += 1e-6
        pull[:EXPRESSIONS] -= _RIDGE * self._expressions[i]
        solved = np.linalg.solve(
            matrix[:FRAME, :FRAME], np.column_stack([matrix[:FRAME, FRAME:], pull[:FRAME]])
        )
        self._shared += matrix[FRAME:, FRAME:] - matrix[FRAME:, :FRAME] @ solved[:, :-1]
        self._right += pull[FRAME:] - matrix[FRAME:, :FRAME] @ solved[:, -1]
        self._eliminated.append((solved[:, :-1], solved[:, -1]))

    def _solve(self) -> float:
        """Move everything; returns by how much the log of the focal length changed."""
        shared, right = self._shared, self._right
        shared[np.diag_indices(len(self._shape))] += self._ridge
        right[:-1] -= self._ridge * self._coefficients
        shared[-1, -1] += self._per_row / PRIOR_SPREAD**2
        right[-1] += self._per_row * (self._log_likely - self._log_focal) / PRIOR_SPREAD**2
        # The last column of the inverse comes with the solution: it says how well the focal length is known.
        last = np.eye(len(right))[-1]
        change, inverse = np.linalg.solve(shared, np.column_stack([right, last])).T
        self._spread = sqrt(max(self._per_row * float(inverse[-1]), 0.0))
        step = min(1.0, 0.3 / max(abs(float(change[-1])), 1e-9))
        self._coefficients += step * change[:-1]
        low, high = (log(times * max(self._camera.width, self._camera.height)) for times in _LIKELY_RANGE)
        before = self._log_focal
        self._log_focal = min(max(before + step * float(change[-1]), low), high)
        for i, (by_shared, own) in enumerate(self._eliminated):
            moved = own - by_shared @ (step * change)
            self._expressions[i] = np.clip(self._expressions[i] + moved[:EXPRESSIONS], 0, 1)
            increment = np.asarray(moved[EXPRESSIONS : EXPRESSIONS + 3], np.float32)
            self._rotations[i] = rotation_matrix(increment) @ self._rotations[i]
            self._translations[i] += moved[EXPRESSIONS + 3 :]
            # Distance goes with the focal length, or a large step would leave the linear range.
            self._translations[i][2] = min(self._translations[i][2], -5.0)
        return abs(self._log_focal - before)


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
