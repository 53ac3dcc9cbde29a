"""Pictures to find faces in: scikit-image's public-domain astronaut, on canvases of every kind."""

from __future__ import annotations

import cv2
import numpy as np
from skimage.data import astronaut

from mien.frames import Bytes

FACE = (166, 62, 118)
"""Left, top and side in px of the square around the astronaut's face."""


def portrait(side: int = 512) -> Bytes:
    """The whole photograph, side x side px."""
    shrink = cv2.INTER_AREA if side < 512 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(astronaut(), (side, side), interpolation=shrink), np.uint8)


def canvas(width: int, height: int, *places: tuple[int, int, int]) -> Bytes:
    """Grey, with a photograph of `side` px at each (left, top, side)."""
    picture = np.full((height, width, 3), 110, np.uint8)
    for left, top, side in places:
        picture[top : top + side, left : left + side] = portrait(side)
    return picture


def tight_crop(side: int) -> Bytes:
    """The face and little else, side x side px."""
    left, top, size = FACE
    margin = size // 4
    part = astronaut()[top - margin : top + size + margin, left - margin : left + size + margin]
    return np.asarray(cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
