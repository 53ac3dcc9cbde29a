"""One-line messages from a session to whoever listens: the terminal, the page, the log."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

log = logging.getLogger("mien.notices")

Level = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Notice:
    """What was decided or is amiss, in one plain sentence."""

    level: Level
    text: str


class Board:
    """Spreads notices to any number of listeners, each with a bounded queue. Post from any thread."""

    def __init__(self, kept: int = 32) -> None:
        self.recent: deque[Notice] = deque(maxlen=kept)
        self._kept = kept
        self._listeners: dict[asyncio.Queue[Notice], asyncio.AbstractEventLoop] = {}

    def post(self, text: str, level: Level = "info") -> None:
        """Tell everybody, unless the very same was the last thing told."""
        notice = Notice(level, text)
        if self.recent and self.recent[-1] == notice:
            return
        self.recent.append(notice)
        log.debug("%s: %s", level, text)
        for queue, loop in list(self._listeners.items()):
            if not loop.is_closed():
                loop.call_soon_threadsafe(_offer, queue, notice)

    async def listen(self) -> AsyncIterator[Notice]:
        """Yield notices from now on, until the consumer stops."""
        queue: asyncio.Queue[Notice] = asyncio.Queue(self._kept)
        self._listeners[queue] = asyncio.get_running_loop()
        try:
            while True:
                yield await queue.get()
        finally:
            del self._listeners[queue]


def _offer(queue: asyncio.Queue[Notice], notice: Notice) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(notice)
