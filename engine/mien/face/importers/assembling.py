"""Makes a `FaceModel` of what a published file holds.

What such models lack is lent by mien-head, laid over their skin: which part of the skin is face, head or neck; the
landmarks; the meaning of the 52 shapes; and the parts that most do not have at all (mouth socket, gums, teeth,
tongue, eyeballs).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.face.importers.expressions import carried, mapped, over
from mien.face.importers.landmarks import Embedded, embed
from mien.face.importers.raw import RawModel
from mien.face.importers.registration import Registration, register
from mien.face.importers.surface import Doubles, Surface
from mien.face.landmark_basis import IRISES
from mien.face.model import (
    EYES,
    INNER_LIPS,
    LIDS,
    MOUTH_INSIDE,
    Embedding,
    ExpressionMapping,
    FaceModel,
    Region,
    eyeball_uv,
)
from mien.face.outline import enclosed
from mien.frames import Float

_FACE_CM = 1.0
_COLOURS = {
    Region.MOUTH_SOCKET: (0.35, 0.14, 0.14),
    Region.GUMS: (0.72, 0.42, 0.42),
    Region.TEETH: (0.92, 0.89, 0.82),
    Region.TONGUE: (0.74, 0.44, 0.44),
    Region.EYE_LEFT: (0.92, 0.9, 0.88),
    Region.EYE_RIGHT: (0.92, 0.9, 0.88),
}
"""sRGB, of parts lent to a model with albedo."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """The model, and how well mien-head could be laid over it."""

    model: FaceModel
    landmarks: Embedded


@dataclass(frozen=True, slots=True)
class _Eyes:
    centres: Doubles
    radius: float


def assemble(raw: RawModel, head: FaceModel) -> Assembled:
    """Raises PackageError when no face is found on the model's surface."""
    count = len(raw.mean)
    region = np.full(count, -1, np.int8)
    if raw.eyes is not None:
        for eye, ball in zip(EYES, raw.eyes, strict=True):
            region[ball.vertices] = eye
    skin = outwards(raw.mean, raw.triangles[(region[raw.triangles] < 0).all(axis=1)])
    surface = Surface(raw.mean, skin)
    given = None if raw.eyes is None else np.stack([ball.centre for ball in raw.eyes])
    registration = register(head, surface, eyes=given, anchors=raw.anchors)
    landmarks = embed(head, registration, surface)
    eyes = _eyes(raw, head, registration)
    lent = _Lent.of(head, registration, own_eyes=raw.eyes is not None, first=count)

    if raw.eyes is None:
        skin = _without_eyes(raw.mean, skin, landmarks, registration)
    region[region < 0] = _regions(head, registration, surface)[region < 0]
    on_skin = ~np.isin(region, EYES)
    wanted = carried(head, registration, surface.points, surface.normals)
    shapes, mapping = mapped(raw, wanted, (region == Region.FACE) & _used(skin, count))
    shapes[:, ~on_skin] = 0

    identity = np.concatenate([raw.identity, lent.follow(raw.identity, landmarks.mediapipe)], axis=1)
    expression = np.concatenate([shapes, lent.expression], axis=1)
    mean = np.concatenate([raw.mean, lent.points])
    balls = raw.triangles[(region[raw.triangles] >= Region.EYE_LEFT).all(axis=1)]
    balls = balls[np.isin(region[balls[:, 0]], EYES)]
    region = np.concatenate([region, lent.region])
    triangles = np.concatenate([skin, outwards(raw.mean, balls) if len(balls) else balls, lent.triangles])
    return Assembled(
        _turned(
            raw, mean, identity, expression, triangles, region, eyes, registration, landmarks, lent, mapping
        ),
        landmarks,
    )


def _turned(
    raw: RawModel, mean: Float, identity: Float, expression: Float, triangles: NDArray[np.integer[Any]],
    region: NDArray[np.int8], eyes: _Eyes, registration: Registration, landmarks: Embedded, lent: _Lent,
    mapping: ExpressionMapping | None,
) -> FaceModel:  # fmt: skip
    """Everything in head space: turned as mien-head is, the origin between the eyes. Sizes stay."""
    turn = registration.rotation.astype(np.float32)
    origin = eyes.centres.mean(axis=0)
    mean = np.ascontiguousarray((mean - origin) @ turn, np.float32)
    centres = np.ascontiguousarray((eyes.centres - origin) @ turn, np.float32)
    uv = np.stack(
        [0.5 + np.arctan2(mean[:, 0], mean[:, 2] + 7) / (2 * np.pi), 0.5 - (mean[:, 1] + 2.5) / 30], axis=1
    ).clip(0, 1)
    for eye, centre in zip(EYES, centres, strict=True):
        uv[region == eye] = eyeball_uv(mean[region == eye] - centre)
    points = landmarks.mediapipe
    for landmark, eye in zip(IRISES, EYES, strict=True):
        ball = np.flatnonzero(region == eye)
        away = mean[ball] - centres[EYES.index(eye)]
        points.vertices[landmark] = ball[(away[:, 2] / np.linalg.norm(away, axis=1)).argmax()]
        points.weights[landmark] = (1, 0, 0)
        points.trust[landmark] = 1
    colours = lent.colours(raw.albedo_mean, raw.albedo)
    return FaceModel(
        name=raw.name,
        mean=mean,
        triangles=np.ascontiguousarray(triangles, np.int32),
        uv=np.ascontiguousarray(uv, np.float32),
        identity=np.ascontiguousarray(identity @ turn, np.float32),
        identity_names=tuple(f"{raw.name}_{k:02d}" for k in range(len(identity))),
        expression=np.ascontiguousarray(expression @ turn, np.float32),
        triangle_region=_of_triangles(region, triangles),
        vertex_region=region,
        landmarks=points,
        landmarks68=landmarks.multi_pie,
        eye_centres=centres,
        eye_radius=eyes.radius,
        pivot=np.array([0, -8, -8], np.float32),
        source=raw.source,
        albedo_mean=colours[0],
        albedo=colours[1],
        mapping=mapping,
    )


