"""One person's inputs, avatar and outputs: open, run, switch, close.

A session owns a `Pipeline` on the engine's lanes and the async edges around it: a task that reads the
source, a ticker that keeps the avatar alive while nobody drives, the sound delay, and a pump per output.
A failed stage is restarted with back-off while the last picture stands; it never takes the session down.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from mien.avatar.package import Avatar, Consent
from mien.budget import Budget
from mien.clock import NS_PER_MS, NS_PER_S, Clock, OfflineClock
from mien.config import Config
from mien.context import Services, StageContext
from mien.controls import Controls
from mien.driver import Driver
from mien.errors import DeviceError, MienError, StageError
from mien.frames import AudioFrame, Bytes, FaceParams, VideoFrame
from mien.lane import Lanes
from mien.notices import Board
from mien.opening import Opening
from mien.outputs import Outputs
from mien.pipeline import IN_FLIGHT, Pipeline
from mien.plugins import Registry
from mien.recording import Recording
from mien.sound import SoundDelay
from mien.stage import Background, Output, Renderer, Source, Tracked
from mien.trace import Passage, Trace

log = logging.getLogger(__name__)

BACK_OFF_S = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Waits before a failed stage or device is tried again; the last one repeats."""

SILENCE = 2.2
"""After this many frame intervals without anything from a source the ticker takes over."""

SourceFactory = Callable[[], Source]


