"""Sound that a program pushes, as fast as it likes, played at the pace of the engine's clock."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from mien.clock import NS_PER_MS, NS_PER_S, Clock
from mien.frames import AudioFrame, Float
from mien.sound import Silence
from mien.stage import MediaInfo, Source

BLOCK_NS = 20 * NS_PER_MS
"""Sound is handed on in pieces of this length."""

TAIL_NS = 600 * NS_PER_MS
"""So much silence follows the sound: whoever listens looks ahead, and a mouth closes on silence, not on nothing."""

OVERFLOW = 2
"""What does not fit into so many buffers' length is given up; from one on the client is told to wait."""

CUSHION_NS = 60 * NS_PER_MS
"""Sound that is gathered before it is played, and how long more is waited for when it runs dry."""

_LATE_NS = 5 * NS_PER_MS
_STANDSTILL_NS = 400 * NS_PER_MS
"""So late a machine that is merely busy is not."""
_PAUSE_NS = 200 * NS_PER_MS
"""What pauses keep when something is left out of them."""
_AHEAD_NS = 500 * NS_PER_MS
"""Who is so much further ahead than was waited for doesn't send sound as it is spoken."""


class Playing(StrEnum):
    """What a client is told about what it pushed."""

    STARTED = "started"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    STARVED = "starved"
    """its sound ran dry before it had said that it ends"""
    FULL = "full"
    """enough waits: send no more"""
    READY = "ready"
    """there is room again"""


@dataclass(frozen=True, slots=True)
class Event:
    """position_s: how much of the segment was heard; segment: counts from 1; queued_s: what waits.

    Of each segment: started, then starved as often as it runs dry, then either finished or interrupted.
    """

    playing: Playing
    segment: int
    position_s: float
    queued_s: float

    def json(self) -> dict[str, Any]:
        """As it goes over the wire."""
        message: dict[str, Any] = {"type": "playback", "state": str(self.playing), "segment": self.segment}
        if self.playing in {Playing.FULL, Playing.READY}:
            message = {"type": "buffer", "state": str(self.playing)}
        else:
            message["position_s"] = round(self.position_s, 3)
        return message | {"queued_s": round(self.queued_s, 3)}


@dataclass(frozen=True, slots=True)
class _Coming:
    """What is told as soon as it is heard. handed_on_ns: engine time; position_ns: of the segment."""

    playing: Playing
    handed_on_ns: int
    position_ns: int


