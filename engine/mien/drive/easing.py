"""Going from one motion to another without a jump."""

from __future__ import annotations

import numpy as np

from mien.clock import NS_PER_MS, NS_PER_S
from mien.drive.loop import minimum_jerk
from mien.face.retargeting import EXPRESSION, GAZE, HEAD, MOTION_SIZE, MOUTH, SHIFT, Motion
from mien.face.rig import names_mask
from mien.frames import Float

LIDS_AND_EYES = np.zeros(MOTION_SIZE, np.bool_)
LIDS_AND_EYES[GAZE] = True
LIDS_AND_EYES[EXPRESSION] = names_mask("eye")
HEAD_CHANNELS = np.zeros(MOTION_SIZE, np.bool_)
HEAD_CHANNELS[HEAD] = HEAD_CHANNELS[SHIFT] = True
MOUTH_CHANNELS = np.zeros(MOTION_SIZE, np.bool_)
MOUTH_CHANNELS[EXPRESSION] = MOUTH


class Schedule:
    """How each channel of a motion passes over: it waits, then moves with minimum jerk. All in ms.

    The mouth and the eyes may go ahead of the head: a head can rest anywhere, a mouth that hangs open or
    lids that stay shut look wrong at once.
    """

    def __init__(
        self,
        wait_ms: float,
        move_ms: float,
        mouth: tuple[float, float] | None = None,
        eyes: tuple[float, float] | None = None,
    ) -> None:
        self.wait_ms = np.full(MOTION_SIZE, wait_ms, np.float32)
        self.move_ms = np.full(MOTION_SIZE, move_ms, np.float32)
        for mask, times in ((MOUTH_CHANNELS, mouth), (LIDS_AND_EYES, eyes)):
            if times is not None:
                self.wait_ms[mask], self.move_ms[mask] = times
        self.total_ms = float((self.wait_ms + self.move_ms).max())

    def progress(self, elapsed_ns: int) -> Float:
        """(62,) float32, 0 (still where it was) to 1 (arrived)."""
        return np.asarray(minimum_jerk((elapsed_ns / NS_PER_MS - self.wait_ms) / self.move_ms), np.float32)


_COAST_S = 0.09
_FASTEST = 4.0
"""A limit on the velocity that is carried on, per s; a glitch of the tracker must not be thrown forward."""


class Ease:
    """One passage from where a motion was, with the velocity it had, to a target that may move."""

    def __init__(self, start: Motion, velocity_per_s: Motion, now_ns: int, schedule: Schedule) -> None:
        self._start = start
        self._velocity = np.clip(velocity_per_s, -_FASTEST, _FASTEST) * _COAST_S
        self._velocity[EXPRESSION] = 0.0
        self._began_ns = now_ns
        self._schedule = schedule

    def done(self, now_ns: int) -> bool:
        return now_ns - self._began_ns >= self._schedule.total_ms * NS_PER_MS

    def at(self, now_ns: int, target: Motion) -> Motion:
        """The motion at `now_ns`: the old one, coasting to a stop, gives way to the target."""
        elapsed_ns = now_ns - self._began_ns
        coasted = self._start + self._velocity * np.float32(1 - np.exp(-elapsed_ns / NS_PER_S / _COAST_S))
        progress = self._schedule.progress(elapsed_ns)
        return np.asarray(coasted + (target - coasted) * progress, dtype=np.float32)
