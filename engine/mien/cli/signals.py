"""Ctrl-C and SIGTERM, once for all commands that run an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

PATIENCE_S = 1.0
"""How long after a signal the cleaning up may take, where nothing would be lost by leaving."""


async def never() -> None:
    """For work that must clean up, however long that takes."""
    await asyncio.Event().wait()


def run_until_signal(
    work: Coroutine[Any, Any, None], may_leave: Callable[[], Coroutine[Any, Any, None]] = never
) -> int | None:
    """Run `work` in an event loop of its own; SIGINT and SIGTERM cancel it, at whatever point it is.

    A thread that imports or computes can't be interrupted, and would hold up the end. `may_leave` is awaited once
    the signal comes, and returns when nothing is being written: `PATIENCE_S` later the process ends in any case.
    Returns the number of the signal that ended it, None when it came to its end. Raises what `work` raises.
    """
    received: list[int] = []
    last_resort = threading.Timer(PATIENCE_S, _leave)
    last_resort.daemon = True

    async def interruptible() -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        waiting: list[asyncio.Task[None]] = []

        async def leave_in_time() -> None:
            await may_leave()
            last_resort.start()

        def end(number: int) -> None:
            if not received:  # a second Ctrl-C must not interrupt the cleaning up
                received.append(number)
                waiting.append(asyncio.create_task(leave_in_time(), name="last resort"))
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt instead
                loop.add_signal_handler(number, end, number)
        await task

    try:
        asyncio.run(interruptible())
    except asyncio.CancelledError:
        if not received:
            raise
    finally:
        last_resort.cancel()
    return received[0] if received else None


def _leave() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
