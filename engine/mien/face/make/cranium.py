"""Cranium and neck: a surface that goes on from the face oval, over and around the head, to the shoulders.

Its shape is star-shaped seen from a point within the head: a smooth radius over directions through the
face's own rim and a few measures of an average head (Farkas 1994: breadth 15, length 19, neck 12 cm).
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.sparse import csr_matrix

from mien.face.make.part import Part, strip
from mien.face.model import Region

Doubles = NDArray[np.float64]

_WITHIN = np.array([0.0, -3.5, -6.5])
ROWS = 15
NECK_BOTTOM = -15.5


def head(loop: list[int], skin: Doubles, inner: list[int]) -> Part:
    """loop: the oval as face vertices in the direction of their triangles; inner: face vertices near it,
    which the surface must go on from smoothly.
    """
    faces, count = len(skin), len(loop)
    with Path(__file__).with_name("cranium.toml").open("rb") as file:
        measures = tomllib.load(file)
    side = np.array(measures["side"], np.float64)
    anchors = [np.array(measures["midline"], np.float64), side, side * (-1, 1, 1)]
    known = np.concatenate([skin[loop], skin[inner], *anchors]) - _WITHIN
    radius = np.linalg.norm(known, axis=1)
    surface = RBFInterpolator(known / radius[:, None], radius, kernel="thin_plate_spline", smoothing=1e-4)

    start = skin[loop] - _WITHIN
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    # Around the oval: angle 0 at the forehead, pi at the chin.
    angle = np.arctan2(skin[loop, 0] / 7.0, (skin[loop, 1] + 3.0) / 8.5)
    front, back, side = (1 - np.cos(angle)) / 2, (1 + np.cos(angle)) / 2, np.sin(angle)
    throat = np.stack([5.4 * side, -5.2 - 7.2 * front**1.3, -8.6 - 4.3 * np.cos(angle)], axis=1)
    bottom = np.stack([5.7 * side, np.full(count, NECK_BOTTOM), -9.0 - 4.4 * np.cos(angle)], axis=1)
    end = throat - _WITHIN
    end /= np.linalg.norm(end, axis=1, keepdims=True)
    way = np.stack(
        [1.05 * side, 0.85 * np.cos(angle) - 0.1, 0.42 * front**2 - 0.75 * back - 0.3 * np.abs(side)], axis=1
    )
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    nape = np.stack([0.75 * side, 0.25 * back - 0.8 * front, 0.3 * front - 0.95 * back], axis=1)
    nape /= np.linalg.norm(nape, axis=1, keepdims=True)

    # Many steps first, then `ROWS` of them evenly spread along each way.
    steps = np.linspace(0, 1, 100)[:, None, None]
    weight = ((1 - steps) ** 3, 3 * steps * (1 - steps) ** 2, 3 * steps**2 * (1 - steps), steps**3)
    direction = weight[0] * start + weight[1] * way + weight[2] * nape + weight[3] * end
    direction /= np.linalg.norm(direction, axis=2, keepdims=True)
    ways = _WITHIN + direction * surface(direction.reshape(-1, 3)).reshape(*direction.shape[:2], 1)
    ending = ((steps - 0.5) / 0.5).clip(0, 1)
    ways = ways + ending**2 * (3 - 2 * ending) * (throat - ways[-1])
    ways = np.concatenate([ways, throat + np.linspace(0.02, 1, 40)[:, None, None] * (bottom - throat)])
    ways[0] = skin[loop]
    for _ in range(60):
        ways[1:-1] += 0.3 * (ways[:-2] + ways[2:] - 2 * ways[1:-1])
    travelled = np.concatenate(
        [np.zeros((1, count)), np.linalg.norm(np.diff(ways, axis=0), axis=2).cumsum(axis=0)]
    )
    rows = np.empty((ROWS, count, 3))
    for k in range(count):
        at = (np.arange(1, ROWS + 1) / ROWS) ** 1.1 * travelled[-1, k]
        for j in range(3):
            rows[:, k, j] = np.interp(at, travelled[:, k], ways[:, k, j])
    points = rows.reshape(-1, 3)
    ids = [list(range(faces + r * count, faces + (r + 1) * count)) for r in range(ROWS)]
    triangles = strip(loop, ids[0], closed=True)
    for r in range(ROWS - 1):
        triangles += strip(ids[r], ids[r + 1], closed=True)
    # Skin moves on behind the oval, and stops moving a hand's breadth further.
    reach = np.linalg.norm(points.reshape(ROWS, count, 3) - skin[loop], axis=2)
    share = (1 - (reach / 6.5).clip(0, 1) ** 2) ** 2
    row = np.arange(ROWS * count)
    follow = csr_matrix((share.ravel(), (row, np.tile(np.array(loop), ROWS))), (ROWS * count, faces))
    return Part(points, np.array(triangles), Region.HEAD, follow, np.zeros(len(points)))
