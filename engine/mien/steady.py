"""One unbroken sound on the engine's clock, made of what sources deliver.

A sound card counts samples by a clock of its own, which is up to a few hundred millionths off: a third of a second an
hour at 100 ppm. And stamps jitter by when a buffer came. Whoever counts samples (an encoder, a file, a sound card)
needs both in step: a stretch of sound begins exactly where the last one ended, and the samples are as many as the
time that passed on the engine's clock.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mien.clock import NS_PER_MS, NS_PER_S
from mien.frames import AudioFrame, Float

_GAP_NS = 60 * NS_PER_MS
"""Stamps further off than that are a long hole, or another source: the sound begins anew."""
_LOST, _LOST_NS = 0.75, 4 * NS_PER_MS
"""Stamps that leap ahead by so much of a frame, and by no less than that, say that sound was lost. Sources smooth their
stamps: neither jitter nor drift comes in such steps."""
_SMOOTHING_S = 1.0
_BEGIN_NS, _END_NS = 2.0 * NS_PER_MS, 0.3 * NS_PER_MS
"""From how far off on the drift is made up for, and until when."""
_MOST = 0.005
"""The largest stretch, in the mean of a few frames: 9 cents, which nobody hears in a voice."""
_FADE_S = 0.004


class Steady:
    """Takes frames in order of time and hands them on contiguous: where sound was lost there is as much silence, where
    the source's clock is off they are resampled by a tiny ratio, and else they are as they were. Time never goes back,
    whatever the sources say, but by `rewind`.
    """

    def __init__(self) -> None:
        self.dropped = 0
        """frames of a time that had passed already"""
        self._start_ns: int | None = None
        self._rate = 0
        self._count = 0
        self._end_ns: int | None = None
        self._error_ns = 0.0
        self._correcting = False
        self._allowed = 0.0
        """samples that may be added or left out by now"""
        self._last: Float | None = None

    def push(self, frame: AudioFrame) -> AudioFrame | None:
        """The frame as it is to go on; None when its time has passed already."""
        if not len(frame.samples):
            return None
        off_ns = 0 if self._end_ns is None else frame.capture_ns - self._end_ns
        if self._start_ns is None or frame.rate != self._rate or abs(off_ns) > _GAP_NS:
            return self._begin(frame)
        lost_ns = off_ns - self._error_ns
        if lost_ns > max(_LOST * frame.duration_ns, _LOST_NS):
            return self._filled(frame, round(lost_ns * frame.rate / NS_PER_S))
        duration_s = len(frame.samples) / frame.rate
        self._error_ns += (off_ns - self._error_ns) * min(duration_s / _SMOOTHING_S, 1.0)
        samples = frame.samples
        most = _MOST * len(samples)
        self._allowed = min(self._allowed + most, max(most, 1.0))
        if self._correcting or abs(self._error_ns) > _BEGIN_NS:
            self._correcting = abs(self._error_ns) > _END_NS
            samples = self._stretched(samples, min(duration_s / _SMOOTHING_S, 1.0))
        return self._handed(replace(frame, samples=samples, capture_ns=self._now_ns()))

    def rewind(self, end_ns: int | None) -> None:
        """What was handed on after `end_ns` was never heard (None: nothing was): time goes on from there, with a
        sound that begins anew.
        """
        if end_ns is None or self._end_ns is None:
            self._end_ns = None
        else:
            self._end_ns = min(self._end_ns, end_ns)
        self._start_ns = None

    def _begin(self, frame: AudioFrame) -> AudioFrame | None:
        """After a hole, or from another source: what lies before the end of the last sound is cut off."""
        over_ns = 0 if self._end_ns is None else max(self._end_ns - frame.capture_ns, 0)
        cut = math.ceil(over_ns * frame.rate / NS_PER_S)
        if cut >= len(frame.samples):
            self.dropped += 1
            return None
        samples = _faded_in(frame.samples[cut:], frame.rate)
        self._start_ns = frame.capture_ns + cut * NS_PER_S // frame.rate
        if self._end_ns is not None:
            self._start_ns = max(self._start_ns, self._end_ns)
        self._rate, self._count, self._error_ns, self._correcting = frame.rate, 0, 0.0, False
        return self._handed(replace(frame, samples=samples, capture_ns=self._start_ns))

    def _filled(self, frame: AudioFrame, count: int) -> AudioFrame:
        """The frame after `count` samples of silence, into which the sound before it dies away."""
        silence = np.zeros((count, frame.samples.shape[1]), np.float32)
        if self._last is not None and self._last.shape[1] == frame.samples.shape[1]:
            fade = min(round(_FADE_S * frame.rate), count)
            silence[:fade] = self._last * np.linspace(1, 0, fade, dtype=np.float32)[:, None]
        samples = np.concatenate([silence, _faded_in(frame.samples, frame.rate)])
        return self._handed(replace(frame, samples=samples, capture_ns=self._now_ns()))

    def _handed(self, frame: AudioFrame) -> AudioFrame:
        self._count += len(frame.samples)
        self._end_ns = self._now_ns()
        self._last = frame.samples[-1:]
        return frame

    def _now_ns(self) -> int:
        return (self._start_ns or 0) + self._count * NS_PER_S // self._rate

    def _stretched(self, samples: Float, share: float) -> Float:
        """A few samples more or less, by whole ones, so that the next frame begins at a sample again; in some frames
        only, where less than one may be changed in each. share: of what is wanted.
        """
        wanted = self._error_ns / NS_PER_S * self._rate
        more = int(np.clip(round(wanted * share) or math.copysign(1, wanted), -self._allowed, self._allowed))
        if (
            not more
            or len(samples) + more < 1
            or self._last is None
            or self._last.shape[1] != samples.shape[1]
        ):
            return samples
        self._allowed -= abs(more)
        self._error_ns -= more * NS_PER_S / self._rate
        return _resampled(samples, len(samples) + more, self._last)


def _faded_in(samples: Float, rate: int) -> Float:
    """(N, C) -> the same, out of silence."""
    faded = samples.copy()
    fade = min(round(_FADE_S * rate), len(faded))
    faded[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)[:, None]
    return faded


def _resampled(samples: Float, count: int, before: Float) -> Float:
    """(N, C) -> (count, C) over the same time, by cubic interpolation (Catmull-Rom). before: (1, C), the sample that
    came before them.
    """
    after = 2 * samples[-1:] - (samples[-2:-1] if len(samples) > 1 else before)
    padded = np.concatenate([before, samples, after, after])
    at = np.arange(count) * (len(samples) / count)
    whole = at.astype(np.int64)
    t = (at - whole)[:, None].astype(np.float32)
    a, b, c, d = (padded[whole + k] for k in range(4))
    return np.asarray(
        b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))), np.float32
    )
