"""The driver's sound, delayed to match the picture."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from mien.clock import NS_PER_S, Clock
from mien.frames import AudioFrame

LONGEST_NS = 2 * NS_PER_S
"""More sound than this is never kept; the oldest goes first, and is counted."""


class SoundDelay:
    """Hands each stretch of sound over when the picture of the same moment is handed over.

    latency_ns: says how long pictures take at present. The delay follows it slowly (a tenth of the
    difference per frame), so a receiver sees smooth timing; samples are never cut or stretched, their
    capture times travel on untouched.
    """

    def __init__(
        self, clock: Clock, latency_ns: Callable[[], float], deliver: Callable[[AudioFrame], None]
    ) -> None:
        self._clock = clock
        self._latency_ns = latency_ns
        self._deliver = deliver
        self._waiting: deque[AudioFrame] = deque()
        self._arrived = asyncio.Event()
        self._delay_ns: float | None = None
        self.dropped = 0

    @property
    def delay_ns(self) -> int:
        """The delay in use."""
        return round(self._delay_ns or 0.0)

    def put(self, frame: AudioFrame) -> None:
        """Take sound from the source; event loop only."""
        self._waiting.append(frame)
        while frame.capture_ns - self._waiting[0].capture_ns > LONGEST_NS:
            self._waiting.popleft()
            self.dropped += 1
        self._arrived.set()

    def clear(self) -> None:
        """Forget what waits: the source changed or was interrupted."""
        self._waiting.clear()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            if not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            target = self._latency_ns()
            self._delay_ns = (
                target if self._delay_ns is None else self._delay_ns + 0.1 * (target - self._delay_ns)
            )
            frame = self._waiting[0]
            await self._clock.sleep_until(frame.capture_ns + self.delay_ns)
            if self._waiting and self._waiting[0] is frame:
                self._waiting.popleft()
                self._deliver(frame)
