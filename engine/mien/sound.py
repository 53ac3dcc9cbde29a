"""The sound that goes out, delayed to match the picture."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable

import numpy as np

from mien.clock import NS_PER_MS, NS_PER_S, Clock
from mien.frames import AudioFrame
from mien.voice.room import Room

LONGEST_NS = 2 * NS_PER_S
"""More sound than this is never kept; the oldest goes first, and is counted."""

_IN_SPEECH, _IN_SILENCE = 0.005, 0.5
"""How much longer or shorter a stretch of sound may last so that the delay gets where it should be."""
_SILENT, _SOFT = math.log(1e-6), math.log(1e-4)
"""Natural log of power. Below the first (-60 dBFS) there is nothing that a listener could notice to be stretched, and
below the second (-40 dBFS) neither if it is no louder than the room; what is louder than that may be music.
"""


class Silence:
    """Tells stretches of sound that may be longer or shorter unnoticed: silent ones, or no louder than the room."""

    def __init__(self) -> None:
        self._room = Room()

    def holds(self, frame: AudioFrame) -> bool:
        """Whether the next stretch is one."""
        if not len(frame.samples):
            return True
        loudness = math.log(float(np.square(frame.samples).mean()) + 1e-12)
        louder = self._room.exceeded(loudness, frame.duration_ns / NS_PER_MS)
        return loudness < _SILENT or (loudness < _SOFT and not louder)


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
        self._cleared = asyncio.Event()
        self._awaited: list[tuple[AudioFrame, asyncio.Future[None]]] = []
        """sound whose hand-over somebody awaits"""
        self._silence = Silence()
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
        self._cleared.set()
        self._tell_gone()

    async def handed_over(self) -> None:
        """Return when all that waits just now has been delivered, or is forgotten."""
        if self._waiting:
            gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._awaited.append((self._waiting[-1], gone))
            await gone

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            if not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            frame = self._waiting[0]
            self._follow(frame)
            self._cleared.clear()
            if await self._clock.wait_until(frame.capture_ns + self.delay_ns, self._cleared):
                continue  # all that waited is forgotten: what comes next may be due earlier
            if self._waiting and self._waiting[0] is frame:
                self._waiting.popleft()
                self.delivered_end_ns = frame.capture_ns + frame.duration_ns
                self._deliver(frame)
                self._tell_gone()

    def _tell_gone(self) -> None:
        """Somebody awaits sound that waits no longer."""
        waiting = {id(frame) for frame in self._waiting} if self._awaited else set()
        for frame, gone in self._awaited:
            if id(frame) not in waiting and not gone.done():
                gone.set_result(None)
        self._awaited = [(frame, gone) for frame, gone in self._awaited if not gone.done()]

    def _follow(self, frame: AudioFrame) -> None:
        target = self._latency_ns()
        if not self._follows:
            self._follows, self._delay_ns = True, target
            return
        most = frame.duration_ns * (_IN_SILENCE if self._silence.holds(frame) else _IN_SPEECH)
        self._delay_ns += min(max(target - self._delay_ns, -most), most)
