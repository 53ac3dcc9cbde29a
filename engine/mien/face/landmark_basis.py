"""A face model seen through its landmarks: all that fitting needs, three orders smaller than the mesh."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mien.face.model import EYES, FaceModel
from mien.face.normals import area_normals
from mien.frames import Float

LANDMARKS = 478
MESH = 468
"""Landmarks from here on are irises; they move with the gaze and take no part in the fit."""

IRISES = (473, 468)
"""Iris centres of the subject's left and right eye."""
LID_PAIRS = (
    ((386, 374), (385, 380), (387, 373), (384, 381), (388, 390)),
    ((159, 145), (158, 153), (160, 144), (157, 154), (161, 163)),
)
"""Points above and below one another on the upper and lower lid: of the left eye, of the right."""
LIP_PAIRS = (
    (13, 14), (82, 87), (312, 317), (81, 178), (311, 402), (80, 88), (310, 318), (191, 95), (415, 324),
)  # fmt: skip
"""Points above and below one another on the inner edge of the upper and lower lip."""
EYE_CORNERS = ((263, 362), (33, 133))
"""Outer and inner eye corner: of the left eye, of the right."""
OUTER_CORNERS = (33, 263)
"""Their distance is the yardstick that errors are quoted in."""


@dataclass(frozen=True, slots=True)
class LandmarkBasis:
    """mean: (478, 3) float32, cm. identity: (I, 478, 3). expression: (52, 3, 478), which
    kernels run along. normal: (3, 478) float32, unit, outwards. trust: (478,) float32, 0 for the irises.
    eye_centres: (2, 3), left and right; eye_identity: (I, 2, 3), how they move with the identity.
    """

    name: str
    mean: Float
    identity: Float
    expression: Float
    normal: Float
    trust: Float
    eye_centres: Float
    eye_identity: Float
    eye_radius: float

    @classmethod
    def of(cls, model: FaceModel) -> LandmarkBasis:
        """Read the landmarks off the model. Kept, so asking again for the same model costs nothing."""
        return _read(model)

    def shape(self, identity: Float, offsets: Float) -> Float:
        """identity: (I,) or fewer; offsets: (478, 3) cm -> the neutral landmarks (478, 3) float32, cm."""
        weights = np.asarray(identity, np.float32)
        moved = self.mean + _mixed(weights, self.identity[: len(weights)]) + offsets
        return np.ascontiguousarray(moved, np.float32)

    def posed(self, neutral: Float, expression: Float) -> Float:
        """neutral: (478, 3) cm, as `shape` gives it; expression: (52,) -> (478, 3) float32 with that expression, cm."""
        return np.asarray(neutral + _mixed(expression, self.expression).T, np.float32)

    def placed_eyes(self, identity: Float, offsets: Float) -> Float:
        """Eyeball centres of that face, (2, 3) float32, cm: they follow the corners of the eyes, and what the
        offsets of the irises say besides.
        """
        weights = np.asarray(identity, np.float32)
        centres = self.eye_centres + _mixed(weights, self.eye_identity[: len(weights)])
        corners = offsets[np.array(EYE_CORNERS)].mean(axis=1)
        return np.asarray(centres + corners + offsets[list(IRISES)], np.float32)


def _mixed(weights: Float, modes: Float) -> Float:
    """weights: (N,), modes: (N, A, B) -> (A, B): numpy's `tensordot` takes several times as long to get there."""
    count, rows, columns = modes.shape
    return np.asarray((weights @ modes.reshape(count, rows * columns)).reshape(rows, columns))


@lru_cache(maxsize=4)
def _read(model: FaceModel) -> LandmarkBasis:
    landmarks = model.landmarks
    trust = landmarks.trust.copy()
    trust[MESH:] = 0
    eyes = [model.identity[:, model.vertex_region == eye].mean(axis=1) for eye in EYES]
    return LandmarkBasis(
        name=model.name,
        mean=landmarks.apply(model.mean),
        identity=np.ascontiguousarray(landmarks.apply(model.identity)),
        expression=np.ascontiguousarray(landmarks.apply(model.expression).transpose(0, 2, 1)),
        normal=_normals(model),
        trust=trust,
        eye_centres=model.eye_centres,
        eye_identity=np.stack(eyes, axis=1).astype(np.float32),
        eye_radius=model.eye_radius,
    )


def _normals(model: FaceModel) -> Float:
    """(3, 478) outward normals at the landmarks, from the area-weighted normals of the mesh."""
    normals = model.landmarks.apply(area_normals(model.mean, model.triangles))
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.ascontiguousarray((normals / np.maximum(length, 1e-9)).T, np.float32)
