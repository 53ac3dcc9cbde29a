"""The voice beside the source that drives: one at a time, until it ends or is detached."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from mien.frames import AudioFrame
from mien.hearing import Hearing
from mien.losses import Losses
from mien.notices import Board
from mien.sources import Feed, Turn, tell_end
from mien.stage import Source
from mien.tasks import Tasks
from mien.upkeep import Upkeep


class Voices:
    """Of one live session. Event loop only. Another voice has to be open before it ends the one that speaks.

    take(frame, source): hands on the sound. changed: another voice begins, or none; what is under way is to be
    forgotten. heard_out(source): returns when what it said has gone out, so that nobody's last word is cut off.
    """

    def __init__(
        self,
        board: Board,
        tasks: Tasks,
        losses: Losses,
        upkeep: Upkeep,
        hearing: Hearing,
        take: Callable[[AudioFrame, Source], None],
        changed: Callable[[], None],
        heard_out: Callable[[Source], Awaitable[None]],
    ) -> None:
        self._board = board
        self._tasks = tasks
        self._losses = losses
        self._upkeep = upkeep
        self._hearing = hearing
        self._take = take
        self._changed = changed
        self._heard_out = heard_out
        self._turn = Turn()  # who speaks
        self._next = Turn()  # who is being opened
        self._switching = asyncio.Lock()
        self._closed = False
        self._vacant = asyncio.Event()
        self._vacant.set()

    async def vacant(self) -> None:
        """Return when there is no voice, and none is being opened."""
        await self._vacant.wait()

    @property
    def current(self) -> Source | None:
        """Whose voice it is, or is going to be once it is open."""
        feed = self._next.feed or self._turn.feed
        return feed.source if feed is not None else None

    @property
    def speaking(self) -> bool:
        """Whether it has the floor: not before it is open."""
        return self._turn.feed is not None

    async def attach(self, source: Source, *, if_vacant: bool = False) -> None:
        """Let `source` speak; if_vacant: unless somebody else is going to. It is closed when it has ended, is detached,
        or another one is attached; and when it doesn't come to speak, also because this is cancelled.
        """
        try:
            async with self._change():
                if not self._closed and not (if_vacant and self.current is not None):
                    await self._next.end()
                    feed = self._next.feed = Feed(source, self._read, self._losses)
                    self._next.task = self._tasks.start(self._turn_of(feed), "voice")
        finally:
            if self.current is not source:
                await source.close()

    async def detach(self, source: Source | None = None) -> None:
        """Nobody speaks beside; ignored when another than `source` does."""
        async with self._change():
            if (coming := self._next.feed) is not None and source in (None, coming.source):
                await self._next.end()
            if (speaking := self._turn.feed) is not None and source in (None, speaking.source):
                await self._end_turn()

    async def close(self) -> None:
        """End the voice; whichever comes later is closed at once."""
        async with self._change():
            self._closed = True
            await self._next.end()
            await self._end_turn()

    @asynccontextmanager
    async def _change(self) -> AsyncIterator[None]:
        """One at a time; however it ends, whoever waits for the floor learns whether it is theirs."""
        async with self._switching:
            try:
                yield
            finally:
                (self._vacant.set if self.current is None else self._vacant.clear)()

    async def _end_turn(self) -> None:
        if not self.speaking:
            return
        try:
            await self._turn.end()
        finally:
            self._hearing.dismiss(beside=True)
            if not self._closed:
                self._changed()

    async def _take_over(self, feed: Feed) -> None:
        """It is open: whoever spoke until now has spoken."""
        async with self._change():
            await self._end_turn()
            self._turn, self._next = self._next, Turn()
            feed.opened = True
        self._changed()

    async def _turn_of(self, feed: Feed) -> None:
        await feed.ended()
        tell_end(self._board, "voice", feed.source, feed.error)
        if feed.delivered:
            await self._heard_out(feed.source)
        self._tasks.start(self.detach(feed.source), "detach voice")

    async def _read(self, feed: Feed) -> None:
        await self._upkeep.open_source(feed.source)
        await self._take_over(feed)
        await self._upkeep.prepare_for(feed.source, beside=True)
        async for item in feed.source.frames():
            if isinstance(item, AudioFrame):  # what else it yields is the other source's part
                feed.delivered = True
                self._take(item, feed.source)
