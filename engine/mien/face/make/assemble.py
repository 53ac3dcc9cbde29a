"""Puts the parts together into a `FaceModel`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mien.face.camera import rotation_matrix
from mien.face.landmark_basis import IRISES
from mien.face.make import cranium, eyes, identity, mouth
from mien.face.make.expressions import (
    GLIDE_CM,
    HINGE,
    JAW_DEGREES,
    SLIDES,
    TONGUE_JAW,
    expressions,
    resealed,
)
from mien.face.make.fields import Fields
from mien.face.make.lids import Lids
from mien.face.make.part import Part
from mien.face.make.study import Study
from mien.face.make.topology import (
    COUNT,
    LOWER_LID_LEFT,
    LOWER_LIP,
    UPPER_LID_LEFT,
    UPPER_LIP,
    Refinement,
    loops,
    refine,
    symmetric,
)
from mien.face.model import EYES, FACE_OVAL, MOUTH_INSIDE, Embedding, FaceModel, Region, eyeball_uv
from mien.face.rig import INDEX

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

FROM_68 = (
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 5, 4, 98, 97, 2, 326, 327,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip
"""Multi-PIE's 68 points among MediaPipe's."""


def sealed(points: Doubles, triangles: Ints, mirror: Ints) -> Doubles:
    """The mean with the lips meeting pair by pair and the lids' margins resting on the eyeballs."""
    fields = Fields(points, triangles)
    given: dict[int, tuple[float, float, float]] = {}
    for upper, lower in zip(UPPER_LIP, LOWER_LIP, strict=True):
        middle = (points[upper] + points[lower]) / 2
        # Nearer to the upper lip: in the mean the mouth is a little open, which lowers the lower lip.
        middle = points[upper] + 0.42 * (points[lower] - points[upper])
        # The corners are drawn in; MediaPipe has them out in front.
        middle[2] += {78: -0.16, 308: -0.16, 191: -0.07, 415: -0.07}.get(upper, 0.02)
        for i in (upper, lower):
            given[i] = tuple(middle - points[i])
    moved = fields.within(given, 1.6)
    return (points + moved + (points + moved)[mirror] * (-1, 1, 1)) / 2


def on_eyeballs(points: Doubles, triangles: Ints, mirror: Ints) -> tuple[Doubles, Doubles]:
    """Moves the origin midway between the eyeballs, and the lid margins onto their shell.

    points: (468, 3), origin midway between the irises. Returns points and the left eyeball's centre.
    """
    from mien.face.make.neutral import PUPIL_DISTANCE_CM

    iris = np.array([PUPIL_DISTANCE_CM / 2, 0, 0])
    ring = points[list(UPPER_LID_LEFT + LOWER_LID_LEFT[1:-1])] - iris
    depth = eyes.eyeball_centre(ring)[2]
    points = points - (0, 0, depth)
    lids = Lids(iris, eyes.RADIUS_CM)
    given: dict[int, tuple[float, float, float]] = {}
    for i in (*UPPER_LID_LEFT[1:-1], *LOWER_LID_LEFT[1:-1]):
        away = points[i] - iris
        reach = eyes.RADIUS_CM + (0.09 if i in UPPER_LID_LEFT else 0.07)
        side = np.linalg.norm(away[:2])
        if side < 1.12:
            goal = iris + np.array((away[0], away[1], np.sqrt(reach**2 - side**2)))
        else:
            goal = lids.lifted(points[i : i + 1], 0.07)[0]
        given[i] = tuple(goal - points[i])
    moved = Fields(points, triangles).within(given, 1.5)
    placed = points + moved
    left = points[:, 0] > 0
    placed = np.where(left[:, None], placed, placed[mirror] * (-1, 1, 1))
    placed = (placed + placed[mirror] * (-1, 1, 1)) / 2
    return placed, iris


