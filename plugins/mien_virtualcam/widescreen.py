"""A square picture made wide: its own background goes on to both sides.

Call programs crop or letterbox square cameras. Here the picture is mirrored outward at its left and right
edge. Only what lies near the edge is mirrored, more and more drawn out, so that shoulders do not come back
as a second person; and it gets softer away from the seam, so that it reads as background out of focus.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mien.frames import Bytes, Float

REACH = 0.06
"""How far into the picture the margins look, in heights."""

_BAND = 0.06
"""Where the sharp mirror image has faded into the soft one, in heights from the seam."""

_COARSE = 4
"""The soft part is made at this fraction of the size."""


class Widescreen:
    """Fits pictures into `width` x `height` px, `height <= width <= 3 height`.

    Pictures wider than that lose their sides. The returned buffer is reused by the next call.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._canvas = np.zeros((height, width, 3), np.uint8)
        self._margins: dict[int, _Margin] = {}

    def fill(self, pixels: Bytes) -> Bytes:
        """pixels: (h, w, 3) uint8 -> (height, width, 3) uint8."""
        height, width, canvas = self.height, self.width, self._canvas
        inner = round(pixels.shape[1] * height / pixels.shape[0])
        way = cv2.INTER_AREA if height < pixels.shape[0] else cv2.INTER_LINEAR
        scaled = cv2.resize(pixels, (inner, height), interpolation=way)
        if inner >= width:
            start = (inner - width) // 2
            canvas[:] = scaled[:, start : start + width]
            return canvas
        left = (width - inner) // 2
        right = left + inner
        canvas[:, left:right] = scaled
        # cv2.flip: ten times as fast as numpy's reversed views.
        if left:
            canvas[:, :left] = cv2.flip(self._margin(left).drawn(scaled), 1)
        margin = self._margin(width - right)
        canvas[:, right:] = margin.drawn(cv2.flip(scaled[:, -margin.reach :], 1))
        return canvas

    def _margin(self, width: int) -> _Margin:
        if width not in self._margins:
            self._margins[width] = _Margin.of(width, self.height)
        return self._margins[width]


@dataclass(frozen=True, slots=True)
class _Margin:
    """The tables for a margin of (height, width) px, its seam at the left.

    A pixel at distance d from the seam shows what lies reach (1 - exp(-d / reach)) inside: a mirror at the
    seam (slope 1 there), standing still far out.
    """

    width: int
    height: int
    reach: int
    band_columns: Float
    """(height, band) float32: where the sharp band looks, px inside the picture"""
    band_rows: Float
    band_weight: Float
    """(height, band, 3) float32: of the soft picture, 0 at the seam, 1 at the band's end"""
    soft_columns: Float
    """(height / 4, width / 4) float32, in the coarse strip"""
    soft_rows: Float
    soft_weight: Float
    """(height / 4, width / 4, 3) float32: of the softest picture"""

    @classmethod
    def of(cls, width: int, height: int) -> _Margin:
        reach = round(REACH * height / _COARSE) * _COARSE
        band = min(width, round(_BAND * height))
        small_width, small_height = -(-width // _COARSE), -(-height // _COARSE)
        sharp = np.arange(band, dtype=np.float32) + 0.5
        coarse = (np.arange(small_width, dtype=np.float32) + 0.5) * _COARSE
        return cls(
            width,
            height,
            reach,
            *_table(_inside(sharp, reach) - 0.5, height),
            _smooth(sharp / band, height),
            *_table(_inside(coarse, reach) / _COARSE - 0.5, small_height),
            _smooth(coarse / width, small_height),
        )

    def drawn(self, picture: Bytes) -> Bytes:
        """picture: (height, at least reach, 3) uint8, the seam at its left -> (height, width, 3) uint8."""
        strip = np.ascontiguousarray(picture[:, : self.reach])
        size = (self.reach // _COARSE, self.soft_rows.shape[0])
        soft = cv2.resize(strip, size, interpolation=cv2.INTER_AREA)
        softest = cv2.resize(soft, (max(2, size[0] // 6), max(2, size[1] // 6)), interpolation=cv2.INTER_AREA)
        softest = cv2.GaussianBlur(softest, (0, 0), 2.5, borderType=cv2.BORDER_REPLICATE)
        softest = cv2.resize(softest, size, interpolation=cv2.INTER_CUBIC)
        soft = cv2.blur(soft, (3, 3), borderType=cv2.BORDER_REPLICATE)
        soft, softest = (
            cv2.remap(
                part, self.soft_columns, self.soft_rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            for part in (soft, softest)
        )
        soft = cv2.convertScaleAbs(soft + (softest.astype(np.float32) - soft) * self.soft_weight)
        margin = np.asarray(
            cv2.resize(soft, (self.width, self.height), interpolation=cv2.INTER_LINEAR), np.uint8
        )
        band = cv2.remap(
            strip, self.band_columns, self.band_rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        faded = margin[:, : band.shape[1]]
        faded[:] = band + (faded.astype(np.float32) - band) * self.band_weight + 0.5
        return margin


def _inside(distance: Float, reach: int) -> Float:
    return np.asarray(reach * (1 - np.exp(-distance / reach)), np.float32)


def _smooth(x: Float, rows: int) -> Float:
    """Hermite's step from 0 to 1, (N,) -> (rows, N, 3): numpy is slow at broadcasting over three channels."""
    x = np.clip(x, 0, 1)
    step = np.asarray(x * x * (3 - 2 * x), np.float32)
    return np.ascontiguousarray(np.broadcast_to(step[None, :, None], (rows, len(x), 3)))


def _table(columns: Float, rows: int) -> tuple[Float, Float]:
    """Both maps of `cv2.remap` for a picture whose rows stay where they are."""
    return (
        np.ascontiguousarray(np.broadcast_to(columns, (rows, len(columns)))),
        np.ascontiguousarray(
            np.broadcast_to(np.arange(rows, dtype=np.float32)[:, None], (rows, len(columns)))
        ),
    )
