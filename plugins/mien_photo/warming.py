"""Compiles the renderer's kernels once, at install, on an avatar made of nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.avatar.package import Avatar, AvatarContent, Consent
from mien.context import PlainContext
from mien.face.camera import Camera, rotation_matrix
from mien.face.model import FaceModel, load_model
from mien.face.subject import Subject
from mien.frames import DETAIL, FaceParams, Float
from mien.render import composition, projection
from mien.render.fragments import empty_fragments
from mien.stage import Fragments, Kind, Rasterizer
from mien_photo import lashes, package, shading, tongue
from mien_photo.anatomy import skin_of
from mien_photo.eyes import IRIS, PATCH, Eye, View
from mien_photo.grid import Grid
from mien_photo.likeness import likeness_of
from mien_photo.renderer import PhotoRenderer
from mien_photo.teeth import ROW, Arch, Palette

_SIDE = 64


def warm() -> None:
    """Render one frame; afterwards numba's cache holds every kernel of this plugin."""
    projection.warm()
    composition.warm()
    shading.warm()
    tongue.warm()
    lashes.warm()
    content = blank(load_model())
    consent = Consent("nobody is shown", "nobody", "public-domain", "2025-01-01")
    context = PlainContext(
        avatar=Avatar.new(content, consent), size=(_SIDE, _SIDE), services={Kind.RASTERIZER: _EverywhereFirst}
    )
    renderer = PhotoRenderer()
    renderer.open(context)
    renderer.process(
        FaceParams(
            0,
            translation=content.subject.rest_translation,
            expression=np.full(52, 0.2, np.float32),
            detail=np.zeros(DETAIL, np.float32),
        )
    )
    renderer.close()
    context.close()


def blank(model: FaceModel) -> AvatarContent:
    """A complete photo avatar of the mean face, all black."""
    skin = skin_of(model)
    camera = Camera.guess(_SIDE, _SIDE)
    subject = Subject(model.name, np.zeros(len(model.identity), np.float32), camera)
    view = View(camera, rotation_matrix(subject.rest_rotation), subject.rest_translation)
    neutral = model.mean[skin.vertices]
    points = view.project(model.landmarks.apply(model.mean))
    corners = np.array([[0, 0], [_SIDE, 0], [0, _SIDE], [_SIDE, _SIDE]], np.float32)
    black = np.zeros((_SIDE, _SIDE, 3), np.uint8)
    eyes = [
        Eye(
            np.zeros((*PATCH, 3), np.uint8),
            np.array([0, 0, 1], np.float32),
            np.zeros((IRIS, IRIS, 4), np.uint8),
            np.zeros((IRIS, IRIS), np.uint8),
            centre,
            model.eye_radius,
            0.6,
            np.zeros(2, np.float32),
        )
        for centre in model.eye_centres
    ]
    row = np.zeros((*ROW, 4), np.uint8)
    return package.pack(
        subject=subject,
        portrait=black,
        front=black,
        alpha=black[..., 0],
        back=black,
        likeness=likeness_of(skin, neutral, neutral, subject.neutral, points, view),
        grid=Grid(
            2,
            corners,
            np.zeros((4, 3), np.float32),
            np.ones(4, np.float32),
            np.ones(4, np.float32),
            np.zeros((4, 3), np.int32),
            np.zeros((4, 3), np.float32),
        ),
        eyes=(eyes[0], eyes[1]),
        arch=Arch(3.0, 4.0, 2.5, -7.0, -7.0, np.zeros((52, 3), np.float32), np.zeros(52, np.float32)),
        palette=Palette(*np.zeros((4, 3), np.float32)),
        rows=(row, row),
    )


class _EverywhereFirst(Rasterizer):
    """Says that every pixel shows the first triangle."""

    def rasterize(
        self,
        positions: Float,
        triangles: NDArray[np.int32],
        height: int,
        width: int,
        *,
        cull: bool = True,
        out: Fragments | None = None,
    ) -> Fragments:
        if out is None:
            out = empty_fragments(len(positions), height, width)
        out.triangle[:] = 0
        out.barycentric[:] = 1 / 3
        out.depth[:] = 0
        return out

    def interpolate(
        self,
        attributes: Float,
        fragments: Fragments,
        triangles: NDArray[np.int32],
        *,
        out: Float | None = None,
    ) -> Float:
        raise NotImplementedError("a renderer that needs this cannot be warmed up by this stand-in")
