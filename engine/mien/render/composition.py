"""Putting pictures over one another, and alpha where no codec has room for it. Alpha is straight (not
premultiplied), uint8.

Straight, because codecs halve the resolution of colour: what lies outside of the person then never mixes into its
edge, as black would if the colours were multiplied by alpha.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numba import njit

from mien.frames import Bytes, VideoFrame

Place = Literal["below", "beside"]
"""Where alpha lies in an opaque picture that shows it as grey: below the colours, or at their right."""


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


@njit(cache=True, nogil=True, fastmath=True)
def apart(front: Bytes, top: int, bottom: int, left: int, right: int, colours: Bytes, alpha: Bytes) -> None:
    """front: (H, W, 4) RGBA -> colours: (H, W, 3) and alpha: (H, W), within the same bounds as `over`."""
    width = colours.shape[1]
    front_flat, colour_flat, alpha_flat = front.reshape(-1), colours.reshape(-1), alpha.reshape(-1)
    for y in range(top, bottom):
        for i in range(y * width + left, y * width + right):
            for k in range(3):
                colour_flat[3 * i + k] = front_flat[4 * i + k]
            alpha_flat[i] = front_flat[4 * i + 3]


def flattened(frame: VideoFrame) -> VideoFrame:
    """The same picture without alpha: over the colour of its backdrop. An opaque one comes back as it is."""
    if frame.alpha is None:
        return frame
    pixels = np.empty_like(frame.pixels)
    _over_colour(_read(frame.pixels), _read(frame.alpha), np.array(frame.backdrop, np.uint8), pixels)
    return replace(frame, pixels=pixels, alpha=None)


def laid_out(frame: VideoFrame, place: Place) -> VideoFrame:
    """An opaque picture twice as high (below) or wide (beside) that shows the colours and, as grey, alpha.

    One that is opaque has an alpha of 255 everywhere.
    """
    height, width = frame.height, frame.width
    down, right = (height, 0) if place == "below" else (0, width)
    pixels = np.empty((height + down, width + right, 3), np.uint8)
    alpha = np.full((height, width), 255, np.uint8) if frame.alpha is None else frame.alpha
    _lay_out(_read(frame.pixels), _read(alpha), down, right, pixels)
    return replace(frame, pixels=pixels, alpha=None)


def of_shape(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    """The same picture in the shape of one of `width` x `height` px, at its own height: without its sides where it is
    wider, between bars where it is narrower; they are black, and transparent if the picture has alpha. One that has
    the shape already comes back as it is.
    """
    wanted = round(frame.height * width / height)
    off = frame.width - wanted
    if abs(off) <= 1:  # rounded to even sides
        return frame
    if off > 0:
        within = np.s_[:, off // 2 : off // 2 + wanted]
        alpha = None if frame.alpha is None else np.ascontiguousarray(frame.alpha[within])
        return replace(frame, pixels=np.ascontiguousarray(frame.pixels[within]), alpha=alpha)
    bars = (-off // 2, -off - -off // 2)
    pixels = np.pad(frame.pixels, ((0, 0), bars, (0, 0)))
    return replace(
        frame, pixels=pixels, alpha=None if frame.alpha is None else np.pad(frame.alpha, ((0, 0), bars))
    )


@njit(cache=True, nogil=True, fastmath=True)
def _over_colour(colours: Bytes, alpha: Bytes, colour: Bytes, out: Bytes) -> None:
    """colours: (H, W, 3), alpha: (H, W), colour: (3,) -> out: (H, W, 3)."""
    colour_flat, alpha_flat, out_flat = colours.reshape(-1), alpha.reshape(-1), out.reshape(-1)
    for i in range(alpha_flat.size):
        value = np.int32(alpha_flat[i])
        share = value + (value >> 7)
        for k in range(3):
            below = np.int32(colour[k])
            out_flat[3 * i + k] = np.uint8(
                below + (((np.int32(colour_flat[3 * i + k]) - below) * share) >> 8)
            )


@njit(cache=True, nogil=True, fastmath=True)
def _lay_out(colours: Bytes, alpha: Bytes, down: int, right: int, out: Bytes) -> None:
    """colours: (H, W, 3) to the top left corner of `out`, alpha: (H, W) as grey to row `down`, column `right`."""
    height, width = alpha.shape
    for y in range(height):
        for x in range(width):
            for k in range(3):
                out[y, x, k] = colours[y, x, k]
                out[y + down, x + right, k] = alpha[y, x]


def _read(array: Bytes) -> Bytes:
    """C-contiguous and read-only, as frames hold arrays: numba compiles for either kind, and once is enough."""
    view = np.ascontiguousarray(array).view()
    view.setflags(write=False)
    return view


def warm() -> None:
    """Compile this module's kernels (or load them from the cache)."""
    front, back = np.zeros((1, 1, 4), np.uint8), np.zeros((1, 1, 3), np.uint8)
    over(front, back, 0, 1, 0, 1, np.empty_like(back))
    apart(front, 0, 1, 0, 1, np.empty_like(back), np.empty((1, 1), np.uint8))
    frame = VideoFrame(back, 0, alpha=np.zeros((1, 1), np.uint8))
    flattened(frame)
    laid_out(frame, "below")
