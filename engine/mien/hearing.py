"""The sound of whoever speaks goes to the listener, on the lanes, and what it says is kept for whoever asks.

Sound is lossless up to a second; live, a listener that cannot keep up loses the rest, and it is counted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from mien.budget import Budget, Gate
from mien.channel import Fifo
from mien.clock import NS_PER_MS, NS_PER_S, Clock
from mien.drive.heard import Heard, Loudness, Timeline
from mien.frames import AudioFrame, FaceParams
from mien.lane import Lanes
from mien.runner import Parcel, Runner
from mien.stage import Listener, Source
from mien.trace import Passage, Trace

CAPACITY = 100
"""Stretches of sound that may wait for the listener."""

_AS_GOOD_AS_NS = NS_PER_MS
"""Two clocks that count the same frames may round differently."""
_FOREVER = 1 << 62
_PAUSE_NS = 40 * NS_PER_MS
"""Sound that is so much late is not coming: whoever speaks has stopped sending any."""


class Hearing:
    """Of one session. `process` and what it calls run on a lane, the rest on the event loop.

    on_heard, on_worked: called on a lane when more has been heard, when the listener did its work.
    on_failed(stage, error): it raised.
    """

    def __init__(
        self,
        *,
        lanes: Lanes,
        clock: Clock,
        budget: Budget,
        fps: float,
        trace: Trace,
        on_failed: Callable[[str, Exception], None],
    ) -> None:
        self.on_heard: Callable[[], None] = _nobody_asks
        self.on_worked: Callable[[], None] = _nobody_asks
        self.dropped = 0
        """stretches of sound that the listener was too slow for"""
        self._listener: Listener | None = None
        self._look_ahead_ns = 0
        self._clock = clock
        self._budget = budget
        self._interval_ns = round(NS_PER_S / fps)
        self._trace = trace
        self._source: Source | None = None
        self._beside: Source | None = None
        self._epoch = 0
        self._answering = threading.Lock()
        """of an answer and an interruption one comes first: no stale answer is left behind"""
        self._stale = False
        """whether the listener is to forget what it heard; it does before the next sound at the latest"""
        self._passed_ns = -1
        self._stretch_ns = 0
        """time of the first sound since a pause"""
        self._expected_ns = 0
        """when the next sound should have come"""
        self._first_ns: int | None = None
        """time of the first sound since an interruption"""
        self._timeline = Timeline()
        self._loudness = Loudness()
        self._listen: Runner[AudioFrame, list[FaceParams]] = Runner(
            "listen", Fifo("sound to hear", CAPACITY), lanes, clock, Gate(Budget(0, live=False)),
            work=self._work, deliver=self._deliver, dropped=_never,
            failed=lambda parcel, error: on_failed("listen", error),
        )  # fmt: skip

    @property
    def listener(self) -> Listener | None:
        """The opened listener; None before it is needed, and while it is away."""
        return self._listener

    def use(self, listener: Listener | None) -> Listener | None:
        """Set the opened listener; returns the former one, to be closed by the caller."""
        former, self._listener = self._listener, listener
        if listener is not None:
            self._look_ahead_ns = round(listener.look_ahead_ms * NS_PER_MS)
            self.interrupt()  # it has heard nothing of what was being said
        return former

    # --- who speaks -----------------------------------------------------------------------------------

    def attend(self, source: Source, *, beside: bool = False) -> None:
        """Listen to `source` from now on. The voice beside the source that drives goes before that."""
        if beside:
            self._beside = source
        else:
            self._source = source
        self._passed_ns = -1
        if source is self.speaker:
            self.interrupt()

    def dismiss(self, *, beside: bool = False) -> None:
        """That source, or the one beside it, speaks no longer."""
        before = self.speaker
        if beside:
            self._beside = None
        else:
            self._source = None
        if self.speaker is not before:
            self.interrupt()

    @property
    def speaker(self) -> Source | None:
        """Whose sound is listened to."""
        return self._beside or self._source

    @property
    def lag_ns(self) -> int:
        """How far what is heard is behind the sound: pictures are made so much later while somebody speaks, whether
        the listener is there just now or not.
        """
        waits = self.speaker is not None and self._look_ahead_ns > 0
        return self._look_ahead_ns + self._interval_ns if waits else 0

    @property
    def patience_ns(self) -> int:
        """How long sound is waited for beyond the moment it should have come."""
        return self._look_ahead_ns + 3 * self._interval_ns

    # --- sound in -------------------------------------------------------------------------------------

    def put(self, frame: AudioFrame, source: Source) -> None:
        """Live: take sound; that of others than the speaker is ignored."""
        if source is not self.speaker or self._listener is None:
            return
        now_ns = self._clock.now_ns()
        if now_ns > self._expected_ns:
            self._stretch_ns = frame.capture_ns
        self._expected_ns = now_ns + frame.duration_ns + _PAUSE_NS
        passage = Passage(0, frame.capture_ns, self._budget.due_ns(frame.capture_ns))
        if not self._listen.inbox.try_put(Parcel(frame, passage, self._epoch)):
            self.dropped += 1

    def process(self, frame: AudioFrame) -> None:
        """Listen to `frame` here and now: offline, where nothing goes on before it has been heard.

        Raises what the listener raises.
        """
        self._answered(self._heard_in(frame), self._epoch)

    def passed(self, time_ns: int) -> None:
        """Offline: all sound before `time_ns` has been processed."""
        self._passed_ns = max(self._passed_ns, time_ns - self._look_ahead_ns - self._interval_ns)

    def finished(self) -> None:
        """Offline: no more sound will come."""
        self._passed_ns = _FOREVER

    def rest(self, after: AudioFrame) -> AudioFrame | None:
        """So much silence after the last sound lets the listener say the last of it."""
        if self._listener is None:
            return None
        length = (self._look_ahead_ns + 2 * self._interval_ns) * after.rate // NS_PER_S
        silence = after.samples[:1].repeat(length, axis=0) * 0
        return AudioFrame(silence, after.rate, after.capture_ns + after.duration_ns)

    def interrupt(self) -> None:
        """Forget what was said and what waits to be heard."""
        with self._answering:
            self._epoch += 1
            self._stale = True
            self._first_ns = None
            self._expected_ns = 0
            self._timeline.clear()
        self._listen.inbox.bump_epoch(self._epoch)
        if self._listener is not None:
            self._listen.between(self._begin_anew, "begin anew")

    def between(self, change: Callable[[], None]) -> None:
        """Make a change on a lane while the listener is at rest."""
        self._listen.between(change)

    def close(self) -> None:
        """Stop; returns when the listener is at rest. Blocks: call it off the event loop."""
        self._listen.close()

    # --- what was heard: any thread -------------------------------------------------------------------

    @property
    def reached_ns(self) -> int | None:
        """Up to when the sound has been heard; None before the first answer."""
        return self._timeline.reached_ns

    @property
    def began_ns(self) -> int | None:
        """From when on it is known, of the last two seconds: from the first sound, if the first answer is near it. None
        before the first answer.
        """
        oldest, first = self._timeline.oldest_ns, self._first_ns
        if oldest is None or first is None or not 0 < oldest - first < self._interval_ns // 2:
            return oldest
        return first

    def at(self, time_ns: int) -> Heard | None:
        """What was heard at that moment; None when nothing was."""
        if self.speaker is None:
            return None
        return self._timeline.at(time_ns, max(3 * self._interval_ns // 2, 60 * NS_PER_MS))

    def knows(self, time_ns: int) -> bool:
        """Whether nothing more will be heard about `time_ns`, or it is not worth waiting for."""
        if self.speaker is None:
            return True
        if self._budget.live:
            return self._clock.now_ns() >= self.until_ns(time_ns)
        return self._listener is None or self._reaches(time_ns) or time_ns <= self._passed_ns

    def until_ns(self, time_ns: int) -> int:
        """Live: until when a picture of that moment waits for the speaker, as far as is known now.

        `lag_ns` always: pictures flow evenly, whether anything is said just now or not. Longer for an answer that is
        on its way, within `patience_ns`.
        """
        meant_ns = time_ns + self.lag_ns
        comes = time_ns >= self._stretch_ns - _AS_GOOD_AS_NS and not self._reaches(time_ns)
        if self._listener is None or not comes:
            return meant_ns
        return max(meant_ns, min(time_ns + self.patience_ns, self._expected_ns))

    def _reaches(self, time_ns: int) -> bool:
        reached_ns = self.reached_ns
        return reached_ns is not None and reached_ns >= time_ns - _AS_GOOD_AS_NS

    # --- on a lane ------------------------------------------------------------------------------------

    def _heard_in(self, frame: AudioFrame) -> list[FaceParams]:
        if (listener := self._listener) is None:
            return []
        self._begin_anew()
        if self._first_ns is None:
            self._first_ns = frame.capture_ns
        start = self._clock.work_ns()
        self._loudness.follow(frame)
        answers = listener.process(frame)
        now = self._clock.now_ns()
        self._trace.span(0, "listen", now, now + self._clock.work_ns() - start)
        self.on_worked()
        return answers

    def _work(self, parcel: Parcel[AudioFrame]) -> list[FaceParams]:
        return self._heard_in(parcel.value)

    def _deliver(self, parcel: Parcel[AudioFrame], answers: list[FaceParams]) -> None:
        self._answered(answers, parcel.epoch)

    def _answered(self, answers: list[FaceParams], epoch: int) -> None:
        with self._answering:
            if epoch != self._epoch:
                return
            self._timeline.add(answers, self._loudness)
        self.on_heard()

    def _begin_anew(self) -> None:
        with self._answering:
            if not self._stale:
                return
            self._stale = False
            self._loudness.clear()
            if (listener := self._listener) is not None:
                listener.reset()


def _nobody_asks() -> None:
    """Until a pipeline does."""


def _never(parcel: Parcel[AudioFrame]) -> None:
    """Sound is not dropped for being late."""
