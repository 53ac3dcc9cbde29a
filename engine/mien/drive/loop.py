"""A closed stretch of time on which motion is composed, so that it repeats without a seam.

Everything here is circular: what runs over the end goes on at the beginning. A track is a (N,) float32
array, one value per tick; motion made of tracks costs one interpolation per frame to play.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.clock import NS_PER_S
from mien.frames import Float

TICKS_PER_S = 200
"""Fine enough for a saccade (30 ms)."""


def minimum_jerk(phase: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """0 to 1 as an arm, eye or head moves from place to place (Flash and Hogan 1985); clipped outside."""
    x = np.clip(phase, 0.0, 1.0)
    return np.asarray(x * x * x * (10.0 + x * (6.0 * x - 15.0)), dtype=np.float64)


class Move(NamedTuple):
    """Go to `value`, starting at `start_s`, arriving `duration_s` later; stay there until the next move."""

    start_s: float
    value: float
    duration_s: float


class Loop:
    """`duration_s` of circular time, `ticks` samples."""

    def __init__(self, duration_s: float) -> None:
        self.ticks = round(duration_s * TICKS_PER_S)
        self.duration_s = self.ticks / TICKS_PER_S
        self.time_s = np.arange(self.ticks) / TICKS_PER_S

    def zeros(self) -> Float:
        return np.zeros(self.ticks, np.float32)

    def moves(self, moves: Sequence[Move]) -> Float:
        """The track through `moves` (in order of time); before the first one it stands where the last ends.

        Moves that overlap add up, which keeps velocity continuous, as people's do.
        """
        track = np.full(self.ticks, moves[-1].value if moves else 0.0)
        before = float(track[0]) if moves else 0.0
        for start_s, value, duration_s in moves:
            phase = (self.time_s - start_s) / duration_s
            progress = minimum_jerk(phase) + minimum_jerk(phase + self.duration_s / duration_s)
            track += (value - before) * progress
            before = value
        # All steps sum to zero, so the second term above leaves only moves that run over the end.
        return track.astype(np.float32)

    def add(self, track: Float, start_s: float, shape: NDArray[np.floating[Any]]) -> None:
        """Add `shape`, one value per tick, from `start_s` on."""
        first = round(start_s * TICKS_PER_S)
        track[(first + np.arange(len(shape))) % self.ticks] += shape.astype(np.float32)

    def bump(
        self, track: Float, start_s: float, attack_s: float, hold_s: float, release_s: float, amount: float
    ) -> None:
        """Add a rise to `amount`, a hold and a return, each with minimum jerk."""
        t = np.arange(round((attack_s + hold_s + release_s) * TICKS_PER_S)) / TICKS_PER_S
        rise, fall = minimum_jerk(t / attack_s), minimum_jerk((t - attack_s - hold_s) / release_s)
        self.add(track, start_s, amount * (rise - fall))

    def noise(self, rng: np.random.Generator, low_hz: float, high_hz: float, rms: float) -> Float:
        """Band-limited noise with a 1/f amplitude spectrum, as sway and tremor have."""
        frequency = np.fft.rfftfreq(self.ticks, 1 / TICKS_PER_S)
        band = (frequency >= low_hz) & (frequency <= high_hz)
        phase = np.exp(2j * np.pi * rng.random(len(frequency)))
        spectrum = np.where(band, phase / np.maximum(frequency, low_hz), 0)
        track = np.fft.irfft(spectrum, self.ticks)
        return np.asarray(track * (rms / track.std()), dtype=np.float32)

    def smoothed(self, track: Float, sigma_s: float) -> Float:
        """The track through a Gaussian low pass."""
        frequency = np.fft.rfftfreq(self.ticks, 1 / TICKS_PER_S)
        gain = np.exp(-2 * (np.pi * sigma_s * frequency) ** 2)
        return np.fft.irfft(np.fft.rfft(track) * gain, self.ticks).astype(np.float32)

    def delayed(self, track: Float, delay_s: float) -> Float:
        """The track, `delay_s` later (earlier when negative)."""
        return np.roll(track, round(delay_s * TICKS_PER_S))


class LoopedMotion:
    """Plays a composed (N, 62) motion for ever."""

    def __init__(self, loop: Loop, samples: Float) -> None:
        samples.setflags(write=False)
        self.duration_s = loop.duration_s
        self._samples = samples

    def at(self, time_ns: int) -> Float:
        """The motion (62,) at `time_ns` after the beginning, interpolated between ticks."""
        position = time_ns * TICKS_PER_S
        tick, rest = divmod(position, NS_PER_S)
        here, there = tick % len(self._samples), (tick + 1) % len(self._samples)
        weight = np.float32(rest / NS_PER_S)
        return np.asarray(self._samples[here] * (1 - weight) + self._samples[there] * weight, np.float32)
