"""One frame: pose, expression and light of a known person, from landmarks and pixels together.

Gauss-Newton on E = landmarks + photometric + priors (the energy of Thies et al. 2016, "Face2Face", section 4),
expression weights in a box. Coarse pixels first: they see farther; fine ones then say where exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.face.camera import Camera
from mien.face.fitting import UNSEEN
from mien.face.fitting_kernels import rotate_left, solve_boxed
from mien.face.landmark_basis import LandmarkBasis
from mien.face.landmark_term import FRAME, Double, Linearised, fields_of, linearise
from mien.face.model import FaceModel, gaze_rotation
from mien.face.offline.crop import Crop
from mien.face.offline.picture import FrameState, Person, Photometry
from mien.face.retargeting import eye_look
from mien.face.rig import INDEX, by_stem
from mien.face.subject import Subject
from mien.frames import EXPRESSIONS, Float

_JAW_OPEN, _MOUTH_CLOSE = INDEX["jawOpen"], INDEX["mouthClose"]


_PIXEL_RIDGE = by_stem(
    {"jawForward": 6.0, "mouthRoll": 2.0, "mouthShrug": 2.0, "mouthPress": 2.0, "mouthDimple": 2.0,
     "noseSneer": 1.5, "cheekSquint": 2.0, "cheekPuff": 2.0, "jawOpen": 0.3, "eyeBlink": 0.3},
    others=1.0,
)  # fmt: skip
"""(52,) weight per shape: what a camera sees badly, or mistakes for something else, stays small.
Cheeks and stretched lips are less held than by landmarks alone (`fitting`): their shading shows in the pixels."""


@dataclass(frozen=True, slots=True)
class Weights:
    """How strongly what counts. Landmarks count 1 per squared cm, summed over the landmarks.

    pixels: times the mean square colour difference; ridge: draws expression weights to zero, times a weight per
    shape; steadiness: to where the iteration started (the landmark fit); rounds: iterations
    at each level, coarse to fine; stride: at the fine levels every so many pixels are enough.
    """

    landmarks: float = 1.0
    pixels: float = 3e5
    ridge: float = 1.2
    steadiness: float = 0.3
    damping: float = 1e-2
    rounds: tuple[int, ...] = (3, 2)
    strides: tuple[int, ...] = (1, 2)


@dataclass(frozen=True, slots=True)
class Solved:
    """information: (58, 58), the last normal equations with all priors; error: weighted root mean square of the
    difference in colour, in [0, 1], before the last step.
    """

    state: FrameState
    information: Double
    error: float


class FrameSolver:
    """Solves frame after frame of one person. Not thread-safe."""

    def __init__(self, model: FaceModel, photometry: Photometry) -> None:
        self.basis = LandmarkBasis.of(model)
        self.weights = Weights()
        self._photometry = photometry
        self._prior = self.weights.ridge * _PIXEL_RIDGE
        self._fields = fields_of(self.basis)

    def solve(
        self,
        person: Person,
        crops: Sequence[Crop],
        points: Float,
        camera: Camera,
        start: FrameState,
        *,
        used: Sequence[NDArray[Any]] | None = None,
    ) -> Solved:
        """crops: the frame at each level, coarse first. points: (478, 2 or 3) px of the whole picture, which
        `camera` saw. start: where to begin, e.g. the landmark fit under the light of the frame before; not changed.
        used: for each level (S, S) bool, the pixels that may be looked at.
        """
        state = start.copy()
        before = start.expression.copy()
        error, information = 0.0, np.eye(FRAME)
        for level, crop in enumerate(crops):
            allowed = None if used is None else used[level]
            for _ in range(self.weights.rounds[level]):
                look(state, start)
                drawn = self._photometry.draw(person, state, crop, used=allowed)
                stride = self.weights.strides[level]
                matrix, right, square = self._photometry.equations(
                    drawn, state, crop, used=allowed, stride=stride
                )
                marks = landmark_rows(self.basis, person.subject, points, camera, state, self._fields)
                information = self._step(matrix, right, marks, state, before)
                error = float(np.sqrt(square))
        return Solved(state, information, error)

    def add_priors(self, matrix: Double, right: Double, state: FrameState) -> None:
        """Add what is expected of a frame to normal equations whose unknowns are changes of `state`. Weights that
        the box holds are taken out.
        """
        weights = np.arange(EXPRESSIONS)
        matrix[weights, weights] += self._prior
        right[:EXPRESSIONS] -= self._prior * state.expression
        poses = np.arange(EXPRESSIONS, FRAME)
        matrix[poses, poses] *= 1 + self.weights.damping
        held = np.flatnonzero(UNSEEN | ((state.expression <= 0) & (right[:EXPRESSIONS] < 0)))
        matrix[held, :] = 0
        matrix[:, held] = 0
        matrix[held, held] = 1
        right[held] = 0

    def _step(
        self, photometric: Double, right: Double, marks: Linearised, state: FrameState, before: Float
    ) -> Double:
        weights = self.weights
        matrix, pull = marks.equations(FRAME)
        matrix = weights.landmarks * matrix + weights.pixels * photometric
        pull = weights.landmarks * pull + weights.pixels * right
        # From increments to absolute weights, so that priors and the box are about the weights.
        x = np.zeros(FRAME)
        x[:EXPRESSIONS] = state.expression
        pull += matrix @ x
        expressions = np.arange(EXPRESSIONS)
        matrix[expressions, expressions] += self._prior + weights.steadiness
        pull[:EXPRESSIONS] += weights.steadiness * before
        poses = np.arange(EXPRESSIONS, FRAME)
        matrix[poses, poses] *= 1 + weights.damping
        low, high = np.full(FRAME, -np.inf), np.full(FRAME, np.inf)
        low[:EXPRESSIONS] = np.where(UNSEEN, state.expression, 0)
        high[:EXPRESSIONS] = np.where(UNSEEN, state.expression, 1)
        # Lips cannot close further than the jaw has opened them.
        high[_MOUTH_CLOSE] = max(float(state.expression[_JAW_OPEN]), 0.0)
        x32 = x.astype(np.float32)
        # The weights differ in scale from the pose by orders of magnitude, and the solver is in single precision.
        scale = 1 / np.sqrt(np.diag(matrix))
        scaled = (matrix * scale[:, None] * scale).astype(np.float32)
        y = (x32 / scale).astype(np.float32)
        solve_boxed(
            scaled, (pull * scale).astype(np.float32), y,
            (low / scale).astype(np.float32), (high / scale).astype(np.float32),
            np.empty((FRAME, FRAME), np.float32), np.empty(FRAME, np.float32), np.empty(FRAME, np.int64),
        )  # fmt: skip
        move(state, (y * scale - x).astype(np.float64))
        state.expression = np.clip(state.expression, low[:EXPRESSIONS], high[:EXPRESSIONS]).astype(np.float32)
        return matrix


def landmark_rows(
    basis: LandmarkBasis, subject: Subject, points: Float, camera: Camera, state: FrameState, fields: Double
) -> Linearised:
    """The landmark term of one frame; fields: of `fields_of`."""
    posed = basis.posed(basis.shape(subject.identity, subject.offsets), state.expression)
    return linearise(basis, points, posed, fields, state.rotation, state.translation, camera)


def look(state: FrameState, start: FrameState) -> None:
    """Keep looking where `start` looks, in camera space, with the head turned under the eyes; the eyeLook shapes, which
    carry the lids along, follow.
    """
    axes = np.stack([gaze_rotation(yaw, pitch)[:, 2] for yaw, pitch in start.gaze])
    x, y, z = (axes @ (state.rotation.T @ start.rotation).T).T
    state.gaze = np.stack([np.arctan2(x, z), np.arcsin(np.clip(y, -1, 1))], axis=1).astype(np.float32)
    follow_gaze(state)


def follow_gaze(state: FrameState) -> None:
    """Set the eyeLook shapes, which carry the lids along, to what the gaze asks for."""
    state.expression[UNSEEN] = eye_look(state.gaze)[UNSEEN]


def hold(state: FrameState) -> None:
    """Put the expression weights back into the box; lips close no further than the jaw has opened them."""
    state.expression = np.clip(state.expression, 0, 1).astype(np.float32)
    state.expression[_MOUTH_CLOSE] = min(state.expression[_MOUTH_CLOSE], state.expression[_JAW_OPEN])


def move(state: FrameState, change: Double) -> None:
    """Add a change (58,) of expression and pose to `state`."""
    state.expression = (state.expression + change[:EXPRESSIONS]).astype(np.float32)
    rotation = np.ascontiguousarray(state.rotation, np.float32)
    rotate_left(rotation, change[EXPRESSIONS : EXPRESSIONS + 3].astype(np.float32))
    state.rotation = rotation
    translation = (state.translation + change[EXPRESSIONS + 3 :]).astype(np.float32)
    translation[2] = min(float(translation[2]), -1.0)
    state.translation = translation
