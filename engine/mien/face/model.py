"""One format for every 3D morphable face model.

A model is a triangle mesh in head space (right-handed, cm, x to the subject's left, y up, z out of the
face; the origin lies midway between the eyeball centres) with linear identity and expression bases:

    vertices = mean + identity . a + expression . e          (Blanz and Vetter 1999, section 3)

Eyeballs are not part of the expression basis: they are rotated about their centres by the gaze.
On disk it is one `.npz`; floats may be stored as float16.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from mien.frames import Float

Ints = NDArray[np.int32]


class Region(IntEnum):
    """What a triangle belongs to. Values are stable: they are stored in files."""

    FACE = 0
    HEAD = 1
    NECK = 2
    MOUTH_SOCKET = 3
    GUMS = 4
    TEETH = 5
    EYE_LEFT = 6
    EYE_RIGHT = 7
    TONGUE = 8


@dataclass(frozen=True, slots=True)
class Embedding:
    """Landmarks as weighted corners of triangles.

    vertices: (L, 3) int32; weights: (L, 3) float32, rows sum to 1; trust: (L,) float32 in [0, 1], how
    firmly the landmark sits on the surface (0: no counterpart, contours that slide are low).
    """

    vertices: Ints
    weights: Float
    trust: Float

    def apply(self, points: Float) -> Float:
        """points: (..., V, 3) -> (..., L, 3)."""
        corners = points[..., self.vertices, :]
        return np.asarray((corners * self.weights[:, :, None]).sum(axis=-2), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class FaceModel:
    """A 3DMM.

    mean: (V, 3) float32, cm. triangles: (T, 3) int32, counter-clockwise seen from outside.
    uv: (V, 2) float32 in [0, 1], v down. identity: (I, V, 3) float32, cm per unit (unit = one standard
    deviation where it was learned). expression: (52, V, 3) float32, cm at weight 1, order of
    `rig.ARKIT_NAMES`. triangle_region: (T,) int8, values of `Region`. vertex_region: (V,) int8.
    landmarks: MediaPipe's 478 points (iris centres 468 and 473 lie on the eyeballs; the other iris
    points have trust 0). landmarks68: Multi-PIE's 68. eye_centres: (2, 3) float32, left then right.
    eye_radius: cm, of both eyeballs. pivot: (3,) float32, where the head turns on the neck.
    """

    name: str
    mean: Float
    triangles: Ints
    uv: Float
    identity: Float
    identity_names: tuple[str, ...]
    expression: Float
    triangle_region: NDArray[np.int8]
    vertex_region: NDArray[np.int8]
    landmarks: Embedding
    landmarks68: Embedding
    eye_centres: Float
    eye_radius: float
    pivot: Float
    source: str = ""
    """where it comes from and under which licence"""
