"""What encoding pictures for WebRTC has in common, whichever codec does it."""

from __future__ import annotations

from abc import abstractmethod
from fractions import Fraction
from typing import Literal

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from mien.frames import Bytes, VideoFrame
from mien.stage import Context, EncodedFrame, Encoder

CLOCK_RATE = 90_000
"""RTP clock of video (RFC 6184 section 8.2.1, RFC 7741 section 4.1)."""

TIME_BASE = Fraction(1, CLOCK_RATE)


def rtp_time(capture_ns: int) -> int:
    """Engine time to the 90 kHz RTP clock; it never restarts, whatever the source does."""
    return capture_ns * 9 // 100_000


def to_i420(pixels: Bytes) -> av.VideoFrame:
    """(H, W, 3) uint8 RGB -> 4:2:0, BT.601 limited range; an odd last row or column is left out.

    OpenCV takes 0.3 ms for 512x512 where swscale takes three.
    """
    height, width = pixels.shape[0] & ~1, pixels.shape[1] & ~1
    planar = cv2.cvtColor(np.ascontiguousarray(pixels[:height, :width]), cv2.COLOR_RGB2YUV_I420)
    return av.VideoFrame.from_numpy_buffer(planar, format="yuv420p")  # copying would take as long again


class LibavEncoder(Encoder):
    """One of libav's encoders, made anew when the pictures' size changes or `_context` was given up."""

    codec: str

    def __init__(self, max_bitrate: int = 4_000_000) -> None:
        self._max_bitrate = max_bitrate
        self._bitrate = max_bitrate
        self._fps = 25.0
        self._context: VideoCodecContext | None = None
        self._last_pts = -1

    def open(self, context: Context) -> None:
        self._fps = context.fps

    def close(self) -> None:
        self._context = None

    def encode(self, frame: VideoFrame, *, keyframe: bool = False) -> list[EncodedFrame]:
        picture = to_i420(frame.pixels)
        codec = self._context
        if codec is None or (codec.width, codec.height) != (picture.width, picture.height):
            codec = self._context = self._create(picture.width, picture.height)
        self._last_pts = max(rtp_time(frame.capture_ns), self._last_pts + 1)
        picture.pts, picture.time_base = self._last_pts, TIME_BASE
        picture.pict_type = PictureType.I if keyframe else PictureType.NONE
        packets = codec.encode(picture)
        if not packets:
            return []
        data = b"".join(bytes(packet) for packet in packets)
        return [EncodedFrame(data, frame.capture_ns, any(p.is_keyframe for p in packets), self.codec)]

    @abstractmethod
    def _create(self, width: int, height: int) -> VideoCodecContext:
        """An open encoder for 4:2:0 pictures of that size, `_fps` and `_bitrate`."""

    def _prepared(self, name: Literal["libx264", "libvpx"], width: int, height: int) -> VideoCodecContext:
        """What `_create` begins with: the encoder `name`, not open yet."""
        codec = av.CodecContext.create(name, "w")
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.time_base = TIME_BASE
        codec.framerate = Fraction(self._fps).limit_denominator(1001)
        codec.thread_count = 1  # slices of one picture would cost packets, and threads the lanes' cores
        return codec