def build(study: Study, triangles: Ints, name: str, source: str) -> FaceModel:
    """triangles: (852, 3) of MediaPipe's points."""
    mirror = study.mirror
    triangles = symmetric(triangles, study.mean[:COUNT], mirror)
    points = sealed(study.mean[:COUNT], triangles, mirror)
    points, centre = on_eyeballs(points, triangles, mirror)
    refined = refine(triangles, _fine(points, triangles))
    skin = refined.apply(points)
    lids = Lids(centre, eyes.RADIUS_CM)
    fields = Fields(points, triangles)
    authored = expressions(points, fields, mirror, lids, studied=True)
    calibrated = study.calibrated(authored)
    measured = resealed(calibrated, fields, mirror)
    learned = study.modes(measured)
    # What the clips taught about moderate contractions is kept as the muscles go on to full ones.
    further = expressions(points, fields, mirror, lids) - authored
    shapes = resealed(calibrated + further, fields, mirror)
    before, after, full = (study.explained(each) for each in (authored, measured, shapes))
    print(f"motion explained: authored {before:.3f}, calibrated {after:.3f}, at full contraction {full:.3f}")
    modes = identity.lips_kept_shut(
        np.concatenate([learned, identity.procedural(points, fields, mirror)]), fields
    )
    body = _Body(refined, skin, centre)
    moved = np.stack(
        [body.follow(refined.apply(shape), name_) for name_, shape in zip(INDEX, shapes, strict=True)]
    )
    body.clear_lids(moved)
    body.tongue_out(moved[INDEX["tongueOut"]])
    spread = np.stack([body.differ(refined.apply(mode)) for mode in modes])
    mean = body.points
    vertex_region = body.vertex_region
    return FaceModel(
        name=name,
        mean=mean.astype(np.float32),
        triangles=body.triangles.astype(np.int32),
        uv=_uv(mean, vertex_region, np.stack([centre, centre * (-1, 1, 1)])).astype(np.float32),
        identity=spread.astype(np.float32),
        identity_names=identity.names(len(learned)),
        expression=moved.astype(np.float32),
        triangle_region=body.triangle_region,
        vertex_region=vertex_region,
        landmarks=_landmarks(body),
        landmarks68=_landmarks68(),
        eye_centres=np.stack([centre, centre * (-1, 1, 1)]).astype(np.float32),
        eye_radius=eyes.RADIUS_CM,
        pivot=np.array([0, -8, -8], np.float32),
        source=source,
    )


def _fine(points: Doubles, triangles: Ints) -> NDArray[np.bool_]:
    """Which triangles are refined twice: lids, lips and nose; a flat cheek or forehead needs it less."""
    middle = points[triangles].mean(axis=1)
    middle[:, 0] = np.abs(middle[:, 0])
    fine = np.zeros(len(triangles), bool)
    around = (
        (list(UPPER_LID_LEFT + LOWER_LID_LEFT), 1.0),
        (list(UPPER_LIP + LOWER_LIP), 1.9),
        ([4, 1, 327, 2, 358, 5], 1.3),
    )
    for ring, reach in around:
        fine |= np.linalg.norm(middle[:, None] - points[ring], axis=2).min(axis=1) < reach
    return fine


