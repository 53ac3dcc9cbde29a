"""The offline run: a source is taken to its end, every frame of it, in order.

The pipeline is the live one with lossless channels. What differs is here: the clock stands at each frame's
capture time, so many frames are under way and no more, and the outputs are awaited.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from mien.clock import NS_PER_S, Clock, OfflineClock
from mien.errors import MienError, StageError
from mien.frames import AudioFrame, FaceParams, VideoFrame
from mien.hearing import Hearing
from mien.lane import Lanes
from mien.losses import Losses
from mien.outputs import Outputs
from mien.pipeline import IN_FLIGHT, Pipeline
from mien.roles import Roles
from mien.stage import Source
from mien.upkeep import Upkeep

Progress = Callable[[int], None]


class OfflineRun:
    """Of one session. Event loop only: what the lanes say comes here by way of the loop.

    Sound is heard before anything else is read, and a picture sets out when the sound of its moment has been heard:
    what is heard at a moment is the same every time, and nobody under way waits for what has yet to be read.
    """

    def __init__(
        self,
        clock: Clock,
        lanes: Lanes,
        outputs: Outputs,
        losses: Losses,
        upkeep: Upkeep,
        roles: Roles,
        hearing: Hearing,
        pipeline: Pipeline,
    ) -> None:
        self.source: Source | None = None
        """what is being read"""
        self._clock = clock
        self._lanes = lanes
        self._outputs = outputs
        self._losses = losses
        self._upkeep = upkeep
        self._roles = roles
        self._hearing = hearing
        self._pipeline = pipeline
        self._permits = asyncio.Semaphore(IN_FLIGHT)
        self._finished: asyncio.Queue[VideoFrame] = asyncio.Queue(IN_FLIGHT)
        self._failure: Exception | None = None
        self._progress: Progress | None = None
        self._done = self._written = 0
        self._early: deque[VideoFrame | FaceParams] = deque()
        """read before the sound of their moment was; as many as a look-ahead is long"""

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
            sees, last = self._roles.sees(source), None
            async for item in source.frames():
                if isinstance(self._clock, OfflineClock):
                    self._clock.advance_to(item.capture_ns)
                self._hearing.passed(item.capture_ns)
                if isinstance(item, AudioFrame):
                    last = item
                    await self._outputs.write_audio(item)
                    await self._hear(item, source, writer)
                elif sees:
                    self._early.append(item)
                await self._set_out(source, writer)
            await self._hear_out(last, source, writer)
            for _ in range(IN_FLIGHT):  # all of them free: nothing is under way any more
                await self._permit(writer)
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            self.source = None
            self._early.clear()
            self._hearing.dismiss()
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

    async def _set_out(self, source: Source, writer: asyncio.Task[None]) -> None:
        """Send those on their way whose sound has been heard."""
        while self._early and self._hearing.knows(self._early[0].capture_ns):
            await self._permit(writer)
            self._offer(self._early.popleft(), source)

    def _offer(self, item: VideoFrame | FaceParams, source: Source) -> None:
        if isinstance(item, VideoFrame):
            self._pipeline.offer_picture(item)
        else:
            self._pipeline.offer_pose(item, source.subject)

    async def _hear(
        self, frame: AudioFrame, source: Source, writer: asyncio.Task[None], end_ns: int | None = None
    ) -> None:
        """Listen to it, and make the pictures that belong to it where there are no others: all before `end_ns`."""
        self._upkeep.sound_came(source)
        if self._hearing.speaker is not source:
            return
        for piece in frame.pieces(NS_PER_S // 10):  # what is heard is kept for seconds only
            try:
                await self._lanes.run(partial(self._hearing.process, piece))
            except MienError:
                raise
            except Exception as error:
                raise StageError("listen", str(error)) from error
            if not self._roles.sees(source):
                for when_ns in self._pipeline.heard_times():
                    if end_ns is None or when_ns < end_ns:
                        await self._permit(writer)
                        self._pipeline.offer_heard(when_ns)

    async def _hear_out(self, last: AudioFrame | None, source: Source, writer: asyncio.Task[None]) -> None:
        """The source has ended: the listener's answers to the end of the sound, then nobody waits any longer."""
        if last is not None and (silence := self._hearing.rest(last)) is not None:
            await self._hear(silence, source, writer, silence.capture_ns)
        self._hearing.finished()
        self._pipeline.heard()
        await self._set_out(source, writer)

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
