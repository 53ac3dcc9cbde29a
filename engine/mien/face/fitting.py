"""Real-time fitting: head pose and expression of a known face from its landmarks.

Gauss-Newton on the perspective reprojection error, all unknowns together, expression weights in a box,
with a prior that draws them to zero and to the frame before (as Thies et al. 2016, "Face2Face", section
4, with landmarks in place of pixels). Two iterations a frame, started from the frame before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.face.camera import Camera, axis_angle, rotation_matrix
from mien.face.eyelids import Eyelids
from mien.face.fitting_kernels import (
    POSE,
    add_priors,
    follow_corners,
    normal_equations,
    project,
    rotate_left,
    solve_boxed,
)
from mien.face.gaze import LIMBUS, Edges, gaze_of
from mien.face.iris import Irises
from mien.face.landmark_basis import (
    EYE_CORNERS,
    LANDMARKS,
    LID_PAIRS,
    LIP_PAIRS,
    MESH,
    OUTER_CORNERS,
    LandmarkBasis,
)
from mien.face.model import FaceModel, gaze_rotation
from mien.face.retargeting import eye_look
from mien.face.rig import INDEX, by_stem, names_mask
from mien.face.similarity import similarity
from mien.face.subject import Subject
from mien.frames import EXPRESSIONS, Bytes, Float

_UNKNOWNS = EXPRESSIONS + POSE
_ACQUIRE_ROUNDS = (4, 8)
"""Iterations of pose alone, then of everything, when a face comes into view."""
_LOST_ERROR = 0.12
"""Error (of the eye distance) at which the state of the frame before is a wrong start, not a start."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """How strongly the fit trusts what. Units: squared cm per unit weight, see `fitting_kernels`."""

    ridge: float = 1.2
    """draws weights to zero, times the weight per shape"""
    steadiness: float = 0.6
    """draws weights to the frame before"""
    pose_damping: float = 1e-3
    lip_weight: float = 3.0
    lid_weight: float = 3.0


DEFAULT = Tuning()


@dataclass(frozen=True, slots=True)
class Fit:
    """What was fitted to one frame; the arrays have the meaning that `FaceParams` gives them.

    error: mean distance between landmarks and projected model, as a fraction of the distance between
    the outer eye corners as if seen from the front.
    closed: (2,) float32 in [0, 1], how far the left and right lids are closed.
    """

    rotation: Float
    translation: Float
    expression: Float
    gaze: Float
    closed: Float
    error: float


@dataclass(frozen=True, slots=True)
class Sight:
    """The picture that landmarks were found in, (H, W, 3) uint8, contiguous, and what is known of the eyes in it."""

    pixels: Bytes
    irises: Irises


_LANDMARK_RIDGE: Float = by_stem(
    {
        "jawForward": 6.0,  # not seen from the front
        "cheekPuff": 4.0,  # landmarks of the cheek barely move
        "cheekSquint": 3.0,
        "mouthRoll": 2.0,
        "mouthShrug": 2.0,
        "mouthPress": 2.0,
        "mouthDimple": 2.0,
        "mouthStretch": 1.5,
        "noseSneer": 1.5,
        "eyeSquint": 2.0,
        "jawOpen": 0.3,
        "eyeBlink": 0.3,
    },
    others=1.0,
).astype(np.float32)
"""(52,) weight per shape: landmarks say little about some, and some are mistaken for others."""
UNSEEN = names_mask("eyeLook", "tongueOut")
"""eyeLook follows from the irises; no landmark shows a tongue."""
_SEEN: Float = (~UNSEEN).astype(np.float32)
_LIDS = names_mask("eyeBlink", "eyeWide", "eyeSquint")
"""What sets the height of the open eye at rest."""
_CORNERS = np.array([point for side in EYE_CORNERS for point in side], np.int32)
_TO_CORNERS = np.array([0.76, 0.27], np.float32)
"""How far the eyeballs go along with the corners of the eyes, aside and up: what suits the drawn people best that
`benchmarks/gaze.py` tunes by; it measures with others.
"""
_JAW_OPEN, _MOUTH_CLOSE = INDEX["jawOpen"], INDEX["mouthClose"]


class Fitter:
    """Fits one face, frame after frame. Not thread-safe.

    Without a `subject` the model's mean face is fitted.
    """

    def __init__(
        self, model: FaceModel, camera: Camera, subject: Subject | None = None, tuning: Tuning = DEFAULT
    ) -> None:
        self.basis = LandmarkBasis.of(model)
        self.camera = camera
        self.tuning = tuning
        self._ridge = _LANDMARK_RIDGE * np.float32(tuning.ridge)
        self._pairs = np.array([pair for side in LID_PAIRS for pair in side] + list(LIP_PAIRS), np.int32)
        lids = sum(len(side) for side in LID_PAIRS)
        self._pair_weights = np.full(len(self._pairs), tuning.lip_weight, np.float32)
        self._pair_weights[:lids] = tuning.lid_weight
        self._matrix = np.zeros((_UNKNOWNS, _UNKNOWNS), np.float32)
        self._factor = np.zeros((_UNKNOWNS, _UNKNOWNS), np.float32)
        self._right = np.zeros(_UNKNOWNS, np.float32)
        self._work = np.zeros(_UNKNOWNS, np.float32)
        self._held = np.zeros(_UNKNOWNS, np.int64)
        rows = 2 * (LANDMARKS + len(self._pairs))
        self._jacobian = np.zeros((_UNKNOWNS, rows), np.float32)
        self._residual = np.zeros(rows, np.float32)
        self._reach = np.zeros((12, LANDMARKS), np.float32)
        self._projected = np.zeros((LANDMARKS, 2), np.float32)
        self._low = np.full(_UNKNOWNS, -np.inf, np.float32)
        self._high = np.full(_UNKNOWNS, np.inf, np.float32)
        self.use(subject)
        self.reset()

    def use(self, subject: Subject | None) -> None:
        """Fit this person from the next frame on; the pose goes on from where it is."""
        identity = np.zeros(0, np.float32) if subject is None else subject.identity
        offsets = np.zeros((LANDMARKS, 3), np.float32) if subject is None else subject.offsets
        self.base = self.basis.shape(identity, offsets)
        self.eye_centres = self.basis.placed_eyes(identity, offsets)
        self._ahead = np.zeros(2, np.float32) if subject is None else _to_camera(subject)
        self._neutral = np.ascontiguousarray(self.base.T)
        right, left = OUTER_CORNERS
        self._across_cm = float(np.linalg.norm(self.base[left] - self.base[right]))
        rest = np.zeros(EXPRESSIONS, np.float32) if subject is None else np.where(_LIDS, subject.neutral, 0)
        self.lids = Eyelids(self.posed(np.asarray(rest, np.float32)), self.basis.expression)

    def reset(self) -> None:
        """Forget the pose: the next frame may show the face anywhere."""
        self._rotation = np.eye(3, dtype=np.float32)
        self._translation = np.zeros(3, np.float32)
        self._expression = np.zeros(EXPRESSIONS, np.float32)
        self._gaze = np.zeros((2, 2), np.float32)
        self._hold_look()
        self._found = False

    def resume(self, fit: Fit) -> None:
        """Go on as if `fit` was that of the frame before."""
        self._rotation = rotation_matrix(fit.rotation)
        self._translation = fit.translation.copy()
        self._expression = fit.expression.copy()
        self._gaze = fit.gaze.copy()
        self._hold_look()
        self._found = True

    def fit(self, points: Float, iterations: int = 2, sight: Sight | None = None) -> Fit:
        """points: (478, 2 or 3) px, as `FaceLandmarks` gives them (z only helps to start); sight: to look for the
        irises in the picture itself.
        """
        seen = np.ascontiguousarray(points[:, :2], np.float32)
        if self._found:
            fit = self._track(seen, iterations, sight)
            if fit.error < _LOST_ERROR:
                return fit
        self._acquire(points, seen)
        return self._track(seen, iterations, sight)

    def project(self, fit: Fit) -> Float:
        """Where the fitted landmarks lie in the picture, (478, 2) float32 px (irises: meaningless)."""
        projected = np.empty((LANDMARKS, 2), np.float32)
        self._distance(projected, rotation_matrix(fit.rotation), fit.translation, fit.expression, projected)
        return projected

    def _distance(
        self, seen: Float, rotation: Float, translation: Float, expression: Float, out: Float
    ) -> float:
        """Project into `out`, return the mean distance in px from `seen`."""
        camera = self.camera
        return float(
            project(
                seen, self._neutral, self.basis.expression, self.basis.trust,
                np.float32(camera.focal), np.float32(camera.cx), np.float32(camera.cy),
                rotation, translation, expression, out,
            )
        )  # fmt: skip

    def posed(self, expression: Float) -> Float:
        """(52,) -> (478, 3) float32 landmarks of this person with that expression, cm, head space."""
        return self.basis.posed(self.base, expression)

    def _track(self, seen: Float, iterations: int, sight: Sight | None) -> Fit:
        before = self._expression.copy()
        steadiness = np.float32(self.tuning.steadiness)
        # The irises say nothing before it is known where the head has gone.
        self._iterate(seen, before, steadiness)
        edges = None if sight is None else self._edges(seen, sight)
        self._look(seen, self._closed(seen), edges)
        for _ in range(iterations - 1):
            self._iterate(seen, before, steadiness)
        return self._result(seen)

    def _acquire(self, points: Float, seen: Float) -> None:
        self.reset()
        self._start(points)
        self._found = True
        pose_only, everything = _ACQUIRE_ROUNDS
        nothing = np.zeros(EXPRESSIONS, np.float32)
        for _ in range(pose_only):
            self._iterate(seen, nothing, np.float32(1e4))
        self._look(seen, np.zeros(2, np.float32))
        for _ in range(everything):
            self._iterate(seen, self._expression, np.float32(0))

    def _start(self, points: Float) -> None:
        """Pose from a similarity between face and landmarks with their rough depth."""
        firm = self.basis.trust[:MESH] > 0.5
        target = points[:MESH][firm] * np.array([1, -1, -1], np.float32)
        if points.shape[1] == 2:
            target = np.column_stack([target, np.zeros(len(target), np.float32)])
        source = self.base[:MESH][firm]
        centre, origin = target.mean(axis=0), source.mean(axis=0)
        rotation = similarity(source, target)[1].astype(np.float32)
        # Apparent size from x and y alone: the depth of landmarks is a guess.
        flat = ((source - origin) @ rotation.T)[:, :2]
        px_per_cm = float(np.sqrt(((target - centre)[:, :2] ** 2).sum() / (flat**2).sum()))
        depth = self.camera.focal / max(px_per_cm, 1e-6)
        place = np.array(
            [
                (centre[0] - self.camera.cx) * depth / self.camera.focal,
                (centre[1] + self.camera.cy) * depth / self.camera.focal,
                -depth,
            ]
        )
        self._rotation = np.ascontiguousarray(rotation)
        self._translation = np.asarray(place - rotation @ origin, np.float32)

    def _closed(self, seen: Float) -> Float:
        """How far each lid is closed against the open eye of the present gaze, (2,)."""
        return self.lids.closed(seen, self.camera, self._rotation, self._translation, self._expression)

    def _eyes_in(self, seen: Float) -> Float:
        """Eyeball centres, (2, 3) cm, head space, moved to where the eye corners are seen.

        A fit that turns the head too far or too little shifts it in return, and the eyeballs, which lie
        deeper than the skin, beside the eyes: between the fit and the corners they are nearest to the
        truth. Less so upwards: corners are found higher when the eyes look up.
        """
        camera, centres = self.camera, self.eye_centres.copy()
        follow_corners(
            seen, self.base, _CORNERS, np.float32(camera.focal), np.float32(camera.cx), np.float32(camera.cy),
            self._rotation, self._translation, _TO_CORNERS, centres,
        )  # fmt: skip
        return centres

    def _edges(self, seen: Float, sight: Sight) -> Edges:
        """The irises in the picture, looked for under the gaze of the frame before."""
        at, sure = np.empty((2, 2), np.float32), np.empty((2, 2), np.float32)
        across = self._rotation[:, 0]
        px_per_cm = self.camera.focal / -float(self._translation[2])
        for eye in range(2):
            gaze = self._rotation @ gaze_rotation(*self._gaze[eye])[:, 2]
            at[eye], sure[eye] = sight.irises.find(sight.pixels, seen, eye, px_per_cm, across, gaze)
        irises = sight.irises
        return Edges(at, sure, irises.radius_cm / LIMBUS if irises.known else None)

    def _look(self, seen: Float, closed: Float, edges: Edges | None = None) -> None:
        """Set what the irises decide: gaze and the eyeLook shapes, which carry the lids along.

        closed: (2,) as far as is known before the gaze is.
        """
        self._gaze = gaze_of(
            seen, self.camera, self._rotation, self._translation,
            self._eyes_in(seen), self.basis.eye_radius, self._gaze, closed, self._ahead, edges,
        )  # fmt: skip
        self._hold_look()

    def _hold_look(self) -> None:
        self._low[:EXPRESSIONS] = look = eye_look(self._gaze)
        np.add(look, _SEEN, out=self._high[:EXPRESSIONS])

    def _iterate(self, seen: Float, before: Float, steadiness: np.float32) -> None:
        expression, camera = self._expression, self.camera
        normal_equations(
            seen, self._neutral, self.basis.expression, self.basis.trust, self.basis.normal,
            self._pairs, self._pair_weights,
            np.float32(camera.focal), np.float32(camera.cx), np.float32(camera.cy),
            self._rotation, self._translation, expression,
            self._matrix, self._right, self._jacobian, self._residual, self._reach,
        )  # fmt: skip
        x = np.zeros(_UNKNOWNS, np.float32)
        x[:EXPRESSIONS] = expression
        # From increments to absolute weights, so that priors and the box are about the weights.
        damping = np.float32(self.tuning.pose_damping)
        add_priors(self._matrix, self._right, expression, before, self._ridge, steadiness, damping)
        # Lips cannot close further than the jaw has opened them.
        self._high[_MOUTH_CLOSE] = max(float(expression[_JAW_OPEN]), 0.0)
        solve_boxed(self._matrix, self._right, x, self._low, self._high, self._factor, self._work, self._held)
        self._expression = x[:EXPRESSIONS].copy()
        rotate_left(self._rotation, x[EXPRESSIONS : EXPRESSIONS + 3])
        self._translation += x[EXPRESSIONS + 3 :]
        self._translation[2] = min(self._translation[2], -1.0)

    def _result(self, seen: Float) -> Fit:
        expression, translation = self._expression.copy(), self._translation.copy()
        distance_px = self._distance(seen, self._rotation, translation, expression, self._projected)
        across_px = self._across_cm * self.camera.focal / -float(translation[2])
        return Fit(
            rotation=axis_angle(self._rotation),
            translation=translation,
            expression=expression,
            gaze=self._gaze.copy(),
            closed=self._closed(seen),
            error=distance_px / max(across_px, 1e-6),
        )


def _to_camera(subject: Subject) -> Float:
    """Yaw and pitch, (2,), with which the resting head looks into the camera: where its eyes are at rest."""
    x, y, z = rotation_matrix(subject.rest_rotation).T @ -subject.rest_translation
    return np.array([np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))], np.float32)
