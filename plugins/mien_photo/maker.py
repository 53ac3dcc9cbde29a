"""Makes a photo avatar: one portrait in, everything the renderer needs out."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.avatar.package import AvatarContent
from mien.errors import MediaError, NoFaceError
from mien.face.camera import Camera, rotation_matrix
from mien.face.enrolment import enrol
from mien.face.model import FACE_OVAL, FaceModel, PosedFace, Region, load_model
from mien.face.subject import Subject
from mien.frames import Bytes, Float
from mien.stage import Context, FaceLandmarks, Fragments, Kind, Landmarker, Maker, Rasterizer, Segmenter
from mien_photo import anatomy, crop, eyes, folds, grid, matte, package, sides, teeth
from mien_photo.anatomy import Skin, skin_of
from mien_photo.eyes import View
from mien_photo.likeness import is_shut, likeness_of, smile_of
from mien_photo.parts import SIDES

Ints = NDArray[np.int32]

_SMALL_FACE = 90
_DEPTH_SIDE = 256
_CROWN_SHARE = 0.1
"""Of the face's width: what is narrower on top of a head may be cut off."""
_SKIN_DISTANCE = 16.0
"""In a and b of CIELAB: what is further from the cheeks is cloth."""


class PhotoMaker(Maker):
    """Makes avatars on the session's face model (`context.face_model`)."""

    def __init__(self) -> None:
        self._context: Context | None = None

    def open(self, context: Context) -> None:
        self._context = context
        self._model = load_model(context.face_model)
        self._landmarker: Landmarker = context.service(Kind.LANDMARKER)
        self._segmenter: Segmenter = context.service(Kind.SEGMENTER)
        self._rasterizer: Rasterizer = context.service(Kind.RASTERIZER)

    def close(self) -> None:
        self._context = None

    def make(self, portrait: Bytes, alpha: Bytes | None = None) -> AvatarContent:
        """See `mien.stage.Maker`. alpha: (H, W) uint8, where the picture itself says what is in front."""
        if self._context is None:
            raise RuntimeError("PhotoMaker.make needs open() first")
        if portrait.ndim != 3 or portrait.shape[2] != 3 or portrait.dtype != np.uint8:
            raise MediaError(
                f"A portrait must be (H, W, 3) uint8 RGB, not {portrait.shape} {portrait.dtype}."
            )
        face = self._largest(portrait)
        square = crop.choose(face.points, portrait.shape[1], portrait.shape[0], self._crown(portrait, face))
        portrait = crop.cleaned(portrait, square)
        self._remark(face, square, portrait)
        picture = crop.cut(portrait, square)
        found = self._landmarker.detect_still(picture)
        points = found[0].points if found else _moved(face.points, square)
        cover = None if alpha is None else crop.cut(alpha, square).astype(np.float32) / 255
        allowed = np.ones(picture.shape[:2], np.float32)
        height, width = portrait.shape[:2]
        if square.overhang(width, height) > 0:
            person = self._segmenter.segment(picture) if cover is None else cover
            picture, allowed = crop.surround(picture, square, width, height, person, float(points[152, 1]))
        body = self._person(portrait, square) if alpha is None else alpha
        segmentation = self._segmenter.segment(picture)
        # Below the chin the square cuts the body off, and what is left of it looks like anything.
        below = np.clip((np.arange(crop.SIDE) - points[152, 1]) / (0.1 * crop.SIDE), 0, 1)[:, None]
        around = crop.cut(body, square).astype(np.float32) / 255
        segmentation = np.maximum(segmentation, around * below.astype(np.float32))
        content = _Portrait(picture, points, self._model, self._rasterizer).content(
            segmentation * allowed, cover, allowed
        )
        self._remark_eyes(content)
        beside = sides.separated(portrait, square, body, content.images["source"], content.images["plate"])
        return replace(content, images={**content.images, **package.side_images(beside)})

    def _crown(self, portrait: Bytes, face: FaceLandmarks) -> float | None:
        """y of the top of the hair above the face, px; None where the segmenter sees nobody."""
        left, right = face.points[:, 0].min(), face.points[:, 0].max()
        above = self._segmenter.segment(portrait)[:, max(int(left), 0) : max(int(right), 1)] > 0.5
        rows = np.flatnonzero(above.mean(axis=1) > _CROWN_SHARE)
        return float(rows[0]) if len(rows) else None

    def _person(self, portrait: Bytes, square: crop.Square) -> Bytes:
        """(H, W) uint8, where the person is around the square."""
        height, width = portrait.shape[:2]
        person = np.zeros((height, width), np.uint8)
        around = sides.surroundings(square, width, height)
        person[around] = self._segmenter.segment(np.ascontiguousarray(portrait[around])) * 255
        return person

    def _largest(self, portrait: Bytes) -> FaceLandmarks:
        faces = self._landmarker.detect_still(portrait)
        if not faces:
            raise NoFaceError(
                "No face was found in the portrait. Use one that shows a face from the front, not too small."
            )
        if len(faces) > 1 and self._context is not None:
            self._context.notice(f"The portrait shows {len(faces)} faces; the largest is used.")
        return faces[0]

    def _remark(self, face: FaceLandmarks, square: crop.Square, portrait: Bytes) -> None:
        if self._context is None:
            return
        size = float(np.ptp(face.points[:, :2], axis=0).max())
        if size < _SMALL_FACE:
            self._context.notice(
                f"The face is only {size:.0f} px high; a portrait with at least {2 * _SMALL_FACE} px looks better."
            )
        if square.overhang(portrait.shape[1], portrait.shape[0]) > 0.05:
            self._context.notice("The face fills the portrait; its surroundings are made up.")

    def _remark_eyes(self, content: AvatarContent) -> None:
        gaps = (content.arrays[f"{side}_gap"] for side in SIDES)
        shut = [side for side, gap in zip(SIDES, gaps, strict=True) if is_shut(gap)]
        if shut and self._context is not None:
            which = "eyes are" if len(shut) == 2 else f"{shut[0]} eye is"
            self._context.notice(
                f"The portrait's {which} shut, or nearly so, and little shows what lies behind: the avatar's will "
                "stay that way. Use a portrait with open eyes."
            )


