"""Reads a clip as often as offline tracking needs it, and writes what comes out.

A clip is read four times: landmarks, key frames, every frame, and last its sound (with the pictures, for an overlay).
Decoding is a small part of the work, and nothing but a few key frames' faces has to be kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

from mien.clock import NS_PER_S
from mien.context import Services, StageContext
from mien.drive.recorder import Recorder
from mien.engine import Engine
from mien.errors import MediaError, NoFaceError
from mien.face.camera import Camera
from mien.face.model import load_model
from mien.face.offline.checkpoint import Checkpoint
from mien.face.offline.overlay import Overlay
from mien.face.offline.tracking import OfflineTracking, Sighting
from mien.face.subject import Subject
from mien.face.tracker import LandmarkTracker
from mien.frames import AudioFrame, Bytes, FaceParams, VideoFrame
from mien.stage import Kind, Output, Rasterizer, Source, Tracked
from mien.tasks import to_end
from mien.trace import Passage

T = TypeVar("T")

Progress = Callable[[str, int, int | None], None]
"""Told what is being done, how much of it is done, and how much there is (None: not known)."""
_SAVE_FRAMES, _SAVE_SHARE = 50, 0.1


class ClipTracking:
    """Offline tracking of the face in one clip, from reading it to writing the performance.

    engine: for the plugins and settings; no session is opened. tell: where notices go, possibly several times.
    overlay: where `write` also puts the clip with the mesh over it.
    """

    def __init__(
        self,
        engine: Engine,
        clip: Path,
        checkpoint: Checkpoint,
        progress: Progress,
        tell: Callable[[str], None],
        overlay: Path | None = None,
    ) -> None:
        """Raises what making the overlay's output and opening the rasterizer raise."""
        self._film = None if overlay is None else engine.output(str(overlay))
        self._new_source = engine.file_source(clip)
        self._checkpoint = checkpoint
        self._progress = progress
        self._services = Services(engine.registry, engine.config)
        self._context = StageContext(engine.clock, engine.config, self._services, tell, live=False)
        plugin = engine.registry.find(Kind.SOURCE, "file").plugin.name
        self._source_context = self._context.of_plugin(plugin)
        self._model = load_model(engine.config.use.face_model)
        self._title = clip.name
        self._saved = 0
        try:
            self._rasterizer: Rasterizer = self._context.service(Kind.RASTERIZER)
            self._tracking = OfflineTracking(self._model, self._rasterizer)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the landmarker and the rasterizer back."""
        self._services.close()

    async def run(self) -> bool:
        """Track every frame; returns whether it went on from an earlier run. Raises `NoFaceError`, and `MediaError`
        also for a clip whose pictures change size: all of it is solved under one camera.

        When it is cancelled what was worked out is kept in the checkpoint, and no thread works on behind.
        """
        resumed = await to_end(asyncio.to_thread(self._restore))
        if not resumed:
            await self._look()
            await self._save()
        if self._tracking.person is None:
            await self._meet()
            await self._save()
        try:
            await self._solve()
        finally:
            # Cancelled or failed: what was done needn't be done again.
            await self._save()
        return resumed

    def _restore(self) -> bool:
        """Go on from the checkpoint. One that can't be gone on from is as good as none."""
        held = self._checkpoint.load()
        if held is None:
            return False
        tracking = OfflineTracking(self._model, self._rasterizer)
        try:
            tracking.restore(held)
        except (LookupError, TypeError, ValueError):
            return False
        self._tracking = tracking
        return True

    async def write(self, out: Path) -> Recorder:
        """Write the performance, with the clip's sound, and the overlay if one is wanted. Once only.

        Returns the recorder, finished, which knows how many frames there were.
        """
        subject, solved = await to_end(asyncio.to_thread(self._tracking.result))
        drawing = Overlay(self._model, self._rasterizer)
        source = self._new_source()
        recorder = Recorder(out, source)
        film: Output | None = None
        try:
            async with contextlib.aclosing(self._read("Writing", source)) as items:
                async for item in items:
                    if self._film is not None and film is None:
                        film, plugin = self._film
                        await film.open(self._film_context(plugin, source.info.fps))
                    if isinstance(item, AudioFrame):
                        await recorder.audio(item)
                        if film is not None:
                            await film.audio(item)
                        continue
                    params = solved.get(item.index)
                    recorder.tracked(
                        Tracked(params, subject), Passage(item.index, item.capture_ns, item.capture_ns)
                    )
                    if film is not None:
                        await film.video(
                            await to_end(asyncio.to_thread(_over, drawing, subject, params, item))
                        )
            if film is not None:
                await film.close()
            await recorder.close()
        except BaseException:
            await recorder.abandon()
            if film is not None:
                await film.abandon()
            raise
        return recorder

    def _film_context(self, plugin: str, fps: float | None) -> StageContext:
        """In which the overlay's file is opened: at the clip's own rate."""
        context = self._context.of_plugin(plugin)
        if fps is None:
            return context
        return context.with_video(context.config.video.model_copy(update={"fps": fps}))

    # --- passes -----------------------------------------------------------------------------------------

    async def _look(self) -> None:
        tracker = LandmarkTracker()
        tracker.open(self._context)
        try:
            async with contextlib.aclosing(self._read("Finding the face")) as items:
                async for item in items:
                    if isinstance(item, VideoFrame):
                        seen = await to_end(asyncio.to_thread(tracker.process, item))
                        if seen.params is not None and seen.landmarks is not None:
                            self._tracking.see(
                                item.index, Sighting(item.capture_ns, seen.landmarks, seen.params.confidence)
                            )
        finally:
            tracker.close()
        if not self._tracking.sightings:
            raise NoFaceError(
                f"{self._title}: no face was found in any of its frames. Use a clip that shows a face."
            )

    async def _meet(self) -> None:
        tracking = self._tracking
        planned = False
        wanted: set[int] = set()
        async with contextlib.aclosing(self._read("Choosing key frames")) as items:
            async for item in items:
                if not isinstance(item, VideoFrame):
                    continue
                if not planned:
                    planned = True
                    await to_end(asyncio.to_thread(tracking.plan, Camera.guess(item.width, item.height)))
                    wanted = set(tracking.keys)
                if item.index in wanted:
                    wanted.remove(item.index)
                    await to_end(asyncio.to_thread(tracking.keep, item.index, item.pixels))
                if not wanted:
                    break
        label, parts = "Getting to know the face", 100
        self._progress(label, 0, parts)

        stopping = threading.Event()

        def tell(share: float) -> None:
            if stopping.is_set():
                raise InterruptedError
            self._progress(label, round(parts * share), parts)

        # It takes half a minute to the end; nobody waits for what it finds.
        await to_end(asyncio.to_thread(tracking.meet, tell), stopping.set)

    async def _solve(self) -> None:
        tracking = self._tracking
        waiting = set(tracking.waiting)
        async with contextlib.aclosing(self._read("Fitting every frame")) as items:
            async for item in items:
                if isinstance(item, VideoFrame) and item.index in waiting:
                    await to_end(asyncio.to_thread(tracking.solve, item.index, item.pixels))
                    waiting.remove(item.index)
                    done = len(tracking.solved)
                    if done - self._saved > max(_SAVE_FRAMES, _SAVE_SHARE * done):
                        await self._save()
                if not waiting:
                    break

    async def _read(
        self, label: str, source: Source | None = None
    ) -> AsyncGenerator[VideoFrame | AudioFrame, None]:
        """The clip from its beginning, with progress. Who may leave early closes it: the source is closed then."""
        source = source or self._new_source()
        size: tuple[int, int] | None = None
        try:
            await source.open(self._source_context)
            done = 0
            async with _closing(source.frames()) as items:
                async for item in items:
                    if isinstance(item, FaceParams):
                        continue
                    if isinstance(item, VideoFrame):
                        size = size or (item.width, item.height)
                        self._require_size(size, item)
                    yield item
                    if isinstance(item, VideoFrame):
                        done += 1
                        self._progress(label, done, source.info.frames)
        finally:
            await source.close()

    def _require_size(self, size: tuple[int, int], frame: VideoFrame) -> None:
        if (frame.width, frame.height) != size:
            raise MediaError(
                f"{self._title}: its pictures change from {size[0]}x{size[1]} px to {frame.width}x{frame.height} at "
                f"{frame.capture_ns / NS_PER_S:.1f} s. Cut it there, or convert all of it to one size."
            )

    async def _save(self) -> None:
        self._saved = len(self._tracking.solved)
        # Two saves at once, and the older one might be what is kept.
        await to_end(asyncio.to_thread(lambda: self._checkpoint.save(self._tracking.arrays())))


@contextlib.asynccontextmanager
async def _closing(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close what is iterated over if it is a generator, as a source's frames mostly are."""
    try:
        yield items
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()


def _over(drawing: Overlay, subject: Subject, params: FaceParams | None, frame: VideoFrame) -> VideoFrame:
    pixels: Bytes = frame.pixels if params is None else drawing.draw(frame.pixels, subject, params)
    return dataclasses.replace(frame, pixels=pixels)
