"""What all frames share, from a few of them: focal length, identity, offsets, and the albedo.

Key frames are solved together: the unknowns of each are eliminated (Schur complement), what is left is a small system
in the shared ones (Triggs et al. 2000, "Bundle adjustment: a modern synthesis", section 6). Geometry and albedo take
turns: a wrong shape blurs the albedo, and a blurred albedo holds the shape back only a little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import exp, log

import numpy as np

from mien.face.camera import Camera
from mien.face.focal import PRIOR_SPREAD
from mien.face.landmark_basis import LandmarkBasis
from mien.face.landmark_term import FRAME, Double, fields_of
from mien.face.light import ambient
from mien.face.model import FaceModel, PosedFace
from mien.face.offline.crop import Crop
from mien.face.offline.frame import FrameSolver, hold, landmark_rows, move
from mien.face.offline.picture import FrameState, Person, Photometry
from mien.face.offline.shape import ShapeFields
from mien.face.offline.skin import AlbedoEstimate
from mien.face.reflectance import Reflectance
from mien.face.subject import Subject
from mien.frames import Float
from mien.stage import Rasterizer

ROUNDS = 6
_STRIDE = 2
_UNIT = 1.0
"""Landmark residual, squared cm, that one standard deviation of a shared coefficient may cost, per key frame."""
_ALBEDO_ROUNDS = 2
_LEAST_SEEN = 1.0
"""Pixels from which on the albedo of a node is taken for known."""
_OFF = 0.12
"""Difference in colour over the key frames at which a node is trusted half: hair, shadows, wrinkles."""
_BRIGHTNESS = 0.3, 3.0


@dataclass(slots=True)
class KeyFrame:
    """A frame that the shared unknowns are estimated from. crop: at the coarse level; points: (478, 2 or 3) px of the
    whole picture.
    """

    crop: Crop
    points: Float
    state: FrameState


class Bundle:
    """Estimates a `Person` from key frames. Not thread-safe."""

    def __init__(
        self, model: FaceModel, rasterizer: Rasterizer, fields: ShapeFields, reflectance: Reflectance
    ) -> None:
        self._model = model
        self._fields = fields
        self._reflectance = reflectance
        self._basis = LandmarkBasis.of(model)
        self._moves = fields_of(self._basis, fields.landmarks)
        self._photometry = Photometry(model, rasterizer, fields.vertices)
        self._solver = FrameSolver(model, self._photometry)

    def solve(
        self, subject: Subject, keys: Sequence[KeyFrame], guess: Camera, progress: Callable[[float], None]
    ) -> Person:
        """Estimate the person anew, starting from `subject`; the states (and crops' cameras) of `keys` move along.

        guess: the camera that is expected before anything is seen; the subject's is what the landmarks made of it.
        `progress` is told the share that is done.
        """
        person = self.unpainted(subject)
        self.paint(person, keys, first=True)
        total = np.zeros(len(self._fields.spread))
        for number in range(ROUNDS):
            total += self._adjust(person, keys, total, guess)
            self.paint(person, keys)
            progress((number + 1) / ROUNDS)
        return person

    def unpainted(self, subject: Subject) -> Person:
        """Somebody with the average person's colours."""
        face = PosedFace(self._model, subject.identity, subject.offsets)
        skin = self._photometry.skin
        return Person(subject, face, skin.spread(self._reflectance.average), np.ones(len(skin), np.float32))

    def _adjust(self, person: Person, keys: Sequence[KeyFrame], total: Double, guess: Camera) -> Double:
        """One Gauss-Newton step of everything; returns the change of the shape coefficients (S,)."""
        count = len(total)
        shared, right = np.zeros((count + 1, count + 1)), np.zeros(count + 1)
        kept: list[tuple[Double, Double]] = []
        weights, camera = self._solver.weights, person.subject.camera
        for key in keys:
            drawn = self._photometry.draw(person, key.state, key.crop)
            photometric, pull, _ = self._photometry.equations(
                drawn, key.state, key.crop, shared=True, stride=_STRIDE
            )
            rows = landmark_rows(self._basis, person.subject, key.points, camera, key.state, self._moves)
            matrix, seen = rows.equations()
            matrix = weights.landmarks * matrix + weights.pixels * photometric
            seen = weights.landmarks * seen + weights.pixels * pull
            self._solver.add_priors(matrix, seen, key.state)
            frame = slice(0, FRAME)
            solved = np.linalg.solve(
                matrix[frame, frame], np.column_stack([matrix[frame, FRAME:], seen[frame]])
            )
            shared += matrix[FRAME:, FRAME:] - matrix[FRAME:, frame] @ solved[:, :-1]
            right += seen[FRAME:] - matrix[FRAME:, frame] @ solved[:, -1]
            kept.append((solved[:, :-1], solved[:, -1]))
        ridge = _UNIT * len(keys) / self._fields.spread.astype(np.float64) ** 2
        shared[np.diag_indices(count)] += ridge
        right[:-1] -= ridge * total
        lens_ridge = _UNIT * len(keys) / PRIOR_SPREAD**2
        shared[-1, -1] += lens_ridge
        right[-1] += lens_ridge * log(guess.focal / camera.focal)
        change = np.linalg.solve(shared, right)
        change[-1] = min(max(change[-1], -0.1), 0.1)
        factor = exp(float(change[-1]))
        person.subject = replace(
            self._fields.moved(person.subject, change[:-1].astype(np.float32)),
            camera=replace(camera, focal=camera.focal * factor),
        )
        person.face = PosedFace(self._model, person.subject.identity, person.subject.offsets)
        for key, (by_shared, own) in zip(keys, kept, strict=True):
            move(key.state, own - by_shared @ change)
            hold(key.state)
            lens = key.crop.camera
            key.crop = Crop(key.crop.colours, replace(lens, focal=lens.focal * factor))
        return change[:-1]

    def paint(self, person: Person, keys: Sequence[KeyFrame], *, first: bool = False) -> None:
        """Estimate albedo and the light of `keys` in turns; sets `person.albedo` and `person.trust`."""
        for turn in range(_ALBEDO_ROUNDS + first):
            estimate = AlbedoEstimate(self._photometry.skin)
            for key in keys:
                drawn = self._photometry.draw(person, key.state, key.crop)
                self._photometry.add_albedo(estimate, drawn, key.crop)
            seen = estimate.seen
            albedo = estimate.solve(person.albedo)
            if first and turn == 0:
                # Unknown parts get the colour that the known ones suggest, not the average person's.
                vertices = len(self._model.mean)
                known = np.minimum(seen[:vertices], 20)
                coefficients = self._reflectance.coefficients(albedo[:vertices], known)
                usual = self._photometry.skin.spread(self._reflectance.albedo(coefficients))
                albedo = np.where(seen[:, None] > _LEAST_SEEN, albedo, usual)
            person.albedo = np.asarray(np.clip(albedo, 0.01, 1.2), np.float32)
            self._fix_brightness(person, keys)
        person.trust = self._trusted(person, keys, seen)

    def _fix_brightness(self, person: Person, keys: Sequence[KeyFrame]) -> None:
        """Only the product of albedo and light shows. The light of the clip is taken to be white and of brightness
        1 on the average.
        """
        mean = np.mean([key.state.light[0] for key in keys], axis=0) / ambient()[0]
        gain = np.clip(mean, *_BRIGHTNESS).astype(np.float32)
        person.albedo = np.asarray(person.albedo * gain, np.float32)
        for key in keys:
            key.state.light = np.asarray(key.state.light / gain, np.float32)

    def _trusted(self, person: Person, keys: Sequence[KeyFrame], seen: Float) -> Float:
        """(N,) how well the albedo of each node explains the key frames."""
        skin = self._photometry.skin
        off, weight = np.zeros(len(skin)), np.zeros(len(skin))
        everybody = _trusting(person)
        for key in keys:
            drawn = self._photometry.draw(everybody, key.state, key.crop, relight=False)
            hit = drawn.fine.triangle[0]
            pixels = np.flatnonzero(drawn.picture[:, :, 3] > 0)
            square = ((key.crop.colours - drawn.picture[:, :, :3]) ** 2).mean(axis=2).reshape(-1)[pixels]
            corners = skin.triangles[hit.reshape(-1)[pixels]]
            for corner in range(3):
                off += np.bincount(corners[:, corner], square, len(off))
                weight += np.bincount(corners[:, corner], minlength=len(off))
        mean = off / np.maximum(weight, 1)
        trust = 1 / (1 + mean / _OFF**2)
        return np.asarray(np.where(seen > _LEAST_SEEN, trust, 0.02), np.float32)


def _trusting(person: Person) -> Person:
    """The same person, trusted everywhere."""
    return Person(person.subject, person.face, person.albedo, np.ones_like(person.trust))
