"""Lanes: the worker threads that run the compute stages of all sessions, earliest due time first.

There are as many as the machine has use for, and no more of them work at a time than `width` says: frames
that overlap take each other's caches, and the cores of codecs and browsers. A job never waits for anything:
it takes its input from a channel, computes with the GIL released where it can, puts its output into the next
channel, and that channel's owner submits the next job. So a frame goes from lane to lane without the event loop.

Opening a stage takes seconds, and frames must not wait for it, however few lanes there are: `run` has threads
of its own.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mien.clock import NS_PER_S

log = logging.getLogger(__name__)

T = TypeVar("T")

_WINDOW_NS = NS_PER_S
"""How long the lanes are watched for each figure of their load."""

_MAKING = 1
"""Avatars are made one at a time (`mien.avatar.workshop`): what is opened meanwhile has its own threads."""


class Lanes:
    """A pool of `count` worker threads over one queue ordered by due time.

    The queue holds at most one job per stage of each session, because a stage runner has at most one
    job outstanding; it needs no bound of its own.

    counter: ns, for measuring how busy they are. That is no media time: the machine's own counter is right.
    """

    def __init__(self, count: int, counter: Callable[[], int] = time.perf_counter_ns) -> None:
        if count < 1:
            raise ValueError(f"at least one lane is needed, not {count}")
        self.count = count
        self._width = count
        self._heap: list[tuple[int, int, Callable[[], None], Callable[[], None]]] = []
        self._ticket = itertools.count()
        self._changed = threading.Condition()
        self._stopping = False
        self._running = 0
        self._counter = counter
        self._watched_ns = self._ended_ns = counter()
        self._busy_ns = 0
        self._load = 0.0
        self._slow = ThreadPoolExecutor(count + _MAKING, "mien-opening")
        self._slow_jobs = 0
        self._threads = [
            threading.Thread(target=self._work, args=(i,), name=f"mien-lane-{i}", daemon=True)
            for i in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self, due_ns: int, job: Callable[[], None], forgotten: Callable[[], None] = lambda: None
    ) -> None:
        """Run `job` on the first free lane within `width`, before all jobs with a later due time.

        forgotten: called instead when the lanes stop before its turn. Raises `RuntimeError` after `stop`.
        """
        with self._changed:
            if self._stopping:
                raise RuntimeError("these lanes are stopped")
            heapq.heappush(self._heap, (due_ns, next(self._ticket), job, forgotten))
            self._changed.notify()

    async def run(self, function: Callable[[], T]) -> T:
        """Run `function`, which may take seconds, beside the frames' jobs; for the event loop's side.

        Returns and raises what it does; `RuntimeError` after `stop`.
        """
        with self._changed:
            if self._stopping:
                raise RuntimeError("these lanes are stopped")
            self._slow_jobs += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._slow, function)
        finally:
            with self._changed:
                self._slow_jobs -= 1

    @property
    def width(self) -> int:
        """How many lanes may work at once, 1 to `count`; values beyond are cut to that."""
        return self._width

    @width.setter
    def width(self, lanes: int) -> None:
        with self._changed:
            self._width = max(1, min(self.count, lanes))
            self._changed.notify_all()

    @property
    def load(self) -> float:
        """How much of the last second or so they were at work, as a share of what `width` allows; 0 at first."""
        return self._load

    @property
    def idle(self) -> bool:
        """Whether no job is running or waiting."""
        with self._changed:
            return not self._heap and not self._running and not self._slow_jobs

    def stop(self) -> None:
        """Finish the running jobs, forget the waiting ones, end the threads. Blocks.

        Who awaits a forgotten job of `run` gets `CancelledError`.
        """
        with self._changed:
            self._stopping = True
            waiting, self._heap = self._heap, []
            self._changed.notify_all()
        for *_, forgotten in waiting:
            forgotten()
        self._slow.shutdown(cancel_futures=True)
        for thread in self._threads:
            thread.join()

    def _work(self, lane: int) -> None:
        while True:
            with self._changed:
                while not self._stopping and (not self._heap or self._running >= self._width):
                    self._changed.wait()
                if self._stopping:
                    return
                _, _, job, _ = heapq.heappop(self._heap)
                started = self._counter()
                if not self._running and started - self._ended_ns > _WINDOW_NS:
                    # After a pause, whose quiet says nothing of what comes.
                    self._watched_ns, self._busy_ns, self._load = started, 0, 0.0
                self._running += 1
            try:
                job()
            except Exception:
                log.exception("a job on lane %d raised", lane)
            ended = self._counter()
            del job
            with self._changed:
                self._running -= 1
                self._watch(ended - started, ended)

    def _watch(self, busy_ns: int, now_ns: int) -> None:
        self._ended_ns = now_ns
        self._busy_ns += busy_ns
        watched_ns = now_ns - self._watched_ns
        if watched_ns >= _WINDOW_NS:
            self._load = self._busy_ns / (watched_ns * self._width)
            self._watched_ns, self._busy_ns = now_ns, 0
