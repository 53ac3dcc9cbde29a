"""Gaze from the irises: a ball in the head, and where on it the iris centre is seen."""

from __future__ import annotations

from math import dist

import numpy as np

from mien.face.camera import Camera
from mien.face.fitting_kernels import iris_direction
from mien.face.landmark_basis import EYE_CORNERS, LID_PAIRS
from mien.frames import Float

_IRISES = (473, 468)
"""Iris centres of the subject's left and right eye."""
_IRIS_DEPTH = 0.88
"""Distance of the iris plane from the eyeball's centre, in radii."""
_LIMITS = (np.radians(50.0), np.radians(40.0))
_SHUT, _OPEN = 0.10, 0.22
"""Lid distance, of the eye's width, below which an iris is guessed, and above which it is seen."""
_TOGETHER = (0.5, 0.8)
"""How much of the difference between the eyes, in yaw and pitch, is taken for noise: eyes move together."""


def gaze_of(
    points: Float,
    camera: Camera,
    rotation: Float,
    translation: Float,
    eye_centres: Float,
    eye_radius: float,
    before: Float,
) -> Float:
    """Gaze in head space, (2, 2) float32 radians as in `FaceParams`.

    points: (478, 2) px; rotation: (3, 3); eye_centres: (2, 3) cm, head space; before: the gaze of the
    frame before, held by an eye that is shut.
    """
    gaze = np.empty((2, 2), np.float32)
    trust = np.empty(2, np.float32)
    for eye, (iris, lids, corners) in enumerate(zip(_IRISES, LID_PAIRS, EYE_CORNERS, strict=True)):
        if not np.isfinite(points[iris]).all():
            gaze[eye], trust[eye] = before[eye], 0
            continue
        trust[eye] = _visible(points, lids, corners)
        iris_direction(
            points[iris], np.float32(camera.focal), np.float32(camera.cx), np.float32(camera.cy),
            rotation, translation, eye_centres[eye], np.float32(_IRIS_DEPTH * eye_radius), gaze[eye],
        )  # fmt: skip
    # A shut eye follows the open one, relative to where both were; with both shut all is held.
    moved = gaze - before
    total = float(trust.sum())
    if total < 1e-3:
        return before
    common = (trust[:, None] * moved).sum(axis=0) / total
    moved = trust[:, None] * moved + (1 - trust[:, None]) * common
    moved *= min(total, 1.0)
    gaze = before + moved
    mean = gaze.mean(axis=0)
    gaze += np.array(_TOGETHER, np.float32) * (mean - gaze)
    return np.asarray(np.clip(gaze, [-_LIMITS[0], -_LIMITS[1]], _LIMITS), np.float32)


def _visible(points: Float, lids: tuple[tuple[int, int], ...], corners: tuple[int, int]) -> float:
    """0: the lids hide the iris, 1: they don't."""
    width = dist(points[corners[0]].tolist(), points[corners[1]].tolist())
    apart = sum(dist(points[upper].tolist(), points[lower].tolist()) for upper, lower in lids[:3]) / 3
    share = (apart / max(width, 1e-6) - _SHUT) / (_OPEN - _SHUT)
    return min(max(share, 0.0), 1.0)
