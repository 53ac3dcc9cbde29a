"""Who drives: the configured source, unless another one is attached. One at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from mien.backoff import back_off_ns
from mien.clock import Clock
from mien.errors import DeviceError, MienError
from mien.frames import AudioFrame, FaceParams, VideoFrame
from mien.losses import Losses
from mien.notices import Board
from mien.stage import Source
from mien.tasks import Tasks, to_end
from mien.upkeep import Upkeep

log = logging.getLogger(__name__)

SourceFactory = Callable[[], Source]
Item = VideoFrame | AudioFrame | FaceParams
Take = Callable[[Item, Source], None]


class Feed:
    """One source while it drives, from before its `open` to after its `close`.

    Reading can be stopped at any moment, even before it has begun. The closing is a task of its own that
    nobody cancels, so it comes whatever happened to the reading.
    """

    def __init__(
        self,
        source: Source,
        read: Callable[[Feed], Coroutine[Any, Any, None]],
        losses: Losses,
        *,
        opened: bool = False,
    ) -> None:
        self.source = source
        self.opened = opened
        self.delivered = False
        """whether anything came"""
        self._losses = losses
        name = type(source).__name__
        self._reading = asyncio.create_task(read(self), name=f"read {name}")
        self._life = asyncio.create_task(self._live(), name=f"life of {name}")

    @property
    def reading(self) -> bool:
        """Whether it is open and drives."""
        return self.opened and not self._reading.done()

    @property
    def error(self) -> BaseException | None:
        """What the source raised; None when it came to its end or was stopped."""
        return None if self._reading.cancelled() else self._reading.exception()

    async def stop(self) -> None:
        """Read no further; returns when the source is closed."""
        self._reading.cancel()
        await self.ended()

    async def ended(self) -> None:
        """Return when the source is closed."""
        await asyncio.wait({self._life})

    async def _live(self) -> None:
        self._losses.enter(self.source)
        await asyncio.wait({self._reading})
        self._losses.leave(self.source)
        try:
            await self.source.close()
        except Exception:
            log.exception("source %s did not close cleanly", type(self.source).__name__)


class Turn:
    """A source's turn: the feed that reads it, and the task that sees to what comes after it."""

    def __init__(self) -> None:
        self.feed: Feed | None = None
        self.task: asyncio.Task[None] | None = None

    async def end(self) -> None:
        """Nobody's turn; returns when the source is closed. It ends however often the caller is cancelled meanwhile."""
        await to_end(self._end(), name="end of a turn")

    async def _end(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait({self.task})
            self.task = None
        if self.feed is not None:
            await self.feed.stop()
            self.feed = None


class Sources:
    """The sources of one live session. Event loop only.

    take: hands on what a source yields. switched: another one begins; what is under way is to be forgotten.
    heard_out(source): returns when its sound has gone out: a clip's last word is not cut off.
    """

    def __init__(
        self,
        clock: Clock,
        board: Board,
        tasks: Tasks,
        losses: Losses,
        upkeep: Upkeep,
        take: Take,
        switched: Callable[[], None],
        heard_out: Callable[[Source], Awaitable[None]],
    ) -> None:
        self._clock = clock
        self._board = board
        self._tasks = tasks
        self._losses = losses
        self._upkeep = upkeep
        self._take = take
        self._switched = switched
        self._heard_out = heard_out
        self._configured: SourceFactory | None = None
        self._ahead: Source | None = None  # the configured source, opened ahead of its turn
        self._attached: Source | None = None
        self._turn = Turn()
        self._switching = asyncio.Lock()
        self._closed = False

    @property
    def current(self) -> Source | None:
        """What drives just now."""
        feed = self._turn.feed
        return feed.source if feed is not None and feed.reading else None

    @property
    def attached(self) -> Source | None:
        """The source that was attached, if one is."""
        return self._attached

    async def configure(self, make_source: SourceFactory | None, *, must_open: bool = False) -> None:
        """Set what drives while no other is attached; see `Session.drive`."""
        ahead = await self._opened(make_source) if must_open and make_source is not None else None
        try:
            async with self._switching:
                if self._closed:
                    return
                self._configured = make_source
                self._ahead, ahead = ahead, self._ahead
                if self._attached is None:
                    await self._give_turn_to(None)
        finally:
            if ahead is not None:  # nobody is going to read it
                await ahead.close()

    async def attach(self, source: Source) -> None:
        """Let `source` drive. It is closed when it has ended, is detached, or another one is attached; and when this
        is cancelled before its turn has begun.
        """
        try:
            async with self._switching:
                if not self._closed:
                    await self._give_turn_to(source)
        finally:
            if self._attached is not source:
                await source.close()

    async def detach(self, source: Source | None = None) -> None:
        """Go back to the configured source; ignored when another than `source` is attached."""
        async with self._switching:
            if self._attached is not None and source in (None, self._attached):
                await self._give_turn_to(None)

    async def close(self) -> None:
        """End what drives; whatever comes later is closed at once."""
        async with self._switching:
            self._closed = True
            await self._turn.end()
            self._attached = self._configured = None
            if self._ahead is not None:
                await self._ahead.close()
                self._ahead = None

    async def _opened(self, make_source: SourceFactory) -> Source:
        source = make_source()
        try:
            await self._upkeep.open_source(source)
        except BaseException:
            await source.close()
            raise
        return source

    # --- turns: under the lock ------------------------------------------------------------------------

    async def _give_turn_to(self, source: Source | None) -> None:
        """End the turn that is, and begin that of `source`; None, and when this is cancelled: the configured one's."""
        driving = None
        try:
            await self._turn.end()
            driving = source
        finally:
            self._attached = driving
            self._begin_turn()

    def _begin_turn(self) -> None:
        self._switched()
        if self._attached is not None:
            # Made here and not in the turn: a turn that is ended before its first step closes its source, too.
            feed = self._turn.feed = Feed(self._attached, self._read, self._losses)
            self._turn.task = self._tasks.start(self._turn_of_attached(feed), "source")
        elif self._configured is not None:
            self._turn.task = self._tasks.start(self._turn_of_configured(self._configured), "source")

    async def _turn_of_attached(self, feed: Feed) -> None:
        """Read it once; then it is the configured source's turn again."""
        await feed.ended()
        self._tell(feed.source, feed.error)
        await self._heard_out(feed.source)
        self._tasks.start(self.detach(feed.source), "detach")

    async def _turn_of_configured(self, make_source: SourceFactory) -> None:
        """Read it to its end; when it fails on the way, another one, with back-off."""
        failures = 0
        while True:
            ahead, self._ahead = self._ahead, None
            try:
                source = ahead or make_source()
            except Exception as error:  # noqa: BLE001 - told, like that of a source that is there
                again = self._tell(None, error)
            else:
                feed = self._turn.feed = Feed(source, self._read, self._losses, opened=ahead is not None)
                await feed.ended()
                again = self._tell(source, feed.error)
                failures = 0 if feed.delivered else failures
                if not again:
                    await self._heard_out(source)
            if not again:
                return
            await self._clock.sleep(back_off_ns(failures))
            failures += 1

    async def _read(self, feed: Feed) -> None:
        if not feed.opened:
            await self._upkeep.open_source(feed.source)
            feed.opened = True
        await self._upkeep.prepare_for(feed.source)
        async for item in feed.source.frames():
            feed.delivered = True
            self._take(item, feed.source)

    def _tell(self, source: Source | None, error: BaseException | None) -> bool:
        """Say why it ended; returns whether it is worth another try."""
        tell_end(self._board, "source", source, error, "; the avatar idles")
        return error is not None and (isinstance(error, DeviceError) or not isinstance(error, MienError))


def tell_end(
    board: Board, role: str, source: Source | None, error: BaseException | None, then: str = ""
) -> None:
    """Say why `source` ended. role: what it was there for. then: what follows from it."""
    if error is None:
        board.post(f"{title_of(source)} has ended{then}.")
    elif isinstance(error, MienError):
        board.post(str(error), "error")
    else:
        log.error("%s %s failed", role, type(source).__name__, exc_info=error)
        board.post(f"The {role} stopped unexpectedly: {error}{then}.", "error")


def title_of(source: Source | None) -> str:
    """What it is called, for people; empty for None."""
    return source.info.title or type(source).__name__ if source is not None else ""
