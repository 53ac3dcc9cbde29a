"""A session in virtual time: due times, failures, sources that come and go, sound beside the picture."""

import asyncio
import threading

import numpy as np
import pytest

from mien.clock import NS_PER_S, OfflineClock
from mien.errors import CapacityError, ConfigError, DeviceError, InputError, MienError, StageError
from mien.frames import FaceParams, VideoFrame
from mien.testing.clock import VirtualClock
from mien.testing.stages import MemoryOutput, ScriptedSource
from world import INTERVAL, MS, avatar, beep, failing_at, picture, pose, world

pytestmark = pytest.mark.unit


async def test_pictures_go_all_the_way():
    async with world() as w:
        session = await w.engine.open_session("main")
        output = MemoryOutput()
        await session.add_output(output)
        await session.drive(lambda: ScriptedSource([picture(n) for n in range(25)]))
        await w.clock.advance(NS_PER_S)
        assert len(output.pictures) >= 25
        stamps = [p.capture_ns for p in output.pictures]
        assert stamps == sorted(set(stamps)), "pictures come in order, none twice"
        assert w.trackers[0].seen == 25
        snapshot = session.snapshot()
        assert snapshot["late"] == 0
        assert snapshot["fps"] == pytest.approx(25, abs=2)
        assert {"track", "drive", "render", "total"} <= set(snapshot["latency_ms"])


async def test_a_frame_past_its_due_time_is_dropped_and_the_slow_stage_charged():
    clock, slow = VirtualClock(), {10, 11, 12}

    def before(frame):
        if frame.index in slow:
            clock._now_ns = frame.capture_ns + 70 * MS

    async with world("video.budget_ms=60", "video.adaptive=false", before_track=before, clock=clock) as w:
        session = await w.engine.open_session("main")
        await session.drive(lambda: ScriptedSource([picture(n) for n in range(30)]))
        await clock.advance(2 * NS_PER_S)
        snapshot = session.snapshot()
        assert snapshot["dropped"]["before render"] == 2
        rendered = {p.index for p in w.renderers[0].rendered if p.capture_ns == p.index * INTERVAL}
        assert rendered & slow == {10}, "for so long none had gone on"


async def test_sessions_of_one_engine_do_not_blink_alike():
    async with world() as w:
        for name in ("main", "other"):
            await w.engine.open_session(name)
        await w.clock.advance(10 * NS_PER_S)
        one, other = (np.array([p.expression[0] for p in made.rendered[:240]]) for made in w.renderers)
        assert one.max() > 0.5 < other.max()
        assert np.mean(one * other) < 0.5 * np.mean(one * one)


async def test_a_face_that_is_lost_never_stops_the_pictures():
    async with world() as w:
        session = await w.engine.open_session("main")
        output = MemoryOutput()
        await session.add_output(output)
        frames = [picture(n, grey=0 if 10 <= n < 60 else 128) for n in range(80)]
        await session.drive(lambda: ScriptedSource(frames))
        await w.clock.advance(3 * NS_PER_S)
        assert session.frames_without_face == 50
        gaps = np.diff([p.capture_ns for p in output.pictures])
        assert gaps.max() <= 3 * INTERVAL


async def test_without_a_source_the_avatar_idles_at_the_frame_rate():
    async with world() as w:
        session = await w.engine.open_session("main")
        output = MemoryOutput()
        await session.add_output(output)
        await w.clock.advance(2 * NS_PER_S)
        assert 45 <= len(output.pictures) <= 51
        assert session.state == "idle"
        assert not w.trackers, "no tracker is opened while nobody needs one"


async def test_an_unplugged_camera_is_told_and_tried_again():
    async with world() as w:
        session = await w.engine.open_session("main")
        made = []

        def camera():
            made.append(ScriptedSource([], fails=DeviceError("the camera went away; plug it in again")))
            return made[-1]

        output = MemoryOutput()
        await session.add_output(output)
        await session.drive(camera)
        await w.clock.advance(4 * NS_PER_S)
        assert len(made) == 4, "tried at 0, 0.5, 1.5 and 3.5 s"
        assert all(s.closed for s in made)
        assert any("went away" in n.text for n in session.board.recent)
        assert len(output.pictures) > 80, "the avatar idles meanwhile"


async def test_a_source_that_must_open_is_opened_once_or_refused():
    class Unplugged(ScriptedSource):
        async def open(self, context):
            raise DeviceError("there is no camera; plug one in")

    async with world() as w:
        session = await w.engine.open_session("main")
        unplugged, made = Unplugged([]), []

        def camera():
            made.append(ScriptedSource([picture(0)]))
            return made[-1]

        with pytest.raises(DeviceError, match="plug one in"):
            await session.drive(lambda: unplugged, must_open=True)
        assert unplugged.closed == 1
        await session.drive(camera, must_open=True)
        await w.clock.advance(NS_PER_S)
        assert [(source.opened, source.closed) for source in made] == [(1, 1)]


