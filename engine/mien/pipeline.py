"""The compute path of one session: pictures are tracked, poses are driven and rendered, on the lanes.

    pictures ──▶ [track] ──▶ poses ──▶ meeting ──▶ [drive, render] ──▶ on_finished
                              ▲           ▲               ▲
             performances ────┘   what was heard ── pictures of sound alone, ticks

Each bracket is a `Runner`: a stage with a channel before it and at most one job outstanding. Live, the
channels are `Latest` and a frame past its due time is dropped before the next expensive stage; offline they
are `Fifo` and nothing is dropped. Otherwise both are the same code.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from mien.budget import Budget, Gate, Governor
from mien.channel import Channel, Fifo, Latest
from mien.clock import NS_PER_S, Clock
from mien.driver import Driver
from mien.face.subject import Subject
from mien.frames import FaceParams, VideoFrame
from mien.hearing import Hearing
from mien.lane import Lanes
from mien.meeting import Beat, Meeting, Pose
from mien.runner import Parcel, Runner
from mien.stage import Driven, Renderer, Tracked, Tracker
from mien.trace import Passage, Trace

V = TypeVar("V")

IN_FLIGHT = 8
"""How many frames may be under way at once offline; the lossless channels hold that many."""

SILENCE = 2.2
"""After this many frame intervals without a picture nobody is seen."""


class Pipeline:
    """Tracker, driver and renderer of one session on the shared lanes.

    hearing: what is heard beside what is seen; without pictures it makes them.
    on_driven(driven): what the avatar's face is going to do in a picture that is about to be drawn.
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
        hearing: Hearing,
        on_finished: Callable[[VideoFrame, Passage], None],
        on_dropped: Callable[[Passage], None],
        on_failed: Callable[[str, Exception], None],
        on_tracked: Callable[[Tracked, Passage], None],
        on_driven: Callable[[Driven], None] | None = None,
        adaptive: bool = True,
    ) -> None:
        self.driver = driver
        self.tracker: Tracker | None = None
        self.renderer: Renderer | None = None
        self.epoch = 0
        self.last_active_ns = 0
        """when a picture or a pose last came, seen or heard"""
        self._seen_ns = -NS_PER_S
        """when one was last seen"""
        self._coming_ns = 0
        """of the first picture after a pause that was seen"""
        self._hearing = hearing
        hearing.on_heard = self.heard
        self._lanes = lanes
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
        self._meeting = Meeting(hearing, clock, self._render.inbox.try_put)
        self._beat = Beat(fps)
        self._voiced = 0

    def _channel(self, name: str) -> Channel[Parcel[V]]:
        return Latest(name) if self._budget.live else Fifo(name, IN_FLIGHT)

    # --- from the event loop --------------------------------------------------------------------------

    async def run(self) -> None:
        """Live: let poses that wait for sound go on in their time, until cancelled."""
        await self._meeting.run()

    def offer_picture(self, frame: VideoFrame) -> None:
        """Give a picture to be tracked."""
        self._comes(frame.capture_ns)
        self._track.inbox.try_put(Parcel(frame, self._passage(frame.index, frame.capture_ns), self.epoch))

    def offer_pose(self, params: FaceParams, subject: Subject | None) -> None:
        """Give a face that is already tracked."""
        self._comes(params.capture_ns)
        passage = self._passage(params.index, params.capture_ns)
        self._meeting.offer(Parcel(Pose(params, subject), passage, self.epoch))

    def offer_tick(self, index: int) -> None:
        """Ask for a picture though nobody drives; as late as pictures are while somebody may speak."""
        self._offer_heard(index, self._clock.now_ns() - self._hearing.lag_ns)

    def _comes(self, capture_ns: int) -> None:
        if not self.tracking:
            self._coming_ns = capture_ns
        self._seen()

    def _seen(self) -> None:
        self.last_active_ns = self._seen_ns = self._clock.now_ns()

    def _passage(self, index: int, capture_ns: int, late: str = "receive") -> Passage:
        """Of a frame that begins its way. late: what the time since its moment is charged to."""
        lag_ns, now = self._hearing.lag_ns, self._clock.now_ns()
        passage = Passage(index, capture_ns, self._budget.due_ns(capture_ns) + lag_ns, lag_ns=lag_ns)
        passage.add(late if now > capture_ns else "receive", capture_ns, max(capture_ns, now))
        return passage

    def interrupt(self) -> None:
        """Forget everything under way: the source or the avatar changed."""
        self.epoch += 1
        self._track.inbox.bump_epoch(self.epoch)
        self._render.inbox.bump_epoch(self.epoch)
        self._meeting.clear()
        self._beat.skip()

    def hush(self) -> None:
        """The voice was interrupted: the mouth closes, in the next pictures and as soon as may be."""
        if (driver := self.driver) is not None:
            self._render.between(driver.hush, "hush")
        self._meeting.heard()
        self._beat.skip()
        if self._unseen:
            self.epoch += 1
            self._render.inbox.bump_epoch(self.epoch)
            self.last_active_ns = 0  # the ticker need not wait any longer

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
        """Whether a picture is on its way to becoming a pose, or one waits for the sound of its moment."""
        return self._track.busy or self._meeting.waiting

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

    # --- what is heard --------------------------------------------------------------------------------

    @property
    def _unseen(self) -> bool:
        """Whether no picture comes that a pose could be made of."""
        return self._clock.now_ns() - self._seen_ns > SILENCE * self._interval_ns and not self.tracking

    def _is_gap(self, time_ns: int) -> bool:
        """Whether nothing that is seen becomes the picture of that moment: it came to an end before, or begins again
        only after it.
        """
        half = self._interval_ns / 2
        seen_ns = self._meeting.last_ns(time_ns + round(half))
        ends = time_ns - seen_ns > SILENCE * max(self._interval_ns, self._meeting.interval_ns)
        return ends and not seen_ns < self._coming_ns < time_ns + half

    def heard(self) -> None:
        """More has been heard, or nothing more will be. Any thread."""
        self._meeting.heard()
        # Live; of several the last, the others would be overtaken anyway.
        if self._budget.live and (times := [t for t in self.heard_times() if self._is_gap(t)]):
            self.offer_heard(times[-1])

    def heard_times(self) -> list[int]:
        """Capture times of the pictures that can be made from what has been heard since the last call."""
        began, reached = self._hearing.began_ns, self._hearing.reached_ns
        return [] if began is None or reached is None else self._beat.due(began, reached)

    def offer_heard(self, capture_ns: int) -> None:
        """Make the picture that belongs to the sound of that moment."""
        self.last_active_ns = self._clock.now_ns()
        self._offer_heard(self._voiced, capture_ns)
        self._voiced += 1

    def _offer_heard(self, index: int, capture_ns: int) -> None:
        passage = self._passage(index, capture_ns, late="wait:listen")
        pose = Pose(heard=self._hearing.at(capture_ns))
        self._render.inbox.try_put(Parcel(pose, passage, self.epoch))

    # --- on the lanes ---------------------------------------------------------------------------------

    def _do_track(self, parcel: Parcel[VideoFrame]) -> Tracked:
        if self.tracker is None:
            return Tracked(None)
        start = self._clock.work_ns()
        tracked = self.tracker.process(parcel.value)
        parcel.passage.add_work("track", self._clock.work_ns() - start)
        return tracked

    def _tracked(self, parcel: Parcel[VideoFrame], tracked: Tracked) -> None:
        self._seen()
        self._on_tracked(tracked, parcel.passage)
        if self.driver is None:
            self._trace.finish(parcel.passage, self._clock.now_ns())
            self._on_dropped(parcel.passage)
            return
        self._meeting.offer(Parcel(Pose(tracked.params, tracked.subject), parcel.passage, parcel.epoch))

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
        params = driver.step(pose.params, pose.subject, passage.capture_ns, passage.index, pose.heard)
        driven = self._clock.work_ns()
        passage.add_work("drive", driven - start)
        if self._on_driven is not None:
            self._on_driven(Driven(params, driver.avatar))
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
        longest_ns = max(self._trace.typical_ns("track"), self._trace.typical_ns("render"))
        # Stages that share a lane, with one another or with other sessions, fill it together.
        load = max(longest_ns / self._interval_ns, self._lanes.load)
        with self._governing:
            before = self._governor.level
            level = self._governor.observe(missed=missed, load=load, now_ns=now_ns)
        if level != before and (renderer := self.renderer) is not None:
            self._render.between(lambda: renderer.set_level(level), "level")
