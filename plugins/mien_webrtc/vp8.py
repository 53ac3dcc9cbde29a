"""VP8 by libvpx, for viewers without H.264. Its default denoiser costs more than the encoding and 3 dB."""

from __future__ import annotations

from av.video.codeccontext import VideoCodecContext

from mien_webrtc.encoding import LibavEncoder


class Vp8Encoder(LibavEncoder):
    """One libvpx instance. FFmpeg cannot change its rate while it runs, so a change makes a new one,
    which starts with a key frame: `REBUILD_RATIO` keeps that rare.
    """

    codec = "VP8"
    REBUILD_RATIO = 0.25

    def __init__(self, max_bitrate: int = 4_000_000) -> None:
        super().__init__(max_bitrate)
        self._built_for = 0

    def set_bitrate(self, bits_per_second: int) -> None:
        self._bitrate = min(bits_per_second, self._max_bitrate)
        if abs(self._bitrate - self._built_for) > self.REBUILD_RATIO * self._built_for:
            self._context = None

    def _create(self, width: int, height: int) -> VideoCodecContext:
        rate = str(self._bitrate)
        codec = self._prepared("libvpx", width, height)
        codec.bit_rate = self._bitrate
        codec.gop_size = 100_000  # key frames on request only
        codec.qmin, codec.qmax = 2, 56
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
