"""What the photo avatar needs to know about a face model: its skin, and the three openings in it.

Everything here follows from the `FaceModel` alone (no vertex numbers of a particular one), is the same for
all people and is computed once when a maker or renderer opens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mien.errors import PluginError
from mien.face.model import FACE_OVAL, INNER_LIPS, LIDS, OUTER_LIPS, Embedding, FaceModel, Region, both_ways
from mien.face.normals import vertex_normals
from mien.face.outline import enclosed
from mien.face.rig import INDEX
from mien.frames import Float
from mien_photo.fading import fade

Ints = NDArray[np.int32]

MOUTH_UPPER, MOUTH_LOWER = both_ways(INNER_LIPS, 308)
LEFT_LOWER, LEFT_UPPER = (points[::-1] for points in both_ways(LIDS[0], 362))
RIGHT_LOWER, RIGHT_UPPER = both_ways(LIDS[1], 133)
"""MediaPipe's points along the edges that meet when mouth or lids close, paired, in order of x."""

LIP_UPPER, LIP_LOWER = both_ways(OUTER_LIPS, 291)
"""MediaPipe's outer contour of the lips, column by column with `MOUTH_UPPER` and `MOUTH_LOWER`."""

BROWS = ((285, 295, 282, 283, 276), (46, 53, 52, 65, 55))
"""MediaPipe's points along the lower edges of the brows, the subject's left, then the right, in order of x."""

IRIS = ((473, 474, 475, 476, 477), (468, 469, 470, 471, 472))
"""Centre and rim, the subject's left eye, then the right."""

OUTSIDE = 0.5
"""Around the mouth, skin whose normal has more of z than this is outside, not the inside of a lip."""

_FADE_CM = 1.6
_UNDER_CM = 0.4
"""So far beyond the oval skin that faces down ends: a portrait shows the neck there, which would go with the jaw."""
_WINDOW_CM = 1.9
_IN_FRONT_CM = 4.2


@dataclass(frozen=True, slots=True)
class Opening:
    """The mouth or an eye: a hole in the skin with two edges that meet when it closes.

    P pairs of points lie opposite each other along the edges, in order of x, the first and the last at
    the corners. upper, lower: embeddings of them (P,) in the skin. cap: (C, 3) triangles that span the
    hole. window: (N, 3) triangles of the skin around it. rest_gap: (P,) cm, gap_basis: (52, P) cm per
    weight: the model's own distance between the edges. rows: (A,) skin vertices that follow the edges;
    column: (A,) place along the pairs; pull: (A,) 0 to 1, how much, positive on the upper side,
    negative on the lower; reach: (A,) cm, distance from the edge on the surface.
    """

    upper: Embedding
    lower: Embedding
    cap: Ints
    window: Ints
    rest_gap: Float
    gap_basis: Float
    rows: Ints
    column: Float
    pull: Float
    reach: Float

    def gaps(self, skin: Float) -> Float:
        """skin: (K, 3) -> (P,) cm, how far the edges are apart; negative where they cross."""
        return np.asarray(self.upper.apply(skin)[:, 1] - self.lower.apply(skin)[:, 1], np.float32)

    def outline(self, places: Float) -> Float:
        """places: (K, D) of the skin's vertices -> (2 P - 2, D) along the upper edge and back along the lower one."""
        upper, lower = self.upper.apply(places), self.lower.apply(places)
        return np.asarray(np.concatenate([upper, lower[-2:0:-1]]), np.float32)


@dataclass(frozen=True, slots=True)
class Skin:
    """The face of a model and what surrounds it closely, with vertices numbered anew.

    vertices: (K,) int32, which of the model's. triangles: (T, 3) int32. starts, rows, deltas: the sparse
    expression basis of these vertices (see `SparseBasis`). presence: (K,) 0 to 1, 1 within the oval of
    the face, fading to 0 outside. openings: mouth, left eye, right eye.
    """

    vertices: Ints
    triangles: Ints
    starts: Ints
    rows: Ints
    deltas: Float
    presence: Float
    openings: tuple[Opening, Opening, Opening]


@dataclass(frozen=True, slots=True)
class _Holder:
    """Makes a model usable as a cache key by identity; keeps it alive, so the identity stays its own."""

    model: FaceModel

    def __hash__(self) -> int:
        return id(self.model)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Holder) and other.model is self.model


def skin_of(model: FaceModel) -> Skin:
    """The skin of `model`; kept for the next caller. Raises `PluginError` when the model has no openings."""
    return _cached(_Holder(model))


@lru_cache(maxsize=4)
def _cached(holder: _Holder) -> Skin:
    return _Dissection(holder.model).skin()


