"""Tracker and renderer come and go: exchanged while one is away, opened while all is being closed."""

import asyncio
import threading

import pytest

from mien.clock import NS_PER_S
from mien.config import load_config
from mien.engine import Engine
from mien.errors import CapacityError
from mien.pipeline import Pipeline
from mien.plugins import Registry
from mien.stage import Kind, Plugin, Provides
from mien.testing.clock import VirtualClock
from mien.testing.stages import GreyRenderer, GreyTracker, ScriptedSource
from world import MS, avatar, world

pytestmark = pytest.mark.unit


async def test_an_avatar_chosen_while_the_renderer_is_away_takes_its_place():
    def before(params):
        if len(w.renderers) == 1 and len(w.renderers[0].rendered) == 5:
            raise RuntimeError("out of memory")

    async with world(before_render=before) as w:
        session = await w.engine.open_session("main")
        await w.clock.advance(600 * MS)
        assert session.state == "degraded"
        await session.set_avatar(avatar("Somebody else"))
        await w.clock.advance(3 * NS_PER_S)
        assert session.state != "degraded"
        assert session.snapshot()["avatar"] == "Somebody else"
        assert [r.closed for r in w.renderers] == [1, 0], "none is opened for the former avatar any more"
        assert len(w.renderers[1].rendered) > 50


async def test_of_two_avatars_chosen_at_once_the_last_one_is_shown():
    async with world() as w:
        session = await w.engine.open_session("main")
        await asyncio.gather(session.set_avatar(avatar("A")), session.set_avatar(avatar("B")))
        await w.clock.advance(200 * MS)
        assert session.avatar.content.title == "B"
        assert [r.closed for r in w.renderers] == [1, 1, 0]


@pytest.mark.parametrize("kind", ["tracker", "renderer"])
async def test_what_opens_while_its_session_closes_is_closed(monkeypatch, kind):
    begun, gate = threading.Event(), threading.Event()

    async with world() as w:
        session = await w.engine.open_session("main")
        stage = GreyTracker if kind == "tracker" else GreyRenderer
        monkeypatch.setattr(stage, "open", lambda self, context: (begun.set(), gate.wait(30)))
        work = session.warm() if kind == "tracker" else session.set_avatar(avatar("late"))
        opening = asyncio.create_task(work)
        assert await asyncio.to_thread(begun.wait, 30)
        await w.engine.close_session("main")
        gate.set()
        await opening
        assert all(stage.closed == 1 for stage in [*w.trackers, *w.renderers])


async def test_a_closing_that_is_cancelled_closes_no_stage_that_is_at_work(monkeypatch):
    begun, gate, close = threading.Event(), threading.Event(), Pipeline.close

    def slow(self):
        begun.set()
        assert gate.wait(30)
        close(self)

    monkeypatch.setattr(Pipeline, "close", slow)
    async with world() as w:
        session = await w.engine.open_session("main")
        closing = asyncio.create_task(w.engine.close_session("main"))
        assert await asyncio.to_thread(begun.wait, 30)
        closing.cancel()
        await asyncio.sleep(0.05)
        assert w.renderers[0].closed == 0
        assert not closing.done()
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert w.renderers[0].closed == 1
        await session.close()
        assert w.renderers[0].closed == 1


async def test_a_source_is_opened_with_the_settings_of_its_plugin():
    settings = []

    class HandMade(ScriptedSource):
        async def open(self, context):
            settings.append(dict(context.settings))

    source = Provides(Kind.SOURCE, "handmade", f"{__name__}:{HandMade.__qualname__}")
    registry = Registry([Plugin("crafts", "made by hand", (source,)), Plugin("other", "", ())])
    config = load_config(None, ("plugin.crafts.device=7", "plugin.other.device=8"))
    engine = Engine(config, registry, VirtualClock())
    try:
        session = await engine.open_session("main", needs_avatar=False)
        await session.drive(lambda: HandMade([]), must_open=True)
        assert settings == [{"device": 7}]
    finally:
        await engine.close()


async def test_an_engine_that_closes_awaits_what_is_being_opened(monkeypatch):
    begun, gate = threading.Event(), threading.Event()
    monkeypatch.setattr(GreyRenderer, "open", lambda self, context: (begun.set(), gate.wait(30)))
    async with world() as w:
        opening = asyncio.create_task(w.engine.open_session("late"))
        assert await asyncio.to_thread(begun.wait, 30)
        closing = asyncio.create_task(w.engine.close())
        await asyncio.sleep(0)
        with pytest.raises(CapacityError, match="being closed"):
            await w.engine.open_session("later")
        assert not closing.done()
        gate.set()
        with pytest.raises(CapacityError, match="being closed"):
            await asyncio.wait_for(opening, 30)
        await asyncio.wait_for(closing, 30)
        assert not w.engine.sessions
        assert [renderer.closed for renderer in w.renderers] == [1]
