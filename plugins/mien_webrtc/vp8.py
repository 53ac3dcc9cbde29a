"""VP8 by libvpx, for viewers without H.264. Its default denoiser costs more than the encoding and 3 dB."""

from __future__ import annotations

from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from mien.frames import VideoFrame
from mien.stage import Context, EncodedFrame, Encoder
from mien_webrtc.h264 import TIME_BASE, rtp_time, to_i420


class Vp8Encoder(Encoder):
    """One libvpx instance. FFmpeg cannot change its rate while it runs, so a change makes a new one,
    which starts with a key frame: `REBUILD_RATIO` keeps that rare.
    """

    codec = "VP8"
    REBUILD_RATIO = 0.25

    def __init__(self, max_bitrate: int = 4_000_000) -> None:
        self._bitrate = max_bitrate
        self._max_bitrate = max_bitrate
        self._built_for = 0
        self._fps = 25.0
        self._context: VideoCodecContext | None = None
        self._last_pts = -1

    def open(self, context: Context) -> None:
        self._fps = context.fps

    def close(self) -> None:
        self._context = None

    def set_bitrate(self, bits_per_second: int) -> None:
        self._bitrate = min(bits_per_second, self._max_bitrate)
        if abs(self._bitrate - self._built_for) > self.REBUILD_RATIO * self._built_for:
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

    def _create(self, width: int, height: int) -> VideoCodecContext:
        rate = str(self._bitrate)
        codec = av.CodecContext.create("libvpx", "w")
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.time_base = TIME_BASE
        codec.framerate = Fraction(self._fps).limit_denominator(1001)
        codec.bit_rate = self._bitrate
        codec.gop_size = 100_000  # key frames on request only
        codec.qmin, codec.qmax = 2, 56
        codec.thread_count = 1
        codec.options = {
            "deadline": "realtime",
            "cpu-used": "-12",
            "noise-sensitivity": "0",
            "lag-in-frames": "0",
            "minrate": rate,
            "maxrate": rate,  # equal to minrate: constant bit rate
            "bufsize": rate,
            "undershoot-pct": "100",
            "overshoot-pct": "15",
            "static-thresh": "1",
        }
        codec.open()
        self._built_for = self._bitrate
        return codec
