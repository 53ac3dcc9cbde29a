"""What lies behind the lips: their inner side, the socket, teeth, gums and tongue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from mien.face.make.part import Part, one_to_one, stacked, strip
from mien.face.model import Region

Doubles = NDArray[np.float64]

TEETH_CM = (0.86, 0.66, 0.76, 0.70, 0.68, 0.98, 0.95)
"""Widths from the middle outwards, upper jaw: incisors, canine, premolars, molars."""
LOWER_TEETH_CM = (0.54, 0.60, 0.70, 0.70, 0.72, 1.05, 1.0)


@dataclass(frozen=True, slots=True)
class Lips:
    """The inner contour. loop: face vertices in the direction of their triangles.

    upper: (N,) 1 on the upper lip, -1 on the lower, 0 in the corners.
    bow: (N,) 0 in the corners to 1 in the middle. middle: (3,).
    """

    loop: list[int]
    upper: Doubles
    bow: Doubles
    middle: Doubles

    @classmethod
    def of(cls, loop: list[int], skin: Doubles) -> Lips:
        right, left = loop.index(78), loop.index(308)
        side = np.zeros(len(loop))
        i, sign = right, 1.0 if loop.index(13) in _between(right, left, len(loop)) else -1.0
        for stop in (left, right):
            i = (i + 1) % len(loop)
            while i != stop:
                side[i] = sign
                i = (i + 1) % len(loop)
            sign = -sign
        x = np.abs(skin[loop, 0]) / np.abs(skin[308, 0])
        return cls(loop, side, np.sqrt((1 - x**2).clip(0)), (skin[13] + skin[14]) / 2)


def _between(start: int, stop: int, count: int) -> set[int]:
    return {(start + k) % count for k in range((stop - start) % count)}


def lining(lips: Lips, skin: Doubles) -> list[Part]:
    """The inner side of the lips (part of the face) and the socket behind."""
    faces, count = len(skin), len(lips.loop)
    rim = skin[lips.loop]
    up = (lips.upper * (0.25 + 0.75 * lips.bow))[:, None]
    rolled = [
        rim + up * (0, 0.05, 0) - (0, 0, 0.13) * np.ones((count, 1)),
        rim + up * (0, 0.17, 0) - (0, 0, 0.26) * np.ones((count, 1)),
        rim + up * (0, 0.55, 0) - (0, 0, 0.34) * np.ones((count, 1)),
    ]
    own = [list(range(faces + r * count, faces + (r + 1) * count)) for r in range(3)]
    triangles = strip(lips.loop, own[0], closed=True)
    for r in range(2):
        triangles += strip(own[r], own[r + 1], closed=True)
    follow = one_to_one(lips.loop, faces)
    inner = Part(
        np.concatenate(rolled), np.array(triangles), Region.FACE, stacked([follow] * 3), np.zeros(3 * count)
    )

    start = len(rolled[0]) * 3 + faces  # where the socket's own vertices begin, once placed after `inner`
    last = own[2]
    # A bag around both rows of teeth, wider than the mouth; every second point of the lips is enough.
    thin = list(range(0, count, 2))
    rows, shares = [], []
    for depth, wide, high, hang in (
        (0.9, 1.25, 1.5, 0.55),
        (2.4, 1.42, 1.9, 0.2),
        (4.6, 1.25, 1.8, 0.0),
        (6.2, 0.7, 1.1, 0.0),
    ):
        base = rim[thin]
        offset = np.stack(
            [
                (wide - 1) * base[:, 0],
                (lips.upper * (0.35 + 0.65 * lips.bow) * high)[thin],
                np.full(len(thin), -depth),
            ],
            axis=1,
        )
        flat = base + offset
        flat[:, 2] = (1 - hang) * (lips.middle[2] - depth - 0.25 * np.abs(base[:, 0])) + hang * flat[:, 2]
        rows.append(flat)
        shares.append(hang)
    end = np.array([[0.0, lips.middle[1], lips.middle[2] - 6.6]])
    m = len(thin)
    ids = [list(range(start + r * m, start + (r + 1) * m)) for r in range(len(rows))]
    bag: list[tuple[int, int, int]] = []
    for k in range(m):
        a, b, c = last[2 * k], last[2 * k + 1], last[(2 * k + 2) % count]
        d, e = ids[0][k], ids[0][(k + 1) % m]
        bag += [(b, a, d), (c, b, e), (b, d, e)]
    for r in range(len(rows) - 1):
        bag += strip(ids[r], ids[r + 1], closed=True)
    tip = start + len(rows) * m
    bag += [(ids[-1][(k + 1) % m], ids[-1][k], tip) for k in range(m)]
    side = lips.upper[thin]
    hung = np.where(side < 0, 1.0, np.where(side > 0, 0.0, 0.45))
    columns = [lips.loop[k] for k in thin]
    follows = [one_to_one(columns, faces, share) for share in shares] + [csr_matrix((1, faces))]
    weights = np.concatenate([*[(1 - share) * hung for share in shares], [0.4]])
    # Towards the throat upper and lower half close up, so that opening the jaw tears nothing.
    weights[2 * m : 4 * m] *= np.repeat([0.8, 0.5], m)
    socket = Part(np.concatenate([*rows, end]), np.array(bag), Region.MOUTH_SOCKET, stacked(follows), weights)
    return [inner, socket]


@dataclass(frozen=True, slots=True)
class Arch:
    """A dental arch: half an ellipse.

    front: (3,) between the incisors' edges. width, depth: cm. up: +1 when the gum is above, else -1.
    """

    front: Doubles
    width: float
    depth: float
    up: float

    def at(self, along: Doubles) -> tuple[Doubles, Doubles]:
        """along: signed cm from the middle -> points (N, 3) on the arch and outward normals (N, 3)."""
        t = np.linspace(0, np.radians(82), 400)
        x, z = self.width * np.sin(t), self.depth * (np.cos(t) - 1)
        length = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(z)))])
        angle = np.interp(np.abs(along), length, t) * np.sign(along)
        points = self.front + np.stack(
            [self.width * np.sin(angle), np.zeros_like(angle), self.depth * (np.cos(angle) - 1)], axis=1
        )
        normal = np.stack(
            [self.depth * np.sin(angle), np.zeros_like(angle), self.width * np.cos(angle)], axis=1
        )
        return points, normal / np.linalg.norm(normal, axis=1, keepdims=True)


def teeth_and_gums(
    arch: Arch, widths: tuple[float, ...], heights: tuple[float, ...], faces: int, jaw: float
) -> list[Part]:
    """One row of teeth, each slightly bulging and apart from the next, and the gum above (or below) it."""
    edges = np.concatenate([[0], np.cumsum(widths)])
    along, across, tall = [], [], []
    for k, (w, h) in enumerate(zip(widths, heights, strict=True)):
        for s in (-0.5, -0.17, 0.17):
            along.append(edges[k] + (s + 0.5) * w)
            across.append(s)
            tall.append(h)
    along.append(edges[-1])
    across.append(-0.5)
    tall.append(heights[-1])
    a = np.array(along)
    s, h = np.array(across), np.array(tall)
    a, s, h = np.concatenate([-a[:0:-1], a]), np.concatenate([s[:0:-1], s]), np.concatenate([h[:0:-1], h])
    base, normal = arch.at(a)
    groove = (np.abs(s) > 0.4).astype(float)[:, None]
    up = np.array([0, arch.up, 0])
    tip = 0.035 * groove  # rounded corners at the biting edge
    rows = [
        base - normal * 0.55 + up * (0.75 * h[:, None]),
        base - normal * 0.30 + up * (0.10 + tip),
        base - normal * (0.05 + 0.07 * groove) + up * tip,
        base + normal * (0.04 - 0.10 * groove) + up * (0.25 * h[:, None]),
        base + normal * (0.05 - 0.10 * groove) + up * (0.70 * h[:, None]),
        base + normal * (0.0 - 0.06 * groove) + up * (h[:, None] * (1.0 - 0.10 * groove)),
    ]
    n = len(a)
    tooth = _sheet(n, len(rows), arch.up > 0)
    teeth = Part.rigid(np.concatenate(rows), tooth, Region.TEETH, faces, jaw)
    gum_rows = [
        base + normal * (0.02 - 0.05 * groove) + up * (h[:, None] * (0.96 - 0.12 * groove)),
        base + normal * 0.07 + up * (h[:, None] + 0.16),
        base + normal * 0.02 + up * (h[:, None] + 0.75),
    ]
    gums = Part.rigid(
        np.concatenate(gum_rows), _sheet(n, len(gum_rows), arch.up > 0), Region.GUMS, faces, jaw
    )
    return [teeth, gums]


def _sheet(across: int, rows: int, upwards: bool) -> NDArray[np.int64]:
    """Grid triangles, outside in front; rows run upwards or downwards, columns to the subject's left."""
    faces = []
    for r in range(rows - 1):
        for c in range(across - 1):
            i, j, k, m = r * across + c, r * across + c + 1, (r + 1) * across + c, (r + 1) * across + c + 1
            faces += [(i, j, k), (j, m, k)] if upwards else [(i, k, j), (j, k, m)]
    return np.array(faces)


