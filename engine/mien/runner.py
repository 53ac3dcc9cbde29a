"""One compute stage on the lanes: a channel before it, at most one job outstanding."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from mien.budget import Gate
from mien.channel import Channel
from mien.clock import Clock
from mien.lane import Lanes
from mien.trace import Passage

log = logging.getLogger(__name__)

In = TypeVar("In")
Out = TypeVar("Out")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Parcel(Generic[V]):
    """A value on its way, with the record of its passage."""

    value: V
    passage: Passage
    epoch: int


class Runner(Generic[In, Out]):
    """Feeds one compute stage from its channel, one parcel at a time, on whichever lane is free.

    name: the span's name in the trace. work: called on a lane. deliver, dropped, failed: what becomes of a
    parcel, called on a lane too.
    """

    def __init__(
        self,
        name: str,
        inbox: Channel[Parcel[In]],
        lanes: Lanes,
        clock: Clock,
        gate: Gate,
        *,
        work: Callable[[Parcel[In]], Out],
        deliver: Callable[[Parcel[In], Out], None],
        dropped: Callable[[Parcel[In]], None],
        failed: Callable[[Parcel[In], Exception], None],
    ) -> None:
        self.name = name
        self.inbox = inbox
        self._lanes = lanes
        self._clock = clock
        self._gate = gate
        self._work = work
        self._deliver = deliver
        self._dropped = dropped
        self._failed = failed
        self._between: dict[object, Callable[[], None]] = {}
        self._outstanding = False
        self._closed = False
        self._changed = threading.Condition()
        inbox.on_ready = self._schedule

    def between(self, change: Callable[[], None], key: object = None) -> None:
        """Make `change` on a lane while the stage is not at work; soon, or at `close` at the latest.

        Of several with the same `key` only the newest is made.
        """
        with self._changed:
            if not self._closed:
                self._between.pop(key, None)
                self._between[object() if key is None else key] = change
                change = _nothing
        change()
        self._schedule()

    @property
    def busy(self) -> bool:
        """Whether a parcel waits or is being worked on."""
        return self._outstanding or len(self.inbox) > 0

    def close(self) -> None:
        """Take no more parcels and return when the stage is at rest. Blocks: not for a lane or the loop."""
        with self._changed:
            self._closed = True
            while self._outstanding:
                self._changed.wait()
        self._make_changes()

    def _make_changes(self) -> None:
        with self._changed:
            changes, self._between = self._between, {}
        for change in changes.values():
            try:
                change()
            except Exception:
                log.exception("a change to stage %s failed", self.name)

    def _schedule(self) -> None:
        with self._changed:
            if self._outstanding or self._closed or not (self._between or len(self.inbox)):
                return
            self._outstanding = True
        parcel = self.inbox.peek()
        try:
            self._lanes.submit(
                parcel.passage.due_ns if parcel else self._clock.now_ns(), self._job, self._rest
            )
        except RuntimeError:  # the lanes have stopped: nobody works any more
            self._rest()

    def _rest(self) -> None:
        with self._changed:
            self._outstanding = False
            self._changed.notify_all()

    def _job(self) -> None:
        try:
            self._make_changes()
            if not self._closed and (parcel := self.inbox.take()) is not None:
                self._process(parcel)
        finally:
            self._rest()
        self._schedule()

    def _process(self, parcel: Parcel[In]) -> None:
        passage = parcel.passage
        now = self._clock.now_ns()
        reached = passage.reached_ns()
        passage.add(f"wait:{self.name}", reached, max(reached, now))
        if not passage.pardoned:
            if not self._gate.admits(passage.due_ns, now):
                self._dropped(parcel)
                return
            passage.pardoned = now > passage.due_ns
        try:
            result = self._work(parcel)
        except Exception as error:  # noqa: BLE001 - a stage may raise anything; the session decides
            self._failed(parcel, error)
        else:
            self._deliver(parcel, result)


def _nothing() -> None:
    """Done already."""
