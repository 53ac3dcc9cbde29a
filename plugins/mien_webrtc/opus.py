"""Opus out (libopus) and in: 48 kHz, 20 ms packets (RFC 7587)."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.resampler import AudioResampler

from mien.clock import NS_PER_S
from mien.frames import AudioFrame, Float
from mien.stage import EncodedFrame

RATE = 48_000
FRAME = 960
TIME_BASE = Fraction(1, RATE)

_LOOK_AHEAD_NS = 6_500_000
"""What comes out of a decoder is so much later than what went in (312 samples, RFC 6716 section 2.1.4's look-ahead at
48 kHz): a packet is stamped with the time of the sound that it gives out.
"""

_REJOIN_NS = 60_000_000
"""A step of the capture times larger than this is a gap in the sound, a smaller one is jitter."""


def rtp_time(capture_ns: int) -> int:
    """Engine time to the 48 kHz RTP clock."""
    return capture_ns * RATE // NS_PER_S


class OpusEncoder:
    """Any float sound to 20 ms Opus packets, stereo, stamped with the time of the first sample that they decode to."""

    def __init__(self, bitrate: int = 64_000) -> None:
        codec = av.CodecContext.create("libopus", "w")
        codec.sample_rate, codec.format, codec.layout = RATE, "flt", "stereo"
        codec.bit_rate = bitrate
        codec.time_base = TIME_BASE
        codec.options = {"application": "voip", "frame_duration": "20"}
        codec.open()
        self._codec = codec
        self._resampler: AudioResampler | None = None
        self._rate = 0
        self._left: Float = np.zeros((0, 2), np.float32)
        self._next_ns: int | None = None

    def forget(self) -> None:
        """What waits to fill a packet is not to be heard any more."""
        self._left = self._left[:0]
        self._next_ns = None

    def encode(self, frame: AudioFrame) -> list[EncodedFrame]:
        """Samples that do not fill a packet wait for the next call."""
        expected = self._next_ns
        if expected is None or abs(frame.capture_ns - expected) > _REJOIN_NS:
            self._left = self._left[:0]
            start_ns = frame.capture_ns
        else:
            start_ns = expected - len(self._left) * NS_PER_S // RATE
        samples = np.concatenate([self._left, self._stereo_48k(frame)])
        encoded: list[EncodedFrame] = []
        used = 0
        while len(samples) - used >= FRAME:
            block = np.ascontiguousarray(samples[used : used + FRAME])
            sound = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="flt", layout="stereo")
            sound.sample_rate = RATE
            capture_ns = start_ns + used * NS_PER_S // RATE
            sound.pts, sound.time_base = rtp_time(capture_ns), TIME_BASE
            encoded += [
                EncodedFrame(bytes(packet), capture_ns - _LOOK_AHEAD_NS, keyframe=True, codec="opus")
                for packet in self._codec.encode(sound)
            ]
            used += FRAME
        self._left = samples[used:].copy()
        self._next_ns = start_ns + len(samples) * NS_PER_S // RATE
        return encoded

    def _stereo_48k(self, frame: AudioFrame) -> Float:
        samples = frame.samples
        if samples.shape[1] == 1:
            samples = np.repeat(samples, 2, axis=1)
        samples = np.ascontiguousarray(samples[:, :2], np.float32)
        if frame.rate == RATE:
            return samples
        if self._resampler is None or self._rate != frame.rate:
            self._resampler = AudioResampler(format="flt", layout="stereo", rate=RATE)
            self._rate = frame.rate
        sound = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout="stereo")
        sound.sample_rate = frame.rate
        blocks = [out.to_ndarray().reshape(-1, 2) for out in self._resampler.resample(sound)]
        return np.concatenate(blocks) if blocks else samples[:0]


class OpusDecoder:
    """Opus packets to (N, 2) float32 at 48 kHz."""

    def __init__(self) -> None:
        codec: AudioCodecContext = av.CodecContext.create("libopus", "r")
        codec.sample_rate, codec.layout = RATE, "stereo"
        self._codec = codec

    def decode(self, data: bytes) -> Float:
        """Raises `av.FFmpegError` when the packet is damaged."""
        blocks = [_interleaved(sound) for sound in self._codec.decode(av.Packet(data))]
        return np.concatenate(blocks) if blocks else np.zeros((0, 2), np.float32)


def _interleaved(sound: av.AudioFrame) -> Float:
    samples = sound.to_ndarray()
    channels = sound.layout.nb_channels
    block = samples.T if sound.format.is_planar else samples.reshape(-1, channels)
    if block.dtype == np.int16:
        block = block.astype(np.float32) / 32768.0
    block = np.asarray(block, np.float32)
    return np.ascontiguousarray(block if channels == 2 else np.repeat(block[:, :1], 2, axis=1))
