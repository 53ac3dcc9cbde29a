"""Where a session's finished pictures and sound go: each live output behind a pump of its own."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace

from mien.channel import Fifo, Latest
from mien.errors import CapacityError, MienError
from mien.frames import NO_FRAME, AudioFrame, VideoFrame
from mien.losses import Losses
from mien.stage import Context, Driven, Output

log = logging.getLogger(__name__)

SOUND_CAPACITY = 200
"""Audio frames an output may be behind, about 4 s; what doesn't fit is dropped and counted."""

Failed = Callable[[Output, Exception], None]


class Outputs:
    """The opened outputs of one session. Event loop only.

    Live ones are pumped, so that a slow one holds up nobody else; offline ones are awaited in turn.
    """

    def __init__(self, on_failed: Failed, losses: Losses) -> None:
        self.last_picture: VideoFrame | None = None
        self._on_failed = on_failed
        self._losses = losses
        self._pumps: dict[Output, Pump] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    async def add(self, output: Output, context: Context, *, pumped: bool) -> None:
        """Open it and feed it from now on. Raises what `open` raises, and `CapacityError` when all were closed
        meanwhile; then it is closed again.
        """
        try:
            await output.open(context)
            if self._closed:
                raise CapacityError("The session has ended, so nothing more is written. Open another one.")
        except BaseException:
            await output.abandon()
            raise
        pump = self._pumps[output] = Pump(output, self._on_failed)
        self._losses.enter(pump)
        if pumped:
            pump.start()
            if self.last_picture is not None:
                pump.video(self.last_picture)

    async def remove(self, output: Output, *, abandon: bool = False) -> None:
        """Stop feeding it and close it; ignored when it is not there."""
        pump = self._pumps.pop(output, None)
        if pump is not None:
            # A task that nobody cancels: what has begun to close is closed to the end.
            closing = asyncio.create_task(self._close(pump, abandon=abandon), name="output closing")
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            await asyncio.shield(closing)

    async def _close(self, pump: Pump, *, abandon: bool) -> None:
        await pump.stop()
        self._losses.leave(pump)
        await (pump.output.abandon() if abandon else pump.output.close())

    async def close(self, *, abandon: bool = False) -> None:
        """Close all of them, whatever any of them raises. abandon: half-written files are removed."""
        self.last_picture = None
        self._closed = True
        async with AsyncExitStack() as steps:
            if self._closing:
                steps.push_async_callback(asyncio.wait, set(self._closing))
            for output in self._pumps:
                steps.push_async_callback(self.remove, output, abandon=abandon)

    def video(self, picture: VideoFrame) -> None:
        """Give a picture to every pump, unless a later one was given already: time only grows."""
        if self.last_picture is not None and picture.capture_ns <= self.last_picture.capture_ns:
            return
        self.last_picture = picture
        for pump in self._pumps.values():
            pump.video(picture)

    @property
    def wants_faces(self) -> bool:
        """Whether any of them takes motion. Any thread."""
        return any(pump.wants_faces for pump in list(self._pumps.values()))

    def face(self, driven: Driven) -> None:
        """Give the motion of a picture to every pump whose output takes it."""
        for pump in self._pumps.values():
            if pump.wants_faces:
                pump.face(driven)

    def hold(self, capture_ns: int) -> None:
        """Give the last picture once more, as that of another moment; none when there was none yet."""
        if (last := self.last_picture) is not None:
            self.video(replace(last, capture_ns=capture_ns, index=NO_FRAME))

    def audio(self, frame: AudioFrame) -> None:
        """Give sound to every pump."""
        for pump in self._pumps.values():
            pump.audio(frame)

    def hush(self, epoch: int) -> None:
        """Forget all sound older than `epoch` that still waits anywhere."""
        for pump in self._pumps.values():
            pump.hush(epoch)

    async def write_video(self, picture: VideoFrame) -> None:
        """Offline: have every output take the picture."""
        for output in list(self._pumps):
            await output.video(await _fit_for(output, picture))

    async def write_audio(self, frame: AudioFrame) -> None:
        """Offline: have every output take the sound."""
        for output in list(self._pumps):
            await output.audio(frame)


class Pump:
    """Channels and a task in front of one opened output. Event loop only."""

    def __init__(self, output: Output, on_failed: Failed) -> None:
        self.output = output
        self.wants_faces = type(output).face is not Output.face
        self._on_failed = on_failed
        self._faces: Latest[Driven] = Latest("output motion")
        self._pictures: Latest[VideoFrame] = Latest("output")
        self._sound: Fifo[AudioFrame] = Fifo("output sound", SOUND_CAPACITY)
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._sound_dropped = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"pump {type(self.output).__name__}")

    @property
    def dropped(self) -> Mapping[str, int]:
        """What the output was too slow for or gave up, by reason."""
        counts = Counter(self.output.dropped)
        counts["overtaken at outputs"] += self._pictures.stats.replaced
        counts["motion overtaken at outputs"] += self._faces.stats.replaced
        counts["sound overtaken at outputs"] += self._sound_dropped
        return counts

    def face(self, driven: Driven) -> None:
        self._faces.try_put(driven)
        self._ready.set()

    def video(self, frame: VideoFrame) -> None:
        self._pictures.try_put(frame)
        self._ready.set()

    def audio(self, frame: AudioFrame) -> None:
        if not self._sound.try_put(frame):
            self._sound_dropped += 1
        self._ready.set()

    def hush(self, epoch: int) -> None:
        self._sound.bump_epoch(epoch)
        self.output.hush(epoch)

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
                if (driven := self._faces.take()) is not None:
                    await self.output.face(driven)
                picture = self._pictures.take()
                if picture is not None:
                    await self.output.video(await _fit_for(self.output, picture))
                    del picture
                while (sound := self._sound.take()) is not None:
                    await self.output.audio(sound)
        except MienError as error:
            self._on_failed(self.output, error)
        except Exception as error:
            log.exception("output %s failed", type(self.output).__name__)
            self._on_failed(self.output, error)


async def _fit_for(output: Output, picture: VideoFrame) -> VideoFrame:
    """Opaque where the output knows nothing of alpha."""
    if picture.alpha is None or output.takes_alpha:
        return picture
    return await asyncio.to_thread(_flattened, picture)


def _flattened(picture: VideoFrame) -> VideoFrame:
    from mien.render.composition import flattened  # compiles

    return flattened(picture)