class _Body:
    """All vertices: the skin first, then the parts, with what each follows."""

    def __init__(self, refined: Refinement, skin: Doubles, centre: Doubles) -> None:
        self.skin, self.centre = skin, centre
        faces = len(skin)
        rims = loops(refined.triangles)
        oval = next(loop for loop in rims if 10 in loop)
        lip_loop = next(loop for loop in rims if 13 in loop)
        left_eye = next(loop for loop in rims if 386 in loop)
        right_eye = next(loop for loop in rims if 159 in loop)
        lips = mouth.Lips.of(lip_loop, skin)
        stomion = lips.middle
        upper = mouth.Arch(stomion + np.array((0, -0.20, -0.62)), 2.7, 4.2, 1.0)
        lower = mouth.Arch(stomion + np.array((0, -0.06, -0.86)), 2.5, 3.9, -1.0)
        self.tongue_tip = stomion + np.array((0, -0.75, -1.25))
        inner = sorted(
            {int(v) for t in refined.triangles[np.isin(refined.triangles, oval).any(axis=1)] for v in t}
            - set(oval)
        )
        cranium_part = cranium.head(oval, skin, inner)
        parts: list[Part] = [
            *mouth.lining(lips, skin),
            eyes.lid_rim(left_eye, skin, centre, faces),
            eyes.lid_rim(right_eye, skin, centre * (-1, 1, 1), faces),
            eyes.eyeball(centre, Region.EYE_LEFT, faces),
            eyes.eyeball(centre * (-1, 1, 1), Region.EYE_RIGHT, faces),
            *mouth.teeth_and_gums(upper, mouth.TEETH_CM, (1.02, 0.9, 0.98, 0.8, 0.75, 0.7, 0.65), faces, 0.0),
            *mouth.teeth_and_gums(
                lower, mouth.LOWER_TEETH_CM, (0.85, 0.85, 0.92, 0.8, 0.75, 0.7, 0.65), faces, 1.0
            ),
            mouth.tongue(self.tongue_tip, faces),
            cranium_part,
        ]
        self.parts = parts
        self.starts = np.cumsum([faces, *(len(p.points) for p in parts)])
        self.points = np.concatenate([skin, *(p.points for p in parts)])
        placed = [refined.triangles]
        regions = [np.full(len(refined.triangles), Region.FACE, np.int8)]
        vertex = [np.full(faces, Region.FACE, np.int8)]
        for i, (part, start) in enumerate(zip(parts, self.starts, strict=False)):
            # The lips' lining and the socket share vertices, so both count from the lining's start.
            base = self.starts[0] if i == 1 else start
            placed.append(np.where(part.triangles < faces, part.triangles, part.triangles - faces + base))
            regions.append(np.full(len(part.triangles), part.region, np.int8))
            vertex.append(np.full(len(part.points), part.region, np.int8))
        self.triangles = np.concatenate(placed)
        self.triangle_region = np.concatenate(regions)
        self.vertex_region = np.concatenate(vertex)
        chin = skin[152, 1]
        low = (self.vertex_region == Region.HEAD) & (self.points[:, 1] < chin) & (self.points[:, 2] > -20)
        self.vertex_region[low] = Region.NECK
        below = (self.triangle_region == Region.HEAD) & (self.points[self.triangles, 1].mean(axis=1) < chin)
        self.triangle_region[below] = Region.NECK

    def follow(self, skin: Doubles, name: str) -> Doubles:
        """Displacements of all vertices when the skin moves by an expression."""
        rigid = _jaw_motion(name)
        moved = [skin]
        for part in self.parts:
            own = part.follow @ skin
            if rigid is not None:
                own = own + part.jaw[:, None] * rigid(part.points)
            moved.append(np.asarray(own))
        return np.concatenate(moved)

    def differ(self, skin: Doubles) -> Doubles:
        """Displacements of all vertices when the skin's shape is another person's.

        Head and neck go with the affine trend of the face, so that a wide face has a wide head; what lies
        within moves as a whole, with the lips and lids.
        """
        ones = np.concatenate([self.skin[:COUNT], np.ones((COUNT, 1))], axis=1)
        affine = np.linalg.lstsq(ones, skin[:COUNT], rcond=None)[0]
        skin = self._round_the_eyeballs(skin)
        moved = [skin]
        lips = skin[list(UPPER_LIP + LOWER_LIP[1:-1])].mean(axis=0)
        left = skin[list(UPPER_LID_LEFT + LOWER_LID_LEFT[1:-1])].mean(axis=0)
        for part in self.parts:
            if part.region in (Region.HEAD, Region.NECK):
                trend = np.concatenate([part.points, np.ones((len(part.points), 1))], axis=1) @ affine
                rest = skin - np.concatenate([self.skin, np.ones((len(skin), 1))], axis=1) @ affine
                moved.append(trend + part.follow @ rest)
            elif part.region == Region.FACE:
                moved.append(np.asarray(part.follow @ skin))
            elif part.region in MOUTH_INSIDE:
                moved.append(np.tile(lips, (len(part.points), 1)))
            else:
                moved.append(
                    np.tile(left * (1 if part.region == Region.EYE_LEFT else -1, 1, 1), (len(part.points), 1))
                )
        return np.concatenate(moved)

    def _round_the_eyeballs(self, skin: Doubles) -> Doubles:
        """Lids of another shape still lie on the eyeball: there the skin only moves along it."""
        skin = skin.copy()
        for ring, sign in ((UPPER_LID_LEFT + LOWER_LID_LEFT[1:-1], 1), (None, -1)):
            centre = self.centre * (sign, 1, 1)
            if ring is not None:
                shift = skin[list(ring)].mean(axis=0)
            away = self.skin - centre
            length = np.linalg.norm(away, axis=1, keepdims=True)
            out = away / length
            near = ((eyes.RADIUS_CM + 0.6 - length) / 0.45).clip(0, 1)
            relative = skin - shift * (sign, 1, 1)
            skin -= near * (relative * out).sum(axis=1, keepdims=True) * out
        return skin

    def clear_lids(self, moved: Doubles) -> None:
        """Keeps the skin of the lids off the eyeballs on the whole straight way to every shape (52, V, 3)."""
        for sign, rim in ((1, 2), (-1, 3)):
            centre = self.centre * (sign, 1, 1)
            beside = np.flatnonzero(np.linalg.norm(self.skin - centre, axis=1) < 2.2)
            rows = slice(self.starts[rim], self.starts[rim + 1])
            for name, k in INDEX.items():
                near = beside[np.linalg.norm(moved[k, beside], axis=1) > 1e-3]
                if len(near):
                    clearance = 0.06 if name.startswith("eyeBlink") else 0.03
                    moved[k, near] = _cleared(self.skin[near], moved[k, near], centre, clearance)
                    moved[k, rows] = self.parts[rim].follow @ moved[k, : len(self.skin)]

    def tongue_out(self, moved: Doubles) -> None:
        k = next(i for i, part in enumerate(self.parts) if part.region == Region.TONGUE)
        rows = slice(self.starts[k], self.starts[k + 1])
        moved[rows] += mouth.tongue_out(self.points[rows], self.tongue_tip)


