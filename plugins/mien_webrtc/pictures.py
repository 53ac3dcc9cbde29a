"""Encoded pictures in and out."""

from __future__ import annotations

import cv2
import numpy as np

from mien.errors import MediaError
from mien.frames import Bytes

MAX_PIXELS = 64_000_000


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
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise MediaError("The picture is too large or damaged; use a JPEG, PNG or WebP file.") from error
    if image is None:
        raise MediaError("That is not a picture; use a JPEG, PNG or WebP file.")
    if image.shape[0] * image.shape[1] > MAX_PIXELS:
        raise MediaError(f"The picture has more than {MAX_PIXELS // 1_000_000} megapixels; make it smaller.")
    return np.ascontiguousarray(image[:, :, ::-1])
