"""Paint for a bare model, so that brows and lips can be told from the skin about them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.face.model import FaceModel

HEIGHT, WIDTH = 1024, 2048
SKIN = (224, 172, 148)
_LIP, _BROW, _LASH = (186, 98, 98), (74, 50, 40), (40, 28, 26)
_OUTER_LIP = (
    61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146,
)  # fmt: skip
_BROWS = (
    (276, 283, 282, 295, 285, 336, 296, 334, 293, 300),
    (46, 53, 52, 65, 55, 107, 66, 105, 63, 70),
)
_LASHES = (
    (263, 466, 388, 387, 386, 385, 384, 398, 362),
    (33, 246, 161, 160, 159, 158, 157, 173, 133),
)
_SOFT_PX = 3.0
_LASH_PX = 5


def complexion(model: FaceModel) -> NDArray[np.float32]:
    """(HEIGHT, WIDTH, 3) RGB colours over the model's uv: skin, lips, brows, and a line of lashes."""
    colours = np.full((HEIGHT, WIDTH, 3), SKIN, np.float32)
    places = model.landmarks.apply(np.column_stack([model.uv, np.zeros(len(model.uv), np.float32)]))
    px = (places[:, :2] * (WIDTH, HEIGHT)).astype(np.float32)
    _blend(colours, _filled(px, [_OUTER_LIP]), _LIP, 0.85)
    _blend(colours, _filled(px, _BROWS), _BROW, 0.8)
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
