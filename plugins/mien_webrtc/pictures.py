"""Pictures for people to look at."""

from __future__ import annotations

import cv2
import numpy as np

from mien.errors import MediaError
from mien.frames import Bytes


def jpeg(pixels: Bytes, quality: int = 90) -> bytes:
    """(H, W), (H, W, 3) or (H, W, 4) uint8, RGB -> a JPEG file; alpha is left out."""
    if pixels.ndim == 3:
        pixels = np.ascontiguousarray(pixels[:, :, 2::-1])
    done, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise MediaError("The picture cannot be written as JPEG.")
    return encoded.tobytes()
