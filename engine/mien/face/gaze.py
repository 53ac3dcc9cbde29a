"""Gaze from the irises: a ball in the head, and where on it the iris centre is seen."""

from __future__ import annotations

from dataclasses import dataclass
from math import dist

import numpy as np

from mien.face.camera import Camera
from mien.face.fitting_kernels import iris_direction
from mien.face.landmark_basis import EYE_CORNERS, IRISES, LID_PAIRS
from mien.frames import Float

IRIS_DEPTH = 0.88
"""Distance of the iris plane from the eyeball's centre, in radii."""


@dataclass(frozen=True, slots=True)
class Gains:
    """How much further eyes turn than their landmarks show, from where they rest: aside, up, down.

    Were the landmarks right, all would be 1: the geometry is that of the eyeball (`IRIS_DEPTH`), and with the true
    place of its centre it finds 0.95 of the turn upwards and 0.9 sideways. Two things take from it. The
    landmarker draws all of the face a little after the eyes, which looks like a shift of the head (a quarter of the
    turn, up and down), and an iris towards the middle of what the lids leave of it, most when they come down.
    """

    aside: float
    up: float
    down: float


GAINS = Gains(aside=1.25, up=1.3, down=1.65)
"""Found on pictures of known gaze, of people other than those that are measured (`benchmarks/gaze.py`): 1.26, 1.31
and 1.92. Real irises are found better than painted ones: people who nod with their eyes on the camera show
0.6 to 0.8 of the turn, so no gain goes beyond 1 / 0.6.
"""
EDGE_GAINS = Gains(aside=1.3, up=1.33, down=1.4)
"""The same where the picture shows the iris itself: what is left is that the landmarks of the face, and so the eyeballs
that are placed by them, go along with the eyes by a quarter of their turn. Found on people other than those who are
measured by."""
LIMBUS = 0.454
"""Radius of the iris' edge, in radii of the eyeball: the sine of 27 degrees."""
_LIMITS = (np.radians(50.0), np.radians(40.0))
_SHUT, _OPEN = 0.10, 0.22
"""Lid distance, of the eye's width, below which an iris is guessed, and above which it is seen."""
_BLINKING = (0.40, 0.75)
"""Closure from which on the gaze is held a little, and nearly altogether."""
_LEAK = 0.25
"""How much an eye is believed that looks closed: it may be looking down."""
_AHEAD = np.zeros(2, np.float32)
_BOTH_OPEN = np.zeros(2, np.float32)
_TOGETHER = (0.5, 0.8)
"""How much of the difference between the eyes, in yaw and pitch, is taken for noise: eyes move together."""


@dataclass(frozen=True, slots=True)
class Edges:
    """Irises by their edge in the picture (`mien.face.iris`).

    at: (2, 2) px, where their landmarks would be if those were right but for what is wrong with them at rest; sure:
    (2, 2) 0 to 1, how much the picture says about each, aside and up; eye_radius: cm, if their size is known by now.
    """

    at: Float
    sure: Float
    eye_radius: float | None


def gaze_of(
    points: Float,
    camera: Camera,
    rotation: Float,
    translation: Float,
    eye_centres: Float,
    eye_radius: float,
    before: Float,
    closed: Float = _BOTH_OPEN,
    ahead: Float = _AHEAD,
    edges: Edges | None = None,
) -> Float:
    """Gaze in head space, (2, 2) float32 radians as in `FaceParams`.

    points: (478, 2) px; rotation: (3, 3); eye_centres: (2, 3) cm, head space; before: the gaze of the
    frame before, held by an eye that is shut; closed: (2,) in [0, 1], how far each lid is closed, against
    the open eye of that gaze. A lid that falls faster than the gaze could take it along is a blink, in
    which the network guesses an iris that sinks with the lid; ahead: (2,) the person's gaze at rest, from
    which others are exaggerated. edges: where the picture itself shows the irises, if it was looked at.
    """
    gaze = np.empty((2, 2), np.float32)
    trust = np.empty(2, np.float32)
    if edges is not None and edges.eye_radius is not None:
        # However large an eyeball is, its front lies where the lids are.
        eye_centres = eye_centres - np.array([0, 0, edges.eye_radius - eye_radius], np.float32)
        eye_radius = edges.eye_radius
    reach = np.float32(IRIS_DEPTH * eye_radius)
    for eye, (iris, lids, corners) in enumerate(zip(IRISES, LID_PAIRS, EYE_CORNERS, strict=True)):
        if not np.isfinite(points[iris]).all():
            gaze[eye], trust[eye] = before[eye], 0
            continue
        trust[eye] = _visible(points, lids, corners) * _open(float(closed[eye]))
        iris_direction(
            points[iris], np.float32(camera.focal), np.float32(camera.cx), np.float32(camera.cy),
            rotation, translation, eye_centres[eye], reach, gaze[eye],
        )  # fmt: skip
    gaze = _exaggerated(gaze - ahead, GAINS) + ahead
    if edges is not None:
        shown = np.empty(2, np.float32)
        for eye in np.flatnonzero(edges.sure.any(axis=1)):
            iris_direction(
                edges.at[eye], np.float32(camera.focal), np.float32(camera.cx), np.float32(camera.cy),
                rotation, translation, eye_centres[eye], reach, shown,
            )  # fmt: skip
            gaze[eye] += edges.sure[eye] * (_exaggerated(shown - ahead, EDGE_GAINS) + ahead - gaze[eye])
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


def _exaggerated(gaze: Float, gains: Gains) -> Float:
    """What irises show, relative to rest -> what the eyes do, (..., 2)."""
    up = np.where(gaze[..., 1:] > 0, np.float32(gains.up), np.float32(gains.down))
    return np.asarray(gaze * np.concatenate([np.full_like(up, gains.aside), up], axis=-1), np.float32)


def _visible(points: Float, lids: tuple[tuple[int, int], ...], corners: tuple[int, int]) -> float:
    """0: the lids hide the iris, 1: they don't."""
    width = dist(points[corners[0]].tolist(), points[corners[1]].tolist())
    apart = sum(dist(points[upper].tolist(), points[lower].tolist()) for upper, lower in lids[:3]) / 3
    share = (apart / max(width, 1e-6) - _SHUT) / (_OPEN - _SHUT)
    return min(max(share, 0.0), 1.0)


def _open(closed: float) -> float:
    low, high = _BLINKING
    return min(max((high - closed) / (high - low), _LEAK), 1.0)
