"""Where what was seen waits for what was heard at the same moment."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from mien.clock import NS_PER_S, Clock
from mien.drive.heard import Heard
from mien.face.subject import Subject
from mien.frames import FaceParams
from mien.hearing import Hearing
from mien.runner import Parcel


@dataclass(frozen=True, slots=True)
class Pose:
    """What the driver is fed: a tracked or recorded face, or nothing (a tick while nobody drives), and what was heard
    at that moment.
    """

    params: FaceParams | None = None
    subject: Subject | None = None
    heard: Heard | None = None


_PAUSE_NS = NS_PER_S // 4
"""No camera that is at work is as slow."""


class Meeting:
    """Poses go on in order once the sound of their moment has been heard, all equally late (`Hearing.until_ns`);
    at once while nobody speaks. Thread-safe.
    """

    def __init__(self, hearing: Hearing, clock: Clock, deliver: Callable[[Parcel[Pose]], object]) -> None:
        self._hearing = hearing
        self._clock = clock
        self._deliver = deliver
        self._waiting: deque[Parcel[Pose]] = deque()
        self._released_ns = 0
        """of the poses that went on"""
        self.interval_ns = 0.0
        """between them, as a rule: cameras slow down in the dark"""
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._came = asyncio.Event()

    async def run(self) -> None:
        """Live: let each pose go on in its time, until cancelled."""
        self._loop = asyncio.get_running_loop()
        try:
            while True:
                self._came.clear()
                if (until_ns := self._until_ns()) is None:
                    await self._came.wait()
                elif not await self._clock.wait_until(until_ns, self._came):
                    self.heard()
        finally:
            self._loop = None

    def _until_ns(self) -> int | None:
        """When to look again; None: when a pose has come."""
        with self._lock:
            return self._hearing.until_ns(self._waiting[0].passage.capture_ns) if self._waiting else None

    def offer(self, parcel: Parcel[Pose]) -> None:
        """Take a pose."""
        with self._lock:
            self._waiting.append(parcel)
            self._release()
            first = len(self._waiting) == 1
        if first and (loop := self._loop) is not None:
            loop.call_soon_threadsafe(self._came.set)

    @property
    def waiting(self) -> bool:
        """Whether any pose waits."""
        return bool(self._waiting)

    def heard(self) -> None:
        """More has been heard: see who need wait no longer."""
        with self._lock:
            self._release()

    def last_ns(self, time_ns: int) -> int:
        """Time of the last pose at that moment or before it, gone on or not."""
        with self._lock:
            waiting = (parcel.passage.capture_ns for parcel in self._waiting)
            return max((at for at in waiting if at <= time_ns), default=self._released_ns)

    def clear(self) -> None:
        """Forget who waits: the source changed."""
        with self._lock:
            self._waiting.clear()
            self._released_ns = 0

    def _release(self) -> None:
        while self._waiting and self._hearing.knows(self._waiting[0].passage.capture_ns):
            parcel = self._waiting.popleft()
            passage = parcel.passage
            if self._hearing.speaker is not None:
                reached = passage.reached_ns()
                passage.add("wait:listen", reached, max(reached, self._clock.now_ns()))
            since_ns = passage.capture_ns - self._released_ns
            if since_ns < _PAUSE_NS:
                self.interval_ns += 0.1 * (since_ns - self.interval_ns)
            self._released_ns = passage.capture_ns
            heard = self._hearing.at(passage.capture_ns)
            self._deliver(replace(parcel, value=replace(parcel.value, heard=heard)))


class Beat:
    """The times of pictures that are made from sound alone: the frame rate, counted from the first answer. `due` is
    called on one thread at a time, `skip` on any.
    """

    def __init__(self, fps: float) -> None:
        self._interval_ns = NS_PER_S / fps
        self._next: tuple[int, int] | None = None
        """when it began, and how many were due since"""

    def due(self, began_ns: int, reached_ns: int) -> list[int]:
        """The times up to `reached_ns` that were not given yet. It begins at `began_ns`, and anew after a hole."""
        first_ns, count = self._next or (began_ns, 0)
        if self._next is None or reached_ns - first_ns - count * self._interval_ns > NS_PER_S:
            first_ns, count = max(began_ns, reached_ns - NS_PER_S), 0
        times = []
        while (
            time_ns := first_ns + round(count * self._interval_ns)
        ) <= reached_ns + self._interval_ns * _NEARLY:
            times.append(time_ns)
            count += 1
        self._next = first_ns, count
        return times

    def skip(self) -> None:
        """Another voice, or an interruption: it begins anew."""
        self._next = None


_NEARLY = 0.05
"""Of an interval: an answer that is so little short of a picture's time is taken for it."""