async def test_an_attached_source_takes_over_and_gives_back():
    async with world() as w:
        session = await w.engine.open_session("main")
        configured = []

        def demo():
            configured.append(
                ScriptedSource([pose(n, start_ns=w.clock.now_ns()) for n in range(500)], title="demo")
            )
            return configured[-1]

        await session.drive(demo)
        await w.clock.advance(200 * MS)
        assert session.source_name == "demo"
        browser = ScriptedSource([picture(n, start_ns=w.clock.now_ns()) for n in range(10)], title="browser")
        await session.attach_source(browser)
        await w.clock.advance(200 * MS)
        assert session.source_name == "browser"
        assert configured[0].closed == 1
        await w.clock.advance(NS_PER_S)
        assert browser.closed == 1, "it ended by itself"
        assert session.source_name == "demo"
        assert len(configured) == 2
        await session.detach_source(browser)
        assert len(configured) == 2, "detaching what is gone changes nothing"


async def test_a_failing_tracker_is_restarted_and_the_avatar_lives_on():
    def before(frame):
        if frame.index == 5:
            raise RuntimeError("graph crashed")

    async with world(before_track=before) as w:
        session = await w.engine.open_session("main")
        output = MemoryOutput()
        await session.add_output(output)
        await session.drive(lambda: ScriptedSource([picture(n) for n in range(100)]))
        await w.clock.advance(300 * MS)
        assert session.state == "degraded"
        await w.clock.advance(4 * NS_PER_S)
        assert session.state != "degraded"
        assert len(w.trackers) == 2
        assert w.trackers[0].closed == 1
        assert any("graph crashed" in n.text for n in session.board.recent)
        assert np.diff([p.capture_ns for p in output.pictures]).max() <= 3 * INTERVAL


async def test_while_the_renderer_restarts_the_last_picture_stands():
    async with world(before_render=failing_at(10)) as w:
        session = await w.engine.open_session("main")
        output = MemoryOutput()
        await session.add_output(output)
        await session.drive(lambda: ScriptedSource([picture(n) for n in range(100)]))
        await w.clock.advance(4 * NS_PER_S)
        assert len(w.renderers) == 2
        assert w.renderers[0].closed == 1
        assert np.diff([p.capture_ns for p in output.pictures]).max() <= 3 * INTERVAL


async def test_camera_pixels_never_reach_an_output():
    def before(params):
        raise RuntimeError("always")

    async with world(before_render=before) as w:
        session = await w.engine.open_session("main")
        output = MemoryOutput()
        await session.add_output(output)
        await session.drive(lambda: ScriptedSource([picture(n) for n in range(50)]))
        await w.clock.advance(3 * NS_PER_S)
        assert output.pictures == []


async def test_sound_comes_with_its_picture():
    async with world() as w:
        session = await w.engine.open_session("main")
        output = MemoryOutput()
        await session.add_output(output)
        items = sorted(
            [picture(n) for n in range(50)] + [beep(n) for n in range(100)], key=lambda i: i.capture_ns
        )
        await session.drive(lambda: ScriptedSource(items))
        await w.clock.advance(3 * NS_PER_S)
        assert [a.capture_ns for a in output.sound] == [n * 20 * MS for n in range(100)]
        # Each came when the picture of its moment had come, and not long before the next one.
        assert all(
            0 <= at - a.capture_ns <= 45 * MS for a, at in zip(output.sound, output.sound_times, strict=True)
        )


async def test_a_pause_silences_the_driver():
    async with world() as w:
        session = await w.engine.open_session("main")
        output = MemoryOutput()
        await session.add_output(output)
        session.update_controls({"paused": True})
        items = sorted(
            [picture(n) for n in range(50)] + [beep(n) for n in range(100)], key=lambda i: i.capture_ns
        )
        await session.drive(lambda: ScriptedSource(items))
        await w.clock.advance(3 * NS_PER_S)
        assert output.sound == []
        assert session.state == "paused"
        assert len(output.pictures) > 40


async def test_controls_are_refused_whole():
    async with world() as w:
        session = await w.engine.open_session("main")
        before = session.controls
        with pytest.raises(ConfigError):
            session.update_controls({"mirror": True, "nonsense": 1})
        assert session.controls == before
        assert session.update_controls({"head": {"yaw": 5}}).head.yaw == 5


