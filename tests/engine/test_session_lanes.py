"""Sessions on a single lane: what takes long is done beside it, and nobody waits for anybody."""

import asyncio
import threading

import numpy as np
import pytest

from mien.avatar import workshop
from mien.clock import SystemClock
from mien.errors import CapacityError, DeviceError
from mien.testing.stages import GreyRenderer, GreyTracker, MemoryOutput
from world import CONSENT, avatar, world

pytestmark = pytest.mark.unit


class Watch:
    """Lets an opening stage wait until the running session has shown another picture."""

    def __init__(self):
        self.picture = threading.Event()
        self.answers = []

    def shown(self, params):
        self.picture.set()

    def open(self):
        self.picture.clear()
        self.answers.append(self.picture.wait(30))


async def test_while_stages_open_the_only_lane_goes_on_drawing(monkeypatch):
    watch = Watch()
    async with world("engine.lanes=1", "video.fps=60", before_render=watch.shown, clock=SystemClock()) as w:
        assert (w.engine.lanes.count, w.engine.lanes.width) == (1, 1)
        first = await w.engine.open_session("first")
        monkeypatch.setattr(GreyRenderer, "open", lambda self, context: watch.open())
        monkeypatch.setattr(GreyTracker, "open", lambda self, context: watch.open())
        second = await w.engine.open_session("second")
        await second.set_avatar(avatar("Somebody else"))
        await first.warm()
        assert watch.answers == [True, True, True]


async def test_frames_get_all_lanes_but_one_or_one_a_session():
    async with world("engine.max_sessions=4") as w:
        lanes = w.engine.lanes
        for sessions in range(1, 4):
            await w.engine.open_session()
            assert lanes.width == min(lanes.count, max(lanes.count - 1, sessions))


async def test_a_session_that_closes_badly_leaves_its_lane_all_the_same():
    class Stuck(MemoryOutput):
        async def close(self):
            raise DeviceError("disk full")

    async with world("engine.max_sessions=4") as w:
        lanes = w.engine.lanes
        sick, other = await w.engine.open_session(), await w.engine.open_session()
        await sick.add_output(Stuck())
        lanes.width = lanes.count
        with pytest.raises(DeviceError):
            await w.engine.close_session(sick.name)
        assert lanes.width == min(lanes.count, max(lanes.count - 1, 1))
        await w.engine.close_session(other.name)


async def test_a_background_is_made_ready_beside_the_lane_and_the_last_one_wins(monkeypatch):
    watch, shown = Watch(), []

    def prepare(self, background):
        watch.open()
        return lambda: shown.append((threading.current_thread().name, background.mode, background.image))

    async with world("engine.lanes=1", "video.fps=60", before_render=watch.shown, clock=SystemClock()) as w:
        session = await w.engine.open_session("first")
        monkeypatch.setattr(GreyRenderer, "prepare_background", prepare)
        for mode in ("blur", "transparent", "image"):
            session.update_controls({"background": {"mode": mode}})
        image = np.zeros((2, 2, 3), np.uint8)
        session.set_background_image(image)
        session.set_background_image(latest := image.copy())
        while not shown or shown[-1][2] is not latest:
            watch.picture.clear()
            assert await asyncio.to_thread(watch.picture.wait, 30)
        assert all(watch.answers), "the only lane went on drawing"
        assert {lane for lane, *_ in shown} == {"mien-lane-0"}
        assert len(shown) < 4, "what nobody would have seen was left out"


async def test_a_background_is_there_from_the_first_picture(monkeypatch):
    shown = []
    monkeypatch.setattr(
        GreyRenderer, "set_background", lambda self, background: shown.append((self, background.mode))
    )
    async with world("run.background=blur") as w:
        await w.engine.open_session("first")
        assert shown == [(w.renderers[0], "blur")]


async def test_avatars_are_made_one_at_a_time(monkeypatch):
    begun, gate = threading.Event(), threading.Event()
    made = avatar("Ada")

    def make(*given):
        begun.set()
        assert gate.wait(30)
        return made

    monkeypatch.setattr(workshop, "make_avatar", make)
    async with world("engine.lanes=1", "engine.max_sessions=2") as w:
        first, second = await w.engine.open_session(), await w.engine.open_session()
        making = asyncio.create_task(first.make_avatar(b"photo", CONSENT, "Ada"))
        assert await asyncio.to_thread(begun.wait, 30)
        with pytest.raises(CapacityError, match="Another avatar is being made"):
            await second.make_avatar(b"photo", CONSENT, "Grace")
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making
        with pytest.raises(CapacityError):
            await second.make_avatar(b"photo", CONSENT, "Grace")
        gate.set()
        await asyncio.wait([w.engine._workshop._making])
        assert await second.make_avatar(b"photo", CONSENT, "Grace") is made
