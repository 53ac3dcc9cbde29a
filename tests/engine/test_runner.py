"""A runner can always be closed, even when the lanes end under it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mien.budget import Budget, Gate
from mien.channel import Fifo
from mien.lane import Lanes
from mien.runner import Parcel, Runner
from mien.testing.clock import VirtualClock
from mien.trace import Passage

pytestmark = pytest.mark.unit


def parcel(value):
    return Parcel(value, Passage(value, 0, 0), 0)


def runner(lanes, done):
    return Runner(
        "double",
        Fifo("numbers", 8),
        lanes,
        VirtualClock(),
        Gate(Budget.of_ms(100, live=False)),
        work=lambda given: 2 * given.value,
        deliver=lambda given, result: done.append(result),
        dropped=lambda given: None,
        failed=lambda given, error: None,
    )


def closes(stage):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(stage.close).result(timeout=30)


def test_a_job_that_the_lanes_forget_is_not_waited_for():
    lanes, done, changed = Lanes(1), [], []
    stage = runner(lanes, done)
    begun, gate = threading.Event(), threading.Event()
    lanes.submit(-1, lambda: (begun.set(), gate.wait(30)))
    assert begun.wait(30)
    stage.inbox.try_put(parcel(1))
    stage.between(lambda: changed.append(True))
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(lanes.stop)
        closes(stage)  # while the lane is still at work on something else
        gate.set()
        stopping.result(timeout=30)
    assert not done
    assert changed == [True], "changes are made at the latest when it closes"


def test_what_comes_after_the_lanes_have_stopped_is_left_lying():
    lanes, done = Lanes(1), []
    stage = runner(lanes, done)
    lanes.stop()
    stage.inbox.try_put(parcel(1))
    closes(stage)
    assert not done
