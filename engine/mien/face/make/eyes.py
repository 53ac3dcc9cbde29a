"""Eyeballs, and the inner rims of the lids."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.face.make.part import Part, one_to_one, stacked, strip
from mien.face.model import Region

Doubles = NDArray[np.float64]

RADIUS_CM = 1.25
STAND_OFF_CM = 0.05
"""How far the lid margins lie above the eyeball."""
_RINGS = np.radians([0, 9, 18, 27, 34, 42, 51, 61, 72, 84, 97, 112])
_SECTORS = 24


def eyeball_centre(ring: Doubles) -> Doubles:
    """The sphere of `RADIUS_CM` that the lid margin (N, 3) of the subject's left eye lies on best.

    Only its depth is sought: it looks straight ahead, so x and y are those of the iris, which lies at
    the origin of `ring`.
    """
    middle = ring[np.abs(ring[:, 0]) < 0.9]
    reach = RADIUS_CM + STAND_OFF_CM
    depth = middle[:, 2] - np.sqrt(reach**2 - (middle[:, :2] ** 2).sum(axis=1).clip(None, reach**2 * 0.9))
    return np.array([0.0, 0.0, float(np.median(depth))])


def eyeball(centre: Doubles, region: Region, faces: int) -> Part:
    """A sphere's front, with its pole (the middle of the iris) first; the back is never seen."""
    points = [centre + np.array((0, 0, RADIUS_CM))]
    triangles: list[tuple[int, int, int]] = []
    for ring, t in enumerate(_RINGS[1:], start=1):
        for k in range(_SECTORS):
            a = 2 * np.pi * k / _SECTORS
            points.append(
                centre + RADIUS_CM * np.array([np.sin(t) * np.cos(a), np.sin(t) * np.sin(a), np.cos(t)])
            )
        this = [1 + (ring - 1) * _SECTORS + k for k in range(_SECTORS)]
        if ring == 1:
            triangles += [(0, this[k], this[(k + 1) % _SECTORS]) for k in range(_SECTORS)]
        else:
            triangles += strip([i - _SECTORS for i in this], this, closed=True)
    return Part.rigid(np.array(points), np.array(triangles), region, faces)


def lid_rim(loop: list[int], skin: Doubles, centre: Doubles, faces: int) -> Part:
    """The lids' thickness: two rows that turn in from the margin `loop` and end beneath the eyeball."""
    margin = skin[loop]
    away = margin - centre
    length = np.linalg.norm(away, axis=1, keepdims=True)
    touching = centre + away * np.minimum(1, (RADIUS_CM + 0.015) / length) - (0, 0, 0.02)
    # The corners lie off the eyeball: there the rim dives behind it.
    sideways = np.abs(away[:, :1]) / RADIUS_CM
    middle = margin.mean(axis=0)
    behind = centre + (touching - centre) * (0.93 - 0.1 * sideways.clip(0, 1)) - (0, 0, 0.12) * np.ones(3)
    behind += 0.12 * (behind - middle) * (1, 1, 0)
    rows = [touching, behind]
    count = len(loop)
    own = [list(range(faces + r * count, faces + (r + 1) * count)) for r in range(2)]
    triangles = strip(loop, own[0], closed=True) + strip(own[0], own[1], closed=True)
    follow = one_to_one(loop, faces)
    return Part(
        np.concatenate(rows), np.array(triangles), Region.FACE, stacked([follow, follow]), np.zeros(2 * count)
    )
