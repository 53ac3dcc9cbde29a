"""Sound of any usual rate to blocks of 10 ms at 16 kHz, mono, as it comes in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numba import njit

from mien.errors import MediaError
from mien.frames import HIGHEST_RATE, LOWEST_RATE, Float

RATE = 16_000
"""Hz that features are made of."""
BLOCK = 160
"""Samples per block: 10 ms, one step of the features."""

_CROSSINGS = 12
"""Zero crossings of the windowed sinc on each side."""
_PASSBAND = 0.92
"""Share of the lower Nyquist frequency that is kept."""
_BETA = 7.0
"""Of the Kaiser window: about 70 dB of stop band."""


class Resampler:
    """Polyphase windowed-sinc resampling with exact state (Smith, Digital Audio Resampling, section 3).

    However the sound is cut into chunks, the blocks are the same to the last bit: each sample is summed up in the
    same order, once all the samples under its filter are there. Samples before the first are
    taken as silence. What is not a number counts as silence, what is beyond full scale as clipped.

    rate: Hz of the input. Raises `MediaError` for one that no sound card has.
    """

    def __init__(self, rate: int) -> None:
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise MediaError(
                f"Sound at {rate} Hz cannot be listened to. Send {LOWEST_RATE} to {HIGHEST_RATE} Hz, "
                "best 48000."
            )
        self.rate = rate
        common = math.gcd(rate, RATE)
        self._up, self._down = RATE // common, rate // common
        self._table, self._half = _filters(self._up, self._down)
        self._next = 0  # index of the next output sample
        self._held: Float = np.zeros(self._half, np.float32)
        self._held_from = -self._half  # index of the first held input sample

    @property
    def latency_ms(self) -> float:
        """How much sound beyond a sample's own time must be there to compute it."""
        return 1000.0 * self._half / self.rate

    def push(self, samples: Float) -> Iterator[Float]:
        """samples: (N, C) or (N,) float32 at `rate` -> blocks of (160,) float32 at 16 kHz in [-1, 1]."""
        self._held = np.concatenate([self._held, mono(samples)])
        while (block := self._block()) is not None:
            yield block

    def _block(self) -> Float | None:
        first = self._next * self._down // self._up - self._half + 1 - self._held_from
        last = (self._next + BLOCK - 1) * self._down // self._up + self._half - self._held_from
        if last >= len(self._held):
            return None
        block = np.empty(BLOCK, np.float32)
        _convolve(self._held, self._held_from, self._table, self._next, self._up, self._down, block)
        self._next += BLOCK
        if first > 0:
            self._held = self._held[first:]
            self._held_from += first
        return block


@njit(cache=True, nogil=True, fastmath=True)
def _convolve(held, held_from, table, start, up, down, out):  # type: ignore[no-untyped-def]
    """out[i] = the filter of its phase over the input around output sample `start` + i."""
    taps = table.shape[1]
    for i in range(len(out)):
        at = (start + i) * down
        first = at // up - taps // 2 + 1 - held_from
        phase = at % up
        total = np.float32(0.0)
        for j in range(taps):
            total += held[first + j] * table[phase, j]
        out[i] = total


def warm() -> None:
    """Compile, so that nobody waits for it."""
    list(Resampler(48_000).push(np.zeros((960, 1), np.float32)))


def mono(samples: Float) -> Float:
    """(N, C) or (N,) -> (N,) float32 in [-1, 1], the mean of the channels; NaN becomes 0."""
    mixed = samples if samples.ndim == 1 else samples[:, 0]
    if samples.ndim == 2 and samples.shape[1] > 1:
        mixed = np.add.reduce(samples.T, axis=0) * np.float32(1 / samples.shape[1])
    if not np.isfinite(np.dot(mixed, mixed)):
        mixed = np.nan_to_num(mixed, nan=0.0, posinf=1.0, neginf=-1.0)
    return np.asarray(np.clip(mixed, -1, 1), np.float32)


@lru_cache(maxsize=4)
def _filters(up: int, down: int) -> tuple[Float, int]:
    """((up, 2 * half) float32, half): one filter per phase, and how many input samples it reaches out."""
    cutoff = _PASSBAND * min(1.0, up / down)  # of the input's Nyquist frequency
    half = math.ceil(_CROSSINGS * max(1.0, down / up))
    phase = np.arange(up)[:, None] / up
    offset = np.arange(-half + 1, half + 1)[None, :] - phase
    inside = np.clip(1 - (offset / half) ** 2, 0, 1)
    table = cutoff * np.sinc(cutoff * offset) * np.i0(_BETA * np.sqrt(inside)) / np.i0(_BETA)
    return (table / table.sum(axis=1, keepdims=True)).astype(np.float32), half
