"""What a photo avatar consists of on disk: names of images and arrays, and back from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from mien.avatar.package import AvatarContent
from mien.errors import PackageError
from mien.face.model import FaceModel
from mien.face.subject import Subject
from mien.frames import Bytes
from mien_photo import coverage, parts
from mien_photo.anatomy import Skin
from mien_photo.eyes import Eye
from mien_photo.grid import Grid
from mien_photo.parts import OPENINGS, SIDES
from mien_photo.posing import Edges, Likeness
from mien_photo.sides import Sides
from mien_photo.teeth import Arch, Palette

RENDERER = "photo"
VERSION = 1


@dataclass(frozen=True, slots=True)
class PhotoAvatar:
    """A photo avatar in memory.

    source: (S, S, 4) uint8, the person's colours, continued beyond it, and alpha. plate: (S, S, 3) uint8
    the background without the person. beside: both to the left and the right of that square, as far as the picture
    went on. rows: pictures of the upper and lower teeth.
    """

    subject: Subject
    source: Bytes
    plate: Bytes
    likeness: Likeness
    grid: Grid
    eyes: tuple[Eye, Eye]
    arch: Arch
    palette: Palette
    rows: tuple[Bytes, Bytes]
    beside: Sides


def side_images(beside: Sides) -> dict[str, Bytes]:
    """The images of a package that `pack` leaves out: sides that there are."""
    images: dict[str, Bytes] = {}
    for side, source, plate in zip(SIDES, beside.source, beside.plate, strict=True):
        if source.shape[1]:
            images |= {f"source_{side}": source, f"plate_{side}": plate}
    return images


def _beside(images: Mapping[str, Bytes]) -> Sides:
    """Packages of earlier versions have none."""
    none = Sides.none()
    sources = [images.get(f"source_{side}", none.source[k]) for k, side in enumerate(SIDES)]
    plates = [images.get(f"plate_{side}", none.plate[k]) for k, side in enumerate(SIDES)]
    return Sides((sources[0], sources[1]), (plates[0], plates[1]))


def pack(
    *,
    subject: Subject,
    portrait: Bytes,
    front: Bytes,
    alpha: Bytes,
    back: Bytes,
    likeness: Likeness,
    grid: Grid,
    eyes: tuple[Eye, Eye],
    arch: Arch,
    palette: Palette,
    rows: tuple[Bytes, Bytes],
) -> AvatarContent:
    """All parts of a photo avatar as the content of a package; portrait: the square crop as it was."""
    images: dict[str, Bytes] = {
        "portrait": cv2.resize(portrait, (512, 512), interpolation=cv2.INTER_AREA),
        "source": np.dstack([front, alpha]),
        "plate": back,
        "teeth_upper": rows[0],
        "teeth_lower": rows[1],
    }
    arrays = {
        "version": np.array(VERSION, np.int32),
        "neutral": likeness.neutral,
        "source_xy": likeness.source_xy,
        "grid_rows": np.array(grid.rows, np.int32),
        "grid_still": grid.still,
        "grid_head": grid.head,
        "grid_turn": grid.turn,
        "grid_shift": grid.shift,
        "grid_bound": grid.bound,
        "grid_weights": grid.weights,
        "arch": arch.packed(),
        "arch_jaw": arch.jaw,
        "arch_tilt": arch.tilt,
        "palette": palette.packed(),
    }
    for name, edges in zip(OPENINGS, likeness.edges, strict=True):
        arrays[f"{name}_gap"] = edges.gap
        arrays[f"{name}_model_gap"] = edges.model_gap
        arrays[f"{name}_hidden_xy"] = edges.hidden_xy
    for side, eye in zip(SIDES, eyes, strict=True):
        images[f"white_{side}"] = eye.white
        images[f"iris_{side}"] = eye.iris
        images[f"glint_{side}"] = eye.glint
        arrays[f"eye_{side}"] = np.concatenate(
            [eye.box, eye.centre, [eye.radius, eye.iris_radius], eye.gaze]
        ).astype(np.float32)
    return AvatarContent(RENDERER, subject.model, subject, images, arrays)


def unpack(content: AvatarContent, model: FaceModel, skin: Skin) -> PhotoAvatar:
    """The other way round, and the door for what strangers made; arrays are copied, so that they are writable and
    whole for the kernels.

    Raises `PackageError` when parts are missing, do not fit the face model or hold what cannot be, or what would take
    seconds to draw.
    """
    try:
        if (version := content.arrays.get("version")) is None or version.shape or version != VERSION:
            raise ValueError(f"version {version} instead of {VERSION}")
        parts.check(content, model, skin)
        photo = _unpacked(content)
        coverage.check(photo.subject, photo.likeness, photo.grid, skin, model.pivot)
    except ValueError as error:
        raise PackageError(
            f"The photo avatar is not complete or does not fit the face model {model.name!r} ({error}). "
            "Make it anew from its photo: mien avatar create PHOTO --out NAME.avatar"
        ) from error
    return photo


def _unpacked(content: AvatarContent) -> PhotoAvatar:
    """`content` has been checked."""
    images = content.images
    arrays = {name: np.array(array, order="C") for name, array in content.arrays.items()}
    edges = [
        Edges(*(arrays[f"{name}_{part}"] for part in ("gap", "model_gap", "hidden_xy"))) for name in OPENINGS
    ]
    eyes = []
    for side in SIDES:
        numbers = arrays[f"eye_{side}"]
        eyes.append(
            Eye(
                images[f"white_{side}"], numbers[0:3], images[f"iris_{side}"], images[f"glint_{side}"], numbers[3:6],
                float(numbers[6]), float(numbers[7]), numbers[8:10],
            )
        )  # fmt: skip
    return PhotoAvatar(
        subject=content.subject,
        source=images["source"],
        plate=images["plate"],
        likeness=Likeness(arrays["neutral"], arrays["source_xy"], (edges[0], edges[1], edges[2])),
        grid=Grid(
            int(arrays["grid_rows"]),
            *(arrays[f"grid_{part}"] for part in ("still", "head", "turn", "shift", "bound", "weights")),
        ),
        eyes=(eyes[0], eyes[1]),
        arch=Arch.unpacked(arrays["arch"], arrays["arch_jaw"], arrays["arch_tilt"]),
        palette=Palette(*arrays["palette"]),
        rows=(images["teeth_upper"], images["teeth_lower"]),
        beside=_beside(images),
    )
