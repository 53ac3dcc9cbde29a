"""From a picture of any size to a square portrait: head and shoulders, as large as the engine needs it.

What the square shows beyond the picture is made up: the background goes on, and so do shoulders; nothing of
the head appears a second time.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.frames import Bytes, Float
from mien_photo.matte import continued

Ints = NDArray[np.int64]

SIDE = 1024
"""Side of the square that an avatar is made from, px."""

_SIDE_PER_FACE = 2.35
_LEAST_SIDE_PER_FACE = 1.75
_FACE_HEIGHT_IN_SQUARE = 0.52
_ABOVE_CROWN, _BELOW_CHIN = 0.03, 0.2
"""Shares of the side and of the face that a square leaves above tall hair and below the chin."""
_TALL_SIDE_PER_FACE = 2.0
"""Sides of the picture are made up to this width, where tall hair needs it."""
_MADE_UP_ABOVE = 0.03
"""Share of the side by which the square may reach above the picture, so that a rising head keeps its hair."""
_TRUST = 0.45
"""How much of what interpolation lost is given back per round: all of it would ring around edges."""
_SMALL = 2.2
"""Pictures enlarged by more than this show the blocks of a JPEG, ..."""
_BLOCKY = 1.35
"""... where steps are so much larger every eight pixels; they are smoothed ..."""
_GRAIN = 1.5
"""... by this much, in grey levels: more would take the grain of the skin, and its colour."""
_EVEN_OUT = 0.03
"""Over which share of the side colours at the picture's border give way to what is typical around there."""


@dataclass(frozen=True, slots=True)
class Square:
    """Where the portrait lies in the picture: left and top edge and side in px of the picture."""

    left: float
    top: float
    side: float

    @property
    def scale(self) -> float:
        """px of the portrait per px of the picture."""
        return SIDE / self.side

    def overhang(self, width: int, height: int) -> float:
        """How far it reaches beyond the picture, as a share of its side."""
        out = max(-self.left, -self.top, self.left + self.side - width, self.top + self.side - height)
        return max(out, 0.0) / self.side


def choose(points: Float, width: int, height: int, crown: float | None = None) -> Square:
    """The square around head and shoulders; inside of the picture whenever the face leaves room for that, a
    little background above the head excepted.

    points: (478, 3) landmarks in px of the picture; crown: y of the top of the hair, where known: it is not cut off
    as long as the picture shows it.
    """
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    face = float((high - low).max())
    x, y = ((low + high) / 2).tolist()
    side = _SIDE_PER_FACE * face
    most = min(width, height)
    if side > most:
        side = max(most, _LEAST_SIDE_PER_FACE * face)
    chin = float(high[1]) + _BELOW_CHIN * face
    if crown is not None:
        side = max(side, min((chin - crown) / (1 - _ABOVE_CROWN), _TALL_SIDE_PER_FACE * face))
    left, top = x - side / 2, y - _FACE_HEIGHT_IN_SQUARE * side
    if crown is not None:
        top = min(top, max(crown - _ABOVE_CROWN * side, chin - side))
    # A face near the border: the square moves, the face is then off its centre.
    left = min(max(left, 0.0), width - side) if side <= width else (width - side) / 2
    top = min(max(top, -_MADE_UP_ABOVE * side), height - side) if side <= height else (height - side) / 2
    return Square(left, top, side)


def cleaned(picture: Bytes, square: Square) -> Bytes:
    """picture: (H, W, 3) -> the same, or without blocks within the square where they would be seen: when it is a JPEG
    of low quality and enlarged a lot. Anything else keeps its grain.
    """
    left, top = max(int(square.left), 0), max(int(square.top), 0)
    part = slice(top, int(square.top + square.side) + 1), slice(left, int(square.left + square.side) + 1)
    if square.scale < _SMALL or blockiness(picture[part]) < _BLOCKY:
        return picture
    result = picture.copy()
    result[part] = cv2.fastNlMeansDenoisingColored(picture[part], None, _GRAIN, _GRAIN, 5, 11)
    return result


def blockiness(picture: Bytes) -> float:
    """How much larger steps between neighbours are where blocks of 8 px meet than elsewhere: 1 without any.

    picture: (H, W, 3) uint8; 1.0 too where it is too small to tell.
    """
    if min(picture.shape[:2]) < 64:
        return 1.0
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    ratios = []
    for axis in (0, 1):
        # Edges of things are larger than those of blocks, and anywhere.
        steps = np.minimum(np.abs(np.diff(lab, axis=axis)).sum(axis=2), 8).mean(axis=1 - axis)
        phases = [float(steps[phase::8].mean()) for phase in range(8)]
        ratios.append(max(phases) / max(float(np.median(phases)), 1e-3))
    return float(np.mean(ratios))


