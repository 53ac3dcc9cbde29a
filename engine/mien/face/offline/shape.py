"""What is estimated about the shape of a face that all frames share: identity modes and smooth offsets."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mien.face.landmark_basis import LANDMARKS, LandmarkBasis
from mien.face.model import FaceModel
from mien.face.skin_modes import skin_modes
from mien.face.subject import Subject
from mien.frames import Float

_MODES = 40
"""Identity modes that take part; the finer ones of a large basis are below what a clip tells."""
_SMOOTH = 24
"""Smooth fields for each axis; a multiple of 3."""
_IDENTITY_SPREAD, _OFFSET_SPREAD_CM = 1.0, 0.12
_MOST_OFFSET_CM = 1.5


@dataclass(frozen=True, slots=True)
class ShapeFields:
    """Displacement fields that add up to a face's shape beyond what is known of it.

    vertices: (S, V, 3) and landmarks: (S, 478, 3) float32, cm per unit. spread: (S,) how far a coefficient may go,
    one standard deviation. The first `modes` are the identity's; the others are smooth offsets of the landmarks,
    spread over the mesh as `FaceModel.spread` does it, so that a `Subject` can hold the result.
    """

    vertices: Float
    landmarks: Float
    spread: Float
    modes: int

    @classmethod
    def of(cls, model: FaceModel) -> ShapeFields:
        """Takes about a second for the built-in model; keep what it returns."""
        basis = LandmarkBasis.of(model)
        modes = min(_MODES, len(basis.identity))
        smooth = _at_landmarks(model, skin_modes(model, _SMOOTH))
        smooth = smooth * (basis.trust > 0)
        offsets = np.zeros((_SMOOTH, 3, LANDMARKS, 3), np.float32)
        vertices = np.zeros((_SMOOTH, 3, len(model.mean), 3), np.float32)
        for first in range(0, _SMOOTH, 3):
            # The axes don't mix, so one call spreads three fields, one along each axis.
            three = smooth[first : first + 3]
            everywhere = model.spread(np.ascontiguousarray(three.T))
            for k, field in enumerate(three):
                for axis in range(3):
                    offsets[first + k, axis, :, axis] = field
                    vertices[first + k, axis, :, axis] = everywhere[:, k]
        return cls(
            vertices=np.concatenate([model.identity[:modes], vertices.reshape(-1, len(model.mean), 3)]),
            landmarks=np.concatenate([basis.identity[:modes], offsets.reshape(-1, LANDMARKS, 3)]),
            spread=np.concatenate(
                [np.full(modes, _IDENTITY_SPREAD), np.full(3 * _SMOOTH, _OFFSET_SPREAD_CM)]
            ).astype(np.float32),
            modes=modes,
        )

    def moved(self, subject: Subject, change: Float) -> Subject:
        """`subject` with its shape moved by `change` (S,)."""
        identity = np.array(subject.identity, np.float32)
        identity[: self.modes] += change[: self.modes]
        offsets = subject.offsets + np.tensordot(change[self.modes :], self.landmarks[self.modes :], 1)
        offsets = np.clip(offsets, -_MOST_OFFSET_CM, _MOST_OFFSET_CM).astype(np.float32)
        for array in (identity, offsets):
            array.setflags(write=False)
        return replace(subject, identity=identity, offsets=offsets)


def _at_landmarks(model: FaceModel, fields: Float) -> Float:
    """(K, V) values at the vertices -> (K, 478) at the landmarks."""
    corners = fields[:, model.landmarks.vertices]
    return np.asarray((corners * model.landmarks.weights).sum(axis=2), np.float32)
