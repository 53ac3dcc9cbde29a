"""The voice beside the source that drives: one at a time, until it ends or is detached."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from mien.errors import MienError
from mien.frames import AudioFrame
from mien.hearing import Hearing
from mien.losses import Losses
from mien.notices import Board
from mien.sources import Feed, title_of
from mien.stage import Source
from mien.tasks import Tasks
from mien.upkeep import Upkeep

log = logging.getLogger(__name__)


class Voices:
    """Of one live session. Event loop only.

    take(frame, source): hands on the sound. changed: another voice begins, or none; what is under way is to be
    forgotten. heard_out(): returns when what was handed on has gone out, so that nobody's last word is cut off.
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
        heard_out: Callable[[], Awaitable[None]],
    ) -> None:
        self._board = board
        self._tasks = tasks
        self._losses = losses
        self._upkeep = upkeep
        self._hearing = hearing
        self._take = take
        self._changed = changed
        self._heard_out = heard_out
        self._feed: Feed | None = None
        self._turn: asyncio.Task[None] | None = None
        self._switching = asyncio.Lock()
        self._closed = False

    @property
    def current(self) -> Source | None:
        """Whose voice it is."""
        return self._feed.source if self._feed is not None else None

    @property
    def speaking(self) -> bool:
        """Whether it has the floor: not before it is open."""
        return self._feed is not None and self._feed.opened

    async def attach(self, source: Source) -> None:
        """Let `source` speak. It is closed when it has ended, is detached, or another one is attached."""
        async with self._switching:
            if self._closed:
                await source.close()
                return
            if await self._end_turn():
                self._changed()
            feed = self._feed = Feed(source, self._read, self._losses)
            self._turn = self._tasks.start(self._turn_of(feed), "voice")

    async def detach(self, source: Source | None = None) -> None:
        """Nobody speaks beside; ignored when another than `source` does."""
        async with self._switching:
            mine = self._feed is not None and source in (None, self._feed.source)
            if mine and await self._end_turn():
                self._changed()

    async def close(self) -> None:
        """End the voice; whichever comes later is closed at once."""
        async with self._switching:
            self._closed = True
            await self._end_turn()

    async def _end_turn(self) -> bool:
        """Returns whether anybody had the floor."""
        spoke = self.speaking
        if self._turn is not None:
            self._turn.cancel()
            await asyncio.wait({self._turn})
            self._turn = None
        if self._feed is not None:
            await self._feed.stop()
            self._feed = None
            self._hearing.dismiss(beside=True)
        return spoke

    async def _turn_of(self, feed: Feed) -> None:
        await feed.ended()
        error = feed.error
        if error is None:
            self._board.post(f"{title_of(feed.source)} has ended.")
        elif isinstance(error, MienError):
            self._board.post(str(error), "error")
        else:
            log.error("voice %s failed", type(feed.source).__name__, exc_info=error)
            self._board.post(f"The voice stopped unexpectedly: {error}.", "error")
        await self._heard_out()
        self._tasks.start(self.detach(feed.source), "detach voice")

    async def _read(self, feed: Feed) -> None:
        await self._upkeep.open_source(feed.source)
        feed.opened = True
        self._changed()
        await self._upkeep.prepare_for(feed.source, beside=True)
        async for item in feed.source.frames():
            if isinstance(item, AudioFrame):  # what else it yields is the other source's part
                feed.delivered = True
                self._take(item, feed.source)
