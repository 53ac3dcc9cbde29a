"""Where a session's finished pictures and sound go: each live output behind a pump of its own."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

from mien.channel import Fifo, Latest
from mien.errors import MienError
from mien.frames import AudioFrame, VideoFrame
from mien.stage import Context, Output

log = logging.getLogger(__name__)

SOUND_CAPACITY = 200
"""Audio frames an output may be behind, about 4 s; what doesn't fit is dropped and counted."""

Failed = Callable[[Output, Exception], None]


class Outputs:
    """The opened outputs of one session. Event loop only.

    Live ones are pumped, so that a slow one holds up nobody else; offline ones are awaited in turn.
    """

    def __init__(self, on_failed: Failed) -> None:
        self.last_picture: VideoFrame | None = None
        self._on_failed = on_failed
        self._pumps: dict[Output, Pump] = {}

    async def add(self, output: Output, context: Context, *, pumped: bool) -> None:
        """Open it and feed it from now on. Raises what `open` raises; then it is closed again."""
        try:
            await output.open(context)
        except BaseException:
            await output.abandon()
            raise
        pump = self._pumps[output] = Pump(output, self._on_failed)
        if pumped:
            pump.start()
            if self.last_picture is not None:
                pump.video(self.last_picture)

    async def remove(self, output: Output, *, abandon: bool = False) -> None:
        """Stop feeding it and close it; ignored when it is not there."""
        pump = self._pumps.pop(output, None)
        if pump is not None:
            await pump.stop()
            await (output.abandon() if abandon else output.close())

    async def close(self, *, abandon: bool = False) -> None:
        """Close all of them, whatever any of them raises. abandon: half-written files are removed."""
        self.last_picture = None
        async with AsyncExitStack() as steps:
            for output in self._pumps:
                steps.push_async_callback(self.remove, output, abandon=abandon)

    @property
    def dropped(self) -> Mapping[str, int]:
        """What outputs were too slow for or gave up, by reason."""
        counts: Counter[str] = Counter()
        for output, pump in self._pumps.items():
            counts.update(output.dropped)
            counts["overtaken at outputs"] += pump.dropped
            counts["sound overtaken at outputs"] += pump.sound_dropped
        return counts

    def video(self, picture: VideoFrame) -> None:
        """Give a picture to every pump."""
        self.last_picture = picture
        for pump in self._pumps.values():
            pump.video(picture)

    def audio(self, frame: AudioFrame) -> None:
        """Give sound to every pump."""
        for pump in self._pumps.values():
            pump.audio(frame)

    async def write_video(self, picture: VideoFrame) -> None:
        """Offline: have every output take the picture."""
        for output in list(self._pumps):
            await output.video(picture)

    async def write_audio(self, frame: AudioFrame) -> None:
        """Offline: have every output take the sound."""
        for output in list(self._pumps):
            await output.audio(frame)


class Pump:
    """Two channels and a task in front of one opened output. Event loop only."""

    def __init__(self, output: Output, on_failed: Failed) -> None:
        self.output = output
        self._on_failed = on_failed
        self._pictures: Latest[VideoFrame] = Latest("output")
        self._sound: Fifo[AudioFrame] = Fifo("output sound", SOUND_CAPACITY)
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.sound_dropped = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"pump {type(self.output).__name__}")

    @property
    def dropped(self) -> int:
        """Pictures that the output was too slow for."""
        return self._pictures.stats.replaced

    def video(self, frame: VideoFrame) -> None:
        self._pictures.try_put(frame)
        self._ready.set()

    def audio(self, frame: AudioFrame) -> None:
        if not self._sound.try_put(frame):
            self.sound_dropped += 1
        self._ready.set()

    async def stop(self) -> None:
        """End the task; what it had not yet written is lost. The output stays open."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        try:
            while True:
                await self._ready.wait()
                self._ready.clear()
                picture = self._pictures.take()
                if picture is not None:
                    await self.output.video(picture)
                    del picture
                while (sound := self._sound.take()) is not None:
                    await self.output.audio(sound)
        except MienError as error:
            self._on_failed(self.output, error)
        except Exception as error:
            log.exception("output %s failed", type(self.output).__name__)
            self._on_failed(self.output, error)
