"""Fake stages: small, deterministic, and honest about what they were given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable

import numpy as np

from mien.clock import NS_PER_MS, NS_PER_S, Clock, OfflineClock
from mien.face.subject import Subject
from mien.frames import AudioFrame, FaceParams, VideoFrame
from mien.stage import Context, Listener, MediaInfo, Output, Renderer, Source, Tracked, Tracker

Item = VideoFrame | AudioFrame | FaceParams


class ScriptedSource(Source):
    """Yields given items, each at its capture time on the context's clock.

    fails: raise this after the last item. info: what it says of itself; without, the title and how many items.
    """

    def __init__(
        self,
        items: Iterable[Item],
        *,
        subject: Subject | None = None,
        title: str = "script",
        fails: Exception | None = None,
        info: MediaInfo | None = None,
    ) -> None:
        self._items = tuple(items)
        self._info = info
        self._subject = subject
        self._title = title
        self._fails = fails
        self._context: Context | None = None
        self.opened = self.closed = 0

    async def open(self, context: Context) -> None:
        self._context = context
        self.opened += 1

    @property
    def info(self) -> MediaInfo:
        return self._info or MediaInfo(title=self._title, frames=len(self._items))

    @property
    def subject(self) -> Subject | None:
        return self._subject

    async def frames(self) -> AsyncIterator[Item]:
        assert self._context is not None, "open the source first"  # noqa: S101
        clock = self._context.clock
        for item in self._items:
            if isinstance(clock, OfflineClock):
                clock.advance_to(item.capture_ns)
            else:
                await clock.sleep_until(item.capture_ns)
            yield item
        if self._fails is not None:
            raise self._fails

    async def close(self) -> None:
        self.closed += 1


class MemoryOutput(Output):
    """Keeps everything it is given."""

    def __init__(self) -> None:
        self.pictures: list[VideoFrame] = []
        self.sound: list[AudioFrame] = []
        self.sound_times: list[int] = []
        """engine time at which each stretch of sound came"""
        self._clock: Clock | None = None
        self.opened = self.closed = self.abandoned = 0

    async def open(self, context: Context) -> None:
        self._clock = context.clock
        self.opened += 1

    async def video(self, frame: VideoFrame) -> None:
        self.pictures.append(frame)

    async def audio(self, frame: AudioFrame) -> None:
        self.sound.append(frame)
        self.sound_times.append(self._clock.now_ns() if self._clock else 0)

    async def close(self) -> None:
        self.closed += 1

    async def abandon(self) -> None:
        self.abandoned += 1


class GreyTracker(Tracker):
    """Reads jawOpen off a picture's mean grey level, 0 to 255; a black picture shows no face.

    before: called with each frame first; raise in it to fail, advance a clock in it to be slow.
    """

    def __init__(self, before: Callable[[VideoFrame], None] = lambda frame: None) -> None:
        self._before = before
        self.seen = self.resets = self.closed = 0

    def process(self, frame: VideoFrame) -> Tracked:
        self._before(frame)
        self.seen += 1
        level = float(frame.pixels.mean()) / 255
        if level == 0:
            return Tracked(None)
        expression = np.zeros(52, np.float32)
        expression[17] = level
        return Tracked(FaceParams(frame.capture_ns, expression=expression, index=frame.index), faces=1)

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        self.closed += 1


class LoudListener(Listener):
    """Reads jawOpen off the peak of each frame interval; sound at full scale opens the mouth wide.

    before: called with each frame first; raise in it to fail, advance a clock in it to be slow.
    """

    def __init__(
        self, look_ahead_ms: float = 120.0, before: Callable[[AudioFrame], None] = lambda frame: None
    ) -> None:
        self._look_ahead_ms = look_ahead_ms
        self._before = before
        self._interval_ns = 40 * NS_PER_MS
        self._next_ns: int | None = None
        self._end_ns = 0
        self._sound: list[AudioFrame] = []
        self.heard = self.resets = self.closed = 0

    def open(self, context: Context) -> None:
        self._interval_ns = round(NS_PER_S / context.fps)

    @property
    def look_ahead_ms(self) -> float:
        return self._look_ahead_ms

    def process(self, frame: AudioFrame) -> list[FaceParams]:
        self._before(frame)
        self.heard += 1
        if frame.capture_ns - self._end_ns > NS_PER_S:  # after a pause it begins anew
            self._next_ns = None
            self._sound.clear()
        self._end_ns = frame.capture_ns + frame.duration_ns
        self._sound.append(frame)
        if self._next_ns is None:
            self._next_ns = frame.capture_ns
        until_ns = frame.capture_ns + frame.duration_ns - round(self._look_ahead_ms * NS_PER_MS)
        answers = []
        while self._next_ns + self._interval_ns <= until_ns:
            answers.append(self._answer(self._next_ns))
            self._next_ns += self._interval_ns
        while self._sound and self._sound[0].capture_ns + self._sound[0].duration_ns <= self._next_ns:
            del self._sound[0]
        return answers

    def _answer(self, time_ns: int) -> FaceParams:
        end_ns = time_ns + self._interval_ns
        peak = 0.0
        for frame in self._sound:
            first = max((time_ns - frame.capture_ns) * frame.rate // NS_PER_S, 0)
            last = max((end_ns - frame.capture_ns) * frame.rate // NS_PER_S, 0)
            part = frame.samples[first:last]
            peak = max(peak, float(np.abs(part).max())) if len(part) else peak
        expression = np.zeros(52, np.float32)
        expression[17] = min(peak, 1.0)
        return FaceParams(time_ns, expression=expression, confidence=float(peak > 0.01))

    def reset(self) -> None:
        self.resets += 1
        self._next_ns = None
        self._sound.clear()

    def close(self) -> None:
        self.closed += 1


class GreyRenderer(Renderer):
    """Paints jawOpen as a grey level; the driver's way back from `GreyTracker`. side: of the pictures, px."""

    levels = 3

    def __init__(self, before: Callable[[FaceParams], None] = lambda params: None, side: int = 4) -> None:
        self._before = before
        self._side = side
        self.level = self.closed = 0
        self.rendered: list[FaceParams] = []

    def process(self, params: FaceParams) -> VideoFrame:
        self._before(params)
        self.rendered.append(params)
        grey = round(float(params.expression[17]) * 255)
        pixels = np.full((self._side, self._side, 3), max(0, min(255, grey)), np.uint8)
        return VideoFrame(pixels, params.capture_ns, index=params.index, epoch=params.epoch)

    def set_level(self, level: int) -> None:
        self.level = level

    def close(self) -> None:
        self.closed += 1
