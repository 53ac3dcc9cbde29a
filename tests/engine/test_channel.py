"""Bounded channels: newest wins, or nothing is lost."""

from dataclasses import dataclass

import pytest

from mien.channel import Fifo, Latest

pytestmark = pytest.mark.unit


@dataclass
class Value:
    n: int
    epoch: int = 0


def test_latest_keeps_only_the_newest_and_counts_the_rest():
    channel: Latest[Value] = Latest("v")
    for n in range(5):
        channel.try_put(Value(n))
    assert len(channel) == 1
    assert channel.peek() == Value(4)
    assert channel.take() == Value(4)
    assert channel.take() is None
    assert (channel.stats.put, channel.stats.taken, channel.stats.replaced) == (5, 1, 4)


def test_fifo_keeps_the_order_and_refuses_what_it_has_no_room_for():
    channel: Fifo[Value] = Fifo("f", 2)
    assert [channel.try_put(Value(n)) for n in range(3)] == [True, True, False]
    assert channel.peek() == channel.take() == Value(0)
    assert channel.try_put(Value(3))
    assert [channel.take(), channel.take(), channel.take()] == [Value(1), Value(3), None]
    assert (channel.stats.put, channel.stats.taken, channel.stats.dropped) == (3, 3, 0)


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
