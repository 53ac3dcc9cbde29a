"""Time that a test moves by hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
from collections.abc import Callable

from mien.clock import Clock


class VirtualClock(Clock):
    """Stands still until `advance` is called; sleepers wake in order, each at exactly its time.

    settled: asked after every step; the clock moves on only when it returns True (for example
    `lambda: lanes.idle`), so that work on other threads takes no virtual time.
    """

    def __init__(self, settled: Callable[[], bool] = lambda: True, start_ns: int = 0) -> None:
        self._now_ns = start_ns
        self._settled = settled
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._ticket = itertools.count()
        self._lock = threading.Lock()

    def now_ns(self) -> int:
        return self._now_ns

    async def sleep_until(self, when_ns: int) -> None:
        if when_ns <= self._now_ns:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (when_ns, next(self._ticket), future))
        await future

    async def wait_until(self, when_ns: int, event: asyncio.Event) -> bool:
        if when_ns <= self._now_ns or event.is_set():
            await asyncio.sleep(0)
            return event.is_set()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (when_ns, next(self._ticket), future))

        def wake(_: object) -> None:
            if not future.done():
                future.set_result(None)

        waiting = asyncio.ensure_future(event.wait())
        waiting.add_done_callback(wake)
        try:
            await future
        finally:
            waiting.cancel()
        return event.is_set()

    async def advance(self, duration_ns: int) -> None:
        """Move on by `duration_ns`, letting everything that is due on the way happen."""
        end = self._now_ns + duration_ns
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            when, _, future = heapq.heappop(self._sleepers)
            self._now_ns = max(self._now_ns, when)
            if not future.done():
                future.set_result(None)
                await self._settle()
        self._now_ns = end
        await self._settle()

    async def _settle(self) -> None:
        """Let tasks and threads run until nothing moves any more."""
        quiet = 0
        while quiet < 5:
            await asyncio.sleep(0)
            if self._settled():
                quiet += 1
            else:
                quiet = 0
                # A lane is at work; this is real time, which the virtual clock does not see.
                await asyncio.sleep(0.0005)
