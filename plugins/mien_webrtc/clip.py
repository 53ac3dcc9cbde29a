"""An uploaded clip: whichever source can read it, and a file that goes away with it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

from mien.face.subject import Subject
from mien.frames import AudioFrame, FaceParams, VideoFrame
from mien.stage import Context, MediaInfo, Source


class ClipSource(Source):
    """Delegates to `source`; deletes `path` when it is closed, whether it was ever opened or not."""

    def __init__(self, source: Source, path: Path, title: str) -> None:
        self._source = source
        self._title = title
        self._path = path

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
        try:
            await self._source.close()
        finally:
            await asyncio.to_thread(self._path.unlink, missing_ok=True)
