"""A fixed piece of work that tells how fast the machine is just now.

Shared machines vary by a factor of two within seconds. A benchmark interleaves `measure` with what it times and
reports the raw median and the scaled one: raw x NOMINAL_MS / median of the reference.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
from numba import njit

NOMINAL_MS = 5.0
"""CPU time of one run on the machine that figures are scaled to."""


@njit(cache=True, nogil=True, fastmath=False)
def _work(field, rounds):  # type: ignore[no-untyped-def]
    """A few stencil sweeps: multiply-adds, branches and memory, as the real kernels have."""
    height, width = field.shape
    for _ in range(rounds):
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                value = 0.25 * (field[y - 1, x] + field[y + 1, x] + field[y, x - 1] + field[y, x + 1])
                field[y, x] = value if value > 0.1 else value + 0.001
    return field[height // 2, width // 2]


class Reference:
    """Collects runs of the reference work."""

    def __init__(self) -> None:
        self._field = np.random.default_rng(1).random((256, 256)).astype(np.float32)
        _work(self._field, 1)
        self.runs_ms: list[float] = []

    def measure(self) -> None:
        """Run the work once on this thread and note its CPU time."""
        start = time.thread_time_ns()
        _work(self._field, 12)
        self.runs_ms.append((time.thread_time_ns() - start) / 1e6)

    @property
    def scale(self) -> float:
        """Multiply a raw CPU time by this."""
        return NOMINAL_MS / statistics.median(self.runs_ms)
