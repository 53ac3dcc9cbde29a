"""Sound from the engine's clock to a device's: a cushion in between, whose length is held by playing a trifle faster
or slower than it came.
"""

from __future__ import annotations

import numpy as np

from mien.clock import NS_PER_MS
from mien.frames import AudioFrame, Float

HALF = 16
"""Taps on either side of a sample that is interpolated."""

PHASES = 2048
"""Places between two samples that are told apart."""

MOST = 0.003
"""Share by which it plays faster or slower at most: a twentieth of a semitone, which nobody hears."""

_GAIN = 0.05
"""1/s: a cushion that is 10 ms too long is shortened by 0.5 ms a second."""

_SMOOTHING = 0.02
"""Of the cushion's length, per piece that comes: callbacks and pieces beat against each other."""

_SLACK_S = 0.15
"""A cushion longer than it should be by more than this is cut at once: lips would be read ahead of the sound."""

_FADE_S = 0.005
_TOGETHER_NS = 60 * NS_PER_MS
"""Pieces whose times are no further apart belong together; beyond, there was a pause."""


class Stretcher:
    """Resampling by any ratio, which may change from piece to piece: windowed sinc, 32 taps."""

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._step = 0.0
        self._taps = np.zeros((PHASES, 2 * HALF), np.float32)  # until the first step is known
        self.reset()

    def reset(self) -> None:
        """Forget what was fed: what comes next begins after silence."""
        self._held = np.zeros((2 * HALF, self._channels), np.float32)
        self._at = float(HALF)

    def feed(self, samples: Float, step: float) -> Float:
        """samples: (N, C); step: samples in per sample out. Returns (M, C)."""
        if abs(step - self._step) > MOST * step:  # what keeps step with a clock needs no other filter
            self._step = step
            self._taps = _taps(min(1.0, 1.0 / step))
        held = np.concatenate([self._held, samples])
        count = max(0, int((len(held) - HALF - 1 - self._at) / step) + 1)
        places = self._at + step * np.arange(count)
        whole = places.astype(np.int64)
        weights = self._taps[((places - whole) * PHASES).astype(np.int64)]
        windows = np.lib.stride_tricks.sliding_window_view(held, 2 * HALF, axis=0)
        made = np.matmul(windows[whole - HALF + 1], weights[:, :, None])[:, :, 0]
        after = self._at + step * count
        spent = min(int(after) - HALF, len(held))
        self._held, self._at = held[spent:], after - spent
        return np.asarray(made, np.float32)


def _taps(cutoff: float) -> Float:
    """(PHASES, 32): weights of the samples around a place between two of them. cutoff: share of the band kept."""
    phases = (np.arange(PHASES) + 0.5) / PHASES
    x = np.arange(1 - HALF, HALF + 1) - phases[:, None]
    weights = np.sinc(x * cutoff) * (0.5 + 0.5 * np.cos(np.pi * x / HALF))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


class Elastic:
    """One thread puts, another takes, and neither waits: each moves its own end of the ring.

    rate, channels: of what is taken. cushion_s: how much is kept ready.
    """

    def __init__(self, rate: int, channels: int, cushion_s: float) -> None:
        self.underruns = 0
        """times that it ran dry amid the sound"""
        self.skipped = 0
        """times that so much had gathered that some was left out"""
        self._rate = rate
        self._channels = channels
        self._cushion = round(cushion_s * rate)
        self._slack = round(_SLACK_S * rate)
        self._fade = round(_FADE_S * rate)
        self._ring = np.zeros((self._cushion + self._slack + 2 * rate, channels), np.float32)
        self._written = self._read = self._forgotten = 0
        self._stretcher = Stretcher(channels)
        self._excess = 0.0
        self._next_ns: int | None = None
        self._playing = self._ran_dry = False
        self._last = np.zeros(channels, np.float32)

    @property
    def waiting_s(self) -> float:
        """Sound that is ready to be taken."""
        return (self._written - max(self._read, self._forgotten)) / self._rate

    @property
    def speed(self) -> float:
        """How much faster it plays than it came."""
        return 1.0 + float(np.clip(_GAIN * self._excess, -MOST, MOST))

    # --- the engine's side ------------------------------------------------------------------------------

    def put(self, frame: AudioFrame) -> None:
        """Take sound that is to be heard now."""
        together = self._next_ns is not None and abs(frame.capture_ns - self._next_ns) < _TOGETHER_NS
        self._next_ns = frame.capture_ns + frame.duration_ns
        if self._ran_dry:
            self._ran_dry = False
            self._excess = 0.0
            self.underruns += together
        elif self._playing:
            excess = self.waiting_s - self._cushion / self._rate
            self._excess += _SMOOTHING * (excess - self._excess)
        samples = self._stretcher.feed(self._fitted(frame.samples), self.speed * frame.rate / self._rate)
        room = len(self._ring) - (self._written - self._read)
        if len(samples) > room:  # nobody takes: the device stands still
            self.skipped += 1
            return
        places = (self._written + np.arange(len(samples))) % len(self._ring)
        self._ring[places] = samples
        self._written += len(samples)

    def hush(self) -> None:
        """Forget what was put so far: the speaker was interrupted."""
        self._forgotten = self._written
        self._stretcher.reset()
        self._excess = 0.0
        self._next_ns = None

    def _fitted(self, samples: Float) -> Float:
        if samples.shape[1] == self._channels:
            return samples
        if self._channels == 1:
            return np.asarray(samples.mean(axis=1, keepdims=True), np.float32)
        return np.repeat(samples[:, :1], self._channels, axis=1)

    # --- the device's side ------------------------------------------------------------------------------

    def take(self, count: int) -> Float:
        """(count, C): what is to be played next; silence where there is nothing."""
        out = np.zeros((count, self._channels), np.float32)
        if self._read < self._forgotten:
            self._read, self._playing = self._forgotten, False
        ready = self._written - self._read
        start = 0
        if not self._playing:
            self._fade_out(out)
            if ready < max(self._cushion, count):
                return out
            self._playing = True
        elif ready > self._cushion + self._slack:
            self._fade_out(out)
            self._read = self._written - max(self._cushion, count)
            self.skipped += 1
            ready = self._written - self._read
        else:
            start = self._fade  # it goes on as it was
        got = min(count, ready)
        part = self._ring[(self._read + np.arange(got)) % len(self._ring)]
        self._read += got
        rising = min(got, self._fade - start)
        if rising > 0:
            part[:rising] *= np.linspace(0, 1, rising, dtype=np.float32)[:, None]
        out[:got] += part
        if got:
            self._last = out[got - 1].copy()
        if got < count:
            self._playing, self._ran_dry = False, True
            self._fade_out(out[got:])
        return out

    def _fade_out(self, out: Float) -> None:
        """Let the last sample that was played die away, into `out`: a step would be heard as a click."""
        length = min(len(out), self._fade)
        out[:length] += self._last * np.linspace(1, 0, length, dtype=np.float32)[:, None]
        self._last = np.zeros(self._channels, np.float32)
