"""Landmarks of made-up people in front of a made-up camera, with everything about them known."""

from __future__ import annotations

import numpy as np

from mien.face.camera import Camera, rotation_matrix
from mien.face.landmark_basis import LandmarkBasis
from mien.face.model import FaceModel, load_model
from mien.face.rig import INDEX
from mien.frames import EXPRESSIONS, Float

CAMERA = Camera.guess(640, 480)


class Person:
    """A face of the built-in model. `seed` chooses identity and how the landmarks lie off the model's."""

    def __init__(self, seed: int = 1, identity: float = 0.7, offsets: float = 0.05) -> None:
        rng = np.random.default_rng(seed)
        self.model: FaceModel = load_model()
        self.basis = LandmarkBasis.of(self.model)
        self.identity = (identity * rng.standard_normal(len(self.basis.identity))).astype(np.float32)
        noise = rng.standard_normal((478, 3)) * offsets * (self.basis.trust > 0)[:, None]
        self.offsets = noise.astype(np.float32)
        self.eyes = self.basis.placed_eyes(self.identity, self.offsets)

    def landmarks(
        self,
        rotation: tuple[float, float, float] = (0, 0, 0),
        translation: tuple[float, float, float] = (0, 0, -60),
        gaze: tuple[float, float] = (0, 0),
        camera: Camera = CAMERA,
        **weights: float,
    ) -> Float:
        """(478, 3) float32 px, as a perfect landmarker would see them. weights: by ARKit name."""
        head = self.basis.shape(self.identity, self.offsets)
        head += np.tensordot(expression(**weights), self.basis.expression, 1).T
        yaw, pitch = gaze
        axis = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], np.float32)
        for iris, centre in ((473, self.eyes[0]), (468, self.eyes[1])):
            head[iris] = centre + 0.88 * self.basis.eye_radius * axis
        seen = head @ rotation_matrix(np.array(rotation)).T + np.array(translation, np.float32)
        px_per_cm = camera.focal / -translation[2]
        depth = -(seen[:, 2:] - translation[2]) * px_per_cm
        return np.column_stack([camera.project(seen.astype(np.float32)), depth]).astype(np.float32)


def expression(**weights: float) -> Float:
    """(52,) float32 from ARKit names."""
    values = np.zeros(EXPRESSIONS, np.float32)
    for name, weight in weights.items():
        values[INDEX[name]] = weight
    return values


def speaking(person: Person, count: int, noise_px: float = 0.0, **weights: float) -> list[Float]:
    """Frames of somebody who turns, talks and blinks a little."""
    rng = np.random.default_rng(3)
    frames = []
    for i in range(count):
        phase = 2 * np.pi * i / 25
        points = person.landmarks(
            rotation=(0.08 * np.sin(phase), 0.2 * np.sin(0.7 * phase), 0.05 * np.cos(phase)),
            translation=(0.5 * np.sin(phase), 0.3, -60 - np.cos(phase)),
            jawOpen=0.2 + 0.2 * np.sin(3 * phase),
            mouthSmileLeft=0.2,
            mouthSmileRight=0.2,
            **weights,
        )
        points[:, :2] += noise_px * rng.standard_normal((478, 2))
        frames.append(points)
    return frames
