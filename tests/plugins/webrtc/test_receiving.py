"""The taps behind aiortc's receivers, without a network."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest

from mien.clock import NS_PER_MS, OfflineClock
from mien.errors import PluginError
from mien.frames import AudioFrame
from mien_webrtc.opus import OpusEncoder
from mien_webrtc.receiving import ArrivalClock, AudioTap, install

pytestmark = pytest.mark.plugin


@dataclass
class Packet:
    sequence_number: int
    timestamp: int
    _data: bytes
    payload_type: int = 96
    marker: int = 0


def packets(count: int) -> list[Packet]:
    encoder = OpusEncoder()
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(960) / 48_000)).astype(np.float32)[:, None]
    encoded = [e for n in range(count) for e in encoder.encode(AudioFrame(tone, 48_000, n * 20 * NS_PER_MS))]
    return [
        Packet((65_530 + n) & 0xFFFF, (2**32 - 2000 + 960 * n) & 0xFFFFFFFF, e.data)
        for n, e in enumerate(encoded)
    ]


def hear(order: list[Packet], jitter_ms: int = 0) -> list[AudioFrame]:
    clock, heard = OfflineClock(), list[AudioFrame]()
    tap = AudioTap(clock, {96}, heard.append)
    for place, packet in enumerate(order):
        late_ms = jitter_ms if place % 3 == 1 else 0
        clock.advance_to((1000 + 20 * ((packet.sequence_number - 65_530) & 0xFFFF) + late_ms) * NS_PER_MS)
        assert tap.add(packet) == (False, None)
    return heard


def test_sound_is_handed_on_at_once_and_without_gaps() -> None:
    heard = hear(packets(20), jitter_ms=15)
    assert len(heard) == 20
    steps = {b.capture_ns - a.capture_ns for a, b in itertools.pairwise(heard)}
    assert all(abs(step - 20 * NS_PER_MS) < 0.1 * NS_PER_MS for step in steps)


def test_order_is_restored() -> None:
    order = packets(20)
    order[5], order[6] = order[6], order[5]
    heard = hear(order)
    assert len(heard) == 20
    assert [f.capture_ns for f in heard] == sorted(f.capture_ns for f in heard)


def test_a_lost_packet_is_not_waited_for_long() -> None:
    order = packets(20)
    del order[5]
    heard = hear(order)
    assert len(heard) == 19
    gap = heard[5].capture_ns - heard[4].capture_ns
    assert gap == pytest.approx(40 * NS_PER_MS, rel=0.01)


def test_copies_latecomers_and_strangers_are_ignored() -> None:
    order = packets(10)
    stranger = Packet(7, 7, b"?", payload_type=13)
    assert len(hear([*order[:6], order[2], stranger, order[5], *order[6:]])) == 10


def test_a_sender_that_counts_anew_is_heard_at_once() -> None:
    before, after = packets(10), packets(10)
    for packet in after:
        packet.sequence_number = (packet.sequence_number - 5000) & 0xFFFF
        packet.timestamp = (packet.timestamp - 777_777) & 0xFFFFFFFF
    assert len(hear([*before, *after])) == 20


def test_the_arrival_clock_follows_the_quickest() -> None:
    arrivals = ArrivalClock(48_000)
    assert arrivals.map(0, 100 * NS_PER_MS) == 100 * NS_PER_MS
    assert arrivals.map(960, 110 * NS_PER_MS) == 110 * NS_PER_MS  # earlier than expected: believed
    late = arrivals.map(1920, 190 * NS_PER_MS)  # 60 ms late: jitter
    assert late == pytest.approx(130 * NS_PER_MS, abs=0.2 * NS_PER_MS)


def test_an_aiortc_that_is_built_otherwise_is_told_of() -> None:
    class Stranger:
        pass

    with pytest.raises(PluginError, match="aiortc<"):
        install(Stranger(), AudioTap(OfflineClock(), set(), print))  # type: ignore[arg-type]
