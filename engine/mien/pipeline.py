"""The compute path of one session: pictures are tracked, poses are driven and rendered, on the lanes.

    pictures ──▶ [track] ──▶ poses ──▶ [drive, render] ──▶ on_finished
                              ▲
        performances, ticks ──┘

Each bracket is a `Runner`: a stage with a channel before it and at most one job outstanding. Live, the
channels are `Latest` and a frame past its due time is dropped before the next expensive stage; offline they
are `Fifo` and nothing is dropped. Otherwise both are the same code.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from mien.budget import Budget, Gate, Governor
from mien.channel import Channel, Fifo, Latest
from mien.clock import NS_PER_S, Clock
from mien.driver import Driver
from mien.face.subject import Subject
from mien.frames import FaceParams, VideoFrame
from mien.lane import Lanes
from mien.stage import Renderer, Tracked, Tracker
from mien.trace import Passage, Trace

log = logging.getLogger(__name__)

In = TypeVar("In")
Out = TypeVar("Out")
V = TypeVar("V")

IN_FLIGHT = 8
"""How many frames may be under way at once offline; the lossless channels hold that many."""


@dataclass(frozen=True, slots=True)
class Parcel(Generic[V]):
    """A value on its way, with the record of its passage."""

    value: V
    passage: Passage
    epoch: int


@dataclass(frozen=True, slots=True)
class Pose:
    """What the driver is fed: a tracked or recorded face, or nothing (a tick while nobody drives)."""

    params: FaceParams | None
    subject: Subject | None


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
        self._lanes.submit(parcel.passage.due_ns if parcel else self._clock.now_ns(), self._job)

    def _job(self) -> None:
        try:
            self._make_changes()
            if not self._closed and (parcel := self.inbox.take()) is not None:
                self._process(parcel)
        finally:
            with self._changed:
                self._outstanding = False
                self._changed.notify_all()
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


class Pipeline:
    """Tracker, driver and renderer of one session on the shared lanes.

    on_driven(params): what the avatar's face is going to do in a picture that is about to be drawn.
    on_finished(picture, passage): a picture is ready. on_dropped(passage): a frame will not come.
    on_failed(stage, error): a stage raised. on_tracked(tracked): what the tracker said, for notices and
    recordings. All are called on a lane.
    """

    def __init__(
        self,
        *,
        lanes: Lanes,
        clock: Clock,
        budget: Budget,
        fps: float,
        trace: Trace,
        driver: Driver | None,
        on_finished: Callable[[VideoFrame, Passage], None],
        on_dropped: Callable[[Passage], None],
        on_failed: Callable[[str, Exception], None],
        on_tracked: Callable[[Tracked, Passage], None],
        on_driven: Callable[[FaceParams], None] | None = None,
        adaptive: bool = True,
    ) -> None:
        self.driver = driver
        self.tracker: Tracker | None = None
        self.renderer: Renderer | None = None
        self.epoch = 0
        self.last_active_ns = 0
        """when a picture or a pose last came"""
        self._clock = clock
        self._budget = budget
        self._interval_ns = NS_PER_S / fps
        self._trace = trace
        self._on_finished = on_finished
        self._on_dropped = on_dropped
        self._on_failed = on_failed
        self._on_tracked = on_tracked
        self._on_driven = on_driven
        self._adaptive = adaptive and budget.live
        self._governor = Governor(1)
        self._governing = threading.Lock()
        self._rendered_ns = -1
        self._track: Runner[VideoFrame, Tracked] = Runner(
            "track", self._channel("pictures"), lanes, clock, Gate(budget),
            work=self._do_track, deliver=self._tracked, dropped=self._late_picture, failed=self._track_failed,
        )  # fmt: skip
        self._render: Runner[Pose, VideoFrame | None] = Runner(
            "render", self._channel("poses"), lanes, clock, Gate(budget),
            work=self._do_render, deliver=self._rendered, dropped=self._late_pose, failed=self._render_failed,
        )  # fmt: skip

    def _channel(self, name: str) -> Channel[Parcel[V]]:
        return Latest(name) if self._budget.live else Fifo(name, IN_FLIGHT)

    # --- from the event loop --------------------------------------------------------------------------

    def offer_picture(self, frame: VideoFrame) -> None:
        """Give a picture to be tracked."""
        self.last_active_ns = self._clock.now_ns()
        self._track.inbox.try_put(Parcel(frame, self._passage(frame.index, frame.capture_ns), self.epoch))

    def offer_pose(self, params: FaceParams, subject: Subject | None) -> None:
        """Give a face that is already tracked."""
        self.last_active_ns = self._clock.now_ns()
        passage = self._passage(params.index, params.capture_ns)
        self._render.inbox.try_put(Parcel(Pose(params, subject), passage, self.epoch))

    def offer_tick(self, index: int) -> None:
        """Ask for a picture though nobody drives."""
        passage = self._passage(index, self._clock.now_ns())
        self._render.inbox.try_put(Parcel(Pose(None, None), passage, self.epoch))

    def _passage(self, index: int, capture_ns: int) -> Passage:
        passage = Passage(index, capture_ns, self._budget.due_ns(capture_ns))
        passage.add("receive", capture_ns, max(capture_ns, self._clock.now_ns()))
        return passage

    def interrupt(self) -> None:
        """Forget everything under way: the source or the avatar changed."""
        self.epoch += 1
        self._track.inbox.bump_epoch(self.epoch)
        self._render.inbox.bump_epoch(self.epoch)

    def between_tracks(self, change: Callable[[], None]) -> None:
        """Make a change on a lane while the tracker is at rest."""
        self._track.between(change)

    def between_pictures(self, change: Callable[[], None], key: object = None) -> None:
        """Make a change on a lane while driver and renderer are at rest; the newest of each `key` counts."""
        self._render.between(change, key)

    def use_renderer(self, renderer: Renderer | None) -> Renderer | None:
        """Set the opened renderer, between pictures; returns the former one, to be closed by the caller."""
        former, self.renderer = self.renderer, renderer
        with self._governing:
            self._governor = Governor(renderer.levels if renderer else 1)
        return former

    @property
    def tracking(self) -> bool:
        """Whether a picture is on its way to becoming a pose."""
        return self._track.busy

    @property
    def level(self) -> int:
        """The quality level in use; 0 is the best."""
        return self._governor.level

    @property
    def replaced(self) -> dict[str, int]:
        """Frames that a newer one overtook while they waited, by the stage they waited for."""
        return {runner.name: runner.inbox.stats.replaced for runner in (self._track, self._render)}

    def close(self) -> None:
        """Stop; returns when no stage is at work. Blocks: call it off the event loop."""
        self._track.close()
        self._render.close()

    # --- on the lanes ---------------------------------------------------------------------------------

    def _do_track(self, parcel: Parcel[VideoFrame]) -> Tracked:
        if self.tracker is None:
            return Tracked(None)
        start = self._clock.work_ns()
        tracked = self.tracker.process(parcel.value)
        parcel.passage.add_work("track", self._clock.work_ns() - start)
        return tracked

    def _tracked(self, parcel: Parcel[VideoFrame], tracked: Tracked) -> None:
        self.last_active_ns = self._clock.now_ns()
        self._on_tracked(tracked, parcel.passage)
        if self.driver is None:
            self._trace.finish(parcel.passage, self._clock.now_ns())
            self._on_dropped(parcel.passage)
            return
        self._render.inbox.try_put(
            Parcel(Pose(tracked.params, tracked.subject), parcel.passage, parcel.epoch)
        )

    def _track_failed(self, parcel: Parcel[VideoFrame], error: Exception) -> None:
        self._on_failed("track", error)
        self._tracked(parcel, Tracked(None))

    def _do_render(self, parcel: Parcel[Pose]) -> VideoFrame | None:
        renderer, driver, passage, pose = self.renderer, self.driver, parcel.passage, parcel.value
        if renderer is None or driver is None:
            return None
        if passage.capture_ns <= self._rendered_ns:
            self._trace.drop(passage, "render")
            return None
        start = self._clock.work_ns()
        params = driver.step(pose.params, pose.subject, passage.capture_ns, passage.index)
        driven = self._clock.work_ns()
        passage.add_work("drive", driven - start)
        if self._on_driven is not None:
            self._on_driven(params)
        picture = renderer.process(params)
        passage.add_work("render", self._clock.work_ns() - driven)
        self._rendered_ns = passage.capture_ns
        return picture

    def _rendered(self, parcel: Parcel[Pose], picture: VideoFrame | None) -> None:
        passage = parcel.passage
        if picture is None:
            self._on_dropped(passage)
            return
        now = self._clock.now_ns()
        late = self._trace.finish(passage, now)
        self._on_finished(picture, passage)
        self._govern(missed=late, now_ns=now)

    def _render_failed(self, parcel: Parcel[Pose], error: Exception) -> None:
        self._on_failed("render", error)
        self._on_dropped(parcel.passage)

    def _late_picture(self, parcel: Parcel[VideoFrame]) -> None:
        self._late(parcel.passage, "track")

    def _late_pose(self, parcel: Parcel[Pose]) -> None:
        self._late(parcel.passage, "render")

    def _late(self, passage: Passage, before: str) -> None:
        self._trace.drop(passage, before)
        self._on_dropped(passage)
        self._govern(missed=True, now_ns=self._clock.now_ns())

    def _govern(self, *, missed: bool, now_ns: int) -> None:
        if not self._adaptive:
            return
        busy = max(self._trace.typical_ns("track"), self._trace.typical_ns("render"))
        with self._governing:
            before = self._governor.level
            level = self._governor.observe(missed=missed, load=busy / self._interval_ns, now_ns=now_ns)
        if level != before and (renderer := self.renderer) is not None:
            self._render.between(lambda: renderer.set_level(level), "level")


def _nothing() -> None:
    """Done already."""