@dataclass(slots=True)
class _Chunk:
    """Pushed samples, played up to `used`. The end of a segment is one without samples."""

    samples: Float
    rate: int
    used: int = 0
    ends: bool = False

    @property
    def left_ns(self) -> int:
        return (len(self.samples) - self.used) * NS_PER_S // self.rate

    def takes(self, other: _Chunk) -> bool:
        """Whether this one is still so short that `other` is better added to it."""
        alike = self.rate == other.rate and self.samples.shape[1] == other.samples.shape[1]
        return alike and not self.ends and self.left_ns < BLOCK_NS

    def append(self, samples: Float) -> None:
        self.samples = np.concatenate([self.samples[self.used :], samples])
        self.used = 0

    def take(self) -> Float:
        """The next block, at most."""
        count = max(1, BLOCK_NS * self.rate // NS_PER_S)
        block = self.samples[self.used : self.used + count]
        self.used += len(block)
        return block


class PushSource(Source):
    """Pushed sound as a source. Event loop only.

    tell: called with what happens to the sound. delay_ns: how much later than it is handed on it is heard, so that
    what is told is what was heard and not what was sent. buffer_s: how much may wait before a client is told to.
    """

    def __init__(
        self,
        clock: Clock,
        tell: Callable[[Event], None] = lambda event: None,
        *,
        delay_ns: Callable[[], int] = lambda: 0,
        buffer_s: float = 10.0,
        title: str = "pushed sound",
    ) -> None:
        self.given_up = 0
        """stretches of sound that found no room"""
        self._clock = clock
        self._tell = tell
        self._delay_ns = delay_ns
        self._buffer_s = buffer_s
        self._title = title
        self._chunks: deque[_Chunk] = deque()
        self._queued_ns = 0
        self._segment = 0
        self._open = False  # a segment has begun and its end was not played
        self._coming: deque[_Coming] = deque()  # of the segment
        self._played_ns = 0  # of the segment, handed on
        self._heard_ns = 0  # of the segment, as was told last
        self._sounded_ns = 0  # where the last sound that was handed on ends
        self._starved = self._full = self._ended = False
        self._ready = False  # enough was gathered to play
        self._flows = True  # the next piece was there in time
        self._owed_ns = 0  # how much later everything is since more had to be waited for
        self._silence = Silence()
        self._hushed_ns = 0  # silence within the sound, up to now
        self._quiet_ns = TAIL_NS  # silence since the last sound; in front of the first none is needed
        self._rate = 48_000
        self._due_ns = 0
        self._active_ns = clock.now_ns()
        self._came_ns = 0  # when something came last that found nothing there
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def info(self) -> MediaInfo:
        return MediaInfo(title=self._title, audio_rate=self._rate)

    @property
    def dropped(self) -> Mapping[str, int]:
        return {"pushed faster than played": self.given_up}

    @property
    def queued_s(self) -> float:
        """Sound that waits to be played."""
        return self._queued_ns / NS_PER_S

    @property
    def over(self) -> bool:
        """Whether it was ended."""
        return self._ended

    def idle_s(self, now_ns: int) -> float:
        """How long nothing was pushed and nothing played."""
        return 0.0 if self._queued_ns else (now_ns - self._active_ns) / NS_PER_S

    # --- the client's side ------------------------------------------------------------------------------

    def push(self, samples: Float, rate: int) -> bool:
        """Queue sound, (N, C); False when there is no room and it is given up."""
        self._active_ns = self._clock.now_ns()
        if not len(samples):
            return True
        if not self._chunks:
            self._came_ns = self._active_ns
        chunk = _Chunk(samples, rate)
        if self._queued_ns and self._queued_ns + chunk.left_ns > OVERFLOW * self._buffer_s * NS_PER_S:
            self.given_up += 1
            return False
        last = self._chunks[-1] if self._chunks else None
        if last is not None and last.takes(chunk):  # grains of sand would fill the memory
            self._queued_ns -= last.left_ns
            last.append(samples)
            self._queued_ns += last.left_ns
        else:
            self._chunks.append(chunk)
            self._queued_ns += chunk.left_ns
        if self.queued_s >= self._buffer_s:
            self._room.clear()
            if not self._full:
                self._full = True
                self._say(Playing.FULL)
        self._wake.set()
        return True

    async def push_all(self, samples: Float, rate: int) -> None:
        """Queue all of it, (N, C), as there is room; returns when that is done, or nobody plays any more."""
        most = max(1, int(self._buffer_s * rate / 2))  # so much fits as soon as there is room at all
        for start in range(0, len(samples), most):
            await self._room.wait()
            if self.over:
                return
            self.push(samples[start : start + most], rate)

    def flush(self) -> bool:
        """The segment ends with what was pushed last; False when nothing was pushed since the last one."""
        if not (self._chunks or self._open) or (self._chunks and self._chunks[-1].ends):
            return False
        self._chunks.append(_Chunk(np.zeros((0, 1), np.float32), 1, ends=True))
        self._wake.set()
        return True

    def clear(self) -> bool:
        """Forget what waits, and end the segment; whether there was anything."""
        waited = bool(self._queued_ns)
        self._chunks.clear()
        self._queued_ns = 0
        interrupted = self._open or waited
        if interrupted:
            self._begin_segment()  # even if nothing of it was handed on
            self._end_segment(Playing.INTERRUPTED)
        self._ready = False
        self._tell_room()
        self._wake.set()
        return interrupted

    def end(self) -> None:
        """Nothing comes any more: `frames` returns, and what waits is forgotten."""
        self._ended = True
        self.clear()
        self._room.set()

    # --- the session's side -------------------------------------------------------------------------------

    async def frames(self) -> AsyncIterator[AudioFrame]:
        self._due_ns = self._clock.now_ns()
        if self._chunks:  # the session had to make ready for it
            self._owed_ns = self._due_ns - self._came_ns
        while not self.over:
            if not self._chunks:
                if self._open and not self._starved:
                    await self._wait_for_more()
                elif self._quiet_ns >= TAIL_NS and not self._coming:
                    self._wake.clear()
                    await self._wake.wait()
                    self._flows, self._owed_ns = False, 0  # that was no hiccup, but a pause of the client's
                else:
                    await self._pace()
                    self._owed_ns += BLOCK_NS * self._open
                    yield self._rest()
            elif self._chunks[0].ends:
                await self._pace()
                if len(self._chunks) == 1 and self._unheard_ns:
                    yield self._rest()  # a client that leaves once it has finished must not cut it short
                elif self._chunks:  # it may have been cleared meanwhile
                    self._finish()
            elif not self._ready:
                await self._gather()
            else:
                await self._pace()
                if self._chunks and not self._chunks[0].ends:  # it may have been cleared meanwhile
                    yield self._next()

    async def close(self) -> None:
        self.end()

    async def _pace(self) -> None:
        """Wait for the turn of the next piece. What was there in time, but is handed on late since the machine was
        busy, keeps its time; what had to be waited for is played from now on.
        """
        now_ns = self._clock.now_ns()
        late_ns = now_ns - self._due_ns
        if late_ns > (_STANDSTILL_NS if self._flows else _LATE_NS):
            self._owed_ns += late_ns * self._open
            self._due_ns = now_ns
        self._flows = True
        await self._clock.sleep_until(self._due_ns)

    async def _gather(self) -> None:
        """Wait until a little sound is there, so that a client that sends it as it comes is not heard to stutter."""
        until_ns = self._clock.now_ns() + CUSHION_NS
        while self._chunks and self._queued_ns < CUSHION_NS and not self._chunks[-1].ends:
            self._wake.clear()
            self._flows = False
            if not await self._clock.wait_until(until_ns, self._wake):
                break
        self._ready = bool(self._chunks)  # it may have been cleared meanwhile

    async def _wait_for_more(self) -> None:
        """It ran dry amid a segment: a little patience, then silence begins, and when that is heard it is told."""
        self._ready = self._flows = False
        while self._open and not self._chunks:
            self._wake.clear()
            if not await self._clock.wait_until(self._due_ns + CUSHION_NS, self._wake):
                self._starved = True
                self._coming.append(_Coming(Playing.STARVED, self._sounded_ns, self._played_ns))
                return

    def _rest(self) -> AudioFrame:
        """Silence, where there is no sound."""
        self._quiet_ns += BLOCK_NS
        return self._stamped(np.zeros((BLOCK_NS * self._rate // NS_PER_S, 1), np.float32))

    def _next(self) -> AudioFrame:
        """The next piece of sound. What is sent as it is spoken would be ever later, where either machine is busy now
        and then: so much as had to be waited for is left out of silences again. The pauses of a recording, or of a
        synthesiser, stay as they are.
        """
        self._begin_segment()
        if self._chunks[-1].ends or self._queued_ns > self._owed_ns + _AHEAD_NS:
            self._owed_ns = 0
        self._starved = False
        self._quiet_ns = 0
        while True:
            samples = self._taken()
            frame = AudioFrame(samples, self._rate, self._due_ns)
            self._played_ns += frame.duration_ns
            self._hushed_ns = self._hushed_ns + frame.duration_ns if self._silence.holds(frame) else 0
            owes = self._owed_ns >= frame.duration_ns and self._queued_ns > CUSHION_NS
            if not owes or self._hushed_ns <= _PAUSE_NS or self._chunks[0].ends:
                break
            self._owed_ns -= frame.duration_ns
        frame = self._stamped(samples)
        self._sounded_ns = self._due_ns
        self._active_ns = self._clock.now_ns()
        if self.queued_s <= self._buffer_s / 2:
            self._tell_room()
        return frame

    def _taken(self) -> Float:
        """The next block of what waits."""
        chunk = self._chunks[0]
        self._rate = chunk.rate
        self._queued_ns -= chunk.left_ns
        samples = chunk.take()
        self._queued_ns += chunk.left_ns
        if chunk.used == len(chunk.samples):
            self._chunks.popleft()
        return samples

    def _stamped(self, samples: Float) -> AudioFrame:
        self._tell_heard()
        frame = AudioFrame(samples, self._rate, self._due_ns)
        self._due_ns += frame.duration_ns
        return frame

    # --- what is told -----------------------------------------------------------------------------------

    @property
    def _unheard_ns(self) -> int:
        """How much of what was handed on is still on its way to whoever listens."""
        return max(0, self._sounded_ns + self._delay_ns() - self._clock.now_ns())

    def _begin_segment(self) -> None:
        if not self._open:
            self._open = True
            self._segment += 1
            self._played_ns = 0
            self._coming.append(_Coming(Playing.STARTED, self._due_ns, 0))

    def _finish(self) -> None:
        """The segment whose end is next has ended."""
        self._chunks.popleft()
        self._ready = False
        if self._open:
            self._end_segment(Playing.FINISHED)

    def _end_segment(self, how: Playing) -> None:
        self._tell_heard()
        interrupted = how is Playing.INTERRUPTED
        for coming in self._coming:
            # What follows at once doesn't wait until it is heard; and whatever ends has begun.
            if not interrupted or coming.playing is Playing.STARTED:
                self._say(coming.playing, coming.position_ns)
        self._coming.clear()
        unheard_ns = self._unheard_ns if interrupted else 0
        self._open = self._starved = False
        self._owed_ns = 0
        self._say(how, max(self._heard_ns, self._played_ns - unheard_ns))
        self._played_ns = self._heard_ns = 0

    def _tell_heard(self) -> None:
        """What was on its way, as far as it has arrived."""
        while self._coming and self._coming[0].handed_on_ns + self._delay_ns() <= self._clock.now_ns():
            coming = self._coming.popleft()
            self._heard_ns = coming.position_ns
            self._say(coming.playing, coming.position_ns)

    def _tell_room(self) -> None:
        self._room.set()
        if self._full:
            self._full = False
            self._say(Playing.READY)

    def _say(self, playing: Playing, position_ns: int = 0) -> None:
        self._tell(Event(playing, self._segment, position_ns / NS_PER_S, self.queued_s))