def cut(picture: Bytes, square: Square) -> Bytes:
    """picture: (H, W, 3) or (H, W) -> (SIDE, SIDE, ...) uint8; what lies beyond the picture is made up."""
    height, width = picture.shape[:2]
    pad = int(np.ceil(square.overhang(width, height) * square.side)) + 8
    x0, y0 = int(np.floor(square.left)), int(np.floor(square.top))
    x1, y1 = int(np.ceil(square.left + square.side)), int(np.ceil(square.top + square.side))
    inside = picture[max(y0 - 8, 0) : y1 + 8, max(x0 - 8, 0) : x1 + 8]
    grown = cv2.copyMakeBorder(inside, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    origin_x = square.left - max(x0 - 8, 0) + pad
    origin_y = square.top - max(y0 - 8, 0) + pad
    if square.scale <= 1:
        return _shrunk(grown, origin_x, origin_y, square.side)
    return _enlarged(grown, origin_x, origin_y, square.scale)


def surround(
    portrait: Bytes, square: Square, width: int, height: int, person: Float, chin: float
) -> tuple[Bytes, Float]:
    """Make up what lies beyond the picture that `portrait` was cut from.

    portrait: (SIDE, SIDE, 3) uint8; width, height: of the picture; person: (SIDE, SIDE) 0 to 1, where the
    portrait shows the person; chin: y in px of the portrait. Returns the portrait and (SIDE, SIDE) 0 to 1
    where the person may be: within the picture, and where shoulders go on beyond it.
    """
    low = np.array([-square.left, -square.top]) * square.scale
    high = np.array([width - square.left, height - square.top]) * square.scale
    place = np.arange(SIDE) + 0.5
    # A pixel that interpolation took half from beyond the border is not the picture's.
    nearest = [np.clip(place, low[k] + 1, high[k] - 1) for k in range(2)]
    x, y = (np.clip(n.astype(int), 0, SIDE - 1) for n in nearest)
    # The surroundings are mirrored: what merely went on would be stripes.
    mirrored = [np.clip((2 * n - place).astype(int), 0, SIDE - 1) for n in nearest]
    away = np.hypot(*np.meshgrid(place - nearest[0], place - nearest[1])).astype(np.float32)
    within = (away == 0).astype(np.float32)

    solid = np.asarray(cv2.dilate((person > 0.1).astype(np.uint8), np.ones((25, 25), np.uint8)))
    own = np.asarray((person > 0.9) & (place[:, None] > chin), np.float32)
    near = np.exp(-away / (_EVEN_OUT * SIDE))[..., None]
    empty = _going_on(portrait, within * (1 - solid), mirrored[0], mirrored[1], near)
    # Below the chin, or beside what is below it, the person goes on: these are shoulders.
    shoulders = np.clip(person[np.ix_(y, x)] * 4 - 2, 0, 1) * (y > chin)[:, None]
    body = _going_on(portrait, within * own, x, y, near)
    made_up = empty + (body - empty) * shoulders[..., None]
    result = made_up + (portrait - made_up) * within[..., None]
    allowed = np.maximum(within, shoulders)
    return np.asarray(np.clip(result + 0.5, 0, 255), np.uint8), np.asarray(allowed, np.float32)


def _going_on(portrait: Bytes, known: Float, x: Ints, y: Ints, near: Float) -> Float:
    """The colours where `known`, everywhere: while `near` those at x, y, then ever softer."""
    grown = continued(portrait.astype(np.float32), known)
    return np.asarray(grown + (grown[np.ix_(y, x)] - grown) * near, np.float32)


def _affine(x: float, y: float, scale: float) -> Float:
    """Maps px of the picture to px of the portrait (cv2 counts pixel centres as whole numbers)."""
    shift = 0.5 * scale - 0.5
    return np.array([[scale, 0, -x * scale + shift], [0, scale, -y * scale + shift]], np.float32)


def _shrunk(picture: Bytes, x: float, y: float, side: float) -> Bytes:
    scale = SIDE / side
    if scale < 1:
        blur = 0.45 * np.sqrt(max(1 / scale**2 - 1, 0))
        picture = cv2.GaussianBlur(picture, (0, 0), blur) if blur > 0.2 else picture
    return np.asarray(
        cv2.warpAffine(
            picture,
            _affine(x, y, scale),
            (SIDE, SIDE),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


def _enlarged(picture: Bytes, x: float, y: float, scale: float) -> Bytes:
    """Lanczos, then back-projection (Irani and Peleg 1991): shrunk again, the result must be the picture.

    That gives back the sharpness that interpolation takes, and invents nothing.
    """
    matrix = _affine(x, y, scale)
    size = (SIDE, SIDE)
    reference = picture.astype(np.float32)
    large = cv2.warpAffine(reference, matrix, size, flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
    if scale > 1.3:
        for _ in range(2):
            blurred = cv2.GaussianBlur(large, (0, 0), 0.45 * scale)
            back = cv2.warpAffine(
                blurred, matrix, picture.shape[1::-1], flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )  # fmt: skip
            error = (reference - back) * _TRUST
            large += cv2.warpAffine(
                error, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            )
    return np.asarray(np.clip(large + 0.5, 0, 255), np.uint8)
