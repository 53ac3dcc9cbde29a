"""A program that talks for hours through a whole session: sound and pictures stay together, and nothing piles up.

What goes wrong in a long stream does so in proportion to its length, and virtual time is exact: seconds tell to the
nanosecond what hours do. The hours themselves are in the numbers that time begins with, and in the pauses.
"""

from __future__ import annotations

import itertools
from collections.abc import Sized

import numpy as np
import pytest

from mien.clock import NS_PER_S
from mien.frames import AudioFrame, Float, VideoFrame
from mien.session import Session
from mien.testing.clock import VirtualClock
from mien.testing.stages import MemoryOutput
from mien_webrtc.pushing import Event, Playing, PushSource
from world import INTERVAL, MS, World, world

pytestmark = pytest.mark.plugin

HOUR_NS = 3600 * NS_PER_S
MOST_DRIFT = 5 * MS / HOUR_NS
"""5 ms an hour."""
LOUD, SOFT = 0.8, 0.2
PIECE_NS = 400 * MS
"""Sound is loud and soft in turn for so long."""


class LeapingClock(VirtualClock):
    """Work takes no time, so that what is measured is the same on every machine. Hours pass at one go."""

    def work_ns(self) -> int:
        return self.now_ns()

    async def leap(self, duration_ns: int) -> None:
        self._now_ns += duration_ns
        await self.advance(0)


class Watched(MemoryOutput):
    """Remembers how late pictures came, too."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self.clock = clock
        self.waits: list[int] = []

    async def video(self, frame: VideoFrame) -> None:
        await super().video(frame)
        self.waits.append(self.clock.now_ns() - frame.capture_ns)

    @property
    def sound_waits(self) -> list[int]:
        return [at - a.capture_ns for a, at in zip(self.sound, self.sound_times, strict=True)]


class Program:
    """Pushes `PIECE_NS` of sound at a time, as much as passes, into a session."""

    def __init__(self, w: World, session: Session, rate: int) -> None:
        self.events: list[Event] = []
        self.source = PushSource(w.clock, self.events.append, delay_ns=lambda: session.sound_delay_ns)
        self._clock = w.clock
        self._rate = rate
        self._pieces = 0

    async def talk(self, pieces: int) -> None:
        for _ in range(pieces):
            level = (SOFT, LOUD)[self._pieces % 2]
            first, last = (n * PIECE_NS * self._rate // NS_PER_S for n in (self._pieces, self._pieces + 1))
            assert self.source.push(np.full((last - first, 1), level, np.float32), self._rate)
            self._pieces += 1
            await self._clock.advance(PIECE_NS)


def waiting(session: Session) -> int:
    """How much is kept between the source and the outputs: stretches of sound, answers, poses."""
    hearing, pipeline = session._hearing, session._pipeline
    kept: list[Sized] = [session._sound._waiting, hearing._timeline._answers, hearing._loudness._levels]
    kept += [hearing._listen.inbox, pipeline._render.inbox, pipeline._meeting._waiting]
    kept += [pump._sound for pump in session._outputs._pumps.values()]
    return sum(len(channel) for channel in kept)


def unbroken(sound: list[AudioFrame]) -> bool:
    """Whether each stretch begins where the last one ended: no time stamp restarts, stands still or leaps."""
    return all(abs(b.capture_ns - a.capture_ns - a.duration_ns) <= 1 for a, b in itertools.pairwise(sound))


def offsets(sound: list[AudioFrame], pictures: list[VideoFrame]) -> list[int]:
    """How much later than the sound, whose samples are counted from the first one on, the mouth opens and shuts."""
    samples = np.concatenate([frame.samples[:, 0] for frame in sound])
    heard = sound[0].capture_ns + _steps(samples) * NS_PER_S // sound[0].rate
    pictures = [p for p in pictures if p.capture_ns >= sound[0].capture_ns]
    times = np.array([p.capture_ns for p in pictures])
    seen = times[_steps(np.array([p.pixels.mean() for p in pictures]) / 255)]
    assert len(heard)
    return list((seen - heard[: len(seen)]).tolist())


def _steps(values: Float) -> Float:
    """Where the loud and the soft give way to one another."""
    return np.flatnonzero(np.diff((values > (LOUD + SOFT) / 2).astype(int))) + 1


@pytest.mark.parametrize("rate", [11_025, 24_000])
async def test_a_stream_that_has_run_for_a_day_goes_on_together(rate: int) -> None:
    async with world(clock=LeapingClock(start_ns=24 * HOUR_NS)) as w:
        session = await w.engine.open_session("main")
        await session.add_output(output := Watched(w.clock))
        await session.attach_voice((program := Program(w, session, rate)).source)
        await program.talk(6)
        kept = waiting(session)
        output.waits.clear()
        await program.talk(12)
        assert waiting(session) <= kept + 2
        assert unbroken(output.sound)
        assert all(b.capture_ns > a.capture_ns for a, b in itertools.pairwise(output.pictures))
        assert {event.playing for event in program.events} == {Playing.STARTED}
        apart = offsets(output.sound, output.pictures)
        assert len(apart) >= 16
        assert max(map(abs, apart)) <= INTERVAL // 2
        assert abs(apart[-1] - apart[0]) <= MOST_DRIFT * 16 * PIECE_NS
        # And what came last is handed over when its pictures are.
        assert np.mean(output.sound_waits[-50:]) == pytest.approx(np.mean(output.waits[-25:]), abs=MS)


async def test_somebody_who_says_a_word_every_three_hours_is_in_step_each_time() -> None:
    async with world(clock=(clock := LeapingClock())) as w:
        session = await w.engine.open_session("main")
        await session.add_output(output := Watched(w.clock))
        await session.attach_voice((program := Program(w, session, 16_000)).source)
        kept, late = [], []
        for word_number in range(8):
            sounds, pictures = len(output.sound), len(output.pictures)
            await program.talk(2)
            if interrupted := word_number % 3 == 0:
                program.source.clear()
                session.interrupt_voice()
            else:
                program.source.flush()
            await w.clock.advance(NS_PER_S)
            word = output.sound[sounds:]
            assert interrupted or unbroken(word)
            opens_ns, *_ = offsets(word, output.pictures[pictures:])
            assert abs(opens_ns) <= INTERVAL // 2
            late.append(output.sound_waits[sounds])
            kept.append(waiting(session))
            await clock.leap(3 * HOUR_NS)
        for times in ([a.capture_ns for a in output.sound], [p.capture_ns for p in output.pictures]):
            assert all(b > a for a, b in itertools.pairwise(times))
        assert output.sound[-1].capture_ns > 21 * HOUR_NS
        assert np.ptp(late) <= INTERVAL
        assert max(kept[4:]) <= max(kept[:4])
        assert [e.playing for e in program.events].count(Playing.STARTED) == 8
