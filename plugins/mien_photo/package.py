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
from mien_photo.anatomy import Skin
from mien_photo.eyes import Eye
from mien_photo.grid import Grid
from mien_photo.posing import Edges, Likeness
from mien_photo.sides import Sides
from mien_photo.teeth import Arch, Palette

RENDERER = "photo"
VERSION = 1

_OPENINGS = ("mouth", "left", "right")
_SIDES = ("left", "right")


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
    for side, source, plate in zip(_SIDES, beside.source, beside.plate, strict=True):
        if source.shape[1]:
            images |= {f"source_{side}": source, f"plate_{side}": plate}
    return images


def _beside(images: Mapping[str, Bytes]) -> Sides:
    """Packages of earlier versions have none. Raises ValueError where they do not go with the square."""
    none = Sides.none()
    height = images["source"].shape[0]
    found = [
        (images.get(f"source_{side}", none.source[k]), images.get(f"plate_{side}", none.plate[k]))
        for k, side in enumerate(_SIDES)
    ]
    for source, plate in found:
        if source.shape[1] and (source.shape[0] != height or source.shape[:2] != plate.shape[:2]):
            raise ValueError("its sides do not go with its middle")
    (left, left_plate), (right, right_plate) = found
    return Sides((left, right), (left_plate, right_plate))


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
    for name, edges in zip(_OPENINGS, likeness.edges, strict=True):
        arrays[f"{name}_gap"] = edges.gap
        arrays[f"{name}_model_gap"] = edges.model_gap
        arrays[f"{name}_hidden_xy"] = edges.hidden_xy
    for side, eye in zip(_SIDES, eyes, strict=True):
        images[f"white_{side}"] = eye.white
        images[f"iris_{side}"] = eye.iris
        images[f"glint_{side}"] = eye.glint
        arrays[f"eye_{side}"] = np.concatenate(
            [eye.box, eye.centre, [eye.radius, eye.iris_radius], eye.gaze]
        ).astype(np.float32)
    return AvatarContent(RENDERER, subject.model, subject, images, arrays)


def unpack(content: AvatarContent, model: FaceModel, skin: Skin) -> PhotoAvatar:
    """The other way round; arrays are copied, so that they are writable and whole for the kernels.

    Raises `PackageError` when parts are missing or do not fit the face model.
    """
    try:
        return _unpack(content, skin)
    except (KeyError, IndexError, ValueError) as error:
        raise PackageError(
            f"The photo avatar is not complete or does not fit the face model {model.name!r} ({error}). "
            "Make it anew from its photo: mien avatar create PHOTO --out NAME.avatar"
        ) from error


def _unpack(content: AvatarContent, skin: Skin) -> PhotoAvatar:
    arrays, images = content.arrays, content.images
    if int(arrays["version"]) != VERSION:
        raise ValueError(f"version {int(arrays['version'])} instead of {VERSION}")
    edges = [
        Edges(*(np.array(arrays[f"{name}_{part}"], order="C") for part in ("gap", "model_gap", "hidden_xy")))
        for name in _OPENINGS
    ]
    for one, opening in zip(edges, skin.openings, strict=True):
        if len(one.hidden_xy) != len(opening.rows):
            raise ValueError("its openings are those of another model")
    if len(arrays["neutral"]) != len(skin.vertices):
        raise ValueError("its skin is that of another model")
    eyes = []
    for side in _SIDES:
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
        likeness=Likeness(
            np.array(arrays["neutral"]), np.array(arrays["source_xy"]), (edges[0], edges[1], edges[2])
        ),
        grid=Grid(
            int(arrays["grid_rows"]),
            *(
                np.array(arrays[f"grid_{part}"], order="C")
                for part in ("still", "head", "turn", "shift", "bound", "weights")
            ),
        ),
        eyes=(eyes[0], eyes[1]),
        arch=Arch.unpacked(arrays["arch"], np.array(arrays["arch_jaw"]), np.array(arrays["arch_tilt"])),
        palette=Palette(*arrays["palette"]),
        rows=(images["teeth_upper"], images["teeth_lower"]),
        beside=_beside(images),
    )
