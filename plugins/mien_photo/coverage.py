"""How much of a photo avatar there is to draw: a package whose surfaces cover the picture many times over would make
each frame cost seconds.

Every array of it can be well within its range and yet the whole a thicket; so it is posed here as a frame would, in
the portrait's pose and turned as far as heads turn, and the boxes of its triangles are added up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.face.camera import rotation_matrix
from mien.face.subject import Subject
from mien.frames import Float
from mien.render.projection import lens_of, pose_matrix, to_clip
from mien_photo import warp
from mien_photo.anatomy import Skin
from mien_photo.grid import Grid
from mien_photo.posing import Likeness

Ints = NDArray[np.int32]

_MOST = 15.0
"""Pictures. What is made has up to 4."""
_NEAREST_CM = 1.0
_ROW = 0.01
"""Of the picture's side: what a triangle costs in each row beside its pixels."""
_TURNS = np.radians([(0.0, 0.0, 0.0), (15.0, 25.0, 0.0), (-15.0, -25.0, 0.0)])
"""Axis times angle, after the portrait's pose."""


def check(subject: Subject, likeness: Likeness, grid: Grid, skin: Skin, pivot: Float) -> None:
    """Raises `ValueError`, which names the arrays, where there is much more to draw than of any person.

    Arrays are writable and C-contiguous; pivot: (3,) cm, head space, see `FaceModel`.
    """
    lens, frame = lens_of(subject.camera), np.array([1, 0, 0], np.float32)
    home = rotation_matrix(subject.rest_rotation)
    centre = home @ pivot + subject.rest_translation
    resting = pose_matrix(home, subject.rest_translation)
    still = np.zeros_like(likeness.neutral)
    skin_clip, grid_clip = (np.empty((len(points), 4), np.float32) for points in (still, grid.still))
    for turn in _TURNS:
        rotation = rotation_matrix(turn) @ home
        pose = pose_matrix(rotation, centre - rotation @ pivot)
        to_clip(likeness.neutral, pose, lens, skin_clip)
        if not covered(skin_clip, skin.triangles) <= _MOST:
            raise ValueError("neutral is no face: its surface covers the picture again and again")
        warp.grid_to_clip(
            grid.head, grid.still, grid.turn, grid.shift, grid.bound, grid.weights, still, pose, resting, lens, frame,
            grid_clip,
        )  # fmt: skip
        if not covered(grid_clip, grid.triangles) <= _MOST:
            raise ValueError(
                "grid_still, grid_head, grid_turn or grid_shift is none of a person: the grid covers the picture "
                "again and again"
            )


def covered(clip: Float, triangles: Ints) -> float:
    """How many pictures the boxes around triangles (T, 3) of (V, 4) points in clip space would fill;
    infinite where one is not in front of the camera.
    """
    if not (clip[:, 3] >= _NEAREST_CM).all():
        return float("inf")
    places = np.clip(clip[:, :2] / clip[:, 3:], -1, 1) / 2
    a, b, c = (np.take(places, triangles[:, k], axis=0) for k in range(3))
    width, height = (np.maximum(np.maximum(a, b), c) - np.minimum(np.minimum(a, b), c)).T
    return float(((width + _ROW) * height).sum())
