"""One format for every 3D morphable face model.

A model is a triangle mesh in head space (right-handed, cm, x to the subject's left, y up, z out of the
face; the origin lies midway between the eyeball centres) with linear identity and expression bases:

    vertices = mean + identity . a + expression . e          (Blanz and Vetter 1999, section 3)
    colours  = albedo_mean + albedo . b                      (where the model has them)

Eyeballs are not part of the expression basis: they are rotated about their centres by the gaze.
On disk it is one `.npz`, described in `docs/face-model.md`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from math import cos, sin
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mien.face import assets as files
from mien.face.assets import BUILT_IN
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


EYES = (Region.EYE_LEFT, Region.EYE_RIGHT)
MOUTH_INSIDE = (Region.MOUTH_SOCKET, Region.GUMS, Region.TEETH, Region.TONGUE)


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
class SparseBasis:
    """The expression basis without its zeros, one after the other.

    starts: (53,) int32, expression k owns rows starts[k]:starts[k + 1]. rows: (N,) int32, vertices.
    deltas: (N, 3) float32, cm at weight 1.
    """

    starts: Ints
    rows: Ints
    deltas: Float

    @classmethod
    def of(cls, expression: Float, least_cm: float = 1e-4) -> SparseBasis:
        """expression: (52, V, 3); displacements shorter than `least_cm` are left out."""
        moved = (expression.astype(np.float32) ** 2).sum(axis=2) > least_cm**2
        which, rows = np.nonzero(moved)
        starts = np.searchsorted(which, np.arange(len(expression) + 1)).astype(np.int32)
        return cls(starts, rows.astype(np.int32), np.ascontiguousarray(expression[moved], np.float32))

    def dense(self, vertices: int) -> Float:
        """(52, V, 3) float32."""
        full = np.zeros((len(self.starts) - 1, vertices, 3), np.float32)
        full[np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts)), self.rows] = self.deltas
        return full


_UNREAD = SparseBasis(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 3), np.float32))


@dataclass(frozen=True, slots=True)
class ExpressionMapping:
    """How the K expression coefficients of a model's publishers relate to the 52 ARKit names.

    names: (K,). to_own: (52, K) float32, row k makes ARKit's shape k at weight 1. from_own: (K, 52) float32,
    the ARKit weights that come closest to one unit of each. error: (52,) float32, what of each of mien-head's
    shapes, carried over, the own basis could not express: root mean square over the face's skin, as a
    part of the shape's. taken: the shapes in which that was too much, so that mien-head's is used.
    """

    names: tuple[str, ...]
    to_own: Float
    from_own: Float
    error: Float
    taken: tuple[str, ...]

    def own(self, expression: Float) -> Float:
        """expression: (..., 52) ARKit weights -> (..., K) of the model's own coefficients."""
        return np.asarray(np.asarray(expression, np.float32) @ self.to_own, np.float32)

    def arkit(self, own: Float) -> Float:
        """own: (..., K) -> (..., 52) ARKit weights in [0, 1]."""
        return np.asarray((np.asarray(own, np.float32) @ self.from_own).clip(0, 1), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class FaceModel:
    """A 3DMM. Told apart by identity, so that what is read off one can be kept.

    mean: (V, 3) float32, cm. triangles: (T, 3) int32, counter-clockwise seen from outside.
    uv: (V, 2) float32 in [0, 1], v down. identity: (I, V, 3) float32, cm per unit (unit = one standard
    deviation where it was learned). expression: (52, V, 3) float32, cm at weight 1, order of
    `rig.ARKIT_NAMES`; sparse: the same without its zeros. triangle_region: (T,) int8, values of
    `Region`. vertex_region: (V,) int8. landmarks: MediaPipe's 478 points (iris centres 468 and 473 lie
    on the eyeballs; the other iris points have trust 0). landmarks68: Multi-PIE's 68. eye_centres:
    (2, 3) float32, left then right. eye_radius: cm, of both eyeballs. pivot: (3,) float32, where the
    head turns on the neck. albedo_mean: (V, 3) float32, sRGB in [0, 1], with albedo: (A, V, 3) float32 per
    standard deviation, where the model has colours: part of the format for those who draw with them, while mien itself
    estimates colours in the same basis whatever the model (`mien.face.reflectance`). mapping: for models whose
    publishers name their expressions otherwise. All arrays are read-only.

    The uv of an eyeball is the same in every model: the iris centre lies at (0.5, 0.5), and a point whose
    direction from the eyeball's centre makes an angle t with the optical axis lies t / pi away from it
    (right of it: towards the subject's left; above it: up).
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
    albedo_mean: Float | None = None
    albedo: Float | None = None
    mapping: ExpressionMapping | None = None
    sparse: SparseBasis = field(default=_UNREAD, repr=False, compare=False)
    """made from `expression` unless given"""

    def __post_init__(self) -> None:
        if self.sparse is _UNREAD:
            object.__setattr__(self, "sparse", SparseBasis.of(self.expression))
        kept: list[NDArray[Any]] = [self.mean, self.triangles, self.uv, self.identity, self.expression]
        kept += [array for array in (self.albedo_mean, self.albedo) if array is not None]
        if self.mapping is not None:
            kept += [self.mapping.to_own, self.mapping.from_own, self.mapping.error]
        kept += [self.eye_centres, self.pivot, self.triangle_region, self.vertex_region]
        kept += [self.sparse.starts, self.sparse.rows, self.sparse.deltas]
        for embedding in (self.landmarks, self.landmarks68):
            kept += [embedding.vertices, embedding.weights, embedding.trust]
        for array in kept:
            array.setflags(write=False)

    def vertices(self, identity: Float, expression: Float, gaze: Float | None = None) -> Float:
        """identity: (I,); expression: (52,); gaze: (2, 2) radians as in `FaceParams` -> (V, 3) float32.

        The readable reference for `PosedFace`, which does the same many times faster.
        """
        shape = self.shape(identity)
        centres = self.placed_eyes(shape)
        posed = shape + np.tensordot(np.asarray(expression, np.float32), self.expression, 1)
        if gaze is not None:
            for eye, centre, angles in zip(EYES, centres, gaze, strict=True):
                ball = self.vertex_region == eye
                posed[ball] = (posed[ball] - centre) @ gaze_rotation(*angles).T + centre
        return np.asarray(posed, dtype=np.float32)

    def shape(self, identity: Float) -> Float:
        """identity: (I,), or fewer (the rest counts as 0) -> the neutral face, (V, 3) float32."""
        weights = np.asarray(identity, np.float32)
        return np.asarray(self.mean + np.tensordot(weights, self.identity[: len(weights)], 1), np.float32)

    def placed_eyes(self, shape: Float) -> Float:
        """Eyeball centres of a neutral face, (V, 3) -> (2, 3)."""
        moved = [
            (shape[ball] - self.mean[ball]).mean(axis=0) for ball in (self.vertex_region == e for e in EYES)
        ]
        return np.asarray(self.eye_centres + np.stack(moved), dtype=np.float32)

    def spread(self, offsets: Float) -> Float:
        """Landmark offsets (478, 3) cm -> vertex offsets (V, 3) cm.

        Skin follows smoothly (and less and less up to 5 cm away from the landmarks), eyeballs,
        teeth and what else lies within the mouth move as a whole, with the lids and lips around them.
        """
        return spread_offsets(self, offsets)


def gaze_rotation(yaw: float, pitch: float) -> Float:
    """(3, 3) float32 that turns the optical axis +z by yaw (to the subject's left) and pitch (up)."""
    cy, sy, cp, sp = cos(yaw), sin(yaw), cos(pitch), sin(pitch)
    return np.array([[cy, -sy * sp, sy * cp], [0, cp, sp], [-sy, -cy * sp, cy * cp]], np.float32)


class PosedFace:
    """One person's face, evaluated quickly again and again.

    neutral: (V, 3) float32, cm, this person's neutral face. eye_centres: (2, 3) float32.
    Not safe to call from two threads at once only where the same `out` is passed.
    """

    __slots__ = ("_balls", "eye_centres", "model", "neutral")

    def __init__(self, model: FaceModel, identity: Float, offsets: Float | None = None) -> None:
        """identity: (I,) or fewer; offsets: (478, 3) cm as in `Subject`."""
        self.model = model
        self.neutral = model.shape(identity)
        if offsets is not None and np.any(offsets):
            self.neutral += model.spread(offsets)
        self.neutral.setflags(write=False)
        self.eye_centres = model.placed_eyes(self.neutral)
        self._balls = np.where(
            model.vertex_region == Region.EYE_LEFT,
            0,
            np.where(model.vertex_region == Region.EYE_RIGHT, 1, -1),
        ).astype(np.int32)

    def vertices(self, expression: Float, gaze: Float | None = None, out: Float | None = None) -> Float:
        """expression: (52,); gaze: (2, 2) radians as in `FaceParams` -> (V, 3) float32, cm, head space."""
        if out is None:
            out = np.empty_like(self.neutral)
        weights = np.ascontiguousarray(expression, np.float32)
        angles = np.zeros((2, 2), np.float32) if gaze is None else np.ascontiguousarray(gaze, np.float32)
        basis = self.model.sparse
        turns = np.stack([gaze_rotation(*angles[0]), gaze_rotation(*angles[1])])
        _pose(
            self.neutral,
            basis.starts,
            basis.rows,
            basis.deltas,
            weights,
            self._balls,
            self.eye_centres,
            turns,
            out,
        )
        return out


@njit(
    "void(Array(f4,2,'C',readonly=True),Array(i4,1,'C',readonly=True),Array(i4,1,'C',readonly=True),"
    "Array(f4,2,'C',readonly=True),f4[::1],i4[::1],f4[:,::1],f4[:,:,::1],f4[:,::1])",
    cache=True,
    nogil=True,
    fastmath=True,
)
def _pose(neutral, starts, rows, deltas, weights, balls, centres, turns, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    out[:] = neutral
    for k in range(weights.shape[0]):
        w = weights[k]
        if w != 0:
            for i in range(starts[k], starts[k + 1]):
                v = rows[i]
                out[v, 0] += w * deltas[i, 0]
                out[v, 1] += w * deltas[i, 1]
                out[v, 2] += w * deltas[i, 2]
    for v in range(out.shape[0]):
        eye = balls[v]
        if eye >= 0:
            x = out[v, 0] - centres[eye, 0]
            y = out[v, 1] - centres[eye, 1]
            z = out[v, 2] - centres[eye, 2]
            r = turns[eye]
            out[v, 0] = r[0, 0] * x + r[0, 1] * y + r[0, 2] * z + centres[eye, 0]
            out[v, 1] = r[1, 0] * x + r[1, 1] * y + r[1, 2] * z + centres[eye, 1]
            out[v, 2] = r[2, 0] * x + r[2, 1] * y + r[2, 2] * z + centres[eye, 2]


SPREAD_CM = 5.0
"""How far from the landmarks a vertex goes along with them at most."""


def spread_offsets(model: FaceModel, offsets: Float) -> Float:
    """See `FaceModel.spread`.

    Radial basis functions with the kernel -r and a constant (the smoothest in 3D that needs no width).
    """
    from scipy.spatial.distance import cdist

    trusted = model.landmarks.trust[:468] >= 0.9
    anchors = model.landmarks.apply(model.mean)[:468][trusted]
    count = len(anchors)
    system = np.ones((count + 1, count + 1))
    system[:count, :count] = 0.01 * np.eye(count) - cdist(anchors, anchors)
    system[count, count] = 0
    wanted = np.concatenate([offsets[:468][trusted], np.zeros((1, 3))])
    solved = np.linalg.solve(system, wanted)

    field = np.zeros_like(model.mean)
    skin = np.flatnonzero(np.isin(model.vertex_region, (Region.FACE, Region.HEAD, Region.NECK)))
    distance = cdist(model.mean[skin], anchors)
    nearest = distance.min(axis=1)
    fade = (1 - (nearest / SPREAD_CM).clip(0, 1) ** 2) ** 2
    field[skin] = fade[:, None] * (solved[count] - distance @ solved[:count])
    inside = np.isin(model.vertex_region, MOUTH_INSIDE)
    field[inside] = offsets[list(INNER_LIPS)].mean(axis=0)
    for eye, lids in zip(EYES, LIDS, strict=True):
        field[model.vertex_region == eye] = offsets[list(lids)].mean(axis=0)
    return field


FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""MediaPipe's points around the face, clockwise in the picture from the top."""
INNER_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
"""MediaPipe's points around the mouth opening."""
OUTER_LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
"""MediaPipe's points around the red of the lips."""
BROWS = ((276, 283, 282, 295, 285, 336, 296, 334, 293, 300), (46, 53, 52, 65, 55, 107, 66, 105, 63, 70))
"""MediaPipe's points around the eyebrows, the subject's left one, then the right."""
LIDS = (
    (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
)
"""MediaPipe's points around the eye openings, the subject's left eye, then the right."""


def both_ways(ring: tuple[int, ...], end: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The points on the way from the first of `ring` to `end` (both included), forwards and backwards."""
    at = ring.index(end)
    return ring[: at + 1], (ring[0], *ring[: at - 1 : -1])


def eyeball_uv(away: Float) -> Float:
    """away: (N, 3) from the eyeball's centre -> (N, 2), as `FaceModel` defines the uv of an eyeball."""
    side = np.hypot(away[:, 0], away[:, 1])
    reach = np.arctan2(side, away[:, 2]) / np.pi / np.maximum(side, 1e-9)
    return np.asarray(
        np.stack([0.5 + away[:, 0] * reach, 0.5 - away[:, 1] * reach], axis=1), dtype=np.float32
    ).clip(0, 1)


def load_model(model: str | Path = BUILT_IN, assets: Path | None = None) -> FaceModel:
    """A model by name (`mien-head`, or what `mien assets list` calls installed); or, given a `Path`, from that file, in
    this format or ICT-FaceKit's `.npz`.

    A name is never taken for a path: it may stand in a file that a stranger made. `assets` is the folder with imported
    models, else `mien.face.assets.folder()`. Models are kept, so asking again costs nothing. Raises ConfigError for an
    unknown name, PackageError for a damaged or missing file.
    """
    if isinstance(model, Path):
        return _cached(model.expanduser().resolve())
    if model == BUILT_IN:
        return _cached(Path(__file__).with_name("mien_head.npz"))
    return _cached(files.find(model, assets))


@lru_cache(maxsize=4)
def _cached(path: Path) -> FaceModel:
    from mien.face import modelfile

    if not modelfile.is_own(path):
        from mien.face.importers import ict

        if ict.recognises(path):
            return ict.read(path)
    return modelfile.read(path)


def forget_models() -> None:
    """Models are read anew from now on: a file was exchanged."""
    _cached.cache_clear()


def save_model(model: FaceModel, path: Path, *, compress: bool = True) -> None:
    """Writes the format that `load_model` reads. Without `compress` it is larger and read quicker."""
    from mien.face import modelfile

    modelfile.write(model, path, compress=compress)
