"""Keeps a session's stages at work: opened when needed, exchanged, restarted when they fail."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from mien.avatar.package import Avatar
from mien.backoff import back_off_ns
from mien.clock import Clock
from mien.config import Aspect
from mien.context import StageContext
from mien.errors import MienError
from mien.hearing import Hearing
from mien.notices import Board
from mien.opening import Opening
from mien.pipeline import Pipeline
from mien.roles import Roles, has_sound
from mien.stage import Background, Renderer, Source
from mien.tasks import Tasks

log = logging.getLogger(__name__)

TRACK, LISTEN, RENDER = "track", "listen", "render"
"""The pipeline's names of the stages."""

_CONSEQUENCES = {
    TRACK: "the avatar idles",
    LISTEN: "the voice moves nothing",
    RENDER: "the last picture stands",
}


class Upkeep:
    """Of one session. Event loop only, but for `worked`.

    context: what stages are opened with; it names the avatar that is shown, None where only tracking goes on.
    """

    def __init__(
        self,
        context: StageContext,
        opening: Opening,
        pipeline: Pipeline,
        hearing: Hearing,
        roles: Roles,
        clock: Clock,
        board: Board,
        tasks: Tasks,
    ) -> None:
        self.context = context
        self._opening = opening
        self._pipeline = pipeline
        self._hearing = hearing
        self._roles = roles
        self._clock = clock
        self._board = board
        self._tasks = tasks
        self._background = Background()
        self._shape = context.config.video.aspect
        self._changing: asyncio.Task[None] | None = None
        self._renderer: Renderer | None = None
        self._restarts: dict[str, asyncio.Task[None]] = {}
        self._failures = dict.fromkeys(_CONSEQUENCES, 0)
        self._tracker_lock = asyncio.Lock()
        self._listener_lock = asyncio.Lock()
        self._renderer_lock = asyncio.Lock()
        hearing.on_worked = lambda: self.worked(LISTEN)
        self._closed = False

    @property
    def degraded(self) -> bool:
        """Whether a stage has failed and is not back yet."""
        return bool(self._restarts)

    @property
    def renderer_away(self) -> bool:
        """Whether no new picture can be drawn for the time being."""
        return RENDER in self._restarts

    async def show(self, avatar: Avatar) -> None:
        """Draw `avatar` from now on; the former one stays until this one can be drawn. Of several the last wins.

        Raises what its renderer's `open` raises; then nothing has changed.
        """
        async with self._renderer_lock:
            await self._draw(avatar, self.context.with_avatar(avatar))

    async def shape(self, aspect: Aspect) -> None:
        """Draw pictures of that shape from now on; those of the former go on until these can be drawn. Of several the
        last wins.

        Raises what the renderer's `open` raises; then nothing has changed, nor does it for those that wait.
        """
        self._shape = aspect
        async with self._renderer_lock:
            if aspect != self._shape or aspect == self.context.config.video.aspect:
                return
            context = self.context.of_shape(aspect)
            if (avatar := context.avatar) is None:
                self.context = context
                return
            try:
                await self._draw(avatar, context)
            except Exception:
                self._shape = self.context.config.video.aspect  # nor is what waits behind it wanted any more
                raise

    async def open_source(self, source: Source) -> None:
        """Open `source`, with the settings of its plugin. Raises what its `open` raises."""
        await source.open(self._opening.context_for(source, self.context))

    async def prepare_for(self, source: Source, *, beside: bool = False) -> None:
        """Open what the source's frames need: pictures a tracker, a voice a listener; performances are tracked
        already. beside: it is the voice beside the source that drives.

        Raises what a tracker's `open` raises. Without a listener its sound still goes out, which is told; offline
        that is raised as well where nothing else drives.
        """
        self._hearing.dismiss(beside=beside)  # who was in its place: one that failed and was made anew
        sees = not beside and self._roles.sees(source)
        if sees and source.subject is None:
            await self.require_tracker()
        if not self._roles.hears(source, beside=beside):
            return
        try:
            await self.require_listener()
        except MienError as error:
            if not sees and not self.context.live:
                raise
            self._board.post(f"The voice moves nothing: {error}", "error")
        # Pictures wait while somebody may speak: whose sound isn't sure to come is attended to when it does.
        if beside or has_sound(source):
            self._hearing.attend(source, beside=beside)

    def sound_came(self, source: Source) -> None:
        """Attend to `source` if nobody speaks, though nobody knew that it would."""
        if self._hearing.speaker is None and self._roles.hears(source):
            self._hearing.attend(source)

    async def require_tracker(self) -> None:
        """Open the tracker unless there is one, or one is being restarted."""
        async with self._tracker_lock:
            if self._pipeline.tracker is None and TRACK not in self._restarts:
                await self._open_tracker()

    async def require_listener(self) -> None:
        """Open the listener unless there is one, or one is being restarted."""
        async with self._listener_lock:
            if self._hearing.listener is None and LISTEN not in self._restarts:
                await self._open_listener()

    def set_background(self, background: Background) -> None:
        """What stands behind the person, whoever draws. Of several that come at once the last counts."""
        self._background = background
        if self._closed or self._renderer is None:
            return
        if self._changing is None or self._changing.done():
            self._changing = self._tasks.start(self._change_background(), "background")

    def worked(self, stage: str) -> None:
        """It did its work: its next failure is the first again. Any thread."""
        self._failures[stage] = 0

    def failed(self, stage: str, error: Exception) -> None:
        """It raised: take it away and try another one until it works, with back-off."""
        if stage in self._restarts or self._closed:
            return
        told = f"The stage '{stage}' failed ({error}); {_CONSEQUENCES[stage]} while it restarts."
        self._board.post(told, "error")
        self._remove(stage)
        restart = self._restarts[stage] = self._tasks.start(self._restart(stage), f"restart {stage}")
        restart.add_done_callback(lambda _: self._restarts.pop(stage, None))

    async def close(self) -> None:
        """Close all, the pipeline being at rest. What is still being opened is closed once it is open."""
        self._closed = True
        await asyncio.to_thread(self._close_all)

    def _close_all(self) -> None:
        tracker, self._pipeline.tracker = self._pipeline.tracker, None
        listener = self._hearing.use(None)
        with ExitStack() as steps:
            steps.callback(self._opening.close, tracker)
            steps.callback(self._opening.close, listener)
            steps.callback(self._opening.close, self._pipeline.use_renderer(None))

    # --- restarting -----------------------------------------------------------------------------------

    def _remove(self, stage: str) -> None:
        """Close it on a lane, where it is sure to be at rest."""
        if stage == RENDER:
            self._renderer = None
            self._pipeline.between_pictures(lambda: self._opening.close(self._pipeline.use_renderer(None)))
            return
        if stage == LISTEN:
            listener = self._hearing.use(None)
            self._hearing.between(lambda: self._opening.close(listener))
            return
        tracker, self._pipeline.tracker = self._pipeline.tracker, None
        self._pipeline.between_tracks(lambda: self._opening.close(tracker))

    async def _restart(self, stage: str) -> None:
        while True:
            failures = self._failures[stage]
            self._failures[stage] += 1
            await self._clock.sleep(back_off_ns(failures))
            try:
                await self._open_again(stage)
            except Exception as error:
                log.exception("stage %s could not be restarted", stage)
                self._board.post(f"The stage '{stage}' could not be restarted: {error}", "error")
            else:
                self._board.post(f"The stage '{stage}' works again.")
                return

    async def _open_again(self, stage: str) -> None:
        if stage == TRACK:
            await self._open_tracker()
        elif stage == LISTEN:
            await self._open_listener()
        else:
            await self._open_renderer()

    async def _open_listener(self) -> None:
        listener = await self._opening.listener(self.context)
        if self._closed:
            await asyncio.to_thread(self._opening.close, listener)
        else:
            self._hearing.use(listener)

    async def _open_tracker(self) -> None:
        tracker = await self._opening.tracker(self.context)
        if self._closed:
            await asyncio.to_thread(self._opening.close, tracker)
        else:
            self._pipeline.tracker = tracker

    async def _open_renderer(self) -> None:
        async with self._renderer_lock:
            if (avatar := self.context.avatar) is not None:
                background = self._background
                renderer = await self._opening.renderer(self.context, avatar, background)
                await self._install(renderer, background)

    async def _draw(self, avatar: Avatar, context: StageContext) -> None:
        """Under the lock: exchange the renderer for one that is opened with `context`, and that for `self.context`."""
        background = self._background
        renderer = await self._opening.renderer(context, avatar, background)
        if (restart := self._restarts.get(RENDER)) is not None:
            restart.cancel()  # it was for the former avatar or shape
        self.context = context
        await self._install(renderer, background)

    async def _install(self, renderer: Renderer, background: Background) -> None:
        """Draw with `renderer`, which shows the context's avatar before `background`, from the next picture on."""
        if self._closed:
            await asyncio.to_thread(self._opening.close, renderer)
            return
        avatar, driver = self.context.avatar, self._pipeline.driver

        def change() -> None:
            former = self._pipeline.use_renderer(renderer)
            if driver is not None and avatar is not None:
                driver.set_avatar(avatar.content.subject)
            self._opening.close(former)

        self._pipeline.between_pictures(change)
        self._renderer = renderer
        if self._background is not background:
            self.set_background(self._background)

    async def _change_background(self) -> None:
        """Make it ready beside the lanes, where no frame waits for it; only exchange it on one."""
        renderer: Renderer | None = None
        background: Background | None = None
        while renderer is not self._renderer or background is not self._background:
            renderer, background = self._renderer, self._background
            if renderer is None:
                return
            change = await self._opening.beside(partial(renderer.prepare_background, background))
            self._pipeline.between_pictures(partial(self._exchange, renderer, change), "background")

    def _exchange(self, renderer: Renderer, change: Callable[[], None]) -> None:
        if self._pipeline.renderer is renderer:
            change()
