"""Key-frame requests and bitrate of many viewers, in numbers."""

from __future__ import annotations

import threading

import pytest

from mien.clock import NS_PER_MS, NS_PER_S
from mien_webrtc.feedback import BitrateControl, KeyframeRequests, RateMeter

pytestmark = pytest.mark.unit


def test_requests_are_coalesced() -> None:
    requests = KeyframeRequests(400 * NS_PER_MS)
    made = 0
    for ms in range(0, 2000, 40):
        requests.ask()
        made += requests.due(ms * NS_PER_MS)
    assert made == 5
    assert requests.asked == 50


def test_a_wish_is_not_forgotten() -> None:
    requests = KeyframeRequests(400 * NS_PER_MS)
    requests.ask()
    assert requests.due(0)
    requests.ask()
    assert not requests.due(100 * NS_PER_MS)
    assert requests.pending
    assert requests.due(400 * NS_PER_MS)
    assert not requests.due(2 * NS_PER_S)


def test_a_key_frame_made_for_another_reason_counts() -> None:
    requests = KeyframeRequests(400 * NS_PER_MS)
    requests.ask()
    requests.made(0)
    assert not requests.due(NS_PER_S)


def test_nobody_measured_the_start_rate_stands() -> None:
    control = BitrateControl(1_500_000, 300_000, 4_000_000)
    assert control.update(0, 1_500_000) is None
    assert control.target == 1_500_000


def test_the_narrowest_way_counts_at_once() -> None:
    control = BitrateControl(1_500_000, 300_000, 4_000_000)
    control.report("a", 3_000_000, 0)
    control.report("b", 700_000, 0)
    assert control.update(0, 1_500_000) == 700_000
    control.forget("b")
    assert control.update(NS_PER_S, 700_000) == 875_000


def test_the_floor_holds() -> None:
    control = BitrateControl(1_500_000, 300_000, 4_000_000)
    control.report("a", 20_000, 0)
    assert control.update(0, 1_500_000) == 300_000


def test_a_still_picture_is_no_narrow_way() -> None:
    """Receivers estimate 1.5 times what they get; a picture that needs little must not lower the rate."""
    control = BitrateControl(1_500_000, 300_000, 4_000_000)
    for second in range(30):
        control.report("a", 150_000, second * NS_PER_S)
        assert control.update(second * NS_PER_S, 100_000) is None
    assert control.target == 1_500_000


def test_up_is_slow_and_bounded_by_what_was_measured() -> None:
    control = BitrateControl(1_000_000, 300_000, 4_000_000)
    changes = []
    for tick in range(40):
        now = tick * NS_PER_S // 4
        control.report("a", 1_800_000, now)
        if (rate := control.update(now, control.target)) is not None:
            changes.append(rate)
    assert changes == [1_250_000, 1_562_500, 1_800_000]


def test_small_changes_are_not_made() -> None:
    control = BitrateControl(1_000_000, 300_000, 4_000_000)
    control.report("a", 950_000, 0)
    assert control.update(0, 1_000_000) is None


def test_an_old_estimate_is_forgotten() -> None:
    control = BitrateControl(1_000_000, 300_000, 4_000_000)
    control.report("a", 500_000, 0)
    assert control.update(0, 1_000_000) == 500_000
    assert control.update(20 * NS_PER_S, 500_000) == 625_000


def test_viewers_come_and_go_while_the_encoder_asks() -> None:
    """The event loop reports and forgets, the encoder's thread updates."""
    control = BitrateControl(1_000_000, 300_000, 4_000_000)
    control.report("a", 500_000, 0)
    control.report("b", 600_000, 0)
    others: list[threading.Thread] = []

    class Interrupted(int):
        """A time at whose first comparison another thread gets its turn."""

        def __sub__(self, other: int) -> int:
            if not others:
                for act in (lambda: control.report("c", 400_000, 0), lambda: control.forget("b")):
                    others.append(threading.Thread(target=act))
                    others[-1].start()
                    others[-1].join(0.02)
            return int(self) - other

    assert control.update(Interrupted(0), 1_000_000) == 500_000
    for other in others:
        other.join()
    assert control.update(0, 500_000) == 400_000


def test_the_meter_looks_back_one_second() -> None:
    meter = RateMeter()
    for tick in range(50):
        meter.add(1000, tick * 40 * NS_PER_MS)
    assert meter.rate(49 * 40 * NS_PER_MS) == 25 * 1000 * 8
    assert meter.rate(10 * NS_PER_S) == 0