def _cleared(points: Doubles, moved: Doubles, centre: Doubles, clearance: float) -> Doubles:
    """Displacements (N, 3) of points (N, 3) changed as little as keeps them outside the eyeball."""
    moved = moved.copy()
    # Points that the shape brings together (the two lids in a blink) are to stay together.
    pairs = cKDTree(points + moved).query_pairs(1e-5, output_type="ndarray")
    for _ in range(12):
        for w, above in ((0.5, 0.5 * clearance), (0.75, 0.7 * clearance), (1.0, clearance)):
            away = points + w * moved - centre
            length = np.linalg.norm(away, axis=1, keepdims=True)
            moved += away / length * (eyes.RADIUS_CM + above - length).clip(0) / w
        if len(pairs):
            closed = points + moved
            further = np.linalg.norm(closed[pairs] - centre, axis=2).argmax(axis=1)
            seam = closed[pairs[np.arange(len(pairs)), further]]
            for lid in pairs.T:
                moved[lid] = seam - points[lid]
    return moved


def _jaw_motion(name: str) -> Callable[[Doubles], Doubles] | None:
    """What an expression does to bone and teeth of the lower jaw, points (N, 3) -> displacements (N, 3)."""
    turn = rotation_matrix(np.array([np.radians(JAW_DEGREES), 0, 0])) - np.eye(3)
    share = {"jawOpen": 1.0, "tongueOut": TONGUE_JAW}.get(name)
    if share is not None:
        return lambda points: share * ((points - HINGE) @ turn.T + (0, 0, GLIDE_CM))
    if name in SLIDES:
        return lambda points: np.tile(SLIDES[name], (len(points), 1))
    return None


def _uv(points: Doubles, region: NDArray[np.int8], centres: Doubles) -> Doubles:
    """Cylinder around the vertical axis through the head, face in the middle; eyeballs their own."""
    away = points - (0, 0, -7.0)
    uv = np.stack(
        [0.5 + np.arctan2(away[:, 0], away[:, 2]) / (2 * np.pi), 0.5 - (points[:, 1] + 2.5) / 30], axis=1
    )
    for eye, centre in zip(EYES, centres, strict=True):
        ball = region == eye
        uv[ball] = eyeball_uv(points[ball] - centre)
    return uv.clip(0, 1)


def _landmarks(body: _Body) -> Embedding:
    corners = np.zeros((478, 3), np.int32)
    corners[:COUNT] = np.arange(COUNT)[:, None]
    weights = np.tile(np.array([1, 0, 0], np.float32), (478, 1))
    trust = np.zeros(478, np.float32)
    trust[:COUNT] = 1
    trust[list(FACE_OVAL)] = 0.3
    for landmark, eye in zip(IRISES, EYES, strict=True):
        corners[landmark] = int(np.flatnonzero(body.vertex_region == eye)[0])
        trust[landmark] = 1
    return Embedding(corners, weights, trust)


def _landmarks68() -> Embedding:
    corners = np.repeat(np.array(FROM_68, np.int32)[:, None], 3, axis=1)
    trust = np.ones(68, np.float32)
    trust[:17] = 0.3
    return Embedding(corners, np.tile(np.array([1, 0, 0], np.float32), (68, 1)), trust)
