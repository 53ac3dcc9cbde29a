"""Going smoothly after something that moves, however many pictures a second there are."""

from __future__ import annotations

import math

import numpy as np

from mien.frames import Float


def covered(elapsed_s: float, time_s: float) -> float:
    """How much of the way to a goal is covered in `elapsed_s`. time_s: the time constant, after which it is 63 %."""
    return 1.0 - math.exp(-elapsed_s / time_s)


class Following:
    """An array that goes after a goal while there is one, and back to where it rests when there is none.

    rest: any shape. follow_s, leave_s: the time constants. near: it has come to rest when no number is further from it.
    """

    def __init__(self, rest: Float, follow_s: float, leave_s: float, near: float) -> None:
        self._rest = rest
        self._follow_s = follow_s
        self._leave_s = leave_s
        self._near = near
        self._now: Float | None = None

    def pace(self, goal: object | None, elapsed_s: float) -> float:
        """How much of its way it covers in a step."""
        return covered(elapsed_s, self._leave_s if goal is None else self._follow_s)

    def step(self, goal: Float | None, elapsed_s: float) -> Float | None:
        """The array, float32, read-only; None where it is at rest."""
        if self._now is None:
            if goal is None:
                return None
            self._now = self._rest
        towards = self._rest if goal is None else goal
        step = (towards - self._now) * np.float32(self.pace(goal, elapsed_s))
        self._now = np.asarray(self._now + step, np.float32)
        self._now.setflags(write=False)
        if goal is None and np.abs(self._now - self._rest).max() < self._near:
            self._now = None
        return self._now
