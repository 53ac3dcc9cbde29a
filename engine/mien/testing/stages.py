"""Fake stages: small, deterministic, and honest about what they were given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable

import numpy as np

from mien.clock import Clock, OfflineClock
from mien.face.subject import Subject
from mien.frames import AudioFrame, FaceParams, VideoFrame
from mien.stage import Context, MediaInfo, Output, Renderer, Source, Tracked, Tracker

Item = VideoFrame | AudioFrame | FaceParams


class ScriptedSource(Source):
    """Yields given items, each at its capture time on the context's clock.

    loop_s: start over after that many seconds. fails: raise this after the last item.
    """

    def __init__(
        self,
        items: Iterable[Item],
        *,
        subject: Subject | None = None,
        title: str = "script",
        fails: Exception | None = None,
    ) -> None:
        self._items = tuple(items)
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
        return MediaInfo(title=self._title, frames=len(self._items))

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


class GreyRenderer(Renderer):
    """Paints jawOpen as a grey level; the driver's way back from `GreyTracker`."""

    levels = 3

    def __init__(self, before: Callable[[FaceParams], None] = lambda params: None) -> None:
        self._before = before
        self.level = self.closed = 0
        self.rendered: list[FaceParams] = []

    def process(self, params: FaceParams) -> VideoFrame:
        self._before(params)
        self.rendered.append(params)
        grey = round(float(params.expression[17]) * 255)
        pixels = np.full((4, 4, 3), max(0, min(255, grey)), np.uint8)
        return VideoFrame(pixels, params.capture_ns, index=params.index, epoch=params.epoch)

    def set_level(self, level: int) -> None:
        self.level = level

    def close(self) -> None:
        self.closed += 1