def _moved(points: Float, square: crop.Square) -> Float:
    moved = points * np.float32(square.scale)
    moved[:, 0] -= square.left * square.scale
    moved[:, 1] -= square.top * square.scale
    return moved


class _Portrait:
    """One portrait being worked on. All pixels are those of the square crop."""

    def __init__(self, picture: Bytes, points: Float, model: FaceModel, rasterizer: Rasterizer) -> None:
        self.picture = picture
        self.points = points
        self.model = model
        self.rasterizer = rasterizer
        self.side = picture.shape[0]
        self.camera = Camera.guess(self.side, self.side)
        self.subject: Subject = enrol(model, self.camera, [points])
        self.view = View(
            self.camera, rotation_matrix(self.subject.rest_rotation), self.subject.rest_translation
        )
        self.skin: Skin = skin_of(model)
        self.posed = PosedFace(model, self.subject.identity, self.subject.offsets)
        self.neutral = self._neutral()
        self.expressed = self.neutral + (
            self.posed.vertices(self.subject.neutral.copy()) - self.posed.neutral
        )

    def _neutral(self) -> Float:
        """The neutral face such that the portrait's landmarks are met to the pixel."""
        landmarks = self.model.landmarks
        fitted = landmarks.apply(self.posed.vertices(self.subject.neutral.copy()))
        depth = -(fitted @ self.view.rotation.T + self.view.translation)[:, 2:]
        missing = (self.points[:, :2] - self.view.project(fitted)) * depth / self.camera.focal
        missing *= np.array([1, -1], np.float32)
        offsets = np.concatenate([missing, np.zeros_like(depth)], axis=1) @ self.view.rotation
        trusted = landmarks.trust[:, None] >= 0.2
        return np.asarray(
            self.posed.neutral + self.model.spread(np.asarray(offsets * trusted, np.float32)), np.float32
        )

    def content(self, segmentation: Float, cover: Float | None, allowed: Float) -> AvatarContent:
        """allowed: (side, side) 0 to 1, where the person may be."""
        model, skin, subject = self.model, self.skin, self.subject
        skin_points = self.expressed[skin.vertices]
        likeness = likeness_of(
            skin, self.neutral[skin.vertices], skin_points, subject.neutral, self.points, self.view
        )
        shown = skin.triangles[(skin.presence[skin.triangles] > 0).all(axis=1)]
        face = self._draw(skin_points, shown, _DEPTH_SIDE)
        surface = model.triangles[np.isin(model.triangle_region, (Region.FACE, Region.HEAD, Region.NECK))]
        head = self._draw(self.expressed, surface, _DEPTH_SIDE)
        depth = self._depth(self.expressed, surface, head)

        known = cv2.erode((face.triangle[0] >= 0).astype(np.uint8), np.ones((9, 9), np.uint8)).astype(
            np.float32
        )
        sure = cv2.resize(known, (self.side, self.side), interpolation=cv2.INTER_LINEAR)
        alpha = cover if cover is not None else matte.refine(self.picture, segmentation, sure)
        alpha = np.asarray(alpha * allowed, np.float32)
        rested = folds.softened(self.picture, self.points, smile_of(subject.neutral))
        front, back = matte.separate(rested, alpha)

        height = float(np.linalg.norm(self.points[152, :2] - self.points[10, :2]))
        surroundings = grid.build(
            self.side,
            self.view,
            head,
            depth,
            face,
            shown,
            cv2.resize(alpha, depth.shape[::-1], interpolation=cv2.INTER_AREA) > 0.5,
            self.points[list(FACE_OVAL), :2],
            self.points[152, :2],
            height,
            self._bare_neck(height),
        )
        pair = self._eyes()
        arch, palette, rows = self._mouth(pair)
        return package.pack(
            subject=replace(subject, epoch=1),
            portrait=self.picture,
            front=front,
            alpha=np.asarray(alpha * 255 + 0.5, np.uint8),
            back=back,
            likeness=likeness,
            grid=surroundings,
            eyes=pair,
            arch=arch,
            palette=palette,
            rows=rows,
        )

    def _draw(self, points: Float, triangles: Ints, side: int) -> Fragments:
        posed = points @ self.view.rotation.T + self.view.translation
        whole = np.concatenate([posed, np.ones((len(posed), 1), np.float32)], axis=1)
        clip = whole @ self.camera.clip_matrix().T
        return self.rasterizer.rasterize(np.asarray(clip[None], np.float32), triangles, side, side)

    def _depth(self, points: Float, triangles: Ints, head: Fragments) -> Float:
        away = -(points @ self.view.rotation.T + self.view.translation)[:, 2:]
        drawn = self.rasterizer.interpolate(np.asarray(away[None], np.float32), head, triangles)
        return np.ascontiguousarray(drawn[0, :, :, 0])

    def _eyes(self) -> tuple[eyes.Eye, eyes.Eye]:
        centres = self.model.placed_eyes(self.neutral)
        edges = (
            (anatomy.LEFT_UPPER, anatomy.LEFT_LOWER),
            (anatomy.RIGHT_UPPER, anatomy.RIGHT_LOWER),
        )
        made = [
            eyes.take_apart(
                self.picture,
                self.points[[*upper, *lower[-2:0:-1]], :2],
                self.points[list(iris), :2],
                self.view,
                centre,
                self.model.eye_radius,
            )
            for (upper, lower), iris, centre in zip(edges, anatomy.IRIS, centres, strict=True)
        ]
        return made[0], made[1]

    def _mouth(
        self, pair: tuple[eyes.Eye, eyes.Eye]
    ) -> tuple[teeth.Arch, teeth.Palette, tuple[Bytes, Bytes]]:
        closed = self.skin.openings[0]
        neutral_skin = self.neutral[self.skin.vertices]
        lips = (closed.upper.apply(neutral_skin)[5] + closed.lower.apply(neutral_skin)[5]) / 2
        arch = teeth.arch_of(self.model, self.neutral, np.asarray(lips, np.float32))
        mouth = np.zeros((self.side, self.side), np.uint8)
        outline = self.points[[*anatomy.MOUTH_UPPER, *anatomy.MOUTH_LOWER[-2:0:-1]], :2]
        cv2.fillPoly(mouth, [np.round((outline - 0.5) * 16).astype(np.int32)], 1, shift=4)
        smile = teeth.own_smile(self.picture, mouth, arch, self.view)
        white = np.mean([np.median(eye.white[..., :3].reshape(-1, 3), axis=0) for eye in pair], axis=0)
        palette = teeth.palette_of(
            np.asarray(white, np.float32),
            self._colour(np.linspace(self.points[14, :2], self.points[17, :2], 5)[1:4], 0.01),
            self._colour(self.points[[205, 425], :2], 0.03),
        )
        opened = float(closed.gaps(self.expressed[self.skin.vertices]).max())
        if smile is not None and not teeth.well_lit(smile, palette, opened):
            smile = None
        if smile is None:
            upper = teeth.painted(palette, upper=True)
        else:
            palette = replace(palette, tooth=smile.colour)
            upper = teeth.with_smile(teeth.painted(palette, upper=True), smile)
            arch = replace(
                arch,
                upper=smile.edge,
                lower=arch.lower + smile.edge - arch.upper,
                full_light_cm=float(np.clip(opened, 0.25, 1.0)),
                shading=0.5,
            )
        return arch, palette, (upper, teeth.painted(palette, upper=False))

    def _bare_neck(self, height: float) -> float:
        """How far below the chin there is skin, in face heights."""
        lab = cv2.cvtColor(self.picture, cv2.COLOR_RGB2LAB).astype(np.float32)
        x, y = self.points[152, :2].tolist()
        half = max(int(0.12 * height), 2)
        strip = np.median(lab[:, max(int(x) - half, 0) : int(x) + half], axis=1)
        cheek = self._colour(self.points[[205, 425, 50, 280], :2], 0.03)
        own = cv2.cvtColor(cheek.astype(np.uint8).reshape(1, 1, 3), cv2.COLOR_RGB2LAB)[0, 0].astype(
            np.float32
        )
        # A neck lies in the shadow of the chin: the hue counts, brightness only where it is gone.
        away = np.hypot(strip[:, 1] - own[1], strip[:, 2] - own[2]) + 0.25 * np.maximum(
            own[0] - strip[:, 0] - 60, 0
        )
        start = int(y + 0.04 * height)
        bare = away[start : int(y + 0.6 * height)] < _SKIN_DISTANCE
        length = len(bare) if bare.all() else int(np.argmin(bare))
        return length / height + 0.04

    def _colour(self, places: NDArray[np.float32], reach: float) -> Float:
        """Typical colour around some points; reach: share of the side."""
        r = max(int(reach * self.side), 1)
        patches = [
            self.picture[max(int(y) - r, 0) : int(y) + r + 1, max(int(x) - r, 0) : int(x) + r + 1].reshape(
                -1, 3
            )
            for x, y in places
        ]
        return np.asarray(np.median(np.concatenate(patches), axis=0), np.float32)
