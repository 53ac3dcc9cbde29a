"""Sources that come and go: the newest wins, all are closed, and what they gave up stays counted."""

import asyncio

import numpy as np
import pytest

from mien.cli.listening import keep_listening
from mien.clock import NS_PER_S, OfflineClock
from mien.errors import DeviceError
from mien.frames import NO_FRAME
from mien.testing.stages import MemoryOutput, ScriptedSource
from world import INTERVAL, MS, beep, failing_at, picture, pose, world

pytestmark = pytest.mark.unit


class Lossy(ScriptedSource):
    """Gave up three pictures, and forgets it when it is closed, as a camera's thread does."""

    @property
    def dropped(self):
        return {} if self.closed else {"overtaken at capture": 3}


class Forgetful(MemoryOutput):
    """Gave up two pictures, and forgets it when it is closed, as encoders do."""

    @property
    def dropped(self):
        return {} if self.closed else {"overtaken at encoding": 2}


class Slow(ScriptedSource):
    """Closes when it is let."""

    def __init__(self, items=(), **options):
        super().__init__(items, **options)
        self.gate = asyncio.Event()

    async def close(self):
        await self.gate.wait()
        await super().close()


async def test_counts_of_what_was_dropped_never_fall():
    async with world() as w:
        session = await w.engine.open_session("main")
        output = Forgetful()
        await session.add_output(output)
        await session.attach_source(Lossy([picture(n) for n in range(500)]))
        await w.clock.advance(200 * MS)
        session.snapshot()
        await session.attach_source(other := Lossy([picture(n) for n in range(500)]))
        await session.remove_output(output)
        await w.clock.advance(200 * MS)
        dropped = session.snapshot()["dropped"]
        assert dropped["overtaken at capture"] == 6
        assert dropped["overtaken at encoding"] == 2
        await session.detach_source(other)
        assert session.snapshot()["dropped"]["overtaken at capture"] == 6
        again = Forgetful()
        await session.add_output(again)
        assert session.snapshot()["dropped"]["overtaken at encoding"] == 4


async def test_the_pictures_that_an_output_was_too_slow_for_stay_counted_when_it_fails():
    class Slow(MemoryOutput):
        async def video(self, frame):
            await w.clock.sleep(NS_PER_S)
            raise DeviceError("the disk is full; make room")

    async with world() as w:
        session = await w.engine.open_session("main")
        await session.add_output(slow := Slow())
        await w.clock.advance(900 * MS)
        before = session.snapshot()["dropped"]["overtaken at outputs"]
        await w.clock.advance(900 * MS)
        assert slow.closed == 1
        assert session.snapshot()["dropped"]["overtaken at outputs"] >= before > 10


async def test_offline_what_the_source_gave_up_stays_counted():
    async with world(live=False, clock=OfflineClock()) as w:
        session = await w.engine.open_session("offline")
        await session.run_to_end(Lossy([picture(n) for n in range(3)]))
        assert session.snapshot()["dropped"]["overtaken at capture"] == 3


async def test_a_source_is_closed_though_its_turn_never_began():
    async with world() as w:
        session = await w.engine.open_session("main")
        sources = [ScriptedSource([picture(0)]) for _ in range(4)]
        # All at once: none of them gets to its first step before the next one takes its place.
        await asyncio.gather(*(session.attach_source(source) for source in sources))
        await w.engine.close_session("main")
        assert [source.closed for source in sources] == [1, 1, 1, 1]


async def test_a_source_that_comes_to_a_closed_session_is_closed():
    async with world() as w:
        session = await w.engine.open_session("main")
        await w.engine.close_session("main")
        late, ahead = ScriptedSource([picture(0)]), ScriptedSource([picture(0)])
        await session.attach_source(late)
        await session.drive(lambda: ahead, must_open=True)
        assert (late.opened, late.closed) == (0, 1)
        assert (ahead.opened, ahead.closed) == (1, 1)


async def test_a_source_that_closes_slowly_is_closed_to_the_end():
    async with world() as w:
        session = await w.engine.open_session("main")
        await session.attach_source(slow := Slow())  # ends by itself
        await w.clock.advance(0)
        other = ScriptedSource([picture(n) for n in range(9)])
        attaching = asyncio.create_task(session.attach_source(other))
        await w.clock.advance(0)
        assert not other.opened, "one after the other"
        slow.gate.set()
        await attaching
        assert slow.closed == 1


async def test_who_gives_up_coming_is_closed_and_leaves_no_gap():
    async with world() as w:
        session = await w.engine.open_session("main")
        await session.drive(lambda: ScriptedSource([pose(n) for n in range(99)], title="configured"))
        await session.attach_source(slow := Slow([pose(n) for n in range(99)]))
        await w.clock.advance(100 * MS)
        others = [ScriptedSource([]), ScriptedSource([])]
        # One waits until the former is closed, the other one for its turn to wait.
        tasks = [asyncio.create_task(session.attach_source(other)) for other in others]
        await w.clock.advance(0)
        for task in tasks:
            task.cancel()
        await w.clock.advance(0)
        slow.gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        assert [(other.opened, other.closed) for other in others] == [(0, 1), (0, 1)]
        assert slow.closed == 1
        await w.clock.advance(100 * MS)
        assert session.source_name == "configured"
        assert session.attached is None


