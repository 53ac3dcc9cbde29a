"""What stays the same about a face while its `FaceParams` change."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mien.face.camera import Camera
from mien.frames import EXPRESSIONS, Float

REFLECTANCE = 78
"""Size of a reflectance vector."""


def _frozen(array: Float) -> Float:
    array.setflags(write=False)
    return array


@dataclass(frozen=True, slots=True)
class Subject:
    """One person as seen by one camera, in terms of the face model named `model`.

    identity: (I,) float32 coefficients. offsets: (478, 3) float32, cm, head space: where this person's
    landmarks lie off the model's (zero where trust is zero). neutral: (52,) float32, the expression
    weights that the fit reports when this person's face rests; relative transfer subtracts them.
    gains: (52,) float32, how much the person's reported weights are amplified so that a full blink
    reads 1. rest: the reference pose for relative transfer, rotation (3,) and translation (3,), and
    gaze (2, 2). epoch: grows each time any of it but the colouring is estimated anew. person: counts whom the tracker
    met; what one was calibrated to says nothing of the next. reflectance: (78,) float32, the
    colouring (`mien.face.reflectance`); zeros, the average face's, until pictures were looked at for it.
    focal_confidence: 0 (the camera's focal length is a guess) to 1 (measured), see `mien.face.focal.FocalEstimate`.
    rest_light: (9, 3) float32, the light (`mien.face.light`) in which the person was met; zeros when unknown.
    """

    model: str
    identity: Float
    camera: Camera
    offsets: Float = field(default_factory=lambda: _frozen(np.zeros((478, 3), np.float32)))
    neutral: Float = field(default_factory=lambda: _frozen(np.zeros(EXPRESSIONS, np.float32)))
    gains: Float = field(default_factory=lambda: _frozen(np.ones(EXPRESSIONS, np.float32)))
    rest_rotation: Float = field(default_factory=lambda: _frozen(np.zeros(3, np.float32)))
    rest_translation: Float = field(default_factory=lambda: _frozen(np.array([0, 0, -60], np.float32)))
    rest_gaze: Float = field(default_factory=lambda: _frozen(np.zeros((2, 2), np.float32)))
    epoch: int = 0
    person: int = 0
    reflectance: Float = field(default_factory=lambda: _frozen(np.zeros(REFLECTANCE, np.float32)))
    focal_confidence: float = 0.0
    rest_light: Float = field(default_factory=lambda: _frozen(np.zeros((9, 3), np.float32)))