class _Dissection:
    """One model being taken apart."""

    def __init__(self, model: FaceModel) -> None:
        self.model = model
        surface = np.isin(model.triangle_region, (Region.FACE, Region.HEAD, Region.NECK))
        faces = model.triangles[surface]
        self.mean, self.triangles = model.mean, faces
        self.neck = model.vertex_region == Region.NECK
        faces = faces[self._presence()[faces].any(axis=1)]
        self.vertices = np.unique(faces).astype(np.int32)
        self.new = np.full(len(model.mean), -1, np.int32)
        self.new[self.vertices] = np.arange(len(self.vertices), dtype=np.int32)
        self.triangles = np.ascontiguousarray(self.new[faces])
        self.mean, self.neck = model.mean[self.vertices], self.neck[self.vertices]
        self.loops = _boundary_loops(self.triangles)

    def skin(self) -> Skin:
        sparse = self.model.sparse
        inside = self.new[sparse.rows] >= 0
        counts = np.concatenate([[0], np.cumsum(inside)])
        return Skin(
            vertices=self.vertices,
            triangles=self.triangles,
            starts=counts[sparse.starts].astype(np.int32),
            rows=np.ascontiguousarray(self.new[sparse.rows[inside]]),
            deltas=np.ascontiguousarray(sparse.deltas[inside]),
            presence=self._presence() * self._in_sight(),
            openings=(
                self._opening(MOUTH_UPPER, MOUTH_LOWER, up_cm=0.9, down_cm=1.1),
                self._opening(LEFT_UPPER, LEFT_LOWER, up_cm=0.85, down_cm=0.6),
                self._opening(RIGHT_UPPER, RIGHT_LOWER, up_cm=0.85, down_cm=0.6),
            ),
        )

    def _goes_with_skull(
        self, points: NDArray[np.float64], columns: Float, above: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Lips touch in the mean face: what parts them is which of them the jaw takes along."""
        drop = self.model.expression[INDEX["jawOpen"], :, 1]
        embedded = self.model.landmarks.apply(self.model.expression[INDEX["jawOpen"]])[:, 1]
        own = drop[self.vertices]
        skull = np.interp(points[:, 0], columns, embedded[list(MOUTH_UPPER)])
        jaw = np.interp(points[:, 0], columns, embedded[list(MOUTH_LOWER)])
        sure = np.abs(skull - jaw) > 0.3
        return np.where(sure, np.abs(own - skull) < np.abs(own - jaw), above)

    def _presence(self) -> Float:
        """1 inside the oval seen from the front, fading over `_FADE_CM` outside of it."""
        distance, within = self._oval()
        outside = np.where(within, 0.0, distance)
        x = np.clip(1 - outside / _FADE_CM, 0, 1)
        # What the front view sees at a grazing angle (ears, under the chin) belongs to the surroundings.
        facing = np.clip(vertex_normals(self.mean, self.triangles)[:, 2] / 0.35, 0, 1)
        x *= np.maximum(facing, np.where(within, np.clip(distance - 0.8, 0, 1), 0))
        # The neck below the chin looks to the front as well, but doesn't go with the face.
        x[self.neck] = 0
        return fade(x)

    def _in_sight(self) -> Float:
        """1, fading to 0 on the underside of the jaw. It is not left out of the skin altogether, since packages number
        its vertices.
        """
        distance, within = self._oval()
        down = np.clip(-2 * vertex_normals(self.mean, self.triangles)[:, 1], 0, 1)
        return np.asarray(1 - down * fade(np.where(within, 0.0, distance) / _UNDER_CM), np.float32)

    def _oval(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """How far each vertex lies from the outline of the face seen from the front, cm, and whether within it."""
        oval = self.model.landmarks.apply(self.model.mean)[list(FACE_OVAL), :2].astype(np.float64)
        dense = np.concatenate(
            [oval + (np.roll(oval, -1, axis=0) - oval) * step for step in np.arange(8) / 8]
        )
        distance = cKDTree(dense).query(self.mean[:, :2])[0]
        return distance, enclosed(self.mean[:, :2], oval)

    def _embedding(self, points: tuple[int, ...]) -> Embedding:
        source = self.model.landmarks
        corners = self.new[source.vertices[list(points)]]
        weights = source.weights[list(points)].copy()
        if (corners[weights > 0] < 0).any():
            raise PluginError(
                f"Face model {self.model.name!r} has lip or lid landmarks off its skin; "
                "the photo avatar cannot use it."
            )
        return Embedding(np.maximum(corners, 0), weights, source.trust[list(points)])

    def _opening(
        self, upper_points: tuple[int, ...], lower_points: tuple[int, ...], up_cm: float, down_cm: float
    ) -> Opening:
        upper, lower = self._embedding(upper_points), self._embedding(lower_points)
        up, low = upper.apply(self.mean), lower.apply(self.mean)
        if up[0, 0] > up[-1, 0]:
            raise PluginError(
                f"Face model {self.model.name!r} is mirrored: x must grow to the subject's left."
            )
        basis = self.model.expression[:, self.vertices]
        gap_basis = upper.apply(basis)[..., 1] - lower.apply(basis)[..., 1]
        centre = (up + low).mean(axis=0) / 2
        loop = min(
            self.loops, key=lambda l: float(np.linalg.norm(self.mean[l].mean(axis=0)[:2] - centre[:2]))
        )
        rows, column, pull, reach = self._pull(up, low, up_cm, down_cm, deep=upper_points == MOUTH_UPPER)
        near = np.zeros(len(self.mean), bool)
        edge = np.concatenate([up, low])
        away = cKDTree(edge[:, :2]).query(self.mean[:, :2])[0]
        near[(away < _WINDOW_CM) & (self.mean[:, 2] > centre[2] - 4.0)] = True
        # What stands out beside it (the nose) may come in front when the head turns.
        near[(away < _IN_FRONT_CM) & (self.mean[:, 2] > centre[2] + 0.4)] = True
        return Opening(
            upper=upper,
            lower=lower,
            cap=_cap(loop, self.mean),
            window=np.ascontiguousarray(self.triangles[near[self.triangles].any(axis=1)]),
            rest_gap=np.asarray(up[:, 1] - low[:, 1], np.float32),
            gap_basis=np.ascontiguousarray(gap_basis, np.float32),
            rows=rows,
            column=column,
            pull=pull,
            reach=reach,
        )

    def _pull(
        self, up: Float, low: Float, up_cm: float, down_cm: float, *, deep: bool
    ) -> tuple[Ints, Float, Float, Float]:
        """Which vertices follow the edges, and how much: see `Opening`. deep: what lies behind the edges
        (the inside of the lips) follows wholly.
        """
        points = self.mean.astype(np.float64)
        above = points[:, 1] > np.interp(points[:, 0], up[:, 0], (up[:, 1] + low[:, 1]) / 2)
        if deep:
            above = self._goes_with_skull(points, up[:, 0], above)
        reach = np.where(above, _distance_to_curve(points, up), _distance_to_curve(points, low))
        limit = np.where(above, up_cm, down_cm)
        level = fade(1 - reach / limit)
        if deep:
            place = np.interp(points[:, 0], up[:, 0], np.arange(len(up)))
            edge = (up + low)[np.round(place).astype(int)] / 2
            # The hollow under the lower lip lies as far back, but looks to the front.
            outside = vertex_normals(self.mean, self.triangles)[:, 2] > OUTSIDE
            behind = (points[:, 2] < edge[:, 2] - 0.06) & ~outside
            beside = (points[:, 0] > up[0, 0]) & (points[:, 0] < up[-1, 0])
            level[behind & beside & (np.abs(points[:, 1] - edge[:, 1]) < 1.4)] = 1.0
        # Beyond the corners nothing opens.
        level *= np.clip(1.5 - np.abs(points[:, 0] - up[:, 0].mean()) / np.ptp(up[:, 0]) * 2, 0, 0.5) * 2
        rows = np.flatnonzero(level > 0)
        column = np.interp(points[rows, 0], up[:, 0], np.arange(len(up)))
        signed = np.where(above[rows], level[rows], -level[rows])
        return (
            rows.astype(np.int32),
            column.astype(np.float32),
            signed.astype(np.float32),
            reach[rows].astype(np.float32),
        )


def _boundary_loops(triangles: Ints) -> list[Ints]:
    """The closed chains of edges that only one triangle has, vertices in order."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    _, index, counts = np.unique(np.sort(edges, axis=1), axis=0, return_inverse=True, return_counts=True)
    following = {int(a): int(b) for a, b in edges[counts[index.ravel()] == 1]}
    loops = []
    while following:
        start, vertex = next(iter(following.items()))
        chain = [start]
        del following[start]
        while vertex in following:
            chain.append(vertex)
            vertex = following.pop(vertex)
        loops.append(np.array(chain, np.int32))
    return loops


def _cap(loop: Ints, mean: Float) -> Ints:
    """Triangles between the upper and the lower half of a loop, split at its corners."""
    x = mean[loop, 0]
    turned = np.roll(loop, -int(np.argmin(x)))
    far = int(np.argmax(mean[turned, 0]))
    one, other = turned[: far + 1], np.concatenate([turned[far:], turned[:1]])[::-1]
    faces = []
    i = j = 0
    while i < len(one) - 1 or j < len(other) - 1:
        ahead = j == len(other) - 1 or (i < len(one) - 1 and mean[one[i + 1], 0] <= mean[other[j + 1], 0])
        if ahead:
            faces.append((one[i], other[j], one[i + 1]))
            i += 1
        else:
            faces.append((one[i], other[j], other[j + 1]))
            j += 1
    return np.array([face for face in faces if len(set(face)) == 3], np.int32)


def _distance_to_curve(points: NDArray[np.float64], curve: Float) -> NDArray[np.float64]:
    dense = np.concatenate(
        [curve[:-1] + (curve[1:] - curve[:-1]) * step for step in np.arange(6) / 6] + [curve[-1:]]
    )
    return np.asarray(cKDTree(dense).query(points)[0])
