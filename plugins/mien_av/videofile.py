"""A video file as an output: MP4, WebM or MOV."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from mien.errors import MediaError
from mien.frames import AudioFrame, VideoFrame
from mien.stage import Context, Output
from mien.tasks import to_end
from mien.wholefile import partial_of
from mien_av.containers import Container, container_of, encoder_options
from mien_av.settings import Settings, read_settings

CAPACITY = 64
"""Pictures and pieces of sound that wait for the encoder."""


class VideoFileOutput(Output):
    """Writes what the suffix says: H.264 and AAC (.mp4), VP9 and Opus (.webm), ProRes 4444 and PCM (.mov); the
    latter two keep alpha. The file appears under its name when it is finished, or not at all.

    A thread encodes. Offline, who writes faster than that waits; live, what doesn't fit is dropped and
    counted in `dropped`.
    """

    def __init__(self, path: str) -> None:
        self._dropped = 0
        self._path = Path(path)
        self._kind = container_of(self._path)
        self._beside = False
        self._part = partial_of(self._path)
        self._live = False
        self._queue: queue.Queue[VideoFrame | AudioFrame | None] = queue.Queue(CAPACITY)
        self._writer: _Writer | None = None

    @property
    def dropped(self) -> Mapping[str, int]:
        return {"overtaken at encoding": self._dropped}

    @property
    def takes_alpha(self) -> bool:
        """Known once it is open."""
        return self._beside or (self._kind is not None and bool(self._kind.alpha))

    async def open(self, context: Context) -> None:
        """Raises `MediaError` when the name is no video's or the folder cannot be written to."""
        settings = read_settings(context.settings)
        if self._kind is None:
            raise MediaError(
                f"{self._path} would not be a video file. Name it {self._path.stem}.mp4, or .webm or .mov."
            )
        if context.live and not self._kind.live:
            raise MediaError(
                f"{self._path.name}: ProRes takes too long to be written live. Name it {self._path.stem}.webm, "
                "or use mien render."
            )
        if not self._path.parent.is_dir():
            raise MediaError(f"There is no folder {self._path.parent} to write {self._path.name} into.")
        if self._path.is_dir():
            raise MediaError(f"{self._path} is a folder. Name a file.")
        self._live = context.live
        self._beside = settings.alpha == "side-by-side"
        # Cancelled, too: `abandon` gives back what it has opened.
        await to_end(asyncio.to_thread(self._begin, self._kind, settings, context))

    def _begin(self, kind: Container, settings: Settings, context: Context) -> None:
        self._writer = _Writer(self._path, self._part, self._queue, kind, settings, context.fps, context.live)

    async def video(self, frame: VideoFrame) -> None:
        await self._put(frame)

    async def audio(self, frame: AudioFrame) -> None:
        await self._put(frame)

    async def _put(self, frame: VideoFrame | AudioFrame) -> None:
        writer = self._require_writer()
        if writer.error is not None:
            raise writer.error
        try:
            self._queue.put_nowait(frame)
        except queue.Full:
            if self._live:
                self._dropped += 1
            else:
                await asyncio.to_thread(self._queue.put, frame)

    async def close(self) -> None:
        """Finish the file. Raises `MediaError` when it could not be written; nothing is left then."""
        await self._end(finish=True)

    async def abandon(self) -> None:
        await self._end(finish=False)

    async def _end(self, *, finish: bool) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        writer.finish = finish
        await asyncio.to_thread(writer.join)
        if finish and writer.error is not None:
            raise writer.error

    def _require_writer(self) -> _Writer:
        if self._writer is None:
            raise RuntimeError("open comes first")
        return self._writer


class _Writer:
    """The thread that encodes, and the file while it is not finished."""

    def __init__(
        self,
        path: Path,
        part: Path,
        inbox: queue.Queue[VideoFrame | AudioFrame | None],
        kind: Container,
        settings: Settings,
        fps: float,
        live: bool,
    ) -> None:
        import av

        from mien_av.muxing import Muxer

        self.finish = True
        self.error: MediaError | None = None
        self._path = path
        self._part = part
        self._inbox = inbox
        self._kind = kind
        options = encoder_options(kind, crf=settings.crf, preset=settings.preset, live=live)
        threads, beside = (1 if live else 0), settings.alpha == "side-by-side"
        try:
            part.touch()  # FFmpeg would only find out when it has something to write
            self._muxer = Muxer(
                part,
                kind,
                fps=fps,
                options=options,
                threads=threads,
                beside=beside,
                may_become_transparent=live,
            )
        except (av.error.FFmpegError, OSError) as error:
            part.unlink(missing_ok=True)
            raise self._failure(error) from error
        self._thread = threading.Thread(target=self._run, name=f"write {path.name}", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Let the thread finish or, with `finish` False, throw away what there is."""
        self._inbox.put(None)
        self._thread.join()

    def _run(self) -> None:
        # Once it has come to the None that ends them, it stays at its end.
        frames: Iterator[VideoFrame | AudioFrame] = iter(self._inbox.get, None)
        try:
            self._write(frames)
        except Exception as error:  # noqa: BLE001 - kept for who writes or closes next
            self.error = self._failure(error)
            # Whoever waits for room must not wait for ever.
            for _ in frames:
                pass
        finally:
            self._part.unlink(missing_ok=True)

    def _write(self, frames: Iterator[VideoFrame | AudioFrame]) -> None:
        done = False
        try:
            for frame in frames:
                if not self.finish:
                    continue  # nobody shall wait for room
                if isinstance(frame, VideoFrame):
                    self._muxer.picture(frame)
                else:
                    self._muxer.sound(frame)
                del frame  # its buffer goes back to its pool
            done = self.finish and self._muxer.has_pictures
        finally:
            self._muxer.close(finish=done)
        if done:
            self._publish()

    def _publish(self) -> None:
        from mien_av.muxing import copy_pictures
        from mien_av.provenance import append_digital_source_type

        if self._muxer.has_sound:
            if self._kind.boxes:
                append_digital_source_type(self._part)
            self._part.replace(self._path)
            return
        # The track of sound has to be there from the start; now it is known that there was none.
        silent = self._part.with_suffix(".silent.part")
        try:
            copy_pictures(self._part, silent, self._kind)
            if self._kind.boxes:
                append_digital_source_type(silent)
            silent.replace(self._path)
        finally:
            silent.unlink(missing_ok=True)

    def _failure(self, error: Exception) -> MediaError:
        reason = getattr(error, "strerror", None) or error
        return MediaError(f"{self._path} cannot be written: {reason}. Look at its folder and the free space.")
