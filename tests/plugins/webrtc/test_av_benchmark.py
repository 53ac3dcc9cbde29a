"""What the benchmarks make of flashes and beeps, of time stamps and reports, and of threads."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiortc.clock import current_ntp_time
from aiortc.rtp import RtcpSenderInfo, RtcpSrPacket

from av_offset import offsets_ms, steady
from counting import thread_cpu_ms
from mien.clock import NS_PER_MS
from watching import Line

pytestmark = pytest.mark.plugin


def test_a_flash_whose_first_picture_was_dropped_does_not_count() -> None:
    flashes = [(1000.0, 40.0), (2080.0, 120.0), (3000.0, 40.0), (9000.0, 40.0)]
    beeps, player = [1030.0, 2030.0, 3050.0], [(900.0, 10.0), (3100.0, 20.0)]
    assert offsets_ms(flashes, beeps, player) == [(30.0, 10.0), (50.0, 20.0)]
    assert offsets_ms(flashes, [], []) == []


@pytest.mark.parametrize(
    ("offsets", "is_steady"),
    [
        ([1.0, 2.0, 3.0, 2.0, 200.0, -90.0, 1.0], True),
        ([0.0, 100.0, 200.0, 300.0, 10.0, 150.0], False),
        ([1.0, 1.0, 1.0], False),
    ],
)
def test_a_player_is_steady_when_half_of_what_it_plays_agrees(offsets: list[float], is_steady: bool) -> None:
    assert steady(offsets) is is_steady


class Receiver:
    """What is leant on of aiortc's."""

    track = SimpleNamespace(kind="audio")

    async def _handle_rtp_packet(self, packet: Any, arrival_time_ms: int) -> None:
        """Goes on as ever."""

    async def _handle_rtcp_packet(self, packet: Any) -> None:
        """Goes on as ever."""


async def test_time_stamps_are_told_by_the_nearest_report_also_where_they_begin_anew() -> None:
    receiver = Receiver()
    line = Line(receiver)
    with pytest.raises(RuntimeError, match="No sender report"):
        line.captured_ns(0)
    info = RtcpSenderInfo(int(current_ntp_time()), (1 << 32) - 480, 1, 1)
    await receiver._handle_rtcp_packet(RtcpSrPacket(ssrc=1, sender_info=info))
    assert line.captured_ns(480) - line.captured_ns((1 << 32) - 960) == 30 * NS_PER_MS


def test_a_thread_that_ends_while_its_time_is_read_spoils_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    there = list(Path("/proc/self/task").glob("*/stat"))
    if not there:
        pytest.skip("threads are told apart on Linux only")
    ended = Path("/proc/self/task/0/stat")
    monkeypatch.setattr(Path, "glob", lambda _self, _pattern: iter([ended, *there]))
    assert "MainThread" in thread_cpu_ms()
