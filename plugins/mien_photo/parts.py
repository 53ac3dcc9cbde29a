"""What each part of a photo avatar's package must be: one table, asked of every package that is opened.

Packages come from strangers, and the kernels look nothing up twice: an index beyond its array, rows that are lacking
or a number that is none would take the process down. Here is the door where that is found out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.avatar.package import AvatarContent
from mien.face.camera import rotation_matrix
from mien.face.landmark_basis import MESH, LandmarkBasis
from mien.face.model import FaceModel
from mien.face.subject import Subject
from mien.frames import EXPRESSIONS, Bytes
from mien_photo.anatomy import Skin
from mien_photo.eyes import IRIS, PATCH
from mien_photo.teeth import ROW

OPENINGS = ("mouth", "left", "right")
SIDES = ("left", "right")

SMALLEST, LARGEST = 64, 4096
"""px a side of a source."""

_FAR_CM = 1e3
_FAR_PX = 1e5
_COLOUR = (-1.0, 1e3)
_SHARE = (-0.1, 1.1)
"""Wider than what is made: a share that is a little beyond 0 or 1 does no harm."""

_MOST_NODES = 2**14
"""Of a grid, which has 2916: each of them costs time in every frame."""

_ARCH = np.array([(0.1, 50), (0.1, 50), (-100, 100), (-100, 100), (-100, 100), (0.01, 50), (-2, 2)]).T
"""Of `teeth.Arch.packed`: lowest and highest. The first two and the sixth are divided by."""

_EYE = np.array(
    [(-_FAR_PX, _FAR_PX)] * 2 + [(1e-3, 1e3)] + [(-100, 100)] * 3 + [(0.05, 10)] * 2 + [(-4, 4)] * 2
).T
"""Left, top and scale of the box, centre, radius, radius of the iris, gaze; see `eyes.Eye`."""

_PLACE = np.array([(-1e4, 1e4), (-1e4, 1e4), (-1e4, -5.0)]).T
"""Of the head, cm: in front of the camera."""

_NEAREST_CM = -1.0
"""No part of the face comes nearer to the camera, nor where the head turns on the neck."""


@dataclass(frozen=True, slots=True)
class Part:
    """shape: None where any length will do. low, high: the range of all values, or of each column; of bytes every
    value will do.
    """

    shape: tuple[int | None, ...]
    low: ArrayLike = 0
    high: ArrayLike = 255
    dtype: type[np.generic] = np.float32

    def check(self, name: str, array: NDArray[Any]) -> None:
        """Raises `ValueError` unless `array` is such a part."""
        if array.dtype != self.dtype:
            raise ValueError(f"{name} is of type {array.dtype} instead of {np.dtype(self.dtype)}")
        if array.ndim != len(self.shape) or any(
            want not in (None, have) for want, have in zip(self.shape, array.shape, strict=True)
        ):
            wanted = ", ".join("any" if size is None else str(size) for size in self.shape)
            raise ValueError(f"{name} has shape {array.shape} instead of ({wanted})")
        # So put that a NaN is outside.
        if array.dtype != np.uint8 and not ((array >= self.low) & (array <= self.high)).all():
            raise ValueError(f"{name} holds values that cannot be")


def check(content: AvatarContent, model: FaceModel, skin: Skin) -> None:
    """Raises `ValueError`, which names the part, unless all of `content` can be drawn with `model`."""
    side = _checked_side(content)
    for name, part in _subject_parts(model):
        part.check(f"subject/{name}", getattr(content.subject, name))
    _check_place(content.subject, model)
    images: Mapping[str, Bytes] = content.images
    for name, shape in _image_shapes(side, images):
        _whole(images, name)
        Part(shape, dtype=np.uint8).check(name, images[name])
    for which in SIDES:
        if f"source_{which}" in images and (
            images[f"source_{which}"].shape[1] != images[f"plate_{which}"].shape[1]
        ):
            raise ValueError(f"plate_{which} is not as wide as source_{which}")
    for name, part in _array_parts(skin):
        _whole(content.arrays, name)
        part.check(name, content.arrays[name])
    _check_grid(content.arrays)


def _whole(parts: Mapping[str, NDArray[Any]], name: str) -> None:
    if name not in parts:
        raise ValueError(f"{name} is missing")


def _checked_side(content: AvatarContent) -> int:
    """Of the source, which is a square, and what the camera sees."""
    _whole(content.images, "source")
    side = content.images["source"].shape[0]
    if not SMALLEST <= side <= LARGEST:
        raise ValueError(f"source has {side} px a side; it may have {SMALLEST} to {LARGEST}")
    camera = content.subject.camera
    if (camera.width, camera.height) != (side, side):
        raise ValueError(f"source has {side} px a side, its camera {camera.width}x{camera.height}")
    if not (1 <= camera.focal <= _FAR_PX and max(abs(camera.cx), abs(camera.cy)) <= _FAR_PX):
        raise ValueError("its camera is none")
    return side


def _subject_parts(model: FaceModel) -> Iterator[tuple[str, Part]]:
    yield "identity", Part((len(model.identity),), -1e3, 1e3)
    yield "offsets", Part((478, 3), -_FAR_CM, _FAR_CM)
    yield "neutral", Part((EXPRESSIONS,), -10, 10)
    yield "gains", Part((EXPRESSIONS,), -100, 100)
    yield "rest_rotation", Part((3,), -100, 100)
    yield "rest_translation", Part((3,), *_PLACE)
    yield "rest_gaze", Part((2, 2), -4, 4)


def _check_place(subject: Subject, model: FaceModel) -> None:
    """What lies in the plane of the camera, or behind it, is seen nowhere."""
    basis = LandmarkBasis.of(model)
    shape = basis.shape(subject.identity, subject.offsets)
    shape = shape + np.tensordot(subject.neutral, basis.expression, 1).T
    home = rotation_matrix(subject.rest_rotation)
    placed = shape @ home.T + subject.rest_translation
    if not (placed[:MESH, 2] <= _NEAREST_CM).all():
        raise ValueError(
            "subject/identity, offsets, neutral or rest_translation has a face that is not in front of its camera"
        )
    if not (home @ model.pivot + subject.rest_translation)[2] <= _NEAREST_CM:
        raise ValueError(
            "subject/rest_rotation or rest_translation has a neck that is not in front of its camera"
        )


def _image_shapes(side: int, images: Mapping[str, Bytes]) -> Iterator[tuple[str, tuple[int | None, ...]]]:
    """What goes on beside the square, and the portrait for people to look at, may be missing."""
    yield "source", (side, side, 4)
    yield "plate", (side, side, 3)
    yield "teeth_upper", (*ROW, 4)
    yield "teeth_lower", (*ROW, 4)
    if "portrait" in images:
        yield "portrait", (None, None, 3)
    for which in SIDES:
        yield f"white_{which}", (*PATCH, 3)
        yield f"iris_{which}", (IRIS, IRIS, 4)
        yield f"glint_{which}", (IRIS, IRIS)
        if f"source_{which}" in images or f"plate_{which}" in images:
            yield f"source_{which}", (side, None, 4)
            yield f"plate_{which}", (side, None, 3)


def _array_parts(skin: Skin) -> Iterator[tuple[str, Part]]:
    vertices = len(skin.vertices)
    yield "version", Part((), 0, 2**15, np.int32)
    yield "neutral", Part((vertices, 3), -_FAR_CM, _FAR_CM)
    yield "source_xy", Part((vertices, 2), -_FAR_PX, _FAR_PX)
    yield "grid_rows", Part((), 2, 2**15, np.int32)
    yield "grid_still", Part((None, 2), -_FAR_PX, _FAR_PX)
    yield "grid_head", Part((None, 3), -_FAR_CM, _FAR_CM)
    yield "grid_turn", Part((None,), *_SHARE)
    yield "grid_shift", Part((None,), *_SHARE)
    yield "grid_bound", Part((None, 3), 0, vertices - 1, np.int32)
    yield "grid_weights", Part((None, 3), *_SHARE)
    yield "arch", Part((7,), *_ARCH)
    yield "arch_jaw", Part((EXPRESSIONS, 3), -_FAR_CM, _FAR_CM)
    yield "arch_tilt", Part((EXPRESSIONS,), -_FAR_CM, _FAR_CM)
    yield "palette", Part((4, 3), *_COLOUR)
    for name, opening in zip(OPENINGS, skin.openings, strict=True):
        pairs = len(opening.rest_gap)
        yield f"{name}_gap", Part((pairs,), -100, 100)
        yield f"{name}_model_gap", Part((pairs,), -100, 100)
        yield f"{name}_hidden_xy", Part((len(opening.rows), 2), -_FAR_PX, _FAR_PX)
    for which in SIDES:
        yield f"eye_{which}", Part((10,), *_EYE)


def _check_grid(arrays: Mapping[str, NDArray[Any]]) -> None:
    """The lengths that belong together. Each array has been looked at by itself."""
    rows, nodes = int(arrays["grid_rows"]), len(arrays["grid_still"])
    if nodes % rows or nodes < 2 * rows:
        raise ValueError(f"grid_still has {nodes} nodes, which are not {rows} rows")
    if nodes > _MOST_NODES:
        raise ValueError(f"grid_still has {nodes} nodes; it may have {_MOST_NODES}")
    for part in ("head", "turn", "shift", "bound", "weights"):
        if len(arrays[f"grid_{part}"]) != nodes:
            raise ValueError(f"grid_{part} has {len(arrays[f'grid_{part}'])} nodes, grid_still {nodes}")
