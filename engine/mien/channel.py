"""Bounded channels between stages.

`Latest` holds one value and the newest wins (video: an old picture is worth nothing). `Fifo` holds up to
`capacity` values in order and refuses what it has no room for: nobody waits here, whoever puts decides what becomes
of it (sound drops and counts it, offline rendering has a bound on what is under way).
Both are thread-safe, drop values of an older epoch, and count everything they drop.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Stamped(Protocol):
    """What a channel carries: anything with an epoch."""

    @property
    def epoch(self) -> int: ...


T = TypeVar("T", bound=Stamped)


@dataclass(slots=True)
class ChannelStats:
    """Counters of one channel."""

    put: int = 0
    taken: int = 0
    replaced: int = 0
    """dropped because a newer value arrived first"""
    stale: int = 0
    """dropped because their epoch had passed"""

    @property
    def dropped(self) -> int:
        return self.replaced + self.stale


class Channel(ABC, Generic[T]):
    """The side that both kinds share. `on_ready` is called, from the putting thread, after each put."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stats = ChannelStats()
        self.on_ready: Callable[[], None] | None = None
        self._lock = threading.Lock()
        self._epoch = 0

    @property
    def epoch(self) -> int:
        return self._epoch

    @abstractmethod
    def try_put(self, value: T) -> bool:
        """Put without waiting; False when there is no room (never for `Latest`)."""

    @abstractmethod
    def take(self) -> T | None:
        """Take the next value, or None when empty. Any thread."""

    @abstractmethod
    def peek(self) -> T | None:
        """Look at the next value without taking it."""

    @abstractmethod
    def __len__(self) -> int: ...

    def bump_epoch(self, epoch: int) -> None:
        """Discard everything older than `epoch`, now and later."""
        with self._lock:
            self._epoch = max(self._epoch, epoch)
            self._discard_stale()

    @abstractmethod
    def _discard_stale(self) -> None: ...

    def _announce(self) -> None:
        if self.on_ready is not None:
            self.on_ready()


class Latest(Channel[T]):
    """One place; a newer value replaces an older one that nobody has taken."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._value: T | None = None

    def try_put(self, value: T) -> bool:
        with self._lock:
            self.stats.put += 1
            if value.epoch < self._epoch:
                self.stats.stale += 1
                return True
            if self._value is not None:
                self.stats.replaced += 1
            self._value = value
        self._announce()
        return True

    def take(self) -> T | None:
        with self._lock:
            value, self._value = self._value, None
            if value is not None:
                self.stats.taken += 1
            return value

    def peek(self) -> T | None:
        return self._value

    def __len__(self) -> int:
        return int(self._value is not None)

    def _discard_stale(self) -> None:
        if self._value is not None and self._value.epoch < self._epoch:
            self._value = None
            self.stats.stale += 1


class Fifo(Channel[T]):
    """First in, first out, lossless up to `capacity`; then `try_put` refuses."""

    def __init__(self, name: str, capacity: int) -> None:
        super().__init__(name)
        if capacity < 1:
            raise ValueError(f"channel {name}: capacity must be at least 1, not {capacity}")
        self.capacity = capacity
        self._values: deque[T] = deque()

    def try_put(self, value: T) -> bool:
        with self._lock:
            if value.epoch < self._epoch:
                self.stats.put += 1
                self.stats.stale += 1
                return True
            if len(self._values) >= self.capacity:
                return False
            self.stats.put += 1
            self._values.append(value)
        self._announce()
        return True

    def take(self) -> T | None:
        with self._lock:
            if not self._values:
                return None
            value = self._values.popleft()
            self.stats.taken += 1
            return value

    def peek(self) -> T | None:
        with self._lock:
            return self._values[0] if self._values else None

    def __len__(self) -> int:
        return len(self._values)

    def _discard_stale(self) -> None:
        kept = [value for value in self._values if value.epoch >= self._epoch]
        self.stats.stale += len(self._values) - len(kept)
        self._values = deque(kept)