def outwards(points: Float, triangles: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Triangles so turned that the foremost of them look forwards."""
    corners = points[triangles]
    depth = corners[:, :, 2].mean(axis=1)
    front = depth >= np.quantile(depth, 0.7)
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[front, 2]
    turned = triangles if facing.sum() >= 0 else triangles[:, [0, 2, 1]]
    return np.asarray(turned, np.int64)


def _used(triangles: NDArray[np.integer[Any]], count: int) -> NDArray[np.bool_]:
    used = np.zeros(count, bool)
    used[triangles.ravel()] = True
    return used


def _of_triangles(region: NDArray[np.int8], triangles: NDArray[np.integer[Any]]) -> NDArray[np.int8]:
    """A triangle's region is that of most of its corners."""
    a, b, c = region[triangles].T
    return np.where(b == c, b, a).astype(np.int8)


def _eyes(raw: RawModel, head: FaceModel, registration: Registration) -> _Eyes:
    """The model's own eyeballs, or mien-head's where its lids came to lie."""
    if raw.eyes is not None:
        centres = np.stack([ball.centre for ball in raw.eyes]).astype(np.float64)
        away = [np.median(np.linalg.norm(raw.mean[ball.vertices] - ball.centre, axis=1)) for ball in raw.eyes]
        return _Eyes(centres, float(np.mean(away)))
    places = []
    for eye, centre in zip(EYES, head.eye_centres, strict=True):
        ball = head.vertex_region == eye
        places.append(
            (registration.points[ball] - registration.turned(head.mean[ball] - centre)).mean(axis=0)
        )
    return _Eyes(np.stack(places), head.eye_radius * registration.scale)


def _regions(head: FaceModel, registration: Registration, surface: Surface) -> NDArray[np.int8]:
    """(V,) what mien-head has at each vertex of the skin; what lies far off is head."""
    skin, chosen = over(head, registration)
    near = skin.nearest(surface.points, surface.normals)
    region = head.triangle_region[chosen[near.triangle]].astype(np.int8)
    region[(near.distance > _FACE_CM) & np.isin(region, (Region.FACE, Region.MOUTH_SOCKET))] = Region.HEAD
    return np.asarray(region)


def _without_eyes(
    mean: Float, triangles: NDArray[np.int64], landmarks: Embedded, registration: Registration
) -> NDArray[np.int64]:
    """Cuts out what a model without eyeballs has between its lids: in front of the lent ones it would hide them."""
    turn = registration.rotation
    points = landmarks.mediapipe.apply(mean) @ turn
    middles = mean[triangles].mean(axis=1) @ turn
    hidden = np.zeros(len(triangles), bool)
    for lids in LIDS:
        ring = points[list(lids)]
        near = np.abs(middles[:, 2] - ring[:, 2].mean()) < 1.5
        hidden |= near & enclosed(middles[:, :2], ring[:, :2])
    return triangles[~hidden]


@dataclass(frozen=True, slots=True)
class _Lent:
    """Parts of mien-head that a model gets: P vertices, counted on from the model's own."""

    points: Float
    triangles: NDArray[np.int64]
    region: NDArray[np.int8]
    expression: Float

    @classmethod
    def of(cls, head: FaceModel, registration: Registration, *, own_eyes: bool, first: int) -> _Lent:
        wanted = MOUTH_INSIDE if own_eyes else (*MOUTH_INSIDE, *EYES)
        chosen = head.triangles[np.isin(head.triangle_region, wanted)]
        vertices = np.unique(chosen)
        place = np.full(len(head.mean), -1, np.int64)
        place[vertices] = first + np.arange(len(vertices))
        region = head.vertex_region[vertices].copy()
        # Where the socket begins it shares its vertices with the lips.
        region[~np.isin(region, wanted)] = Region.MOUTH_SOCKET
        moved = np.stack([registration.turned(shape[vertices]) for shape in head.expression])
        return cls(
            registration.points[vertices].astype(np.float32), place[chosen], region, moved.astype(np.float32)
        )

    def follow(self, identity: Float, landmarks: Embedding) -> Float:
        """identity: (I, V, 3) -> (I, P, 3): eyeballs go with the lids, the mouth's parts with the lips."""
        moved = landmarks.apply(identity)
        result = np.empty((len(identity), len(self.points), 3), np.float32)
        result[:] = moved[:, list(INNER_LIPS)].mean(axis=1)[:, None]
        for eye, lids in zip(EYES, LIDS, strict=True):
            result[:, self.region == eye] = moved[:, list(lids)].mean(axis=1)[:, None]
        return result

    def colours(self, mean: Float | None, basis: Float | None) -> tuple[Float | None, Float | None]:
        if mean is None or basis is None:
            return None, None
        own = np.array([_COLOURS[Region(int(r))] for r in self.region], np.float32).reshape(-1, 3)
        still = np.zeros((len(basis), len(own), 3), np.float32)
        return np.concatenate([mean.clip(0, 1), own]), np.concatenate([basis, still], axis=1)
