"""Encoded pictures in and out."""

from __future__ import annotations

import io
import warnings

import cv2
import numpy as np
from PIL import Image

from mien.errors import MediaError
from mien.frames import Bytes

MAX_PIXELS = 64_000_000
"""Larger pictures are refused before they are decoded."""

_FORMATS = ("JPEG", "PNG", "WEBP")


def jpeg(pixels: Bytes, quality: int = 90) -> bytes:
    """(H, W), (H, W, 3) or (H, W, 4) uint8, RGB -> a JPEG file; alpha is left out."""
    if pixels.ndim == 3:
        pixels = np.ascontiguousarray(pixels[:, :, 2::-1])
    done, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise MediaError("The picture cannot be written as JPEG.")
    return encoded.tobytes()


def decode(data: bytes) -> Bytes:
    """A picture file -> (H, W, 3) uint8 RGB, upright. Raises `MediaError`."""
    if _claimed_pixels(data) > MAX_PIXELS:
        raise MediaError(f"The picture has more than {MAX_PIXELS // 1_000_000} megapixels; make it smaller.")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise MediaError("The picture is damaged; use another JPEG, PNG or WebP file.") from error
    if image is None:
        raise MediaError("The picture is damaged; use another JPEG, PNG or WebP file.")
    return np.ascontiguousarray(image[:, :, ::-1])


def _claimed_pixels(data: bytes) -> int:
    """How many pixels the file's header announces; nothing is decoded. Raises `MediaError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures; its limit is not ours
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                return image.width * image.height
    except Image.DecompressionBombError:
        return MAX_PIXELS + 1
    except (OSError, SyntaxError, ValueError) as error:
        raise MediaError("That is not a picture; use a JPEG, PNG or WebP file.") from error
