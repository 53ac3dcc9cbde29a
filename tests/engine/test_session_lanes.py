"""Sessions on a single lane: what takes long is done beside it, and nobody waits for anybody."""

import threading

import pytest

from mien.clock import SystemClock
from mien.testing.stages import GreyRenderer, GreyTracker
from world import avatar, world

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