async def test_switching_the_avatar_keeps_the_old_one_until_the_new_one_is_ready():
    async with world() as w:
        session = await w.engine.open_session("main")
        output = MemoryOutput()
        await session.add_output(output)
        await w.clock.advance(200 * MS)
        await session.set_avatar(avatar("Somebody else"))
        await w.clock.advance(200 * MS)
        assert [r.closed for r in w.renderers] == [1, 0]
        assert session.snapshot()["avatar"] == "Somebody else"
        assert w.renderers[1].rendered


async def test_a_slow_output_holds_up_nobody():
    class Slow(MemoryOutput):
        async def video(self, frame):
            await super().video(frame)
            await asyncio.Event().wait()

    async with world() as w:
        session = await w.engine.open_session("main")
        slow, fast = Slow(), MemoryOutput()
        await session.add_output(slow)
        await session.add_output(fast)
        await w.clock.advance(2 * NS_PER_S)
        assert len(slow.pictures) == 1
        assert len(fast.pictures) > 40
        assert session.snapshot()["dropped"]["overtaken at outputs"] > 30


async def test_an_output_that_fails_is_closed_and_told():
    class Full(MemoryOutput):
        async def video(self, frame):
            raise DeviceError("the disk is full; make room")

    async with world() as w:
        session = await w.engine.open_session("main")
        full = Full()
        await session.add_output(full)
        await w.clock.advance(NS_PER_S)
        assert full.closed == 1
        assert any("disk is full" in n.text for n in session.board.recent)


async def test_two_sessions_do_not_mix():
    async with world() as w:
        outputs = []
        for name, grey in (("a", 60), ("b", 200)):
            session = await w.engine.open_session(name)
            output = MemoryOutput()
            await session.add_output(output)
            await session.drive(lambda grey=grey: ScriptedSource([picture(n, grey) for n in range(60)]))
            outputs.append(output)
        await w.clock.advance(3 * NS_PER_S)
        jaws = [max(p.expression[17] for p in r.rendered[20:50]) for r in w.renderers]
        assert jaws[0] != pytest.approx(jaws[1], abs=0.1)
        for output, other in zip(outputs, reversed(outputs), strict=True):
            mine = {int(p.pixels.max()) for p in output.pictures[20:50]}
            assert not mine & {int(p.pixels.max()) for p in other.pictures[20:50]}


async def test_one_more_than_fits_is_refused_with_the_reason():
    async with world("engine.max_sessions=2") as w:
        await w.engine.open_session("a")
        await w.engine.open_session()
        with pytest.raises(CapacityError, match="runs 2 sessions at once"):
            await w.engine.open_session("c")
        await w.engine.close_session("a")
        await w.engine.open_session("c")


async def test_names_are_checked():
    async with world() as w:
        await w.engine.open_session("main")
        with pytest.raises(InputError, match="already"):
            await w.engine.open_session("main")
        with pytest.raises(InputError, match="cannot name"):
            await w.engine.open_session("../etc")


