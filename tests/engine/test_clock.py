"""Waiting on the engine's clock: for a time, or for what comes before it."""

from __future__ import annotations

import asyncio

import pytest

from mien.clock import NS_PER_MS, NS_PER_S, Clock, OfflineClock, SystemClock
from mien.testing.clock import VirtualClock

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("make", [SystemClock, OfflineClock])
async def test_whichever_comes_first_ends_the_wait(make: type[Clock]) -> None:
    clock, event = make(), asyncio.Event()
    assert not await clock.wait_until(clock.now_ns() + NS_PER_MS, event)
    assert not await clock.wait_until(clock.now_ns() - NS_PER_S, event)
    event.set()
    assert await clock.wait_until(clock.now_ns() + 3600 * NS_PER_S, event)


async def test_what_happens_amid_the_wait_ends_it() -> None:
    clock, event = SystemClock(), asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)
    assert await clock.wait_until(clock.now_ns() + 3600 * NS_PER_S, event)


async def test_virtual_time_stands_still_while_something_happens() -> None:
    clock, event, woken = VirtualClock(), asyncio.Event(), []

    async def wait() -> None:
        woken.append((await clock.wait_until(40, event), clock.now_ns()))
        event.clear()
        woken.append((await clock.wait_until(40, event), clock.now_ns()))

    task = asyncio.create_task(wait())
    await clock.advance(10)
    event.set()
    await clock.advance(50)
    assert woken == [(True, 10), (False, 40)]
    await task
