"""Getting to know a face: identity, per-landmark offsets and the resting expression, from a few frames.

Block coordinate descent: pose and expression of each key frame with the face held (`Fitter`), then the
face with all poses held (linear least squares; identity by ridge regression, offsets landmark by
landmark from what identity cannot explain). `Enrolment` does it in bounded steps of one key frame, so
that a live tracker can spread the work over its frames; `enrol` runs it to the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from mien.errors import NoFaceError
from mien.face.camera import Camera, rotation_matrix
from mien.face.fitting import UNSEEN, Fit, Fitter, Tuning
from mien.face.fitting_kernels import iris_direction, shape_equations
from mien.face.focal import FocalSearch
from mien.face.gaze import IRIS_DEPTH
from mien.face.landmark_basis import IRISES, LANDMARKS, LIP_PAIRS, LandmarkBasis
from mien.face.model import FaceModel
from mien.face.rig import BLINKS, INDEX
from mien.face.subject import Subject
from mien.frames import EXPRESSIONS, Float

_CAPACITY = 16
_MODES = 60
"""Identity modes that are estimated: the finer ones of a large basis are below the landmarks' noise."""
_IDENTITY_PRIOR = 0.15
"""Ridge per key frame, squared cm per squared standard deviation."""
_OFFSET_PRIOR = 0.06
"""Ridge per key frame on offsets; also holds what no key frame shows, such as depth seen from the front."""
_MOST_OFFSET_CM = 1.5
_ROUNDS = 6
_NOVEL = 0.35
"""Distance from all key frames, in pose (radians) and expression (weights), that makes a frame news."""
_LENS_KEYS, _LENS_TURN = 8, 0.2
"""Key frames, and radians between the outermost of them, without which the lens is not asked for."""
_CALM_PERCENTILE = 30
"""Of each weight over the early frames: somebody who talks still passes through rest."""
_TUNING = Tuning(steadiness=0.0)
_BLINKS = list(BLINKS)
_MOST_NEUTRAL_BLINK = 0.5
_JAW_OPEN = INDEX["jawOpen"]
_GAINS = np.ones(EXPRESSIONS, np.float32)
_GAINS[_JAW_OPEN] = 1.1
_GAINS[[INDEX["eyeWideLeft"], INDEX["eyeWideRight"]]] = 1.5
"""A fit is drawn towards rest: it reports nine tenths of a mouth's opening, and two thirds of eyes opened wide."""
_MOST_EYE_CM = 0.2
_MOST_CLOSED = 0.4
_UPPER_LIP, _LOWER_LIP = (np.array(points) for points in zip(*LIP_PAIRS, strict=True))
_MOST_PARTED = 0.5
"""Of jawOpen, taken out of the offsets in one round."""


@dataclass(slots=True)
class _Key:
    """A frame that the face is estimated from. `calm`: it also tells how the face rests."""

    points: Float
    fit: Fit
    calm: bool


