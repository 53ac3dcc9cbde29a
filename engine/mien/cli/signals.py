"""Ctrl-C and SIGTERM, once for all commands that run an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any


def run_until_signal(work: Coroutine[Any, Any, None]) -> int | None:
    """Run `work` in an event loop of its own; SIGINT and SIGTERM cancel it, at whatever point it is.

    Returns the number of the signal that ended it, None when it came to its end. Raises what `work` raises.
    """
    received: list[int] = []

    async def interruptible() -> None:
        task = asyncio.ensure_future(work)

        def end(number: int) -> None:
            if not received:  # a second Ctrl-C must not interrupt the cleaning up
                received.append(number)
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt instead
                asyncio.get_running_loop().add_signal_handler(number, end, number)
        await task

    try:
        asyncio.run(interruptible())
    except asyncio.CancelledError:
        if not received:
            raise
    return received[0] if received else None
