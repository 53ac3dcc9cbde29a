"""What runs beside a session: held, named, cancelled and awaited."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from mien.notices import Board

log = logging.getLogger(__name__)


class Tasks:
    """The background tasks of one session. Event loop only. What fails is logged and told on the board."""

    def __init__(self, owner: str, board: Board) -> None:
        self._owner = owner
        self._board = board
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run `work` until it ends or `close` cancels it."""
        task = asyncio.create_task(work, name=f"{self._owner} {name}")
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self) -> None:
        """Cancel all of them and return when they have ended."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task %s failed", task.get_name(), exc_info=error)
            self._board.post(f"Something went wrong: {error}", "error")
