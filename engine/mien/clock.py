"""The one media clock.

Everything that is stamped or waited for goes through a `Clock`, so that a test or an offline render
runs the same pipeline in virtual time (`mien.testing.VirtualClock`, `OfflineClock`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


class Clock(ABC):
    """Monotonic engine time in integer nanoseconds."""

    @abstractmethod
    def now_ns(self) -> int:
        """Return the current engine time in ns. May be called from any thread."""

    def work_ns(self) -> int:
        """A counter for measuring how long work takes: real time even where media time is virtual."""
        return time.perf_counter_ns()

    @abstractmethod
    async def sleep_until(self, when_ns: int) -> None:
        """Return once `now_ns() >= when_ns`. Called on the event loop only."""

    async def sleep(self, duration_ns: int) -> None:
        """Return once `duration_ns` have passed."""
        await self.sleep_until(self.now_ns() + duration_ns)

    async def wait_until(self, when_ns: int, event: asyncio.Event) -> bool:
        """Return as soon as `event` is set, at `when_ns` at the latest; whether it is set."""
        sleeping = asyncio.ensure_future(self.sleep_until(when_ns))
        waiting = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait({sleeping, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waiting.cancel()
        return event.is_set()


class SystemClock(Clock):
    """The machine's monotonic clock."""

    def now_ns(self) -> int:
        return time.monotonic_ns()

    async def sleep_until(self, when_ns: int) -> None:
        while (left := when_ns - self.now_ns()) > 0:  # noqa: ASYNC110 - a timer may fire early
            await asyncio.sleep(left / NS_PER_S)

    async def wait_until(self, when_ns: int, event: asyncio.Event) -> bool:
        while not event.is_set() and (left := when_ns - self.now_ns()) > 0:
            # A timer and no task: this is asked for every 20 ms of sound.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left / NS_PER_S):
                    await event.wait()
        return event.is_set()


class OfflineClock(Clock):
    """Time for offline rendering: it stands where the media is, and waiting costs nothing.

    The source advances it to each frame's capture time, so no frame is ever late.
    """

    def __init__(self) -> None:
        self._now_ns = 0

    def now_ns(self) -> int:
        return self._now_ns

    def advance_to(self, when_ns: int) -> None:
        """Move on to `when_ns`; earlier times are ignored, the clock never runs backwards."""
        self._now_ns = max(self._now_ns, when_ns)

    async def sleep_until(self, when_ns: int) -> None:
        self.advance_to(when_ns)
        await asyncio.sleep(0)
