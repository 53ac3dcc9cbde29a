"""Takes over behind aiortc's receivers: everything from the depacketized RTP packet on is ours.

aiortc keeps what it does well (SRTP, statistics, NACK, RTX, bandwidth estimates, depacketizing). Its
jitter buffer is replaced by a tap of the same shape that never returns a frame, so aiortc's decoder
thread and its unbounded track queue stay empty, and the frames go

    tap ──▶ FrameAssembler ──▶ VideoDecoder ──▶ newest picture
    tap ──▶ in order ──▶ OpusDecoder ──▶ sound

The one private name this leans on is `RTCRtpReceiver.__jitter_buffer`; `install` refuses to work when a
later aiortc has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import aiortc
import av
from aiortc import RTCRtpReceiver

from mien.clock import NS_PER_S, Clock
from mien.errors import PluginError
from mien.frames import AudioFrame
from mien_webrtc.assembly import FrameAssembler
from mien_webrtc.decoding import VideoDecoder
from mien_webrtc.opus import RATE, OpusDecoder

_BUFFER = "_RTCRtpReceiver__jitter_buffer"

_FAR = 128
"""Packets of sound, 2.5 s: none is so late or so early; its sender counts anew."""


class RtpPacket(Protocol):
    """What a tap reads of aiortc's packet; `_data` is the payload without the codec's RTP header."""

    payload_type: int
    sequence_number: int
    timestamp: int
    marker: int
    _data: bytes


class Tap(Protocol):
    """The shape of aiortc's `JitterBuffer`."""

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """Take a packet; the first value asks aiortc to send a PLI, the second would be a frame."""


def install(receiver: RTCRtpReceiver, tap: Tap) -> None:
    """Put the tap in the place of the receiver's jitter buffer. Call it before the receiver starts."""
    if not hasattr(receiver, _BUFFER):
        raise PluginError(
            f"aiortc {aiortc.__version__} keeps its jitter buffer elsewhere than this version of mien knows. "
            'Install a known one: pip install "aiortc<1.17"'
        )
    setattr(receiver, _BUFFER, tap)


class VideoTap:
    """Assembles and decodes a video stream. codecs: RTP payload type -> "H264" or "VP8"."""

    def __init__(self, clock: Clock, codecs: Mapping[int, str], decoder: VideoDecoder) -> None:
        self._clock = clock
        self._codecs = dict(codecs)
        self._decoder = decoder
        self.assembler = FrameAssembler()
        self.last_packet_ns: int | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        now = self.last_packet_ns = self._clock.now_ns()
        codec = self._codecs.get(packet.payload_type)
        if codec is None:
            return False, None
        frames = self.assembler.add(
            packet.sequence_number,
            packet.timestamp,
            bool(packet.marker),
            packet._data,  # set by aiortc's depacketizer
            now,
        )
        for frame in frames:
            if self._decoder.put(codec, frame, after_loss=self.assembler.broken):
                self.assembler.mend()
        return self._decoder.wants_keyframe(now), None


class AudioTap:
    """Puts Opus packets in order, decodes them and stamps them with when their sound was made.

    A packet that is missing is waited for while up to `patience` later ones come in; then it is skipped
    (whoever plays the sound sees the gap in the capture times). Decoding takes 0.1 ms per 20 ms packet
    and is done on the event loop.
    """

    def __init__(
        self, clock: Clock, payload_types: set[int], deliver: Callable[[AudioFrame], None], patience: int = 3
    ) -> None:
        self._clock = clock
        self._payload_types = payload_types
        self._deliver = deliver
        self._patience = patience
        self._decoder = OpusDecoder()
        self._arrivals = ArrivalClock(RATE)
        self._waiting: dict[int, tuple[bytes, int]] = {}
        self._next: int | None = None
        self.last_packet_ns: int | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        self.last_packet_ns = self._clock.now_ns()
        if packet.payload_type not in self._payload_types:
            return False, None
        if self._next is None or _FAR <= self._ahead(packet.sequence_number) < 0x10000 - _FAR:
            self._restart(packet.sequence_number)
        capture_ns = self._arrivals.map(packet.timestamp, self.last_packet_ns)
        if self._ahead(packet.sequence_number) >= 0x8000:
            return False, None  # too late, or a copy
        self._waiting[packet.sequence_number] = (packet._data, capture_ns)
        self._drain()
        return False, None

    def _restart(self, sequence_number: int) -> None:
        """The stream begins, or its sender started anew: nothing before is worth waiting for."""
        self._waiting.clear()
        self._next = sequence_number

    def _drain(self) -> None:
        while self._waiting:
            if self._next not in self._waiting:
                if len(self._waiting) <= self._patience:
                    return
                self._next = min(self._waiting, key=self._ahead)
            self._decode(*self._waiting.pop(self._next))
            self._next = (self._next + 1) & 0xFFFF

    def _ahead(self, sequence_number: int) -> int:
        return (sequence_number - (self._next or 0)) & 0xFFFF

    def _decode(self, data: bytes, capture_ns: int) -> None:
        try:
            samples = self._decoder.decode(data)
        except av.FFmpegError:
            return
        if len(samples):
            duration_ns = len(samples) * NS_PER_S // RATE
            self._deliver(AudioFrame(samples, RATE, capture_ns - duration_ns))


class ArrivalClock:
    """RTP time to engine time: the sender's steady spacing, placed where the quickest packets arrive.

    Follows an earlier arrival at once (nothing comes before it was made) and a later one slowly, so that
    network jitter leaves no gaps in the sound while clock drift (under 100 ppm) is kept up with.
    """

    _DRIFT = 0.002

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._last = 0
        self._unwrapped = 0
        self._offset_ns: float | None = None

    def map(self, timestamp: int, arrival_ns: int) -> int:
        """The engine time at which a packet of that RTP timestamp would arrive undelayed."""
        if self._offset_ns is None:
            self._last = timestamp
        step = (timestamp - self._last) & 0xFFFFFFFF
        step -= (step >= 0x80000000) << 32
        self._last = timestamp
        self._unwrapped += step
        media_ns = self._unwrapped * NS_PER_S // self._rate
        offset = float(arrival_ns - media_ns)
        if self._offset_ns is None or offset < self._offset_ns or offset - self._offset_ns > NS_PER_S:
            self._offset_ns = offset
        else:
            self._offset_ns += self._DRIFT * (offset - self._offset_ns)
        return media_ns + int(self._offset_ns)


def payload_types(codecs: list[Any], name: str) -> set[int]:
    """Which of the negotiated payload types carry that codec."""
    return {codec.payloadType for codec in codecs if codec.name.lower() == name.lower()}
