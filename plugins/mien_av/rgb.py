"""Decoded pictures of any pixel format to RGB."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame as AvPicture
from av.video.reformatter import VideoReformatter

from mien.frames import Bytes


def to_rgb(
    picture: AvPicture, reformatter: VideoReformatter, max_side: int, aspect: Fraction | None = None
) -> Bytes:
    """(H, W, 3) uint8 RGB, upright, with square pixels, its longer side at most `max_side` px.

    aspect: width / height of the stored pixels. FFmpeg honours the picture's colour space and range.
    """
    stretch = float(aspect or 1)
    if not 0.25 <= stretch <= 4:  # nonsense in the header
        stretch = 1.0
    factor = min(1.0, max_side / max(picture.width * stretch, picture.height))
    width, height = round(picture.width * stretch * factor), round(picture.height * factor)
    scaled = (width, height) != (picture.width, picture.height)
    rgb = reformatter.reformat(
        picture, max(2, width), max(2, height), "rgb24", interpolation="AREA" if scaled else None, threads=1
    )
    pixels = np.asarray(rgb.to_ndarray(), np.uint8)
    turns = round(picture.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels
