"""What runs beside a session: held, named, cancelled and awaited."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, TypeVar

from mien.notices import Board

log = logging.getLogger(__name__)

T = TypeVar("T")


async def to_end(
    work: Coroutine[Any, Any, T], cancelled: Callable[[], None] = lambda: None, *, name: str | None = None
) -> T:
    """What `work` returns. However often whoever awaits it is cancelled meanwhile, it first comes to its end: a thread
    can't be interrupted, and what is half closed stays open. cancelled: called when it works on and nobody wants it
    any more. name: its task's.
    """
    task = asyncio.create_task(work, name=name)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            cancelled()
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # seen, though nobody wants to know any more
        raise


async def open_beside(opening: Callable[[], T], give_back: Callable[[T], object], name: str) -> T:
    """What `opening` returns or raises, on a thread of its own, of that name: a driver that hangs holds this thread
    and nobody else, and it ends with the process. Who is cancelled doesn't wait: what comes too late is given back.
    """
    promise: Future[T] = Future()

    def run() -> None:
        try:
            opened = opening()
        except BaseException as error:  # noqa: BLE001 - it is whose who awaits it
            with suppress(InvalidStateError):
                promise.set_exception(error)
            return
        try:
            promise.set_result(opened)
        except InvalidStateError:
            try:
                give_back(opened)
            except Exception:
                log.exception("%s came too late and did not close cleanly", name)

    threading.Thread(target=run, name=name, daemon=True).start()
    try:
        return await asyncio.wrap_future(promise)
    except asyncio.CancelledError:
        if not promise.cancel() and promise.exception() is None:  # it has come this moment
            await to_end(asyncio.to_thread(give_back, promise.result()))
        raise


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