def tongue(tip: Doubles, faces: int) -> Part:
    """A tongue at rest behind the lower teeth; its tip (3,). Row 0 is the tip."""
    rows, columns = 11, 9
    points = []
    for r in range(rows):
        t = (r / (rows - 1)) ** 1.6
        half = 1.75 * np.sqrt(1 - (1 - min(1.0, t / 0.5)) ** 2)
        for c in range(columns):
            s = 2 * c / (columns - 1) - 1
            rise = (0.15 + 0.75 * np.sin(np.pi * min(t + 0.08, 0.6) / 1.2)) * np.sqrt(max(0.0, 1 - s**2))
            groove = 0.10 * np.exp(-((s / 0.2) ** 2)) * np.sin(np.pi * t)
            points.append(tip + np.array((half * s, rise - groove - 0.15, -4.6 * t)))
    return Part.rigid(np.array(points), _sheet(columns, rows, True), Region.TONGUE, faces, 1.0)


def tongue_out(points: Doubles, tip: Doubles) -> Doubles:
    """(N, 3) displacement that brings the tongue out over the lower lip, its tip bent down."""
    back = ((tip[2] - points[:, 2]) / 4.6).clip(0, 1)[:, None]
    forward = 1 - back**1.5
    return (
        forward * (0, 1.6, 3.7)
        + (1 - back) ** 2.5 * (0, -1.5, -0.1)
        + (points - tip) * (-0.36, 0, 0) * forward
    )
