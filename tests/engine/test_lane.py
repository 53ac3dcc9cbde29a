"""Lanes run jobs by due time and end cleanly."""

import asyncio
import threading

import pytest

from mien.clock import NS_PER_MS
from mien.lane import Lanes

pytestmark = pytest.mark.unit


@pytest.fixture
def lanes():
    lanes = Lanes(1)
    yield lanes
    lanes.stop()


def test_the_earliest_due_time_goes_first(lanes):
    order, gate, done = [], threading.Event(), threading.Event()
    lanes.submit(0, gate.wait)
    for due in (30, 10, 20):
        lanes.submit(due, lambda due=due: order.append(due))
    lanes.submit(99, done.set)
    gate.set()
    assert done.wait(30)
    assert order == [10, 20, 30]


def test_a_job_that_raises_does_not_end_its_lane(lanes, caplog):
    done = threading.Event()
    lanes.submit(0, lambda: 1 / 0)
    lanes.submit(1, done.set)
    assert done.wait(30)
    assert "division by zero" in caplog.text


async def test_run_returns_and_raises(lanes):
    assert await lanes.run(lambda: 41 + 1) == 42
    with pytest.raises(ZeroDivisionError):
        await lanes.run(lambda: 1 / 0)


async def test_what_takes_long_holds_up_no_frame(lanes):
    frame = threading.Event()
    opening = asyncio.create_task(lanes.run(lambda: frame.wait(30)))
    await asyncio.sleep(0)
    assert not lanes.idle
    lanes.submit(0, frame.set)
    assert await opening, "the only lane was free for the frame"
    assert lanes.idle


async def test_one_avatar_that_is_made_holds_up_nothing_that_is_opened():
    lanes, done = Lanes(1), threading.Event()
    try:
        making = asyncio.ensure_future(lanes.run(done.wait))
        async with asyncio.timeout(10):
            assert await lanes.run(lambda: "open") == "open"
        assert not making.done()
        done.set()
        await making
    finally:
        done.set()
        lanes.stop()


async def test_stopping_forgets_what_waits_to_be_opened(lanes):
    begun, gate = threading.Barrier(3), threading.Event()
    first = [asyncio.create_task(lanes.run(lambda: (begun.wait(30), gate.wait(30))[1])) for _ in range(2)]
    second = asyncio.create_task(lanes.run(lambda: 42))
    await asyncio.to_thread(begun.wait, 30)
    stopping = asyncio.create_task(asyncio.to_thread(lanes.stop))
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.set()
    assert all(await asyncio.gather(*first))
    await stopping
    with pytest.raises(RuntimeError, match="stopped"):
        await lanes.run(lambda: 42)


def test_stopping_joins_all_threads_and_refuses_more():
    before = threading.active_count()
    lanes = Lanes(3)
    lanes.stop()
    assert threading.active_count() == before
    with pytest.raises(RuntimeError, match="stopped"):
        lanes.submit(0, lambda: None)


def test_no_lanes_is_a_mistake():
    with pytest.raises(ValueError, match="at least one"):
        Lanes(0)


def test_no_more_lanes_work_than_the_width_allows():
    lanes = Lanes(3)
    try:
        lanes.width = 1
        first, second, gate = threading.Event(), threading.Event(), threading.Event()
        lanes.submit(0, lambda: (first.set(), gate.wait(30)))
        assert first.wait(30)
        lanes.submit(1, second.set)
        assert not second.wait(0.05)
        lanes.width = 2
        assert second.wait(30)
        lanes.width = 9
        assert lanes.width == 3
        lanes.width = 0
        assert lanes.width == 1
        gate.set()
        last = threading.Event()
        lanes.submit(2, last.set)
        assert last.wait(30)
    finally:
        lanes.stop()


def test_load_is_the_share_of_the_time_that_the_width_allows():
    now = [0]

    def worked(ms, lanes, after_ms=0):
        done = threading.Event()
        now[0] += after_ms * NS_PER_MS
        lanes.submit(0, lambda: now.__setitem__(0, now[0] + ms * NS_PER_MS))
        lanes.submit(1, done.set)
        assert done.wait(30)

    lanes = Lanes(2, counter=lambda: now[0])
    try:
        lanes.width = 1
        assert lanes.load == 0
        for _ in range(25):  # two stages of one session, on one lane
            worked(12, lanes)
            worked(12, lanes, after_ms=16)
        worked(0, lanes)
        assert lanes.load == pytest.approx(0.6)
        lanes.width = 2
        worked(0, lanes, after_ms=1000)
        assert lanes.load == pytest.approx(0, abs=0.02)
        lanes.width = 1
        for n in range(30):
            worked(40, lanes, after_ms=60_000 if n == 0 else 0)
        worked(0, lanes)
        assert lanes.load == pytest.approx(1, abs=0.05), "the pause before says nothing"
    finally:
        lanes.stop()
