"""Where MediaPipe's 478 and Multi-PIE's 68 points lie on another model, found by laying mien-head over it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.face.importers.registration import Registration
from mien.face.importers.surface import Doubles, Surface
from mien.face.landmark_basis import LANDMARKS, MESH, OUTER_CORNERS
from mien.face.model import Embedding, FaceModel
from mien.face.normals import vertex_normals

_LOOSE_CM = 0.3
_LOOSE_TRUST = 0.3


@dataclass(frozen=True, slots=True)
class Embedded:
    """Both sets of landmarks; distance: (478,) cm, how far the registered points lay off the surface; eyes_cm: the
    distance between the outer corners of the eyes, the yardstick of errors.
    """

    mediapipe: Embedding
    multi_pie: Embedding
    distance: Doubles
    eyes_cm: float


def embed(head: FaceModel, registration: Registration, surface: Surface) -> Embedded:
    """The points of the irises are left without trust: they belong on the eyeballs, which are not part of `surface`."""
    facing = vertex_normals(registration.points, head.triangles)
    embedded = {}
    for count, own in ((LANDMARKS, head.landmarks), (68, head.landmarks68)):
        weights = own.weights[:, :, None]
        points = (registration.points[own.vertices] * weights).sum(axis=1)
        turned = (facing[own.vertices] * weights).sum(axis=1)
        turned /= np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), 1e-12)
        near = surface.nearest(points, turned)
        trust = np.where(near.distance < _LOOSE_CM, own.trust, np.minimum(own.trust, _LOOSE_TRUST))
        trust[list(range(MESH, count))] = 0
        embedding = Embedding(
            surface.triangles[near.triangle].astype(np.int32),
            near.weights.astype(np.float32),
            trust.astype(np.float32),
        )
        embedded[count] = embedding, near
    embedding, near = embedded[LANDMARKS]
    corners = near.points[list(OUTER_CORNERS)]
    return Embedded(embedding, embedded[68][0], near.distance, float(np.linalg.norm(corners[0] - corners[1])))
