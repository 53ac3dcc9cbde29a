"""Any file that FFmpeg reads, as a source."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from mien.clock import Clock, OfflineClock
from mien.frames import AudioFrame, VideoFrame
from mien.stage import Context, MediaInfo, Source
from mien_av.clip import Clip
from mien_av.handover import ClosedError, Handover
from mien_av.settings import read_settings

AHEAD = 24
"""Pictures and pieces of sound that are decoded ahead."""

_TOLERANCE_NS = 20_000_000
"""Playing that is later than this is not caught up with: the rest of the clip moves back."""


class FileSource(Source):
    """Plays a clip: in real time, over and over when live; once and as fast as it is taken otherwise."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._context: Context | None = None
        self._clip: Clip | None = None
        self._loop = False
        self._queue: Handover[VideoFrame | AudioFrame] | None = None
        self._thread: threading.Thread | None = None

    async def open(self, context: Context) -> None:
        """Raises `MediaError`, `ConfigError`."""
        settings = read_settings(context.settings)
        self._context = context
        self._loop = settings.loop and context.live
        self._clip = await asyncio.to_thread(Clip, self._path, settings.max_side)
        for text in self._clip.notices:
            context.notice(text)

    @property
    def info(self) -> MediaInfo:
        return self._clip.info if self._clip else MediaInfo(title=self._path.name)

    async def frames(self) -> AsyncIterator[VideoFrame | AudioFrame]:
        if self._context is None or self._clip is None:
            raise RuntimeError("open comes first")
        queue = self._queue = Handover(AHEAD)
        self._thread = threading.Thread(
            target=_decode,
            args=(self._clip, queue, self._loop),
            name=f"decode {self._path.name}",
            daemon=True,
        )
        self._thread.start()
        clock = self._context.clock
        pace = _Pace(clock) if self._context.live else None
        while (frame := await queue.get()) is not None:
            if pace is not None:
                frame = replace(frame, capture_ns=await pace.wait(frame.capture_ns))
            elif isinstance(clock, OfflineClock):
                clock.advance_to(frame.capture_ns)
            yield frame
        if self._clip.damaged:
            self._context.notice(
                f"{self._path} is damaged: {self._clip.damaged} pieces of it could not be decoded."
            )

    async def close(self) -> None:
        if self._queue is not None:
            self._queue.close()
            self._queue = None
        if self._thread is not None:
            thread, self._thread = self._thread, None
            await asyncio.to_thread(thread.join)


class _Pace:
    """Maps media time to engine time, one to one, from the first frame on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._zero_ns: int | None = None

    async def wait(self, media_ns: int) -> int:
        """Return the engine time of a moment of the clip, once it has come."""
        now_ns = self._clock.now_ns()
        if self._zero_ns is None:
            self._zero_ns = now_ns - media_ns
        due_ns = self._zero_ns + media_ns
        if due_ns > now_ns:
            await self._clock.sleep_until(due_ns)
        elif now_ns - due_ns > _TOLERANCE_NS:
            # Decoding fell behind, or the machine slept. Late stamps would have every frame dropped.
            self._zero_ns += now_ns - due_ns
            due_ns = now_ns
        return due_ns


def _decode(clip: Clip, queue: Handover[VideoFrame | AudioFrame], loop: bool) -> None:
    """Thread: decode the clip, again and again if asked, until it ends or nobody takes it."""
    start_ns, index = 0, 0
    try:
        while True:
            for frame in clip.play():
                if isinstance(frame, VideoFrame):
                    queue.put(replace(frame, capture_ns=start_ns + frame.capture_ns, index=index))
                    index += 1
                else:
                    queue.put(replace(frame, capture_ns=start_ns + frame.capture_ns))
            start_ns += clip.end_ns
            if not loop:
                break
    except ClosedError:
        return
    except Exception as error:  # noqa: BLE001 - it is the consumer's to handle
        queue.finish(error)
    else:
        queue.finish()
