"""The sound that goes out, delayed to match the picture."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import numpy as np

from mien.clock import NS_PER_MS, NS_PER_S, Clock
from mien.frames import AudioFrame

LONGEST_NS = 2 * NS_PER_S
"""More sound than this is never kept; the oldest goes first, and is counted."""

_IN_SPEECH, _IN_SILENCE = 0.005, 0.5
"""How much longer or shorter a stretch of sound may last so that the delay gets where it should be."""
_SILENT = 10 ** (-50 / 20)
"""Below this peak there is nothing that a listener could notice to be stretched."""


class SoundDelay:
    """Hands each stretch of sound over when the picture of the same moment is handed over.

    latency_ns: says how long pictures take at present. The delay follows it without a jump: by half a percent of the
    time while there is something to be heard, by half of it in silences. After `clear` it begins where it should be.
    Capture times travel on untouched: files and streams carry the true relation of sound and picture, and what plays
    sound as it comes sees it arrive a little faster or slower than real time.
    """

    def __init__(
        self, clock: Clock, latency_ns: Callable[[], float], deliver: Callable[[AudioFrame], None]
    ) -> None:
        self._clock = clock
        self._latency_ns = latency_ns
        self._deliver = deliver
        self._waiting: deque[AudioFrame] = deque()
        self._arrived = asyncio.Event()
        self._delay_ns = 0.0
        self._follows = False
        """whether sound has come since the beginning, or since `clear`"""
        self.dropped = 0
        self.delivered_end_ns: int | None = None
        """where the sound ends that was handed over; None before the first"""

    @property
    def delay_ns(self) -> int:
        """The delay in use."""
        return round(self._delay_ns)

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
        self._follows = False

    async def handed_over(self) -> None:
        """Return when all that waits just now has been delivered, or is forgotten."""
        if not self._waiting:
            return
        last = self._waiting[-1]
        while any(frame is last for frame in self._waiting):
            left_ns = last.capture_ns + self.delay_ns - self._clock.now_ns()
            await self._clock.sleep(max(left_ns, NS_PER_MS))

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            if not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            frame = self._waiting[0]
            self._follow(frame)
            await self._clock.sleep_until(frame.capture_ns + self.delay_ns)
            if self._waiting and self._waiting[0] is frame:
                self._waiting.popleft()
                self.delivered_end_ns = frame.capture_ns + frame.duration_ns
                self._deliver(frame)

    def _follow(self, frame: AudioFrame) -> None:
        target = self._latency_ns()
        if not self._follows:
            self._follows, self._delay_ns = True, target
            return
        silent = not len(frame.samples) or float(np.abs(frame.samples).max()) < _SILENT
        most = frame.duration_ns * (_IN_SILENCE if silent else _IN_SPEECH)
        self._delay_ns += min(max(target - self._delay_ns, -most), most)
