"""Bounded channels: newest wins, or nothing is lost."""

import asyncio
from dataclasses import dataclass

import pytest

from mien.channel import Fifo, Latest

pytestmark = pytest.mark.unit


@dataclass
class Value:
    n: int
    epoch: int = 0


async def test_latest_keeps_only_the_newest_and_counts_the_rest():
    channel: Latest[Value] = Latest("v")
    for n in range(5):
        await channel.put(Value(n))
    assert len(channel) == 1
    assert channel.peek() == Value(4)
    assert channel.take() == Value(4)
    assert channel.take() is None
    assert (channel.stats.put, channel.stats.taken, channel.stats.replaced) == (5, 1, 4)


async def test_fifo_makes_the_putter_wait_for_room():
    channel: Fifo[Value] = Fifo("f", 2)
    done: list[int] = []

    async def put_all():
        for n in range(4):
            await channel.put(Value(n))
            done.append(n)

    task = asyncio.create_task(put_all())
    await asyncio.sleep(0)
    assert done == [0, 1]
    assert not channel.try_put(Value(9))
    taken = []
    while len(taken) < 4:
        if (value := channel.take()) is not None:
            taken.append(value.n)
        await asyncio.sleep(0)
    await task
    assert taken == [0, 1, 2, 3]
    assert channel.stats.dropped == 0


async def test_fifo_is_fair_to_every_waiting_putter():
    channel: Fifo[Value] = Fifo("f", 1)
    await channel.put(Value(0))
    tasks = [asyncio.create_task(channel.put(Value(n))) for n in (1, 2, 3)]
    seen = []
    while len(seen) < 4:
        if (value := channel.take()) is not None:
            seen.append(value.n)
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert sorted(seen) == [0, 1, 2, 3]


@pytest.mark.parametrize("channel", [Latest("l"), Fifo("f", 3)], ids=["latest", "fifo"])
def test_an_epoch_discards_what_is_older(channel):
    channel.try_put(Value(1, epoch=0))
    channel.bump_epoch(1)
    assert channel.take() is None
    assert channel.try_put(Value(2, epoch=0)), "stale values are swallowed, not refused"
    assert channel.take() is None
    channel.try_put(Value(3, epoch=1))
    assert channel.take() == Value(3, epoch=1)
    assert channel.stats.stale == 2


def test_ready_is_announced_after_every_put():
    channel: Latest[Value] = Latest("v")
    calls = []
    channel.on_ready = lambda: calls.append(len(channel))
    channel.try_put(Value(1))
    channel.try_put(Value(2))
    assert calls == [1, 1]


def test_a_fifo_without_room_is_a_mistake():
    with pytest.raises(ValueError, match="at least 1"):
        Fifo("f", 0)
