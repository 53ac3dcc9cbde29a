"""One person's inputs, avatar and outputs: open, run, switch, close.

A session puts together a `Pipeline` and a `Hearing` on the engine's lanes and what stands around them: the `Sources`
that drive, the `Voices` beside them, the `Upkeep` of the stages, the `Ticker` that keeps the avatar alive while
nobody drives, the sound delay and the `Outputs`. A failed stage is restarted while the last picture stands; it never
takes the session down.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from mien.avatar.package import Avatar, Consent
from mien.avatar.portrait import read_background
from mien.avatar.workshop import Workshop
from mien.budget import Budget
from mien.clock import NS_PER_MS, NS_PER_S, Clock
from mien.config import Aspect, Config
from mien.context import Services, StageContext
from mien.controls import BackgroundChoice, Controls
from mien.driver import Driver
from mien.frames import AudioFrame, Bytes, VideoFrame
from mien.hearing import Hearing
from mien.lane import Lanes
from mien.losses import Losses
from mien.notices import Board
from mien.offline import OfflineRun, Progress
from mien.opening import Opening
from mien.outputs import Outputs
from mien.pipeline import Pipeline
from mien.plugins import Registry
from mien.recording import Recording
from mien.roles import Roles
from mien.sound import SoundDelay
from mien.sources import Item, SourceFactory, Sources, title_of
from mien.stage import Background, Driven, Output, Source, Tracked
from mien.steady import Steady
from mien.tasks import Tasks, to_end
from mien.thinning import Thinning
from mien.ticker import Ticker
from mien.trace import Passage, Trace
from mien.upkeep import RENDER, TRACK, Upkeep
from mien.voices import Voices

log = logging.getLogger(__name__)


class Session:
    """See the module. Made by `Engine.open_session`; all methods are for the event loop's thread."""

    def __init__(
        self,
        name: str,
        *,
        config: Config,
        registry: Registry,
        lanes: Lanes,
        workshop: Workshop,
        clock: Clock,
        avatar: Avatar | None,
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
        self._workshop = workshop
        self._clock = clock
        self._live = live
        self._controls = Controls(
            mirror=config.run.mirror,
            light=config.run.light,
            background=BackgroundChoice.named(config.run.background),
            aspect=config.video.aspect,
        )
        self._background_image: Bytes | None = None
        self._budget = Budget.of_ms(config.video.budget_ms, live=live)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

        fps = config.video.fps
        self._services = Services(registry, config)
        self._tasks = Tasks(name, self.board)
        self._losses = Losses()
        self._roles = Roles(config.run.drive)
        self._hearing = Hearing(
            lanes=lanes,
            clock=clock,
            budget=self._budget,
            fps=fps,
            trace=self.trace,
            on_failed=self._failed_on_lane,
        )
        self._pipeline = Pipeline(
            lanes=lanes,
            clock=clock,
            budget=self._budget,
            fps=fps,
            trace=self.trace,
            driver=Driver(avatar.content.subject, self._controls, fps, _seed(config.engine.seed, name))
            if avatar
            else None,
            hearing=self._hearing,
            on_finished=self._finished_on_lane,
            on_dropped=self._dropped_on_lane,
            on_failed=self._failed_on_lane,
            on_tracked=self._tracked_on_lane,
            on_driven=self._driven_on_lane if live else None,
            adaptive=config.video.adaptive,
        )
        context = StageContext(clock, config, self._services, self.board.post, live, avatar)
        opening = Opening(registry, config, lanes)
        self._upkeep = Upkeep(
            context, opening, self._pipeline, self._hearing, self._roles, clock, self.board, self._tasks
        )
        self._outputs = Outputs(self._output_failed, self._losses)
        self._recording = Recording(
            name,
            registry,
            self.add_output,
            self.remove_output,
            alpha=lambda: self._controls.background.mode == "transparent",
        )
        self._sound = SoundDelay(clock, self._picture_latency_ns, self._outputs.audio)
        self._steady = Steady()
        self._sound_epoch = 0
        self._last_sound: AudioFrame | None = None
        self._thinning = Thinning(fps)
        self._ticker = Ticker(clock, fps, self.trace, self._pipeline, self._upkeep, self._outputs)
        self._sources = Sources(
            clock,
            self.board,
            self._tasks,
            self._losses,
            self._upkeep,
            self._take,
            self._source_switched,
            self._heard_out,
        )
        self._voices = Voices(
            self.board,
            self._tasks,
            self._losses,
            self._upkeep,
            self._hearing,
            self._take_sound,
            self.interrupt_voice,
            self._heard_out,
        )
        self._offline = OfflineRun(
            clock,
            lanes,
            self._outputs,
            self._losses,
            self._upkeep,
            self._roles,
            self._hearing,
            self._pipeline,
        )

    # --- life -----------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the renderer (and so its services). Raises what the plugins raise, and `MediaError` when the
        configured background is no picture; then close the session.
        """
        self._loop = asyncio.get_running_loop()
        if self._controls.background.mode == "image":
            self._background_image = await asyncio.to_thread(
                read_background, self._config.run.background, self._controls.background.rgb
            )
        self._apply_background()
        if (avatar := self.avatar) is not None:
            await self._upkeep.show(avatar)
        if self._live:
            self._tasks.start(self._sound.run(), "sound")
            self._tasks.start(self._pipeline.run(), "poses")
            self._tasks.start(self._ticker.run(), "ticker")

    async def close(self, *, abandon: bool = False) -> None:
        """End everything and give everything back, cancelled or not. abandon: half-written outputs are removed."""
        if not self._closed:
            self._closed = True
            await to_end(self._close(abandon=abandon), name=f"end of {self.name}")

    async def _close(self, *, abandon: bool) -> None:
        # Every step is taken, whatever the others raise, the last one here first; the last error is raised.
        async with AsyncExitStack() as steps:
            steps.callback(self._services.close)
            steps.push_async_callback(self._upkeep.close)
            steps.push_async_callback(self._outputs.close, abandon=abandon)
            steps.push_async_callback(asyncio.to_thread, self._pipeline.close)
            steps.push_async_callback(asyncio.to_thread, self._hearing.close)
            steps.push_async_callback(self._tasks.close)
            steps.push_async_callback(self._sources.close)
            steps.push_async_callback(self._voices.close)

    # --- sources --------------------------------------------------------------------------------------

    @property
    def source_name(self) -> str:
        """What drives just now, for people."""
        return title_of(self._sources.current or self._offline.source)

    @property
    def attached(self) -> Source | None:
        """The source that was attached, if one is."""
        return self._sources.attached

    async def drive(self, make_source: SourceFactory | None, *, must_open: bool = False) -> None:
        """Set the configured source: what drives while no other is attached. None: nobody.

        must_open: raise what its `open` raises, instead of telling it in a notice while the avatar idles.
        """
        await self._sources.configure(make_source, must_open=must_open)

    async def attach_source(self, source: Source) -> None:
        """Let `source` drive instead of the configured one, until it ends or is detached."""
        await self._sources.attach(source)

    async def detach_source(self, source: Source | None = None) -> None:
        """Go back to the configured source; ignored when another one has taken over since."""
        await self._sources.detach(source)

    @property
    def voice(self) -> Source | None:
        """The voice that was attached beside the source that drives, if one is."""
        return self._voices.current

    async def voice_vacant(self) -> None:
        """Return when no voice is attached."""
        await self._voices.vacant()

    async def attach_voice(self, source: Source, *, if_vacant: bool = False) -> None:
        """Let the sound of `source` be the voice, in place of that of the source that drives, until it ends or is
        detached. With `[run] drive = auto` it moves the mouth wherever the camera doesn't see it.

        if_vacant: unless there is a voice, or one is being opened; then `source` is closed without having been opened.
        """
        await self._voices.attach(source, if_vacant=if_vacant)

    async def detach_voice(self, source: Source | None = None) -> None:
        """Nobody speaks beside the source that drives; ignored when another than `source` does."""
        await self._voices.detach(source)

    def interrupt_voice(self) -> None:
        """Whoever speaks is cut short: sound that waits anywhere is dropped, and the mouth closes."""
        self._sound_epoch += 1
        self._last_sound = None
        self._sound.clear()
        self._steady.rewind(self._sound.delivered_end_ns)  # the rest was never heard
        self._outputs.hush(self._sound_epoch)
        self._hearing.interrupt()
        self._pipeline.hush()

    async def run_to_end(self, source: Source, progress: Progress | None = None) -> int:
        """Offline: take every frame of `source` to the outputs; returns how many pictures were made.

        progress: told after each frame how many are done. Raises what the source, a stage or an output raises.
        """
        return await self._offline.run(source, progress)

    async def warm(self) -> None:
        """Open the tracker before anybody needs it, so that a first camera picture doesn't wait for it."""
        await self._upkeep.require_tracker()

    def _take(self, item: Item, source: Source) -> None:
        if isinstance(item, AudioFrame):
            if not self._voices.speaking:
                self._take_sound(item, source)
            return
        if not self._roles.sees(source):
            return
        if isinstance(item, VideoFrame):
            if self._thinning.admits(item.capture_ns):
                self._pipeline.offer_picture(item)
            return
        if self._voices.speaking:
            item = replace(item, mouth_confidence=0.0)  # what was recorded says something else
        self._pipeline.offer_pose(item, source.subject)

    def _take_sound(self, frame: AudioFrame, source: Source) -> None:
        if self._controls.paused or (sound := self._steady.push(frame)) is None:
            return
        self._upkeep.sound_came(source)
        sound = self._last_sound = replace(sound, epoch=self._sound_epoch)
        self._sound.put(sound)
        self._hearing.put(sound, source)

    async def _heard_out(self, source: Source) -> None:
        """It has ended: return when the listener has said the last of it, and the sound has gone out."""
        last = self._last_sound
        if last is not None and self._hearing.speaker is source and (rest := self._hearing.rest(last)):
            late_ns = max(self._clock.now_ns() - last.capture_ns, 0)
            # At the pace of sound, or pictures would overtake each other.
            for silence in rest.pieces(NS_PER_S // 50):
                await self._clock.sleep_until(silence.capture_ns + late_ns)
                self._hearing.put(silence, source)
        await self._sound.handed_over()

    def _source_switched(self) -> None:
        self._pipeline.interrupt()
        if not self._voices.speaking:
            self.interrupt_voice()
        self._hearing.dismiss()
        self._thinning.restart()
        if (tracker := self._pipeline.tracker) is not None:
            self._pipeline.between_tracks(tracker.reset)

    # --- outputs --------------------------------------------------------------------------------------

    async def add_output(self, output: Output, plugin: str = "") -> None:
        """Open `output` and feed it from now on. Raises what it raises; then it is closed again."""
        await self._outputs.add(output, self._upkeep.context.of_plugin(plugin), pumped=self._live)

    async def remove_output(self, output: Output) -> None:
        """Stop feeding `output` and close it; ignored when it is not there."""
        await self._outputs.remove(output)

    async def start_recording(self) -> str:
        """Write what is shown to a file from now on; returns the recording's id. Raises `MienError`."""
        return await self._recording.start()

    async def stop_recording(self) -> Path | None:
        """Finish the file and return its path; None when nothing was being recorded."""
        return await self._recording.stop()

    @property
    def recording(self) -> bool:
        """Whether what is shown is being written to a file."""
        return self._recording.running

    @property
    def recording_lost_by(self) -> str:
        """What ended the last recording, if nobody stopped it; empty otherwise."""
        return self._recording.lost_by

    def _output_failed(self, output: Output, error: Exception) -> None:
        what = "The recording" if self._recording.lost(output, error) else "An output"
        self.board.post(f"{what} stopped: {str(error) or type(error).__name__}", "error")
        self._tasks.start(self._outputs.remove(output), "output closing")

    @property
    def sound_delay_ns(self) -> int:
        """How much later than it comes sound goes out, to match the pictures."""
        return self._sound.delay_ns

    def _picture_latency_ns(self) -> float:
        return self.trace.own_ns + self._hearing.lag_ns + self.trace.typical_ns("encode")

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
        if controls.aspect != before.aspect and not self._closed:
            self._tasks.start(self._reshape(controls.aspect), "shape")
        if controls.paused and not before.paused:
            self.interrupt_voice()
        return controls

    def set_background_image(self, image: Bytes) -> None:
        """image: (H, W, 3) uint8 RGB, shown while the background mode is `image`."""
        self._background_image = image
        self._apply_background()

    def _apply_background(self) -> None:
        choice = self._controls.background
        self._upkeep.set_background(Background(choice.mode, choice.rgb, self._background_image))

    async def _reshape(self, aspect: Aspect) -> None:
        try:
            await self._upkeep.shape(aspect)
        except Exception as error:
            log.exception("pictures of shape %s could not be drawn", aspect)
            self.board.post(f"The picture keeps its shape: {error}", "error")
            self._controls = self._controls.patched({"aspect": self._upkeep.context.config.video.aspect})

    def recentre(self) -> None:
        """Take the driver's present pose for straight ahead."""
        if (driver := self._pipeline.driver) is not None:
            self._pipeline.between_pictures(driver.recentre, "recentre")

    def calibrate(self) -> None:
        """Take what the driver's face does in the next second for its rest: pose, gaze and expression."""
        if (driver := self._pipeline.driver) is not None:
            self._pipeline.between_pictures(driver.calibrate, "calibrate")

    # --- avatar ---------------------------------------------------------------------------------------

    @property
    def avatar(self) -> Avatar | None:
        return self._upkeep.context.avatar

    async def set_avatar(self, avatar: Avatar) -> None:
        """Switch to another avatar; the old one stays until the new one can be drawn."""
        await self._upkeep.show(avatar)

    async def make_avatar(self, image: bytes, consent: Consent, title: str = "") -> Avatar:
        """Make an avatar out of an encoded picture. Raises `MediaError`, `NoFaceError`, and `CapacityError` while
        another one is being made.
        """
        return await self._workshop.make(image, consent, title, self.board.post)

    # --- from the lanes -------------------------------------------------------------------------------

    def _to_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    def _driven_on_lane(self, driven: Driven) -> None:
        if self._outputs.wants_faces:
            self._to_loop(self._outputs.face, driven)

    def _finished_on_lane(self, picture: VideoFrame, passage: Passage) -> None:
        self._upkeep.worked(RENDER)
        self._to_loop(self._outputs.video if self._live else self._offline.finished, picture)

    def _dropped_on_lane(self, passage: Passage) -> None:
        if not self._live:
            self._to_loop(self._offline.dropped)

    def _tracked_on_lane(self, tracked: Tracked, passage: Passage) -> None:
        if self._pipeline.tracker is None:
            return
        if tracked.params is None:
            self.frames_without_face += 1
        else:
            self._upkeep.worked(TRACK)
        if tracked.faces > 1 and self.faces <= 1:
            self.board.post(
                f"{tracked.faces} faces are in the picture; the one seen before drives, else the largest."
            )
        self.faces = tracked.faces
        if self.on_tracked is not None:
            self.on_tracked(tracked, passage)

    def _failed_on_lane(self, stage: str, error: Exception) -> None:
        log.error("stage %s failed", stage, exc_info=error)
        self._to_loop(self._upkeep.failed if self._live else self._offline.failed, stage, error)

    # --- what others want to know ---------------------------------------------------------------------

    async def notices(self) -> AsyncIterator[dict[str, str]]:
        """Yield what happens from now on, as {"level", "text"}."""
        async for notice in self.board.listen():
            yield {"level": notice.level, "text": notice.text}

    @property
    def state(self) -> str:
        """driven, holding, idle, paused, or degraded while a stage is away."""
        if self._upkeep.degraded:
            return "degraded"
        return str(self._pipeline.driver.state) if self._pipeline.driver else "idle"

    def _dropped(self) -> dict[str, int]:
        """Everything that was given up, by where and why; no figure ever falls."""
        counts = Counter({f"before {stage}": n for stage, n in self.trace.dropped.items()})
        counts.update({f"overtaken at {stage}": n for stage, n in self._pipeline.replaced.items()})
        counts.update(self._losses.counts)
        counts["faster than the frame rate"] += self._thinning.dropped
        counts["sound waiting too long"] += self._sound.dropped
        counts["sound out of order"] += self._steady.dropped
        counts["sound overtaken at listen"] += self._hearing.dropped
        return {where: n for where, n in counts.items() if n}

    def snapshot(self) -> dict[str, Any]:
        """The session in figures, ready for JSON."""
        trace, avatar = self.trace, self.avatar
        return {
            "state": self.state,
            "source": self.source_name,
            "voice": title_of(self.voice),
            "avatar": avatar.content.title if avatar else "",
            "fps": round(trace.fps(self._clock.now_ns()), 1),
            "frames": trace.delivered,
            "late": trace.late,
            "dropped": self._dropped(),
            "charged": dict(trace.charged),
            "latency_ms": trace.latency_ms(),
            "budget_ms": self._budget.ns / NS_PER_MS,
            "sound_delay_ms": round(self.sound_delay_ns / NS_PER_MS, 1),
            "level": self._pipeline.level,
            "viewers": self.viewers,
            "faces": self.faces,
            "recording": self.recording,
            "picture": dict(zip(("width", "height"), self._upkeep.context.size, strict=True)),
        }


def _seed(seed: int, name: str) -> int:
    """Two sessions of one engine don't blink together; one of the same name and seed does as it did before."""
    return seed ^ zlib.crc32(name.encode())