async def test_closing_gives_everything_back():
    async with world() as w:
        session = await w.engine.open_session("main")
        output, source = MemoryOutput(), ScriptedSource([picture(n) for n in range(50)])
        await session.add_output(output)
        await session.drive(lambda: source)
        await w.clock.advance(500 * MS)
        await w.engine.close_session("main")
        assert (output.closed, source.closed) == (1, 1)
        assert [r.closed for r in w.renderers] == [1]
        assert [t.closed for t in w.trackers] == [1]
        assert not [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mien")]


async def test_offline_every_frame_comes_out_in_order():
    async with world(live=False, clock=OfflineClock()) as w:
        session = await w.engine.open_session("offline")
        output = MemoryOutput()
        await session.add_output(output)
        items = sorted(
            [picture(n) for n in range(200)] + [beep(n) for n in range(400)], key=lambda i: i.capture_ns
        )
        told = []
        assert await session.run_to_end(ScriptedSource(items), told.append) == 200
        assert [p.index for p in output.pictures] == list(range(200))
        assert len(output.sound) == 400
        assert told == list(range(1, 201))
        assert session.snapshot()["late"] == 0


async def test_offline_a_failing_stage_ends_the_run():
    def before(frame):
        if frame.index == 20:
            raise RuntimeError("graph crashed")

    async with world(live=False, clock=OfflineClock(), before_track=before) as w:
        session = await w.engine.open_session("offline")
        with pytest.raises(StageError, match="track: graph crashed"):
            await session.run_to_end(ScriptedSource([picture(n) for n in range(200)]))


async def test_offline_replay_is_deterministic():
    runs = []
    for _ in range(2):
        async with world(live=False, clock=OfflineClock()) as w:
            session = await w.engine.open_session("offline")
            await session.run_to_end(ScriptedSource([picture(n, 40 + n % 90) for n in range(120)]))
            runs.append(
                np.array([np.r_[p.rotation, p.expression, p.gaze.ravel()] for p in w.renderers[0].rendered])
            )
    assert np.array_equal(runs[0], runs[1])


async def test_late_frames_lower_the_quality():
    clock = VirtualClock()

    def before(params: FaceParams):
        clock._now_ns += 35 * MS

    async with world("video.budget_ms=30", before_render=before, clock=clock) as w:
        session = await w.engine.open_session("main")
        await session.drive(lambda: ScriptedSource([pose(n) for n in range(200)]))
        await clock.advance(12 * NS_PER_S)
        assert session.snapshot()["level"] == 2
        assert w.renderers[0].level == 2


async def test_who_asks_for_a_session_that_is_being_opened_waits_for_it():
    async with world() as w:
        opening = asyncio.create_task(w.engine.open_session("main"))
        await asyncio.sleep(0)
        assert w.engine.opening == ("main",)
        assert await w.engine.session("main") is await opening
        assert await w.engine.session("other") is None


async def test_under_lasting_lateness_every_third_picture_still_comes():
    clock = VirtualClock()

    def before(frame):
        clock._now_ns = max(clock._now_ns, frame.capture_ns + 100 * MS)

    async with world("video.budget_ms=60", "video.adaptive=false", before_track=before, clock=clock) as w:
        session = await w.engine.open_session("main")
        await session.drive(lambda: ScriptedSource([picture(n) for n in range(200)]))
        await clock.advance(9 * NS_PER_S)
        driven = [p for p in w.renderers[0].rendered if p.capture_ns == p.index * INTERVAL]
        assert len(driven) >= w.trackers[0].seen // 4
        assert len(driven) > 15


async def test_a_slow_tracker_is_slow_but_drives():
    clock = VirtualClock()

    def before(frame):
        clock._now_ns += 150 * MS

    async with world("video.budget_ms=400", before_track=before, clock=clock) as w:
        session = await w.engine.open_session("main")
        await session.drive(lambda: ScriptedSource([picture(n) for n in range(200)]))
        await clock.advance(8 * NS_PER_S)
        driven = [p for p in w.renderers[0].rendered if p.capture_ns == p.index * INTERVAL]
        assert len(driven) >= 0.8 * w.trackers[0].seen, "no tick pushes a tracked face aside"


async def test_a_faster_source_is_thinned_to_the_frame_rate():
    async with world("video.fps=25") as w:
        session = await w.engine.open_session("main")
        frames = [
            VideoFrame(np.full((4, 4, 3), 99, np.uint8), n * NS_PER_S // 30, index=n) for n in range(90)
        ]
        await session.drive(lambda: ScriptedSource(frames))
        await w.clock.advance(4 * NS_PER_S)
        assert 72 <= w.trackers[0].seen <= 77
        assert session.snapshot()["dropped"]["faster than the frame rate"] == 90 - w.trackers[0].seen


async def test_changing_the_source_twice_at_once_leaves_one():
    async with world() as w:
        session = await w.engine.open_session("main")
        made = []

        def camera():
            made.append(ScriptedSource([pose(n, start_ns=w.clock.now_ns()) for n in range(500)]))
            return made[-1]

        other = ScriptedSource([picture(n) for n in range(50)], title="other")
        await asyncio.gather(session.drive(camera), session.attach_source(other), session.drive(camera))
        await w.clock.advance(300 * MS)
        sources = [*made, other]
        assert sum(s.opened - s.closed for s in sources) == 1
        await w.engine.close_session("main")
        assert all(s.opened == s.closed for s in sources)


async def test_an_output_that_cannot_close_keeps_nobody_from_closing():
    class Stuck(MemoryOutput):
        async def close(self):
            raise DeviceError("disk full")

    async with world() as w:
        session = await w.engine.open_session("main")
        await session.drive(lambda: ScriptedSource([picture(n) for n in range(50)]))
        other = MemoryOutput()
        await session.add_output(Stuck())
        await session.add_output(other)
        await w.clock.advance(200 * MS)
        with pytest.raises(DeviceError, match="disk full"):
            await w.engine.close_session("main")
        assert other.closed == 1
        assert w.renderers[0].closed == w.trackers[0].closed == 1


@pytest.mark.parametrize(
    ("setting", "words"),
    [("use.tracker=gray", "Did you mean 'grey'"), ("plugin.fak.x=1", "Did you mean 'fake'")],
)
async def test_names_that_nobody_provides_are_refused_at_once(setting, words):
    with pytest.raises(MienError, match=words):
        async with world(setting):
            pass
