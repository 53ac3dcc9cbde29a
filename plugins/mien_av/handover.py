"""From a thread that produces to the event loop that consumes, with a bound in between."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class ClosedError(Exception):
    """The consumer has gone; the producing thread should return."""


class Handover(Generic[T]):
    """A queue of at most `capacity` values; the thread that puts into a full one waits.

    With `newest_wins` it never waits: the oldest value makes room, and `replaced` counts it. `finish` ends
    it, with an error if there was one, after what is queued has been taken.
    """

    def __init__(self, capacity: int, *, newest_wins: bool = False) -> None:
        self.replaced = 0
        self._capacity = capacity
        self._newest_wins = newest_wins
        self._values: deque[T] = deque()
        self._error: Exception | None = None
        self._finished = False
        self._closed = False
        self._room = threading.Condition()
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()

    # --- producing thread

    def put(self, value: T) -> None:
        """Raises `ClosedError` once `close` was called."""
        with self._room:
            if self._newest_wins and len(self._values) >= self._capacity:
                self._values.popleft()
                self.replaced += 1
            self._room.wait_for(lambda: self._closed or len(self._values) < self._capacity)
            if self._closed:
                raise ClosedError
            self._values.append(value)
        self._announce()

    def finish(self, error: Exception | None = None) -> None:
        """Nothing follows; `get` raises `error`, if there is one, or returns None."""
        with self._room:
            self._error = error
            self._finished = True
        self._announce()

    def _announce(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody takes anything any more
            self._loop.call_soon_threadsafe(self._ready.set)

    # --- event loop

    async def get(self) -> T | None:
        """The next value, or None after the last one. Raises the error that the producer finished with."""
        while True:
            with self._room:
                if self._values:
                    value = self._values.popleft()
                    self._room.notify_all()
                    return value
                if self._finished:
                    if self._error is not None:
                        raise self._error
                    return None
                # Cleared under the lock: a value put later sets it again.
                self._ready.clear()
            await self._ready.wait()

    def close(self) -> None:
        """Let the producer go, and forget what is queued."""
        with self._room:
            self._closed = True
            self._values.clear()
            self._room.notify_all()
