"""What the control socket says first, and the orders that it hands on to the session."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from webrtc_fakes import FakeEngine, heard, served
from websockets.asyncio.client import ClientConnection, connect

from mien.errors import MediaError
from mien.face.emotions import NAMES
from mien_webrtc.control import ACTIONS, QUEUE, UNREAD, Connection

pytestmark = pytest.mark.plugin


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[tuple[FakeEngine, ClientConnection]]:
    async with (
        served() as (engine, _, address),
        connect(address.replace("http", "ws") + "api/sessions/main/control") as control,
    ):
        yield engine, control


async def ordered(control: ClientConnection, **message: Any) -> None:
    await control.send(json.dumps(message))


async def test_it_greets_with_the_names_of_what_can_be_set() -> None:
    async with connected() as (_, control):
        hello = await heard(control, "hello")
        assert hello["emotions"] == list(NAMES)
        assert hello["controls"]["emotion"] == {}


async def test_an_emotion_is_put_on_and_taken_off() -> None:
    async with connected() as (engine, control):
        await ordered(control, type="set", controls={"emotion": {"happy": 0.7, "awed": 0.2}})
        assert (await heard(control, "controls"))["controls"]["emotion"] == {"happy": 0.7, "awed": 0.2}
        await ordered(control, type="set", controls={"emotion": {"happy": None}})
        assert (await heard(control, "controls"))["controls"]["emotion"] == {"awed": 0.2}
        await ordered(control, type="set", controls={"emotion": {"hapy": 1}})
        assert "happy" in (await heard(control, "notice"))["text"]
        assert engine.main.controls.emotion == {"awed": 0.2}


class Unread:
    """A socket that takes nothing until it is `read`."""

    def __init__(self) -> None:
        self.read = asyncio.Event()
        self.sent: list[dict[str, Any]] = []
        self.closed: list[int] = []

    async def send_text(self, text: str) -> None:
        await self.read.wait()
        self.sent.append(json.loads(text))

    async def close(self, code: int, reason: str) -> None:
        self.closed.append(code)


async def test_nothing_but_old_figures_is_left_out_and_one_that_does_not_read_is_let_go() -> None:
    connection = Connection(socket := Unread())  # type: ignore[arg-type]
    sending = asyncio.create_task(connection.send_all())
    connection.post({"type": "playback", "state": "started"})
    await asyncio.sleep(0)
    connection.post({"type": "playback", "state": "finished"})
    for n in range(1000):
        connection.post({"type": "stats", "snapshot": n})
    for n in range(QUEUE - 2):
        connection.post({"type": "error", "text": n})
    socket.read.set()
    for _ in range(QUEUE + 10):
        await asyncio.sleep(0)
    assert len(socket.sent) == QUEUE + 1
    assert [m["state"] for m in socket.sent if m["type"] == "playback"] == ["started", "finished"]
    assert [m["snapshot"] for m in socket.sent if m["type"] == "stats"] == [999]
    assert not socket.closed
    socket.read.clear()
    for n in range(QUEUE + 5):
        connection.post({"type": "error", "text": n})
    await asyncio.sleep(0)
    assert socket.closed == [UNREAD]
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)


async def test_whoever_leaves_before_it_is_let_go_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    connection = Connection(socket := Unread())  # type: ignore[arg-type]
    for n in range(QUEUE + 1):
        connection.post({"type": "error", "text": n})
    assert len(asyncio.all_tasks() - before) == 1
    await connection.end()
    for n in range(QUEUE + 1):
        connection.post({"type": "error", "text": n})
    assert asyncio.all_tasks() == before
    assert not socket.closed


async def test_calibrating_is_handed_to_the_session() -> None:
    async with connected() as (engine, control):
        await ordered(control, type="do", action="calibrate")
        await ordered(control, type="set", controls={"mirror": True})
        await heard(control, "controls")
        assert engine.main.calibrated == 1
        assert engine.main.recentred == 0


async def test_a_recording_that_cannot_be_finished_is_over_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def full() -> None:
        raise MediaError("The disk is full.")

    async with connected() as (engine, control):
        monkeypatch.setattr(engine.main, "stop_recording", full)
        await ordered(control, type="do", action="record")
        assert (await heard(control, "recording"))["state"] == "on"
        await ordered(control, type="do", action="stop_recording")
        assert await heard(control, "recording") == {"type": "recording", "state": "off"}
        assert "disk is full" in (await heard(control, "notice"))["text"]


async def test_a_recording_that_is_lost_is_over_and_says_why() -> None:
    async with connected() as (engine, control):
        for _ in range(2):
            await ordered(control, type="do", action="record")
            assert (await heard(control, "recording"))["state"] == "on"
            engine.main.recording, engine.main.recording_lost_by = None, "The disk is full."
            told = await heard(control, "recording")
            assert told == {"type": "recording", "state": "off", "reason": "The disk is full."}


async def test_an_unknown_order_is_answered_with_those_that_there_are() -> None:
    async with connected() as (_, control):
        await ordered(control, type="do", action="calibrat")
        told = await heard(control, "notice")
        assert told["level"] == "error"
        assert all(action in told["text"] for action in ACTIONS)
