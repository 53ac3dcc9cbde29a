"""Paint for a bare model, so that brows and lips can be told from the skin about them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.face.model import BROWS, LIDS, OUTER_LIPS, FaceModel, both_ways

HEIGHT, WIDTH = 1024, 2048
SKIN = (224, 172, 148)
_LIP, _BROW, _LASH = (186, 98, 98), (74, 50, 40), (40, 28, 26)
_LASHES = tuple(both_ways(lid, corner)[1] for lid, corner in zip(LIDS, (362, 133), strict=True))
_SOFT_PX = 3.0
_LASH_PX = 5


def complexion(model: FaceModel) -> NDArray[np.float32]:
    """(HEIGHT, WIDTH, 3) RGB colours over the model's uv: skin, lips, brows, and a line of lashes."""
    colours = np.full((HEIGHT, WIDTH, 3), SKIN, np.float32)
    places = model.landmarks.apply(np.column_stack([model.uv, np.zeros(len(model.uv), np.float32)]))
    px = (places[:, :2] * (WIDTH, HEIGHT)).astype(np.float32)
    _blend(colours, _filled(px, [OUTER_LIPS]), _LIP, 0.85)
    _blend(colours, _filled(px, BROWS), _BROW, 0.8)
    lashes = np.zeros((HEIGHT, WIDTH), np.uint8)
    for line in _LASHES:
        cv2.polylines(lashes, [_fixed(px[list(line)])], False, 255, _LASH_PX, cv2.LINE_AA, _SHIFT)
    _blend(colours, lashes, _LASH, 1.0, soft_px=1.2)
    return colours


_SHIFT = 4
"""Binary digits after the point in what OpenCV draws."""


def _fixed(points: NDArray[np.float32]) -> NDArray[np.int32]:
    return np.asarray(np.round(points * (1 << _SHIFT)), np.int32)


def _filled(
    px: NDArray[np.float32], outlines: tuple[tuple[int, ...], ...] | list[tuple[int, ...]]
) -> NDArray[np.uint8]:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for outline in outlines:
        cv2.fillPoly(mask, [_fixed(px[list(outline)])], 255, cv2.LINE_AA, _SHIFT)
    return mask


def _blend(
    colours: NDArray[np.float32],
    mask: NDArray[np.uint8],
    colour: tuple[int, int, int],
    strength: float,
    soft_px: float = _SOFT_PX,
) -> None:
    soft = cv2.GaussianBlur(mask, (0, 0), soft_px)[:, :, None] * np.float32(strength / 255)
    colours += soft * (np.array(colour, np.float32) - colours)