class Enrolment:
    """The face as known so far, and the key frames that it is known from. Not thread-safe."""

    def __init__(self, model: FaceModel, camera: Camera, capacity: int = _CAPACITY) -> None:
        self.camera = camera
        self._guess = camera.focal
        self.capacity = capacity
        self.rounds = 0
        self._model = model
        self._basis = LandmarkBasis.of(model)
        self._fitter = Fitter(model, camera, tuning=_TUNING)
        self._modes = np.ascontiguousarray(self._basis.identity[:_MODES].transpose(1, 0, 2))
        modes = self._modes.shape[1]
        self._identity = np.zeros(len(self._basis.identity), np.float32)
        self._offsets = np.zeros((LANDMARKS, 3), np.float32)
        self._eyes: list[Float] = []
        self._matrix = np.zeros((modes, modes), np.float32)
        self._right = np.zeros(modes, np.float32)
        self._offset_matrix = np.zeros((LANDMARKS, 3, 3), np.float32)
        self._offset_right = np.zeros((LANDMARKS, 3), np.float32)
        self._row = np.zeros(modes, np.float32)
        self._reach = np.zeros((2, 3), np.float32)
        self._keys: list[_Key] = []
        self._next = 0

    @property
    def keys(self) -> int:
        """How many key frames are held."""
        return len(self._keys)

    @property
    def error(self) -> float:
        """Mean error of the key frames under the face as known, as `Fit.error`."""
        return float(np.mean([key.fit.error for key in self._keys])) if self._keys else float("inf")

    def focal_search(self) -> FocalSearch | None:
        """A search for the focal length among the key frames; None where their poses are too much alike to tell it."""
        turns = np.array([key.fit.rotation for key in self._keys])
        if len(turns) < _LENS_KEYS or np.ptp(turns, axis=0).max() < _LENS_TURN:
            return None
        points, fits = [key.points for key in self._keys], [key.fit for key in self._keys]
        # The first guess stays what is likely, or the same frames would count again with each search.
        return FocalSearch(self._model, self.camera, points, fits, self._guess)

    def look_through(self, camera: Camera) -> None:
        """Go on under another focal length; the rounds that follow find the face that belongs to it."""
        subject = self.subject()
        depth = np.array([1, 1, camera.focal / self.camera.focal], np.float32)
        self.camera = camera
        self._fitter = Fitter(self._model, camera, subject, _TUNING)
        for key in self._keys:
            key.fit = replace(key.fit, translation=key.fit.translation * depth)
        self._forget_round()

    def offer(self, points: Float, fit: Fit | None = None, *, calm: bool = False) -> bool:
        """Keep the frame if it tells something new. `fit`: what tracking made of it; `calm`: keep it to
        learn how the face rests. Returns whether it was kept.
        """
        if fit is None:
            self._fitter.reset()
            fit = self._fitter.fit(points)
        key = _Key(points.copy(), fit, calm)
        if calm and len(self._keys) < self.capacity:
            self._keys.append(key)
            return True
        nearest = [_distance(fit, other.fit) for other in self._keys]
        if nearest and min(nearest) < _NOVEL:
            return False
        if len(self._keys) < self.capacity:
            self._keys.append(key)
            return True
        replaced = self._most_redundant()
        if replaced is None:
            return False
        self._keys[replaced] = key
        return True

    def step(self) -> bool:
        """Work on one key frame; True when that completed a round and the face changed."""
        if not self._keys:
            return False
        self._accumulate(self._keys[self._next])
        self._next += 1
        if self._next < len(self._keys):
            return False
        self._next = 0
        self._solve()
        self.rounds += 1
        return True

    def run(self, rounds: int = _ROUNDS) -> None:
        """Work for that many rounds."""
        for _ in range(rounds * len(self._keys)):
            self.step()

    def subject(self, epoch: int = 0) -> Subject:
        """The face as known now. Raises NoFaceError when no frame was ever offered."""
        calm = [key.fit for key in self._keys if key.calm] or [key.fit for key in self._keys]
        if not calm:
            raise NoFaceError("There is no face to learn. Use a picture or clip that shows one.")
        neutral = np.percentile([fit.expression for fit in calm], _CALM_PERCENTILE, axis=0).astype(np.float32)
        neutral[UNSEEN] = 0
        neutral[_BLINKS] = np.minimum(neutral[_BLINKS], _MOST_NEUTRAL_BLINK)
        return Subject(
            model=self._basis.name,
            identity=_frozen(self._identity),
            camera=self.camera,
            offsets=_frozen(self._offsets),
            neutral=_frozen(neutral),
            gains=_frozen(_GAINS),
            rest_rotation=_frozen(np.median([fit.rotation for fit in calm], axis=0)),
            rest_translation=_frozen(np.median([fit.translation for fit in calm], axis=0)),
            rest_gaze=_frozen(np.median([fit.gaze for fit in calm], axis=0)),
            epoch=epoch,
        )

    def _accumulate(self, key: _Key) -> None:
        self._fitter.resume(key.fit)
        key.fit = fit = self._fitter.fit(key.points)
        camera = self.camera
        rotation = rotation_matrix(fit.rotation)
        self._note_eyes(key, rotation)
        shape = self._basis.shape(self._identity, np.zeros_like(self._offsets))
        posed = self._basis.posed(shape, fit.expression)
        shape_equations(
            np.ascontiguousarray(key.points[:, :2]), np.ascontiguousarray(posed), self._basis.trust,
            np.float32(camera.focal), np.float32(camera.cx), np.float32(camera.cy),
            self._modes, rotation, fit.translation,
            self._matrix, self._right, self._offset_matrix, self._offset_right, self._row, self._reach,
        )  # fmt: skip

    def _solve(self) -> None:
        frames, modes = len(self._keys), len(self._right)
        if modes:
            normal = np.tril(self._matrix).astype(np.float64)
            normal += np.tril(normal, -1).T
            before = self._identity[:modes].astype(np.float64)
            right = self._right + normal @ before
            normal[np.diag_indices(modes)] += _IDENTITY_PRIOR * frames
            change = np.linalg.solve(normal, right) - before
            self._identity[:modes] += change.astype(np.float32)
            # The offsets explain what the new identity leaves over.
            moved = self._modes.transpose(0, 2, 1) @ change.astype(np.float32)
            self._offset_right -= (self._offset_matrix @ moved[:, :, None])[:, :, 0]
        regular = self._offset_matrix + np.eye(3, dtype=np.float32) * np.float32(_OFFSET_PRIOR * frames)
        offsets = np.linalg.solve(regular, self._offset_right[:, :, None])[:, :, 0]
        sealed = self._sealed(offsets.astype(np.float32)) * (self._basis.trust > 0)[:, None]
        self._offsets = np.clip(sealed, -_MOST_OFFSET_CM, _MOST_OFFSET_CM)
        if self._eyes:
            # Corners and irises tell the height of the eyeballs to a millimetre or so, which is five degrees of
            # gaze: on the whole, whoever sits down before a camera looks nearer to it than that.
            self._offsets[list(IRISES)] = np.clip(np.median(self._eyes, axis=0), -_MOST_EYE_CM, _MOST_EYE_CM)
        self._forget_round()
        self._fitter.use(self.subject())

    def _forget_round(self) -> None:
        self._next = 0
        self._eyes.clear()
        for accumulated in (self._matrix, self._right, self._offset_matrix, self._offset_right):
            accumulated[:] = 0

    def _note_eyes(self, key: _Key, rotation: Float) -> None:
        """By how much the eyeballs would have to lie elsewhere, (2, 3) cm, to look into the camera."""
        fit, camera = key.fit, self.camera
        if fit.closed.max() > _MOST_CLOSED:
            return
        offsets = self._offsets.copy()
        offsets[list(IRISES)] = 0
        centres = self._basis.placed_eyes(self._identity, offsets)
        radius = np.float32(IRIS_DEPTH * self._basis.eye_radius)
        seen = np.empty((2, 2), np.float32)
        for eye, iris in enumerate(IRISES):
            iris_direction(
                np.ascontiguousarray(key.points[iris, :2]),
                np.float32(camera.focal), np.float32(camera.cx), np.float32(camera.cy),
                rotation, fit.translation, centres[eye], radius, seen[eye],
            )  # fmt: skip
        wanted = rotation.T @ -fit.translation - centres
        wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
        self._eyes.append(radius * (_glance(seen) - wanted) * np.array((1, 1, 0), np.float32))

    def _sealed(self, offsets: Float) -> Float:
        """Everybody's lips meet at rest. Somebody who talks while being enrolled would otherwise have the open
        mouth taken for shape, and the avatar's would stay shut: so whatever parts the lips in the offsets is
        handed back to the jaw, and what then still parts a pair of points is shared out.
        """
        upper, lower = _UPPER_LIP, _LOWER_LIP
        jaw = self._basis.expression[_JAW_OPEN].T
        parted = (offsets[upper, 1] - offsets[lower, 1]).mean() / (jaw[upper, 1] - jaw[lower, 1]).mean()
        sealed = offsets - np.float32(np.clip(parted, -_MOST_PARTED, _MOST_PARTED)) * jaw
        left_over = (sealed[upper, 1] - sealed[lower, 1]) / 2
        sealed[upper, 1] -= left_over
        sealed[lower, 1] += left_over
        return np.asarray(sealed, np.float32)

    def _most_redundant(self) -> int | None:
        """The key frame, calm ones aside, that lies nearest to another."""
        least, which = np.inf, None
        for i, key in enumerate(self._keys):
            if key.calm:
                continue
            nearest = min(_distance(key.fit, other.fit) for other in self._keys if other is not key)
            if nearest < least:
                least, which = nearest, i
        return which


def enrol(model: FaceModel, camera: Camera, frames: Iterable[Float], rounds: int = _ROUNDS) -> Subject:
    """Learn a face from landmarks of one portrait or of many frames of one person.

    frames: (478, 2 or 3) float32 px each, under `camera`; of many, as many as count are used, evenly
    spread. Raises NoFaceError when there are none.
    """
    points = list(frames)
    enrolment = Enrolment(model, camera)
    if len(points) > enrolment.capacity:
        points = [points[i] for i in np.linspace(0, len(points) - 1, enrolment.capacity).round().astype(int)]
    for one in points:
        enrolment.offer(one, calm=True)
    enrolment.run(rounds)
    return enrolment.subject()


def _distance(a: Fit, b: Fit) -> float:
    pose = a.rotation - b.rotation
    expression = a.expression - b.expression
    return float(np.sqrt(4 * (pose @ pose) + expression @ expression))


def _glance(gaze: Float) -> Float:
    """(2, 2) yaw and pitch -> (2, 3) unit vectors, head space."""
    yaw, pitch = gaze[:, 0], gaze[:, 1]
    return np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], axis=1)


def _frozen(array: Float) -> Float:
    copy = np.array(array, np.float32)
    copy.setflags(write=False)
    return copy
