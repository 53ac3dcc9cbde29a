"""H.264 by libx264, for latency first (constrained baseline, one slice, no look-ahead)."""

from __future__ import annotations

from av.video.codeccontext import VideoCodecContext

from mien.stage import Context
from mien_webrtc.encoding import LibavEncoder
from mien_webrtc.settings import WebrtcSettings


class H264Encoder(LibavEncoder):
    """One libx264 instance. A change of rate takes effect within a second, without a key frame.

    libx264 obeys a new average rate while it runs only in its CBR mode, which it enters when it is opened
    with equal average and peak rates; so it is opened at `max_bitrate` and turned down from there.
    """

    codec = "H264"

    def __init__(self, max_bitrate: int = 4_000_000) -> None:
        super().__init__(max_bitrate)
        self._preset = "superfast"

    def open(self, context: Context) -> None:
        super().open(context)
        self._preset = WebrtcSettings.parse(context.settings).preset

    def set_bitrate(self, bits_per_second: int) -> None:
        self._bitrate = min(bits_per_second, self._max_bitrate)
        if self._context is not None:
            self._context.bit_rate = self._bitrate

    def _create(self, width: int, height: int) -> VideoCodecContext:
        codec = self._prepared("libx264", width, height)
        codec.bit_rate = self._max_bitrate
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
