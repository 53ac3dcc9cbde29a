"""Packets to frames: order, markers, loss, reordering."""

from __future__ import annotations

import random

import pytest

from mien.clock import NS_PER_MS
from mien_webrtc.assembly import AssembledFrame, FrameAssembler, is_keyframe

pytestmark = pytest.mark.unit

Packet = tuple[int, int, bool, bytes]


def stream(frames: int, start: int = 65_500, marker: bool = True) -> list[Packet]:
    """Frames of one to four packets; frame n's data is a run of letters that tells n and the place."""
    packets: list[Packet] = []
    sequence = start
    for n in range(frames):
        size = n % 4 + 1
        for i in range(size):
            packets.append((sequence & 0xFFFF, n * 3000, marker and i == size - 1, f"{n}.{i} ".encode()))
            sequence += 1
    return packets


def whole(n: int) -> bytes:
    return "".join(f"{n}.{i} " for i in range(n % 4 + 1)).encode()


def feed(assembler: FrameAssembler, packets: list[Packet], step_ms: int = 1) -> list[AssembledFrame]:
    found: list[AssembledFrame] = []
    for place, packet in enumerate(packets):
        found += assembler.add(*packet, arrival_ns=place * step_ms * NS_PER_MS)
    return found


def test_a_frame_is_there_with_its_last_packet() -> None:
    assembler = FrameAssembler()
    for place, packet in enumerate(stream(40)):
        frames = assembler.add(*packet, arrival_ns=place)
        assert len(frames) == int(packet[2])
        for frame in frames:
            assert frame.data == whole(frame.timestamp // 3000)
            assert frame.last_ns == place


def test_without_markers_the_next_frame_completes_it() -> None:
    frames = feed(FrameAssembler(), stream(10, marker=False))
    assert [f.data for f in frames] == [whole(n) for n in range(9)]


def test_padding_is_no_frame_and_delays_none() -> None:
    """Empty packets with the last picture's timestamp, after its marker: bandwidth probes."""
    assembler = FrameAssembler()
    assert assembler.add(10, 0, True, b"one", 0)
    for sequence in range(11, 20):
        assert not assembler.add(sequence, 0, False, b"", 0)
    [frame] = assembler.add(20, 3000, True, b"two", 0)
    assert frame.data == b"two"


def test_arrival_times_span_the_frame() -> None:
    [*_, last] = feed(FrameAssembler(), stream(4))
    assert (last.last_ns - last.first_ns) == 3 * NS_PER_MS


@pytest.mark.parametrize("seed", range(20))
def test_reordering_changes_nothing(seed: int) -> None:
    """Up to five places out of order, as over two ways; copies too."""
    rng = random.Random(seed)  # noqa: S311
    packets = stream(120)
    head, rest = packets[:1], packets[1:]
    keyed = sorted((i + rng.uniform(0, 5), packet) for i, packet in enumerate(rest))
    shuffled = head + [packet for _, packet in keyed]
    shuffled += rng.sample(shuffled, 10)
    frames = feed(FrameAssembler(), shuffled)
    assert [f.data for f in frames] == [whole(n) for n in range(120)]


@pytest.mark.parametrize("seed", range(20))
def test_a_resent_packet_fills_its_hole(seed: int) -> None:
    """Losses of a tenth that are all resent 30 packets later: every frame comes, in order."""
    rng = random.Random(seed)  # noqa: S311
    first, *rest = stream(120)
    sent: list[tuple[float, Packet]] = [(-1.0, first)]
    for i, packet in enumerate(rest):
        sent.append((i + (30.5 if rng.random() < 0.1 else 0.0), packet))
    frames = feed(FrameAssembler(), [packet for _, packet in sorted(sent)])
    assert [f.data for f in frames] == [whole(n) for n in range(120)]


@pytest.mark.parametrize("seed", range(30))
def test_what_never_comes_is_given_up_and_nothing_damaged_is_handed_out(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    packets = stream(400)
    kept = packets[:1] + [p for p in packets[1:] if rng.random() > 0.02]
    assembler = FrameAssembler(patience_ns=40 * NS_PER_MS)
    good: list[int] = []
    for place, packet in enumerate(kept):
        for frame in assembler.add(*packet, arrival_ns=place * NS_PER_MS):
            n = frame.timestamp // 3000
            if frame.data == whole(n):
                good.append(n)
            else:  # the tail of a frame whose start was given up: only ever while broken
                assert assembler.broken
    assert assembler.broken
    assert assembler.given_up
    assert good == sorted(good)
    assert len(good) > 250


def test_patience_is_bounded() -> None:
    packets = stream(200)
    del packets[50]
    assembler = FrameAssembler(patience_ns=200 * NS_PER_MS)
    frames = feed(assembler, packets)
    assert len(frames) >= 190
    assert assembler.given_up == 1


def test_a_sender_that_starts_anew() -> None:
    assembler = FrameAssembler()
    feed(assembler, stream(20, start=100))
    frames = feed(assembler, stream(20, start=30_000))
    assert [f.data for f in frames] == [whole(n) for n in range(20)]
    assert assembler.broken
    assembler.mend()
    assert not assembler.broken


def test_key_frames_are_told_apart() -> None:
    sps, idr, delta = b"\0\0\0\1\x67abc", b"\0\0\1\x65abc", b"\0\0\0\1\x41abc"
    assert is_keyframe("H264", sps + idr)
    assert is_keyframe("H264", b"\0\0\1\x06sei" + idr)
    assert not is_keyframe("H264", delta)
    assert not is_keyframe("H264", b"")
    assert is_keyframe("VP8", b"\x10\x02\x00\x9d\x01\x2a\x80\x00\x80\x00")
    assert not is_keyframe("VP8", b"\x11\x02\x00\x9d\x01\x2a\x80\x00\x80\x00")
    assert not is_keyframe("VP8", b"tail of a frame")
