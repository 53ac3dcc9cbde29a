"""Putting pictures over one another. Alpha is straight (not premultiplied), uint8."""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np
from numba import njit

from mien.frames import Bytes


@njit(cache=True, nogil=True, fastmath=True)
def over(front: Bytes, back: Bytes, out: Bytes) -> None:
    """front: (H, W, 4) RGBA over back: (H, W, 3) -> out: (H, W, 3) (Porter and Duff 1984)."""
    for y in range(front.shape[0]):
        for x in range(front.shape[1]):
            alpha = np.int32(front[y, x, 3])
            if alpha == 255:
                for k in range(3):
                    out[y, x, k] = front[y, x, k]
            elif alpha == 0:
                for k in range(3):
                    out[y, x, k] = back[y, x, k]
            else:
                for k in range(3):
                    mixed = alpha * np.int32(front[y, x, k]) + (255 - alpha) * np.int32(back[y, x, k])
                    out[y, x, k] = np.uint8((mixed + 127) // 255)


def warm() -> None:
    """Compile this module's kernel (or load it from the cache)."""
    over(np.zeros((1, 1, 4), np.uint8), np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1, 3), np.uint8))
