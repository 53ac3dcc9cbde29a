"""Feeds one live output, so that a slow one holds up nobody else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from mien.channel import Fifo, Latest
from mien.errors import MienError
from mien.frames import AudioFrame, VideoFrame
from mien.stage import Output

log = logging.getLogger(__name__)

SOUND_CAPACITY = 200
"""Audio frames an output may be behind, about 4 s; what doesn't fit is dropped and counted."""


class Pump:
    """Two channels and a task in front of one opened output. Event loop only."""

    def __init__(self, output: Output, on_failed: Callable[[Pump, Exception], None]) -> None:
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
            self._on_failed(self, error)
        except Exception as error:
            log.exception("output %s failed", type(self.output).__name__)
            self._on_failed(self, error)
