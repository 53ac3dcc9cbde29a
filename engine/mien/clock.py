"""The one media clock.

Everything that is stamped or waited for goes through a `Clock`, so that a test or an offline render
runs the same pipeline in virtual time (`mien.testing.VirtualClock`, `OfflineClock`).
"""

from __future__ import annotations

import asyncio
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


class SystemClock(Clock):
    """The machine's monotonic clock."""

    def now_ns(self) -> int:
        return time.monotonic_ns()

    async def sleep_until(self, when_ns: int) -> None:
        while (left := when_ns - self.now_ns()) > 0:  # noqa: ASYNC110 - a timer may fire early
            await asyncio.sleep(left / NS_PER_S)


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
