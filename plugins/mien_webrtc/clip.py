"""An uploaded clip: whichever source can read it, and a file that goes away with it."""

from __future__ import annotations

import asyncio
import dataclasses
import weakref
from collections.abc import AsyncIterator
from pathlib import Path

from mien.face.subject import Subject
from mien.frames import AudioFrame, FaceParams, VideoFrame
from mien.stage import Context, MediaInfo, Source


class ClipSource(Source):
    """Delegates to `source`; deletes `path` when it is closed.

    Or when it is forgotten: a task that is cancelled before its first step never gets to `close`.
    """

    def __init__(self, source: Source, path: Path, title: str) -> None:
        self._source = source
        self._title = title
        self._delete = weakref.finalize(self, path.unlink, missing_ok=True)

    async def open(self, context: Context) -> None:
        await self._source.open(context)

    @property
    def info(self) -> MediaInfo:
        return dataclasses.replace(self._source.info, title=self._title)

    @property
    def subject(self) -> Subject | None:
        return self._source.subject

    def frames(self) -> AsyncIterator[VideoFrame | AudioFrame | FaceParams]:
        return self._source.frames()

    async def close(self) -> None:
        await self._source.close()
        await asyncio.to_thread(self._delete)
