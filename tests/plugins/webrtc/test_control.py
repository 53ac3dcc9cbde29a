"""What the control socket says first, and the orders that it hands on to the session."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from webrtc_fakes import PATIENCE_S, FakeEngine
from websockets.asyncio.client import ClientConnection, connect

from mien.config import load_config
from mien.face.emotions import NAMES
from mien_webrtc.control import ACTIONS
from mien_webrtc.gateway import WebGateway

pytestmark = pytest.mark.plugin


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[tuple[FakeEngine, ClientConnection]]:
    engine, gateway = FakeEngine(load_config(options={"server.port": 0})), WebGateway()
    address = await gateway.start(engine)  # type: ignore[arg-type]
    try:
        async with connect(address.replace("http", "ws") + "api/sessions/main/control") as control:
            yield engine, control
    finally:
        await gateway.stop()


async def ordered(control: ClientConnection, **message: Any) -> None:
    await control.send(json.dumps(message))


async def heard(control: ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of that kind."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            message: dict[str, Any] = json.loads(await control.recv())
            if message["type"] == kind:
                return message


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


async def test_calibrating_is_handed_to_the_session() -> None:
    async with connected() as (engine, control):
        await ordered(control, type="do", action="calibrate")
        await ordered(control, type="set", controls={"mirror": True})
        await heard(control, "controls")
        assert engine.main.calibrated == 1
        assert engine.main.recentred == 0


async def test_an_unknown_order_is_answered_with_those_that_there_are() -> None:
    async with connected() as (_, control):
        await ordered(control, type="do", action="calibrat")
        told = await heard(control, "notice")
        assert told["level"] == "error"
        assert all(action in told["text"] for action in ACTIONS)