async def test_a_voice_that_gives_up_coming_is_closed():
    async with world() as w:
        session = await w.engine.open_session("main")
        await session.attach_voice(slow := Slow([beep(n) for n in range(99)]))
        await w.clock.advance(100 * MS)
        await session.attach_voice(second := ScriptedSource([beep(n) for n in range(99)]))
        await w.clock.advance(0)
        attaching = asyncio.create_task(session.attach_voice(third := ScriptedSource([])))
        await w.clock.advance(0)
        attaching.cancel()
        slow.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await attaching
        await w.clock.advance(100 * MS)
        assert (third.opened, third.closed) == (0, 1)
        assert slow.closed == 1
        assert session.voice is second


async def test_whoever_waits_for_the_floor_is_told_though_the_next_one_gives_up():
    class Opening(Slow):
        async def open(self, context):
            await context.clock.sleep(NS_PER_S)

    async with world() as w:
        session = await w.engine.open_session("main")
        await session.attach_voice(slow := Opening())
        await w.clock.advance(0)
        vacant = asyncio.create_task(session.voice_vacant())
        attaching = asyncio.create_task(session.attach_voice(ScriptedSource([])))
        await w.clock.advance(0)
        attaching.cancel()
        slow.gate.set()
        await w.clock.advance(100 * MS)
        assert attaching.cancelled()
        assert session.voice is None
        assert vacant.done()


async def test_a_microphone_that_waits_gives_way_to_a_voice_that_has_just_come():
    async with world() as w:
        session = await w.engine.open_session("main")
        await session.attach_voice(first := Slow([beep(n) for n in range(99)]))
        await w.clock.advance(100 * MS)
        microphones = []

        def microphone():
            microphones.append(ScriptedSource([beep(n, w.clock.now_ns()) for n in range(99)]))
            return microphones[-1]

        listening = asyncio.create_task(keep_listening(session, microphone, w.clock))
        leaving = asyncio.create_task(session.detach_voice(first))
        await w.clock.advance(0)
        second = ScriptedSource([beep(n) for n in range(99)])
        coming = asyncio.create_task(session.attach_voice(second))
        await w.clock.advance(0)
        first.gate.set()
        await asyncio.gather(leaving, coming)
        await w.clock.advance(NS_PER_S)
        assert (second.closed, session.voice) == (0, second)
        assert [source.opened for source in microphones] == [0] * len(microphones)
        await session.detach_voice(second)
        await w.clock.advance(NS_PER_S // 2)
        assert session.voice is microphones[-1]
        listening.cancel()
        await asyncio.wait({listening})
        await w.engine.close_session("main")
        assert all(source.closed == 1 for source in microphones)


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_who_gives_up_leaving_has_left_and_leaves_nothing_open(times):
    made = []

    def camera():
        made.append(ScriptedSource([pose(n, start_ns=w.clock.now_ns()) for n in range(99)], title="camera"))
        return made[-1]

    async with world() as w:
        session = await w.engine.open_session("main")
        await session.drive(camera)
        await session.attach_source(slow := Slow([pose(n) for n in range(99)]))
        await w.clock.advance(100 * MS)
        detaching = asyncio.create_task(session.detach_source(slow))
        for _ in range(times):
            await w.clock.advance(0)
            detaching.cancel()
        await w.clock.advance(0)
        slow.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await detaching
        await w.clock.advance(100 * MS)
        assert (slow.closed, session.source_name) == (1, "camera")
        await w.engine.close_session("main")
        assert [(source.opened, source.closed) for source in made] == [(1, 1)] * len(made)


async def test_a_source_opened_ahead_is_closed_when_another_one_is_configured():
    async with world() as w:
        session = await w.engine.open_session("main")
        await session.attach_source(ScriptedSource([pose(n) for n in range(500)]))
        waiting = ScriptedSource([picture(0)])
        await session.drive(lambda: waiting, must_open=True)
        assert waiting.closed == 0
        await session.drive(None)
        assert waiting.closed == 1


async def test_a_source_that_cannot_be_made_is_told_and_tried_again():
    made = []

    def camera():
        made.append(ScriptedSource([pose(n, start_ns=w.clock.now_ns()) for n in range(99)], title="camera"))
        if len(made) == 1:
            raise DeviceError("there is no camera; plug one in")
        return made[-1]

    async with world() as w:
        session = await w.engine.open_session("main")
        await session.drive(camera)
        await w.clock.advance(NS_PER_S)
        assert session.source_name == "camera"
        assert any("plug one in" in n.text for n in session.board.recent)


async def test_a_picture_that_is_held_is_no_frame_and_time_goes_on():
    async with world(before_render=failing_at(10)) as w:
        session = await w.engine.open_session("main")
        await session.add_output(output := MemoryOutput())
        # A slow way: pictures come 60 ms after their light did.
        frames = [picture(n, start_ns=-60 * MS) for n in range(100)]

        class Late(ScriptedSource):
            async def frames(self):
                for frame in frames:
                    await w.clock.sleep_until(frame.capture_ns + 60 * MS)
                    yield frame

        await session.drive(lambda: Late([]))
        await w.clock.advance(3 * NS_PER_S)
        held = [p for p in output.pictures if p.index == NO_FRAME]
        assert len(held) > 5
        assert all((p.pixels == held[0].pixels).all() for p in held)
        stamps = np.diff([p.capture_ns for p in output.pictures])
        assert stamps.min() > 0, "time grows"
        assert stamps.max() <= 3 * INTERVAL
        # A held picture is as old as those before it, or sound would no longer lie beside it.
        before_it = max(p.capture_ns for p in output.pictures if p.capture_ns < held[0].capture_ns)
        assert held[0].capture_ns - before_it <= 3 * INTERVAL
