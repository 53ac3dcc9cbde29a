"""Putting pictures over one another. Alpha is straight (not premultiplied), uint8."""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np
from numba import njit

from mien.frames import Bytes


@njit(cache=True, nogil=True, fastmath=True)
def over(front: Bytes, back: Bytes, top: int, bottom: int, left: int, right: int, out: Bytes) -> None:
    """front: (H, W, 4) RGBA over back: (H, W, 3) -> out: (H, W, 3), within rows top to bottom (excluded) and
    columns left to right (excluded). All C-contiguous. Porter and Duff 1984.
    """
    width = out.shape[1]
    over_flat, under_flat, out_flat = front.reshape(-1), back.reshape(-1), out.reshape(-1)
    for y in range(top, bottom):
        for i in range(y * width + left, y * width + right):
            alpha = np.int32(over_flat[4 * i + 3])
            # 0 to 256, so that both ends are exact without a division.
            share = alpha + (alpha >> 7)
            for k in range(3):
                below = np.int32(under_flat[3 * i + k])
                out_flat[3 * i + k] = np.uint8(
                    below + (((np.int32(over_flat[4 * i + k]) - below) * share) >> 8)
                )


def warm() -> None:
    """Compile this module's kernel (or load it from the cache)."""
    front, back = np.zeros((1, 1, 4), np.uint8), np.zeros((1, 1, 3), np.uint8)
    over(front, back, 0, 1, 0, 1, np.empty_like(back))
