"""Gaze from the irises: a ball in the head, and where on it the iris centre is seen."""

# mypy: disable-error-code="no-untyped-def,untyped-decorator"
# Kernels are typed by their numba signatures.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

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
_LIMITS = (float(np.radians(50.0)), float(np.radians(40.0)))
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
    at, sure = (_NOWHERE, _NOWHERE) if edges is None else (edges.at, edges.sure)
    if edges is not None and edges.eye_radius is not None:
        # However large an eyeball is, its front lies where the lids are.
        eye_centres = eye_centres - np.array([0, 0, edges.eye_radius - eye_radius], np.float32)
        eye_radius = edges.eye_radius
    gaze = np.empty((2, 2), np.float32)
    _find(
        np.ascontiguousarray(points, np.float32), np.float32(camera.focal), np.float32(camera.cx),
        np.float32(camera.cy), rotation, translation, eye_centres, np.float32(IRIS_DEPTH * eye_radius), before, closed,
        ahead, at, sure, gaze,
    )  # fmt: skip
    return gaze


_NOWHERE = np.zeros((2, 2), np.float32)
_IRISES, _CORNERS = tuple(IRISES), tuple(EYE_CORNERS)
_LIDS = tuple(side[:3] for side in LID_PAIRS)
_ASIDE_UP_DOWN = (GAINS.aside, GAINS.up, GAINS.down)
_EDGE_ASIDE_UP_DOWN = (EDGE_GAINS.aside, EDGE_GAINS.up, EDGE_GAINS.down)
_R1, _R2 = "Array(f4,1,'C',readonly=True)", "Array(f4,2,'C',readonly=True)"
_PAIR = "UniTuple(i8,2)"
_EXACT = {"cache": True, "nogil": True, "error_model": "numpy"}
"""Not `fastmath`: an iris may be nowhere."""


@njit("f8(f4,i8,UniTuple(f8,3))", **_EXACT)
def _exaggerated(gaze, axis, gains):  # pragma: no cover - compiled
    """What irises show, relative to rest -> what the eyes do, in yaw (axis 0) or pitch. gains: aside, up, down."""
    return gaze * gains[0 if axis == 0 else (1 if gaze > 0 else 2)]


@njit(f"f8({_R2},{_PAIR})", **_EXACT)
def _apart(points, pair):  # pragma: no cover - compiled
    a, b = pair
    return np.hypot(points[a, 0] - points[b, 0], points[a, 1] - points[b, 1])


@njit(f"f8({_R2},UniTuple({_PAIR},3),{_PAIR})", **_EXACT)
def _visible(points, lids, corners):  # pragma: no cover - compiled
    """0: the lids hide the iris, 1: they don't."""
    width = _apart(points, corners)
    apart = (_apart(points, lids[0]) + _apart(points, lids[1]) + _apart(points, lids[2])) / 3
    share = (apart / max(width, 1e-6) - _SHUT) / (_OPEN - _SHUT)
    return min(max(share, 0.0), 1.0)


@njit("f8(f4)", **_EXACT)
def _open(closed):  # pragma: no cover - compiled
    return min(max((_BLINKING[1] - closed) / (_BLINKING[1] - _BLINKING[0]), _LEAK), 1.0)


@njit(f"void({_R2},f4,f4,f4,{_R2},{_R1},{_R2},f4,{_R2},{_R1},{_R1},{_R2},{_R2},f4[:,::1])", **_EXACT)
def _find(
    points, focal, cx, cy, rotation, translation, centres, reach, before, closed, ahead, at, sure, out
):  # pragma: no cover - compiled
    """out (2, 2): see `gaze_of`. centres: (2, 3); reach: cm from them to the middle of an iris; at, sure: `Edges`."""
    trust = np.empty(2, np.float32)
    shown = np.empty(2, np.float32)
    for eye in range(2):
        iris = _IRISES[eye]
        if np.isfinite(points[iris, 0]) and np.isfinite(points[iris, 1]):
            trust[eye] = _visible(points, _LIDS[eye], _CORNERS[eye]) * _open(closed[eye])
            iris_direction(points[iris], focal, cx, cy, rotation, translation, centres[eye], reach, out[eye])
        else:
            out[eye], trust[eye] = before[eye], 0
        for axis in range(2):
            out[eye, axis] = ahead[axis] + _exaggerated(out[eye, axis] - ahead[axis], axis, _ASIDE_UP_DOWN)
        if sure[eye, 0] != 0 or sure[eye, 1] != 0:
            iris_direction(at[eye], focal, cx, cy, rotation, translation, centres[eye], reach, shown)
            for axis in range(2):
                edge = ahead[axis] + _exaggerated(shown[axis] - ahead[axis], axis, _EDGE_ASIDE_UP_DOWN)
                out[eye, axis] += sure[eye, axis] * (edge - out[eye, axis])
    # A shut eye follows the open one, relative to where both were; with both shut all is held.
    total = trust[0] + trust[1]
    if total < 1e-3:
        out[:] = before
        return
    for axis in range(2):
        left, right = out[0, axis] - before[0, axis], out[1, axis] - before[1, axis]
        common = (trust[0] * left + trust[1] * right) / total
        some = min(total, 1.0)
        left = before[0, axis] + (trust[0] * left + (1 - trust[0]) * common) * some
        right = before[1, axis] + (trust[1] * right + (1 - trust[1]) * common) * some
        mean = (left + right) / 2
        limit = _LIMITS[axis]
        out[0, axis] = min(max(left + _TOGETHER[axis] * (mean - left), -limit), limit)
        out[1, axis] = min(max(right + _TOGETHER[axis] * (mean - right), -limit), limit)