class Session:
    """See the module. Made by `Engine.open_session`; all methods are for the event loop's thread."""

    def __init__(
        self,
        name: str,
        *,
        config: Config,
        registry: Registry,
        lanes: Lanes,
        clock: Clock,
        avatar: Avatar | None,
        controls: Controls | None = None,
        live: bool = True,
    ) -> None:
        self.name = name
        self.trace = Trace()
        self.board = Board()
        self.viewers = 0
        """how many watch over the network; kept by the gateway"""
        self.faces = 0
        self.frames_without_face = 0
        self.on_tracked: Callable[[Tracked, Passage], None] | None = None
        """called on a lane with all that the tracker says (offline tracking)"""
        self._config = config
        self._registry = registry
        self._lanes = lanes
        self._clock = clock
        self._live = live
        self._avatar = avatar
        self._controls = controls or Controls(mirror=config.run.mirror)
        self._budget = Budget.of_ms(config.video.budget_ms, live=live)
        self._services = Services(registry, config)
        self._context = StageContext(clock, config, self._services, self.board.post, live, avatar)
        self._pipeline = Pipeline(
            lanes=lanes,
            clock=clock,
            budget=self._budget,
            fps=config.video.fps,
            trace=self.trace,
            driver=Driver(avatar.content.subject, self._controls, config.video.fps, config.engine.seed)
            if avatar
            else None,
            on_finished=self._finished_on_lane,
            on_dropped=self._dropped_on_lane,
            on_failed=self._failed_on_lane,
            on_tracked=self._tracked_on_lane,
            adaptive=config.video.adaptive,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._configured: SourceFactory | None = None
        self._attached: Source | None = None
        self._source: Source | None = None
        self._source_task: asyncio.Task[None] | None = None
        self._opened: Source | None = None  # the configured source, opened ahead of its turn
        self._tasks: set[asyncio.Task[None]] = set()
        self._restarting: dict[str, asyncio.Task[None]] = {}
        self._failures: dict[str, int] = {}
        self._opening = Opening(registry, config, lanes)
        self._switching = asyncio.Lock()
        self._tracker_lock = asyncio.Lock()
        self._outputs = Outputs(self._output_failed)
        self._sound = SoundDelay(clock, self._picture_latency_ns, self._outputs.audio)
        self._next_due_ns = 0
        self._thinned = 0
        self._ticks = 0
        self._recording = Recording(name, registry, self.add_output, self.remove_output)
        self._background_image: Bytes | None = None
        self._closed = False
        # Offline only: bounds what is under way and keeps the pictures in order.
        self._permits = asyncio.Semaphore(IN_FLIGHT)
        self._finished: asyncio.Queue[VideoFrame] = asyncio.Queue(IN_FLIGHT)
        self._failure: Exception | None = None
        self._progress: Callable[[int], None] | None = None
        self._done = 0

    # --- life -----------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the renderer (and so its services). Raises what the plugins raise; then close the session."""
        self._loop = asyncio.get_running_loop()
        if self._avatar is not None:
            self._install(await self._opening.renderer(self._context, self._avatar))
        if self._live:
            self._hold(self._sound.run(), "sound")
            self._hold(self._tick(), "ticker")

    async def close(self, *, abandon: bool = False) -> None:
        """End everything and give everything back. abandon: half-written outputs are removed."""
        if self._closed:
            return
        self._closed = True
        # Every step is taken, whatever the others raise; the last error is raised at the end.
        async with AsyncExitStack() as steps:
            steps.callback(self._services.close)
            steps.push_async_callback(asyncio.to_thread, self._close_stages)
            steps.push_async_callback(self._outputs.close, abandon=abandon)
            steps.push_async_callback(asyncio.to_thread, self._pipeline.close)
            steps.push_async_callback(self._end_tasks)

    async def _end_tasks(self) -> None:
        async with self._switching:
            await self._stop_source()
            if self._opened is not None:
                await self._opened.close()
        tasks = [*self._tasks, *self._restarting.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _close_stages(self) -> None:
        tracker, self._pipeline.tracker = self._pipeline.tracker, None
        try:
            self._opening.close(self._pipeline.use_renderer(None))
        finally:
            self._opening.close(tracker)

    def _hold(self, work: Any, name: str) -> None:
        task = asyncio.create_task(work, name=f"{self.name} {name}")
        self._tasks.add(task)
        task.add_done_callback(self._end_of_task)

    def _end_of_task(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task %s failed", task.get_name(), exc_info=error)
            self.board.post(f"Something went wrong: {error}", "error")

    # --- source ---------------------------------------------------------------------------------------

    @property
    def source_name(self) -> str:
        """What drives just now, for people."""
        return self._source.info.title or type(self._source).__name__ if self._source else ""

    async def drive(self, make_source: SourceFactory | None, *, must_open: bool = False) -> None:
        """Set the configured source: what drives while no other is attached. None: nobody.

        must_open: raise what its `open` raises, instead of telling it in a notice while the avatar idles.
        """
        if must_open and make_source is not None:
            source = make_source()
            try:
                await source.open(self._context)
            except BaseException:
                await source.close()
                raise
            self._opened = source
        self._configured = make_source
        if self._attached is None:
            await self._restart_source()

    async def attach_source(self, source: Source) -> None:
        """Let `source` drive instead of the configured one, until it ends or is detached."""
        self._attached = source
        await self._restart_source()

    async def detach_source(self, source: Source | None = None) -> None:
        """Go back to the configured source; ignored when another one has taken over since."""
        if self._attached is None or (source is not None and self._attached is not source):
            return
        self._attached = None
        await self._restart_source()

    @property
    def attached(self) -> Source | None:
        """The source that was attached, if one is."""
        return self._attached

    async def _stop_source(self) -> None:
        task, self._source_task = self._source_task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _restart_source(self) -> None:
        async with self._switching:
            await self._stop_source()
            self._pipeline.interrupt()
            self._sound.clear()
            self._next_due_ns = 0
            if (tracker := self._pipeline.tracker) is not None:
                self._pipeline.between_tracks(tracker.reset)
            if self._closed:
                return
            self._source_task = asyncio.create_task(self._run_live(), name=f"{self.name} source")
            await asyncio.sleep(0)  # let it begin: a task cancelled before that would not close its source

    async def _run_live(self) -> None:
        attached, failures = self._attached, 0
        while True:
            opened, self._opened = (self._opened, None) if attached is None else (None, self._opened)
            source = attached or opened or (self._configured() if self._configured else None)
            if source is None:
                return
            try:
                if source is not opened:
                    await source.open(self._context)
                self._source = source
                if source.subject is None:  # performances are tracked already
                    await self._require_tracker()
                async for item in source.frames():
                    failures = 0
                    self._take(item, source)
                self.board.post(f"{self.source_name} has ended; the avatar idles.")
                break
            except MienError as error:
                self.board.post(str(error), "error")
                if not isinstance(error, DeviceError):
                    break
            except Exception as error:
                log.exception("source %s failed", type(source).__name__)
                self.board.post(f"The source stopped unexpectedly: {error}. The avatar idles.", "error")
            finally:
                self._source = None
                await source.close()
            if attached is not None:
                break
            await self._clock.sleep(round(_back_off_s(failures) * NS_PER_S))
            failures += 1
        if attached is not None and self._attached is attached:
            self._hold(self.detach_source(attached), "detach")

    async def _require_tracker(self) -> None:
        async with self._tracker_lock:
            if self._pipeline.tracker is None and "track" not in self._restarting:
                self._pipeline.tracker = await self._opening.tracker(self._context)

    def _take(self, item: VideoFrame | AudioFrame | FaceParams, source: Source) -> None:
        match item:
            case VideoFrame():
                if not self._live or self._accepts(item.capture_ns):
                    self._pipeline.offer_picture(item)
            case FaceParams():
                self._pipeline.offer_pose(item, source.subject)
            case AudioFrame():
                if not self._controls.paused:
                    self._sound.put(item)

    def _accepts(self, capture_ns: int) -> bool:
        """Thin out a source that is faster than the configured rate, evenly, whatever its jitter."""
        interval = round(NS_PER_S / self._config.video.fps)
        if capture_ns < self._next_due_ns - interval // 4:
            self._thinned += 1
            return False
        self._next_due_ns = max(self._next_due_ns, capture_ns - interval // 2) + interval
        return True

    async def _tick(self) -> None:
        interval = round(NS_PER_S / self._config.video.fps)
        when = self._clock.now_ns()
        while True:
            when = max(when + interval, self._clock.now_ns())
            await self._clock.sleep_until(when)
            if "render" in self._restarting:
                self._repeat_last()
            elif self._pipeline.tracking and when - self._pipeline.last_active_ns < NS_PER_S:
                continue  # a slow tracker's pose is still to come; a tick would overtake it
            elif when - self._pipeline.last_active_ns > SILENCE * interval:
                self._ticks += 1
                self._pipeline.offer_tick(self._ticks)

    def _repeat_last(self) -> None:
        """Hold the last picture while the renderer is away."""
        if (last := self._outputs.last_picture) is not None:
            self._outputs.video(
                VideoFrame(last.pixels, self._clock.now_ns(), last.alpha, last.index, last.epoch)
            )

    # --- offline --------------------------------------------------------------------------------------

    async def run_to_end(self, source: Source, progress: Callable[[int], None] | None = None) -> int:
        """Offline: take every frame of `source` to the outputs; returns how many pictures were made.

        progress: told after each frame how many are done.

        The same pipeline as live, with lossless channels and the clock standing at each frame's capture
        time. Raises what the source, a stage or an output raises.
        """
        self._progress = progress
        written = 0

        async def write() -> None:
            nonlocal written
            while True:
                picture = await self._finished.get()
                await self._outputs.write_video(picture)
                written += 1
                del picture
                self._release()

        writer = asyncio.create_task(write(), name=f"{self.name} writer")
        try:
            await source.open(self._context)
            self._source = source
            if source.subject is None:
                await self._require_tracker()
            async for item in source.frames():
                if isinstance(self._clock, OfflineClock):
                    self._clock.advance_to(item.capture_ns)
                if isinstance(item, AudioFrame):
                    await self._outputs.write_audio(item)
                else:
                    await self._permit(writer)
                    self._take(item, source)
            for _ in range(IN_FLIGHT):
                await self._permit(writer)
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            self._source = None
            await source.close()
        return written

    async def _permit(self, writer: asyncio.Task[None]) -> None:
        acquire = asyncio.ensure_future(self._permits.acquire())
        await asyncio.wait({acquire, writer}, return_when=asyncio.FIRST_COMPLETED)
        if self._failure is not None:
            acquire.cancel()
            raise self._failure
        if writer.done():
            acquire.cancel()
            await writer

    def _release(self) -> None:
        """A frame is done, written or not."""
        self._permits.release()
        self._done += 1
        if self._progress is not None:
            self._progress(self._done)

    # --- outputs --------------------------------------------------------------------------------------

    async def add_output(self, output: Output, plugin: str = "") -> None:
        """Open `output` and feed it from now on. Raises what it raises; then it is closed again."""
        await self._outputs.add(output, self._context.of_plugin(plugin), pumped=self._live)

    async def remove_output(self, output: Output) -> None:
        """Stop feeding `output` and close it; ignored when it is not there."""
        await self._outputs.remove(output)

    def _output_failed(self, output: Output, error: Exception) -> None:
        self.board.post(f"An output stopped: {error}", "error")
        self._recording.lost(output)
        self._hold(self._outputs.remove(output), "output closing")

    def _picture_latency_ns(self) -> float:
        return self.trace.typical_ns("total") + self.trace.typical_ns("encode")

    async def start_recording(self) -> str:
        """Write what is shown to a file from now on; returns the recording's id. Raises `MienError`."""
        return await self._recording.start()

    async def stop_recording(self) -> Path | None:
        """Finish the file and return its path; None when nothing was being recorded."""
        return await self._recording.stop()

    # --- what a person sets ---------------------------------------------------------------------------

    @property
    def controls(self) -> Controls:
        return self._controls

    def update_controls(self, patch: Mapping[str, Any]) -> Controls:
        """Merge `patch` into the controls. Raises `ConfigError`; then nothing has changed."""
        controls = self._controls.patched(patch)
        before, self._controls = self._controls, controls
        if (driver := self._pipeline.driver) is not None:
            self._pipeline.between_pictures(lambda: driver.set_controls(controls), "controls")
        if controls.background != before.background:
            self._apply_background()
        if controls.paused:
            self._sound.clear()
        return controls

    def set_background_image(self, image: Bytes) -> None:
        """image: (H, W, 3) uint8 RGB, shown while the background mode is `image`."""
        self._background_image = image
        self._apply_background()

    def _apply_background(self) -> None:
        choice = self._controls.background
        background = Background(choice.mode, choice.rgb, self._background_image)

        def change() -> None:
            if (renderer := self._pipeline.renderer) is not None:
                renderer.set_background(background)

        self._pipeline.between_pictures(change, "background")

    def recentre(self) -> None:
        """Take the driver's present pose for straight ahead."""
        if (driver := self._pipeline.driver) is not None:
            self._pipeline.between_pictures(driver.recentre, "recentre")

    # --- avatar ---------------------------------------------------------------------------------------

    @property
    def avatar(self) -> Avatar | None:
        return self._avatar

    async def set_avatar(self, avatar: Avatar) -> None:
        """Switch to another avatar; the old one stays until the new one can be drawn."""
        renderer = await self._opening.renderer(self._context, avatar)
        self._avatar = avatar
        self._context = self._context.with_avatar(avatar)
        self._install(renderer)

    def _install(self, renderer: Renderer) -> None:
        """Draw with `renderer`, which shows the present avatar, from the next picture on."""
        avatar, driver = self._avatar, self._pipeline.driver

        def change() -> None:
            former = self._pipeline.use_renderer(renderer)
            if driver is not None and avatar is not None:
                driver.set_avatar(avatar.content.subject)
            self._opening.close(former)

        self._pipeline.between_pictures(change)
        self._apply_background()

    async def make_avatar(self, image: bytes, consent: Consent, title: str = "") -> Avatar:
        """Make an avatar out of an encoded picture. Raises `MediaError`, `NoFaceError`."""
        from mien.avatar.making import make_avatar

        return await asyncio.to_thread(
            make_avatar, self._registry, self._config, image, consent, title, self.board.post
        )

    async def warm(self) -> None:
        """Open the tracker before anybody needs it, so that a first camera picture doesn't wait for it."""
        await self._require_tracker()

    # --- from the lanes -------------------------------------------------------------------------------

    def _to_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    def _finished_on_lane(self, picture: VideoFrame, passage: Passage) -> None:
        self._failures["render"] = 0
        self._to_loop(self._outputs.video if self._live else self._finished.put_nowait, picture)

    def _dropped_on_lane(self, passage: Passage) -> None:
        if not self._live:
            self._to_loop(self._release)

    def _tracked_on_lane(self, tracked: Tracked, passage: Passage) -> None:
        if self._pipeline.tracker is None:
            return
        if tracked.params is None:
            self.frames_without_face += 1
        else:
            self._failures["track"] = 0
        if tracked.faces > 1 and self.faces <= 1:
            self.board.post(f"{tracked.faces} faces are in the picture; the largest one drives.")
        self.faces = tracked.faces
        if self.on_tracked is not None:
            self.on_tracked(tracked, passage)

    def _failed_on_lane(self, stage: str, error: Exception) -> None:
        log.error("stage %s failed", stage, exc_info=error)
        self._to_loop(self._stage_failed, stage, error)

    # --- failure --------------------------------------------------------------------------------------

    def _stage_failed(self, stage: str, error: Exception) -> None:
        if not self._live:
            self._failure = error if isinstance(error, MienError) else StageError(stage, str(error))
            return
        if stage in self._restarting or self._closed:
            return
        consequence = "the last picture stands" if stage == "render" else "the avatar idles"
        self.board.post(f"The stage '{stage}' failed ({error}); {consequence} while it restarts.", "error")
        task = asyncio.create_task(self._restart(stage), name=f"{self.name} restart {stage}")
        self._restarting[stage] = task
        task.add_done_callback(lambda _: self._restarting.pop(stage, None))

    async def _restart(self, stage: str) -> None:
        if stage == "track":
            tracker, self._pipeline.tracker = self._pipeline.tracker, None
            if tracker is not None:
                self._pipeline.between_tracks(lambda: self._opening.close(tracker))
        else:
            self._pipeline.between_pictures(lambda: self._opening.close(self._pipeline.use_renderer(None)))
        while True:
            failures = self._failures.get(stage, 0)
            self._failures[stage] = failures + 1
            await self._clock.sleep(round(_back_off_s(failures) * NS_PER_S))
            try:
                if stage == "track":
                    self._pipeline.tracker = await self._opening.tracker(self._context)
                elif (avatar := self._avatar) is not None:
                    renderer = await self._opening.renderer(self._context, avatar)
                    if avatar is not self._avatar:  # another one was chosen meanwhile, and is drawn already
                        await asyncio.to_thread(self._opening.close, renderer)
                    else:
                        self._install(renderer)
                self.board.post(f"The stage '{stage}' works again.")
                return
            except Exception as error:
                log.exception("stage %s could not be restarted", stage)
                self.board.post(f"The stage '{stage}' could not be restarted: {error}", "error")

    # --- what others want to know ---------------------------------------------------------------------

    async def notices(self) -> AsyncIterator[dict[str, str]]:
        """Yield what happens from now on, as {"level", "text"}."""
        async for notice in self.board.listen():
            yield {"level": notice.level, "text": notice.text}

    @property
    def state(self) -> str:
        """driven, holding, idle, paused, or degraded while a stage is away."""
        if self._restarting:
            return "degraded"
        return str(self._pipeline.driver.state) if self._pipeline.driver else "idle"

    def _dropped(self) -> dict[str, int]:
        """Everything that was given up, by where and why."""
        counts = Counter({f"before {stage}": n for stage, n in self.trace.dropped.items()})
        counts.update({f"overtaken at {stage}": n for stage, n in self._pipeline.replaced.items()})
        counts.update(self._outputs.dropped)
        counts.update(self._source.dropped if self._source else {})
        counts["faster than the frame rate"] += self._thinned
        counts["sound waiting too long"] += self._sound.dropped
        return {where: n for where, n in counts.items() if n}

    def snapshot(self) -> dict[str, Any]:
        """The session in figures, ready for JSON."""
        trace = self.trace
        return {
            "state": self.state,
            "source": self.source_name,
            "avatar": self._avatar.content.title if self._avatar else "",
            "fps": round(trace.fps(self._clock.now_ns()), 1),
            "frames": trace.delivered,
            "late": trace.late,
            "dropped": self._dropped(),
            "charged": dict(trace.charged),
            "latency_ms": trace.latency_ms(),
            "budget_ms": self._budget.ns / NS_PER_MS,
            "sound_delay_ms": round(self._sound.delay_ns / NS_PER_MS, 1),
            "level": self._pipeline.level,
            "viewers": self.viewers,
            "faces": self.faces,
            "recording": self._recording.running,
        }


def _back_off_s(failures: int) -> float:
    return BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)]
