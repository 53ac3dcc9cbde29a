"""H.264 by libx264, for latency first (constrained baseline, one slice, no look-ahead)."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from mien.frames import Bytes, VideoFrame
from mien.stage import Context, EncodedFrame, Encoder
from mien_webrtc.settings import WebrtcSettings

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
    return av.VideoFrame.from_ndarray(planar, format="yuv420p")


class H264Encoder(Encoder):
    """One libx264 instance. A change of rate takes effect within a second, without a key frame.

    libx264 obeys a new average rate while it runs only in its CBR mode, which it enters when it is opened
    with equal average and peak rates; so it is opened at `max_bitrate` and turned down from there.
    """

    codec = "H264"

    def __init__(self, max_bitrate: int = 4_000_000) -> None:
        self._max_bitrate = max_bitrate
        self._bitrate = max_bitrate
        self._fps = 25.0
        self._preset = "superfast"
        self._context: VideoCodecContext | None = None
        self._last_pts = -1

    def open(self, context: Context) -> None:
        self._fps = context.fps
        self._preset = WebrtcSettings.parse(context.settings).preset

    def close(self) -> None:
        self._context = None

    def set_bitrate(self, bits_per_second: int) -> None:
        self._bitrate = min(bits_per_second, self._max_bitrate)
        if self._context is not None:
            self._context.bit_rate = self._bitrate

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
        return [
            EncodedFrame(
                data=b"".join(bytes(packet) for packet in packets),
                capture_ns=frame.capture_ns,
                keyframe=any(packet.is_keyframe for packet in packets),
                codec=self.codec,
            )
        ]

    def _create(self, width: int, height: int) -> VideoCodecContext:
        codec = av.CodecContext.create("libx264", "w")
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.time_base = TIME_BASE
        codec.framerate = Fraction(self._fps).limit_denominator(1001)
        codec.bit_rate = self._max_bitrate
        codec.thread_count = 1  # slices of one picture would cost packets, and threads the lanes' cores
        codec.profile = "Baseline"
        codec.options = {
            "preset": self._preset,
            "tune": "zerolatency",
            "forced-idr": "1",
            "maxrate": str(self._max_bitrate),
            # An eighth of a second: a key frame stays under 40 kB, a burst that a LAN swallows.
            "bufsize": str(self._max_bitrate // 8),
            "x264-params": (
                "keyint=infinite:scenecut=0:repeat-headers=1"
                ":colorprim=smpte170m:transfer=smpte170m:colormatrix=smpte170m"
            ),
        }
        codec.open()
        codec.bit_rate = self._bitrate
        return codec
