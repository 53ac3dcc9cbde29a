"""Due times and the governor."""

import pytest

from mien.budget import Budget, Gate, Governor
from mien.clock import NS_PER_MS, NS_PER_S

pytestmark = pytest.mark.unit

INTERVAL = 40 * NS_PER_MS


def test_the_gate_drops_late_frames_but_never_freezes_the_picture():
    gate = Gate(Budget.of_ms(80))
    assert gate.admits(due_ns=0, now_ns=0)
    verdicts = [gate.admits(due_ns=0, now_ns=n * INTERVAL) for n in range(1, 13)]
    assert verdicts == ([False] * 2 + [True]) * 4


def test_where_few_frames_get_done_none_of_them_is_dropped():
    gate = Gate(Budget.of_ms(80))
    assert all(gate.admits(due_ns=0, now_ns=n * 3 * INTERVAL) for n in range(12))


def test_offline_nothing_is_late():
    gate = Gate(Budget.of_ms(1, live=False))
    assert all(gate.admits(due_ns=0, now_ns=10**12) for _ in range(20))


def feed(governor, frames, *, missed, load=0.3, start=0):
    for n in range(frames):
        governor.observe(missed=missed, load=load, now_ns=start + n * INTERVAL)
    return start + frames * INTERVAL


def test_misses_lower_the_quality_and_calm_raises_it_again():
    governor = Governor(3)
    now = feed(governor, 50, missed=True)
    assert governor.level == 1
    now = feed(governor, 200, missed=False, start=now)
    assert governor.level == 1, "eight calm seconds are not enough"
    feed(governor, 100, missed=False, start=now)
    assert governor.level == 0


def test_a_busy_machine_is_not_calm():
    governor = Governor(2)
    now = feed(governor, 50, missed=True)
    feed(governor, 1000, missed=False, load=0.9, start=now)
    assert governor.level == 1


def test_a_failed_climb_doubles_the_wait():
    governor = Governor(2)
    now = feed(governor, 50, missed=True)
    now = feed(governor, 260, missed=False, start=now)
    assert governor.level == 0
    now = feed(governor, 50, missed=True, start=now)
    assert governor.level == 1
    now = feed(governor, 260, missed=False, start=now)
    assert governor.level == 1, "ten seconds were enough before, now it takes twenty"
    feed(governor, 260, missed=False, start=now)
    assert governor.level == 0


def test_the_ladder_has_ends():
    governor = Governor(2)
    feed(governor, 500, missed=True)
    assert governor.level == 1
    assert Governor(0).levels == 1


def test_the_budget_is_added_to_capture_time():
    assert Budget.of_ms(80).due_ns(3 * NS_PER_S) == 3 * NS_PER_S + 80 * NS_PER_MS
