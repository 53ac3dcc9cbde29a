"""Recordings of what a session shows, into the user's data folder."""

from __future__ import annotations

import asyncio
import datetime
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path

from mien.config import data_dir
from mien.errors import MediaError
from mien.plugins import Registry
from mien.stage import Kind, Output


class Recording:
    """Of one session: none or one file at a time. Event loop only.

    add, remove: the session's ways to open and close an output. alpha: whether the pictures just now have any; it
    is kept then, which takes another kind of file.
    """

    def __init__(
        self,
        session: str,
        registry: Registry,
        add: Callable[[Output, str], Awaitable[None]],
        remove: Callable[[Output], Awaitable[None]],
        alpha: Callable[[], bool],
    ) -> None:
        self._session = session
        self._registry = registry
        self._add = add
        self._remove = remove
        self._alpha = alpha
        self.lost_by = ""
        """what ended the last one, if nobody stopped it"""
        self._running: tuple[Output, Path] | None = None
        self._lock = asyncio.Lock()

    @property
    def running(self) -> bool:
        return self._running is not None

    async def start(self) -> str:
        """Record from now on; returns the recording's id. What is running already goes on.

        Raises `PluginError` when no plugin can write files, `MediaError` when the folder can't be written.
        """
        async with self._lock:
            if self._running is None:
                path = self._new_path()
                offer = self._registry.find(Kind.OUTPUT, "file")
                output = self._registry.create(Kind.OUTPUT, "file", str(path))
                await self._add(output, offer.plugin.name)
                self._running, self.lost_by = (output, path), ""
            return self._running[1].stem

    async def stop(self) -> Path | None:
        """Finish the file and return its path; None when nothing was being recorded.

        Raises `MediaError` when it cannot be written, and when there was nothing to write.
        """
        async with self._lock:
            if self._running is None:
                return None
            (output, path), self._running = self._running, None
            await self._remove(output)
            if not path.is_file():
                raise MediaError(
                    "No picture was shown while it was recorded, so there is no file. Begin once there is one."
                )
            return path

    def lost(self, output: Output, error: Exception) -> bool:
        """That output failed with `error` and is being closed: whether it is what is being recorded to."""
        if self._running is None or self._running[0] is not output:
            return False
        self._running, self.lost_by = None, str(error) or type(error).__name__
        return True

    def _new_path(self) -> Path:
        folder = data_dir() / "recordings"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MediaError(f"{folder} cannot be made: {error.strerror}. Recordings go there.") from error
        stamp = datetime.datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
        suffixes = itertools.chain([""], (f"-{n}" for n in itertools.count(2)))
        kind = "webm" if self._alpha() else "mp4"
        paths = (folder / f"{self._session}-{stamp}{suffix}.{kind}" for suffix in suffixes)
        return next(path for path in paths if not path.exists())
