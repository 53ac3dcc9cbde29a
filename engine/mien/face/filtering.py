"""Takes the jitter out of tracked values without making them late.

A value that wanders within its own noise is smoothed; one that really moves is let through. The gain of
the smoother follows the innovation, measured in units of the noise: within the noise it is low, a few
times beyond it is 1. So the lag is never more than about the noise itself, whatever the speed; a
low-pass whose cut-off follows the speed (Casiez et al. 2012, "1 euro filter") has to see the speed
first. The noise is estimated while running, from the quietest part of what is seen.

Times are capture times: the same input gives the same output, live or offline.
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator"
# The kernel is typed by its numba signature.

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from mien.clock import NS_PER_S
from mien.face.camera import axis_angle, rotation_matrix
from mien.frames import DETAIL, EXPRESSIONS, FaceParams, Float

_QUIET_SHARE = 0.3
"""Share of the second differences that lies below the noise estimate."""
_QUIET_TO_SIGMA = 0.943
"""That quantile of |x[t] - 2 x[t-1] + x[t-2]| for white noise of deviation 1."""
_ADAPT_RATE = 0.04
_LOUDER = math.exp(_ADAPT_RATE * _QUIET_SHARE)
_SOFTER = math.exp(_ADAPT_RATE * (_QUIET_SHARE - 1))
_NOISE_RANGE = (0.4, 3.0)
"""How far the estimate may go from the noise that is assumed at first."""


@dataclass(frozen=True, slots=True)
class Smoothing:
    """noise: standard deviation assumed at first. gate: innovation, in deviations, that counts as half a
    motion. time_s: time constant of the smoothing within the noise.
    """

    noise: float
    gate: float = 3.0
    time_s: float = 0.15


class GatedFilter:
    """Smooths `channels` independent values, or one vector of that size when `joint`."""

    def __init__(self, channels: int, smoothing: Smoothing, *, joint: bool = False) -> None:
        self._channels = channels
        self._smoothing = smoothing
        self._joint = joint
        self.reset()

    def reset(self) -> None:
        """Forget everything but the noise assumed at first."""
        self._state = np.zeros(self._channels, np.float32)
        self._before = np.zeros((2, self._channels), np.float32)
        self._noise = np.full(1 if self._joint else self._channels, self._smoothing.noise, np.float32)
        self.restart()

    def restart(self) -> None:
        """Let the next value through as it is."""
        self._count = 0

    @property
    def noise(self) -> Float:
        """The noise estimate, (channels,) or (1,)."""
        return self._noise.copy()

    def __call__(self, value: Float, elapsed_s: float) -> Float:
        """value: (channels,) -> the same, smoothed. elapsed_s: since the value before."""
        smoothing = self._smoothing
        low, high = (factor * smoothing.noise for factor in _NOISE_RANGE)
        _step(
            np.ascontiguousarray(value, np.float32), self._count, self._joint,
            1 - math.exp(-elapsed_s / smoothing.time_s), smoothing.gate, low, high,
            self._before, self._noise, self._state,
        )  # fmt: skip
        self._count = min(self._count + 1, 2)
        return self._state.copy()


@njit(
    "void(Array(f4,1,'C',readonly=True),i8,b1,f8,f8,f8,f8,f4[:,::1],f4[::1],f4[::1])",
    cache=True, nogil=True, fastmath=True, error_model="numpy",
)  # fmt: skip
def _step(value, count, joint, quiet, gate, low, high, before, noise, state):  # pragma: no cover - compiled
    """state (C,): drawn towards `value` (C,), which the noise (C,) or, when joint, (1,) is learned from, too.

    count: how many values came before, of which the last two are in `before` (2, C); quiet: gain within the noise.
    """
    channels = value.shape[0]
    bends = sizes = 0.0
    if joint:
        for i in range(channels):
            bends += (before[0, i] - 2 * before[1, i] + value[i]) ** 2
            sizes += (value[i] - state[i]) ** 2
    for i in range(channels):
        own = 0 if joint else i
        if count > 1 and (i == 0 or not joint):
            bend = np.sqrt(bends / channels) if joint else abs(before[0, i] - 2 * before[1, i] + value[i])
            rate = _LOUDER if bend > noise[own] * _QUIET_TO_SIGMA else _SOFTER
            noise[own] = min(max(noise[own] * rate, low), high)
        if count > 0:
            off = value[i] - state[i]
            size = np.sqrt(sizes) if joint else abs(off)
            motion = (size / (gate * noise[own])) ** 4
            state[i] += (quiet + (1 - quiet) * motion / (1 + motion)) * off
        else:
            state[i] = value[i]
        before[0, i], before[1, i] = before[1, i], value[i]


_ROTATION = Smoothing(noise=0.0035)
_PLACE = Smoothing(noise=0.0002)
_LOG_DEPTH = Smoothing(noise=0.002)
_EXPRESSION = Smoothing(noise=0.018, time_s=0.09)
_GAZE = Smoothing(noise=0.02, time_s=0.12)
_DETAIL = Smoothing(noise=0.008, time_s=0.09)
_LONGEST_GAP_S = 0.5


class FaceFilter:
    """Smooths the `FaceParams` of one face."""

    def __init__(self) -> None:
        self._rotation = GatedFilter(3, _ROTATION, joint=True)
        self._place = GatedFilter(2, _PLACE, joint=True)
        self._depth = GatedFilter(1, _LOG_DEPTH)
        self._expression = GatedFilter(EXPRESSIONS, _EXPRESSION)
        self._gaze = GatedFilter(4, _GAZE)
        self._detail = GatedFilter(math.prod(DETAIL), _DETAIL)
        self._reference = np.eye(3, dtype=np.float32)
        self._capture_ns: int | None = None

    def reset(self) -> None:
        """Another person, or another camera: forget the noise too."""
        for part in self._parts():
            part.reset()
        self._capture_ns = None

    def __call__(self, params: FaceParams) -> FaceParams:
        """The same frame, smoothed. After half a second without one, or when time goes back, starts anew."""
        elapsed_s = 0.0
        if self._capture_ns is not None:
            elapsed_s = (params.capture_ns - self._capture_ns) / NS_PER_S
        if self._capture_ns is None or not 0 < elapsed_s < _LONGEST_GAP_S:
            for part in self._parts():
                part.restart()
            self._reference = rotation_matrix(params.rotation)
        self._capture_ns = params.capture_ns
        # Direction and distance are smoothed apart: depth is several times noisier than place, and its
        # noise is proportional to it.
        depth = np.abs(params.translation[2:])
        place = self._place(params.translation[:2] / depth, elapsed_s)
        far = np.exp(self._depth(np.log(depth), elapsed_s))
        turned = axis_angle(rotation_matrix(params.rotation) @ self._reference.T)
        rotation = rotation_matrix(self._rotation(turned, elapsed_s)) @ self._reference
        detail = None
        if params.detail is not None:
            detail = self._detail(params.detail.ravel(), elapsed_s).reshape(DETAIL)
        return replace(
            params,
            rotation=axis_angle(rotation),
            translation=np.array([*(place * far), *-far], np.float32),
            expression=np.clip(self._expression(params.expression, elapsed_s), 0, 1),
            gaze=self._gaze(params.gaze.reshape(4), elapsed_s).reshape(2, 2),
            detail=detail,
        )

    def _parts(self) -> tuple[GatedFilter, ...]:
        return self._rotation, self._place, self._depth, self._expression, self._gaze, self._detail
