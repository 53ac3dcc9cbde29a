"""An uploaded clip: whichever source can read it, and a file that goes away with it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, cast

from mien.errors import MienError
from mien.face.subject import Subject
from mien.frames import AudioFrame, FaceParams, VideoFrame
from mien.stage import Context, MediaInfo, Source


class ClipSource(Source):
    """Delegates to `source`; deletes `path` when it is closed, whether it was ever opened or not. What is said of
    `path` calls it `title`, as whoever sent it does.
    """

    def __init__(self, source: Source, path: Path, title: str) -> None:
        self._source = source
        self._title = title
        self._path = path

    async def open(self, context: Context) -> None:
        with self._renamed():
            await self._source.open(cast("Context", _Reworded(context, self._words)))

    @property
    def info(self) -> MediaInfo:
        return dataclasses.replace(self._source.info, title=self._title)

    @property
    def subject(self) -> Subject | None:
        return self._source.subject

    async def frames(self) -> AsyncIterator[VideoFrame | AudioFrame | FaceParams]:
        with self._renamed():
            async for frame in self._source.frames():
                yield frame

    async def close(self) -> None:
        try:
            await self._source.close()
        finally:
            await asyncio.to_thread(self._path.unlink, missing_ok=True)

    def _words(self, text: str) -> str:
        return text.replace(str(self._path), self._title)

    @contextlib.contextmanager
    def _renamed(self) -> Iterator[None]:
        try:
            yield
        except MienError as error:
            error.args = (self._words(str(error)),)
            raise


class _Reworded:
    """A context whose notices are told in other words; all else is the session's."""

    def __init__(self, context: Context, words: Callable[[str], str]) -> None:
        self._context = context
        self._words = words

    def notice(self, text: str) -> None:
        self._context.notice(self._words(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)
