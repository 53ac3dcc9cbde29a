"""Square or wide is chosen while a session runs: the pictures flow on, and the last choice counts."""

import asyncio
import threading
from itertools import pairwise

import pytest

from mien.clock import NS_PER_S
from mien.controls import Controls
from mien.errors import ConfigError
from mien.testing.stages import GreyRenderer, MemoryOutput
from world import MS, avatar, world

pytestmark = pytest.mark.unit

SQUARE, WIDE = (512, 512), (910, 512)


@pytest.fixture
def sizes(monkeypatch):
    """With which each renderer was opened, as they come."""
    opened = []
    monkeypatch.setattr(GreyRenderer, "open", lambda self, context: opened.append(context.size))
    return opened


async def until(clock, holds):
    async with asyncio.timeout(30):
        while not holds():
            await clock.advance(40 * MS)


async def settled(clock, session, size):
    await until(clock, lambda: session.snapshot()["picture"] == {"width": size[0], "height": size[1]})


async def test_another_shape_is_drawn_by_another_renderer_and_no_picture_is_missed(sizes):
    async with world() as w:
        session = await w.engine.open_session("main")
        output = MemoryOutput()
        await session.add_output(output)
        await w.clock.advance(400 * MS)
        assert session.update_controls({"aspect": "16:9"}).aspect == "16:9"
        await settled(w.clock, session, WIDE)
        await w.clock.advance(400 * MS)
        assert sizes == [SQUARE, WIDE]
        assert [renderer.closed for renderer in w.renderers] == [1, 0]
        assert w.renderers[1].rendered
        times = [picture.capture_ns for picture in output.pictures]
        steps = {later - sooner for sooner, later in pairwise(times)}
        assert steps == {40 * MS}
        session.update_controls({"mirror": True, "aspect": None})
        await settled(w.clock, session, SQUARE)
        assert sizes == [SQUARE, WIDE, SQUARE]


async def test_the_configured_shape_is_where_the_controls_begin(sizes):
    async with world("video.aspect=16:9") as w:
        session = await w.engine.open_session("main")
        assert session.controls.aspect == "16:9"
        await w.clock.advance(200 * MS)
        assert sizes == [WIDE]
        assert session.snapshot()["picture"] == {"width": 910, "height": 512}


def test_other_shapes_are_refused():
    with pytest.raises(ConfigError, match=r"controls\.aspect: .*'square' or '16:9'"):
        Controls.parse({"aspect": "4:3"})


async def test_of_several_shapes_chosen_at_once_the_last_one_is_shown(sizes, monkeypatch):
    begun, gate = threading.Event(), threading.Event()
    async with world() as w:
        session = await w.engine.open_session("main")
        opened = GreyRenderer.open

        def slow(self, context):
            opened(self, context)
            begun.set()
            assert gate.wait(30)

        monkeypatch.setattr(GreyRenderer, "open", slow)
        session.update_controls({"aspect": "16:9"})
        assert await asyncio.to_thread(begun.wait, 30)
        for aspect in ("square", "16:9", "square"):
            session.update_controls({"aspect": aspect})
        gate.set()
        await settled(w.clock, session, SQUARE)
        await w.clock.advance(200 * MS)
        assert sizes == [SQUARE, WIDE, SQUARE], "what nobody would have seen was left out"
        assert [renderer.closed for renderer in w.renderers] == [1, 1, 0]


async def test_an_avatar_that_comes_meanwhile_has_the_new_shape(sizes):
    async with world() as w:
        session = await w.engine.open_session("main")
        session.update_controls({"aspect": "16:9"})
        await session.set_avatar(avatar("Ada"))
        await settled(w.clock, session, WIDE)
        await w.clock.advance(200 * MS)
        assert sizes[-1] == WIDE
        assert [renderer.closed for renderer in w.renderers] == [1] * (len(sizes) - 1) + [0]


async def test_a_shape_that_cannot_be_drawn_is_told_and_the_old_one_goes_on(sizes, monkeypatch):
    async with world() as w:
        session = await w.engine.open_session("main")

        def refuse(self, context):
            raise MemoryError("no room for pictures of 910 px")

        monkeypatch.setattr(GreyRenderer, "open", refuse)
        session.update_controls({"aspect": "16:9"})
        await until(w.clock, lambda: session.board.recent)
        (notice,) = session.board.recent
        assert "no room for pictures of 910 px" in notice.text
        assert session.snapshot()["picture"] == {"width": 512, "height": 512}
        assert session.controls.aspect == "square"
        drawn = len(w.renderers[0].rendered)
        await w.clock.advance(NS_PER_S)
        assert len(w.renderers[0].rendered) > drawn
        assert session.state != "degraded"


async def test_what_fails_is_not_drawn_after_all_by_who_chose_it_again_meanwhile(monkeypatch):
    """Or the picture would be wide, and the controls say that it is square."""
    begun, gate = threading.Event(), threading.Event()
    wide = []

    def refuse_once(self, context):
        if context.size == WIDE and not wide:
            wide.append(context.size)
            begun.set()
            assert gate.wait(30)
            raise MemoryError("no room for pictures of 910 px")

    async with world() as w:
        session = await w.engine.open_session("main")
        monkeypatch.setattr(GreyRenderer, "open", refuse_once)
        session.update_controls({"aspect": "16:9"})
        assert await asyncio.to_thread(begun.wait, 30)
        for aspect in ("square", "16:9"):
            session.update_controls({"aspect": aspect})
        gate.set()
        await until(w.clock, lambda: session.board.recent)
        await w.clock.advance(NS_PER_S)
        assert session.controls.aspect == "square"
        assert session.snapshot()["picture"] == {"width": 512, "height": 512}
        session.update_controls({"aspect": "16:9"})
        await settled(w.clock, session, WIDE)
        assert session.controls.aspect == "16:9"
