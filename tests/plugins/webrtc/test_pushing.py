"""Sound pushed by a program: played at the clock's pace, bounded, interrupted, and what the client is told."""

from __future__ import annotations

import asyncio
import itertools
from typing import Self

import numpy as np
import pytest

from mien.clock import NS_PER_MS, NS_PER_S
from mien.frames import AudioFrame, Float
from mien.testing.clock import VirtualClock
from mien_webrtc.pushing import CUSHION_NS, TAIL_NS, Event, PushSource

pytestmark = pytest.mark.unit

RATE = 24_000


def sound(seconds: float, rate: int = RATE, level: float = 0.5) -> Float:
    return np.full((round(seconds * rate), 1), level, np.float32)


class Player:
    """A pushed source that is read as a session reads it."""

    def __init__(self, *, buffer_s: float = 2.0, delay_ns: int = 0) -> None:
        self.clock = VirtualClock(start_ns=NS_PER_S)
        self.events: list[Event] = []
        self.source = PushSource(self.clock, self.events.append, buffer_s=buffer_s, delay_ns=lambda: delay_ns)
        self.frames: list[AudioFrame] = []
        self.times: list[int] = []
        self.held_up: dict[int, float] = {}
        """number of a frame -> seconds for which the machine does nothing else after it"""

    async def __aenter__(self) -> Self:
        self.reading = asyncio.create_task(self._read())
        await self.clock.advance(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.reading.cancel()
        await asyncio.gather(self.reading, return_exceptions=True)
        await self.source.close()

    async def _read(self) -> None:
        async for frame in self.source.frames():
            self.frames.append(frame)
            self.times.append(self.clock.now_ns())
            if seconds := self.held_up.get(len(self.frames)):
                await self.clock.sleep(round(seconds * NS_PER_S))

    async def after(self, seconds: float) -> None:
        await self.clock.advance(round(seconds * NS_PER_S))

    @property
    def told(self) -> list[str]:
        return [str(event.playing) for event in self.events]

    @property
    def heard_s(self) -> float:
        """Seconds of sound, not of silence."""
        return sum(frame.duration_ns for frame in self.frames if frame.samples.any()) / NS_PER_S


async def test_it_is_played_in_real_time_however_fast_it_comes() -> None:
    async with Player() as player:
        player.source.push(sound(1.0), RATE)
        player.source.flush()
        await player.after(0.5)
        assert 0.5 <= player.heard_s <= 0.54
        await player.after(0.6)
        assert player.heard_s == pytest.approx(1.0)
        assert player.told == ["started", "finished"]
        assert player.events[-1].position_s == pytest.approx(1.0)
        for time, frame in zip(player.times, player.frames, strict=True):
            assert time == frame.capture_ns
        for one, other in itertools.pairwise(player.frames):
            assert other.capture_ns == one.capture_ns + one.duration_ns


async def test_the_end_is_told_when_it_was_heard_and_not_when_it_was_sent() -> None:
    """Who leaves then would take along what waits for its picture."""
    async with Player(delay_ns=200 * NS_PER_MS) as player:
        player.source.push(sound(1.0), RATE)
        player.source.flush()
        await player.after(0.19)
        assert player.told == []
        await player.after(0.03)
        assert player.told == ["started"]
        assert player.events[0].position_s == 0
        await player.after(0.88)
        assert player.told == ["started"]
        await player.after(0.12)
        assert player.told == ["started", "finished"]
        assert player.events[-1].position_s == pytest.approx(1.0)
        assert player.heard_s == pytest.approx(1.0)


async def test_what_follows_at_once_is_not_held_up_by_that() -> None:
    async with Player(delay_ns=200 * NS_PER_MS) as player:
        for _ in range(2):
            player.source.push(sound(0.2), RATE)
            player.source.flush()
        await player.after(1)
        assert player.told == ["started", "finished", "started", "finished"]
        spoken = [frame for frame in player.frames if frame.samples.any()]
        assert spoken[-1].capture_ns - spoken[0].capture_ns == 380 * NS_PER_MS


async def test_silence_follows_so_that_the_mouth_closes_and_then_nothing() -> None:
    async with Player() as player:
        player.source.push(sound(0.1), RATE)
        player.source.flush()
        await player.after(5)
        quiet = [frame for frame in player.frames if not frame.samples.any()]
        assert sum(frame.duration_ns for frame in quiet) == TAIL_NS
        assert player.frames[-len(quiet) :] == quiet


async def test_sound_sent_as_it_comes_is_cushioned_and_not_chopped() -> None:
    rng = np.random.default_rng(1)
    async with Player() as player:
        for _ in range(50):
            player.source.push(sound(0.02), RATE)
            late = rng.uniform(0, 0.03)
            await player.after(late)
            await player.after(0.02 - late if late < 0.02 else 0)
        player.source.flush()
        await player.after(1)
        assert player.told[0] == "started"
        assert "starved" not in player.told
        assert player.heard_s == pytest.approx(1.0)
        assert player.frames[0].capture_ns <= NS_PER_S + CUSHION_NS + 10 * NS_PER_MS


async def test_a_busy_machine_does_not_make_it_later_and_later() -> None:
    """What was there in time keeps its time; only what was handed on late is late."""
    async with Player() as player:
        player.held_up = {5: 0.09, 17: 0.05, 30: 0.13}
        for _ in range(100):
            player.source.push(sound(0.02), RATE)
            await player.after(0.02)
        for one, other in itertools.pairwise(player.frames):
            assert other.capture_ns == one.capture_ns + one.duration_ns
        assert player.times[-1] - player.frames[-1].capture_ns == 0
        assert player.source.queued_s <= 0.08
        assert "starved" not in player.told


async def test_after_a_long_standstill_it_goes_on_from_then() -> None:
    async with Player() as player:
        player.held_up = {5: 3.0}
        player.source.push(sound(1.0), RATE)
        player.source.flush()
        await player.after(5)
        late = [time - frame.capture_ns for time, frame in zip(player.times, player.frames, strict=True)]
        assert max(late) < NS_PER_S // 2
        assert player.heard_s == pytest.approx(1.0)


@pytest.mark.parametrize("level", [0.0, 0.003])
async def test_what_a_hiccup_of_the_client_cost_is_made_up_for_in_the_next_pause(level: float) -> None:
    """Sound that is sent as it is spoken; its pauses are silent, or as quiet as a room."""
    rng = np.random.default_rng(2)

    def piece(spoken: bool) -> Float:
        return sound(0.02) if spoken else (rng.normal(0, level, (round(0.02 * RATE), 1))).astype(np.float32)

    async with Player() as player:
        for n in range(300):
            player.source.push(piece(spoken=n % 100 < 60), RATE)
            await player.after(
                0.3 if n == 130 else 0 if 130 < n <= 144 else 0.02
            )  # it stands still, then hurries
            if n == 150:
                assert player.source.queued_s > 0.25
        assert player.told == ["started", "starved"]
        assert player.source.queued_s <= 0.1
        assert player.heard_s == pytest.approx(3.6 if level == 0 else 6.0, abs=0.4), (
            "all that was said is heard"
        )
        player.source.flush()
        await player.after(1)
        assert player.events[-1].position_s == pytest.approx(6.0), (
            "what is left out of a pause has passed, too"
        )


async def test_a_voice_that_begins_before_it_can_be_heard_catches_up() -> None:
    """The listener is opened when it is first needed, which takes its time."""
    clock = VirtualClock(start_ns=NS_PER_S)
    source = PushSource(clock)
    for _ in range(50):
        source.push(sound(0.02), RATE)
        await clock.advance(20 * NS_PER_MS)
    reading = asyncio.create_task(anext(frames := source.frames()))
    await clock.advance(0)
    frame = reading.result()
    assert frame.capture_ns == 2 * NS_PER_S
    for n in range(130):
        source.push(sound(0.02, level=0.5 * (n < 50)), RATE)
        await clock.advance(20 * NS_PER_MS)
        reading = asyncio.create_task(anext(frames))
        await clock.advance(0)
        await reading
    assert source.queued_s <= 0.1
    await source.close()


async def test_pauses_stay_as_they_are_where_nothing_had_to_be_waited_for() -> None:
    async with Player(buffer_s=10) as player:
        for level in (0.5, 0.0, 0.5):
            player.source.push(sound(1.0, level=level), RATE)
        player.source.flush()
        await player.after(4)
        spoken = [frame.capture_ns for frame in player.frames if frame.samples.any()]
        assert spoken[-1] - spoken[0] == 2_980 * NS_PER_MS


async def test_a_recording_that_waited_for_the_listener_keeps_its_pauses() -> None:
    """Nobody speaks it just now: there is nothing to catch up with."""
    player = Player(buffer_s=10)
    for level in (0.5, 0.0, 0.5, 0.0, 0.5):
        player.source.push(sound(1.0, level=level), RATE)
    player.source.flush()
    await player.after(2)
    async with player:
        await player.after(6)
        spoken = [frame.capture_ns for frame in player.frames if frame.samples.any()]
        assert spoken[-1] - spoken[0] == 4_980 * NS_PER_MS


async def test_a_synthesiser_that_stops_between_its_sentences_keeps_the_pauses_within_them() -> None:
    async with Player(buffer_s=20) as player:
        for _ in range(4):
            for level in (0.5, 0.0, 0.5):
                player.source.push(sound(0.5, level=level), RATE)
            await player.after(1.9)
        player.source.flush()
        await player.after(3)
        spoken = [frame.capture_ns for frame in player.frames if frame.samples.any()]
        within = (np.diff(spoken) // NS_PER_MS)[24::50]
        assert within.tolist() == [520] * 4


async def test_a_client_that_stalls_is_told_once_and_goes_on_from_then() -> None:
    async with Player() as player:
        player.source.push(sound(0.2), RATE)
        await player.after(3)
        assert player.told == ["started", "starved"]
        assert player.events[-1].position_s == pytest.approx(0.2)
        before = len(player.frames)
        player.source.push(sound(0.2), RATE)
        player.source.flush()
        await player.after(1)
        assert player.told == ["started", "starved", "finished"]
        assert player.events[-1].position_s == pytest.approx(0.4)
        assert player.frames[before].capture_ns >= 4 * NS_PER_S


async def test_too_much_is_told_then_given_up_and_room_is_told_again() -> None:
    async with Player(buffer_s=1.0) as player:
        assert player.source.push(sound(0.9), RATE)
        assert player.source.push(sound(0.9), RATE)
        assert player.told == ["full"]
        assert not player.source.push(sound(0.9), RATE)
        assert player.source.dropped == {"pushed faster than played": 1}
        assert player.source.queued_s == pytest.approx(1.8)
        room = asyncio.ensure_future(player.source.push_all(sound(0.1), RATE))
        await player.after(1.0)
        assert not room.done()
        await player.after(0.5)
        assert room.done()
        assert player.told == ["full", "started", "ready"]
        player.source.flush()
        await player.after(2)
        assert player.heard_s == pytest.approx(1.9)


async def test_one_long_piece_is_taken_whole() -> None:
    async with Player(buffer_s=1.0) as player:
        assert player.source.push(sound(30), RATE)
        assert not player.source.push(sound(0.1), RATE)


async def test_interrupted_it_is_silent_at_once_and_tells_what_was_heard() -> None:
    async with Player(delay_ns=100 * NS_PER_MS) as player:
        player.source.push(sound(1.5), RATE)
        await player.after(0.5)
        played = player.heard_s
        assert player.source.clear()
        await player.after(1)
        assert player.heard_s <= played + 0.02
        assert player.told == ["started", "interrupted"]
        assert player.events[-1].position_s == pytest.approx(0.4)
        assert player.source.queued_s == 0
        player.source.push(sound(0.1), RATE)
        player.source.flush()
        await player.after(1)
        assert player.told[2:] == ["started", "finished"]
        assert player.events[-1].segment == 2


async def test_what_follows_an_interruption_is_cushioned_anew() -> None:
    """Also when it comes while sound is still gathered."""
    async with Player() as player:
        player.source.push(sound(0.02), RATE)
        await player.after(0.01)
        player.source.clear()
        await player.after(0.5)
        for n in range(20):
            player.source.push(sound(0.02), RATE)
            await player.after(0.03 if n % 2 == 0 else 0.01)
        for one, other in itertools.pairwise(player.frames[:15]):
            assert other.capture_ns == one.capture_ns + one.duration_ns


async def test_what_was_never_heard_is_interrupted_at_its_beginning() -> None:
    async with Player() as player:
        player.source.push(sound(0.5), RATE)
        player.source.clear()
        assert player.told == ["started", "interrupted"]
        assert [(event.segment, event.position_s) for event in player.events] == [(1, 0), (1, 0)]
        assert not player.source.clear()
        await player.after(1)
        assert player.frames == []


async def test_cleared_before_it_is_heard_it_has_begun_all_the_same() -> None:
    """A client that counts what began and what ended comes out even."""
    async with Player(delay_ns=300 * NS_PER_MS) as player:
        player.source.push(sound(1.0), RATE)
        await player.after(0.15)
        assert player.told == []
        player.source.clear()
        assert player.told == ["started", "interrupted"]
        assert [(event.segment, event.position_s) for event in player.events] == [(1, 0), (1, 0)]
        await player.after(1)
        assert len(player.events) == 2


@pytest.mark.parametrize("delay_ms", [0, 300, 1000])
async def test_it_has_run_dry_when_that_is_heard(delay_ms: int) -> None:
    async with Player(delay_ns=delay_ms * NS_PER_MS) as player:
        player.source.push(sound(0.1), RATE)
        await player.after(delay_ms / 1000 + 0.08)
        assert player.told in ([], ["started"])  # gathering, and waiting for more, take their time
        await player.after(0.24)
        assert player.told == ["started", "starved"]
        assert player.events[-1].position_s == pytest.approx(0.1)
        await player.after(3)
        assert len(player.events) == 2


async def test_what_comes_before_that_is_heard_does_not_change_what_is_told() -> None:
    async with Player(delay_ns=300 * NS_PER_MS) as player:
        player.source.push(sound(0.1), RATE)
        await player.after(0.25)
        player.source.push(sound(0.4), RATE)
        assert player.told == []
        await player.after(0.25)
        assert player.told == ["started", "starved"]
        assert player.events[-1].position_s == pytest.approx(0.1)
        player.source.clear()
        assert player.told == ["started", "starved", "interrupted"]
        assert player.events[-1].position_s == pytest.approx(0.1), "less than was told before cannot be"


async def test_what_ran_dry_unheard_is_not_told_of_what_was_cleared() -> None:
    async with Player(delay_ns=300 * NS_PER_MS) as player:
        player.source.push(sound(0.1), RATE)
        await player.after(0.32)
        player.source.clear()
        assert player.told == ["started", "interrupted"]


async def test_segments_follow_one_another() -> None:
    async with Player() as player:
        for _ in range(2):
            player.source.push(sound(0.2), RATE)
            player.source.flush()
            player.source.flush()
        await player.after(1)
        assert player.told == ["started", "finished", "started", "finished"]
        assert [event.segment for event in player.events] == [1, 1, 2, 2]


async def test_the_rate_may_change_on_the_way() -> None:
    async with Player() as player:
        player.source.push(sound(0.1, 8_000), 8_000)
        player.source.push(sound(0.1, 96_000), 96_000)
        player.source.flush()
        await player.after(1)
        assert {frame.rate for frame in player.frames} == {8_000, 96_000}
        assert player.heard_s == pytest.approx(0.2)


async def test_sand_is_gathered_into_grains() -> None:
    async with Player() as player:
        for _ in range(4800):
            player.source.push(sound(1 / RATE), RATE)
        player.source.flush()
        await player.after(1)
        assert player.heard_s == pytest.approx(0.2)
        assert len([frame for frame in player.frames if frame.samples.any()]) <= 11


async def test_an_hour_at_an_odd_rate_does_not_drift() -> None:
    source = PushSource(VirtualClock())
    source._rate, block = 11_025, np.zeros((220, 1), np.float32)
    count = 3600 * 11_025 // 220
    for _ in range(count):
        source._stamped(block)
    assert abs(source._due_ns - count * 220 * NS_PER_S / 11_025) < NS_PER_MS


async def test_whoever_waits_for_room_loses_nothing() -> None:
    async with Player(buffer_s=1.0) as player:
        pushing = asyncio.create_task(player.source.push_all(sound(6.0, 8_000), 8_000))
        for _ in range(30):
            await player.after(0.25)
            assert player.source.queued_s <= 1.5
        assert pushing.done()
        assert player.heard_s == pytest.approx(6.0)
        assert player.source.given_up == 0
        assert np.diff(player.times[:300]).max() == 20 * NS_PER_MS, "and nobody hears it wait"


async def test_a_source_that_ends_lets_everybody_go() -> None:
    async with Player(buffer_s=1.0) as player:
        pushing = asyncio.create_task(player.source.push_all(sound(5.0), RATE))
        await player.after(0.1)
        assert not pushing.done()
        await player.source.close()
        await player.after(0.05)
        assert pushing.done()
        assert player.reading.done()
        assert player.told[-2:] == ["interrupted", "ready"]
        assert player.source.over
        assert player.source.queued_s == 0
