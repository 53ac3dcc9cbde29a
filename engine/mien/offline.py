"""The offline run: a source is taken to its end, every frame of it, in order.

The pipeline is the live one with lossless channels. What differs is here: the clock stands at each frame's
capture time, so many frames are under way and no more, and the outputs are awaited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mien.clock import Clock, OfflineClock
from mien.errors import MienError, StageError
from mien.frames import AudioFrame, FaceParams, VideoFrame
from mien.losses import Losses
from mien.outputs import Outputs
from mien.pipeline import IN_FLIGHT
from mien.stage import Source
from mien.upkeep import Upkeep

Progress = Callable[[int], None]


class OfflineRun:
    """Of one session. Event loop only: what the lanes say comes here by way of the loop.

    offer: hands a frame to the pipeline.
    """

    def __init__(
        self,
        clock: Clock,
        outputs: Outputs,
        losses: Losses,
        upkeep: Upkeep,
        offer: Callable[[VideoFrame | FaceParams, Source], None],
    ) -> None:
        self.source: Source | None = None
        """what is being read"""
        self._clock = clock
        self._outputs = outputs
        self._losses = losses
        self._upkeep = upkeep
        self._offer = offer
        self._permits = asyncio.Semaphore(IN_FLIGHT)
        self._finished: asyncio.Queue[VideoFrame] = asyncio.Queue(IN_FLIGHT)
        self._failure: Exception | None = None
        self._progress: Progress | None = None
        self._done = self._written = 0

    async def run(self, source: Source, progress: Progress | None = None) -> int:
        """Take every frame of `source` to the outputs; returns how many pictures were made.

        progress: told after each frame how many are done. Raises what the source, a stage or an output raises.
        """
        self._progress = progress
        self._permits = asyncio.Semaphore(IN_FLIGHT)
        self._written = self._done = 0
        writer = asyncio.create_task(self._write(), name="offline writer")
        self._losses.enter(source)
        try:
            await self._upkeep.open_source(source)
            self.source = source
            await self._upkeep.prepare_for(source)
            async for item in source.frames():
                if isinstance(self._clock, OfflineClock):
                    self._clock.advance_to(item.capture_ns)
                if isinstance(item, AudioFrame):
                    await self._outputs.write_audio(item)
                else:
                    await self._permit(writer)
                    self._offer(item, source)
            for _ in range(IN_FLIGHT):  # all of them free: nothing is under way any more
                await self._permit(writer)
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            self.source = None
            self._losses.leave(source)
            await source.close()
        return self._written

    def finished(self, picture: VideoFrame) -> None:
        """A frame has become a picture."""
        self._finished.put_nowait(picture)  # no more are under way than it has room for

    def dropped(self) -> None:
        """A frame will not become a picture."""
        self._release()

    def failed(self, stage: str, error: Exception) -> None:
        """A stage raised: the run ends."""
        self._failure = error if isinstance(error, MienError) else StageError(stage, str(error))

    async def _write(self) -> None:
        while True:
            picture = await self._finished.get()
            await self._outputs.write_video(picture)
            self._written += 1
            del picture
            self._release()

    def _release(self) -> None:
        """A frame is done, written or not."""
        self._permits.release()
        self._done += 1
        if self._progress is not None:
            self._progress(self._done)

    async def _permit(self, writer: asyncio.Task[None]) -> None:
        """Wait until one more frame may be under way."""
        acquire = asyncio.ensure_future(self._permits.acquire())
        try:
            await asyncio.wait({acquire, writer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            acquire.cancel()
        if self._failure is not None:
            raise self._failure
        if writer.done():
            await writer
