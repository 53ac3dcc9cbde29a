"""What the picture shows beside the square portrait: more of the person and of the surroundings, for wide pictures.

The sides are cut like the square and separated like it, at half its resolution where that isn't seen; towards the
square they take over its own values, so that there is no seam.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.frames import Bytes, Float
from mien_photo import matte
from mien_photo.crop import SIDE, Square, cut

WIDEST = 400
"""px of the portrait on each side: what a picture of 16:9 shows beside the square."""

_LEAST = 16
"""Narrower sides aren't worth it."""

_SEAM = np.array([24, 24, 24, 6], np.float32)
"""px over which a side takes over from the square: colours, and alpha, where a long one would be seen."""

_DROP, _SLOPE = 100.0, 60.0
"""px: shoulders that are no further apart than that at the seam are the same, and meet along such a slope."""

_OVERLAP = 240
"""px of the square that are looked at together with a side: what its edges are the edges of."""

_AROUND = 1.0
"""How far around the square the person is looked for, in its sides: a body makes sense of a shoulder."""


@dataclass(frozen=True, slots=True)
class Sides:
    """source: (SIDE, L, 4) and (SIDE, R, 4), at the left and the right of the square; the person's colours and
    alpha. plate: (SIDE, L, 3) and (SIDE, R, 3), the background. Either may have no columns.
    """

    source: tuple[Bytes, Bytes]
    plate: tuple[Bytes, Bytes]

    @classmethod
    def none(cls) -> Sides:
        """Of a picture that is no wider than the square."""
        nothing = np.zeros((SIDE, 0, 4), np.uint8)
        return cls((nothing, nothing), (nothing[..., :3], nothing[..., :3]))


def surroundings(square: Square, width: int, height: int) -> tuple[slice, slice]:
    """Rows and columns of a picture of (height, width) around the square, in which to look for the person."""
    low, high = square.side * _AROUND, square.side * (1 + _AROUND)
    rows = slice(max(int(square.top - low), 0), min(int(square.top + high), height))
    columns = slice(max(int(square.left - low), 0), min(int(square.left + high), width))
    return rows, columns


def separated(picture: Bytes, square: Square, person: Bytes, source: Bytes, plate: Bytes) -> Sides:
    """picture: (H, W, 3) that the square was cut from; person: (H, W) uint8, where the person is in it.

    source: (SIDE, SIDE, 4) and plate: (SIDE, SIDE, 3) of the square.
    """
    none = Sides.none()
    sources, plates = list(none.source), list(none.plate)
    for k, (extent, shift) in enumerate(_room(square, picture.shape[1])):
        if extent < _LEAST:
            continue
        moved = Square(square.left + shift / square.scale, square.top, square.side)
        width = min(extent + _OVERLAP, SIDE)
        strip = slice(0, width) if k == 0 else slice(SIDE - width, SIDE)
        front, alpha, back = _apart(_cut(picture, moved)[:, strip], _cut(person, moved)[:, strip])
        columns = slice(0, extent) if k == 0 else slice(width - extent, width)
        edge = slice(0, 1) if k == 0 else slice(SIDE - 1, SIDE)
        meets = slice(extent, extent + 1) if k == 0 else slice(width - extent - 1, width - extent)
        away = np.arange(width, dtype=np.float32) - meets.start
        alpha = _joined(alpha, source[:, edge.start, 3], alpha[:, meets.start], -away if k == 0 else away)
        rgba = np.dstack([front, alpha])
        sources[k] = _met(rgba, columns, meets, source[:, edge], left=k == 0)
        plates[k] = _met(back, columns, meets, plate[:, edge], left=k == 0)
    return Sides((sources[0], sources[1]), (plates[0], plates[1]))


def _room(square: Square, width: int) -> Iterator[tuple[int, int]]:
    """For the left and the right side: how many px of the portrait the picture goes on, and by how many the square
    must be moved to hold them.
    """
    scale = square.scale
    for k, room in enumerate((square.left, width - square.left - square.side)):
        extent = min(int(room * scale), WIDEST)
        yield extent, extent if k else -extent


def _cut(picture: Bytes, square: Square) -> Bytes:
    """Like `cut`; what lies above the picture mirrors what lies below its edge."""
    piece = cut(picture, square)
    above = int(np.ceil(max(-square.top, 0) * square.scale)) + 1
    if 1 < above < SIDE // 4:
        piece[:above] = piece[above : 2 * above][::-1]
    return piece


def _apart(own: Bytes, person: Bytes) -> tuple[Float, Float, Float]:
    """own: (SIDE, W, 3), person: (SIDE, W) -> colours of the person, alpha (0 to 255) and background, float32."""
    whole = own.shape[1::-1]
    size = (whole[0] // 2, whole[1] // 2)
    small = np.asarray(cv2.resize(own, size, interpolation=cv2.INTER_AREA), np.uint8)
    coarse = cv2.resize(person, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    alpha = matte.refine(small, coarse, np.zeros_like(coarse))
    front, back = matte.separate(small, alpha)
    fine = own.astype(np.float32) - cv2.resize(small, whole, interpolation=cv2.INTER_CUBIC)
    cover = cv2.resize(alpha, whole, interpolation=cv2.INTER_LINEAR)[..., None]
    front = cv2.resize(front, whole, interpolation=cv2.INTER_CUBIC) + fine * cover
    back = cv2.resize(back, whole, interpolation=cv2.INTER_CUBIC) + fine * (1 - cover) ** 4
    return front, np.asarray(cover[..., 0] * 255, np.float32), back


def _joined(alpha: Float, inside: Bytes, beside: Float, away: Float) -> Float:
    """alpha: (SIDE, W) 0 to 255, of a side, moved up or down such that its shoulder goes on where that of the square
    ends: the two were found apart, and a step in the outline is seen before any other background.

    inside, beside: (SIDE,) alpha of the square and of the side where they meet; away: (W,) px from there.
    """
    own, other = _top(inside), _top(beside)
    if own is None or other is None or abs(own - other) > _DROP:
        return alpha
    rows, columns = np.indices(alpha.shape, np.float32)
    rows -= np.float32(own - other) * np.exp(-np.maximum(away, 0) / np.float32(_SLOPE))
    return np.asarray(cv2.remap(alpha, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _top(column: NDArray[Any]) -> int | None:
    """Where a shoulder begins in a column of alpha, (SIDE,); None where there is none, which goes on to the bottom."""
    shown = column > 127
    top = int(np.argmax(shown))
    return top if shown[top:].all() else None


def _met(side: Float, columns: slice, meets: slice, edge: Bytes, *, left: bool) -> Bytes:
    """The columns of `side`, corrected such that column `meets` were what the square has at its `edge`."""
    part = side[:, columns]
    count = part.shape[1]
    away = np.arange(count, 0, -1) if left else np.arange(1, count + 1)
    share = np.exp(-away[None, :, None] / _SEAM[: side.shape[2]]).astype(np.float32)
    return np.asarray(np.clip(part + (edge - side[:, meets]) * share + 0.5, 0, 255), np.uint8)
