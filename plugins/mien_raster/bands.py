"""Rows of pictures on a few threads. The kernels release the GIL; this is all that runs under it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from mien.frames import Float

Job = Callable[[], None]


class Bands:
    """Runs jobs on `threads` threads, the caller's among them. `close` gives the others back."""

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads - 1, thread_name_prefix="raster") if threads > 1 else None

    def run(self, jobs: Sequence[Job]) -> None:
        """Run all jobs and return when all have ended. The first error of theirs is raised then."""
        if self._pool is None or len(jobs) == 1:
            for job in jobs:
                job()
            return
        pending = [self._pool.submit(job) for job in jobs[1:]]
        try:
            jobs[0]()
            # What no thread has begun by now is done here.
            for future, job in zip(reversed(pending), reversed(jobs[1:]), strict=True):
                if future.cancel():
                    job()
        finally:
            for future in pending:
                if not future.cancelled():
                    future.result()

    def per_picture(self, pictures: int) -> int:
        """Into how many bands to cut each of so many pictures: none needs it when they come out even."""
        return 1 if pictures % self.threads == 0 else self.threads

    def close(self) -> None:
        """Wait for the threads and give them back; what runs afterwards runs on the caller's alone."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True)


def even(rows: int, bands: int) -> list[tuple[int, int]]:
    """Bands of as many rows: top and bottom (excluded) of each."""
    cuts = [rows * k // bands for k in range(bands + 1)]
    return [(top, bottom) for top, bottom in pairwise(cuts) if top < bottom]


def balanced(costs: Float, bands: int) -> list[tuple[int, int]]:
    """costs: (rows,), positive. Bands that cost as much each: top and bottom (excluded)."""
    total = np.cumsum(costs, dtype=np.float64)
    inner = np.searchsorted(total, total[-1] * np.arange(1, bands) / bands) + 1
    cuts = [0, *inner.tolist(), len(costs)]
    return [(top, bottom) for top, bottom in pairwise(cuts) if top < bottom]
