"""How a picture with alpha is sent: video codecs of WebRTC have no alpha channel.

Who asked for alpha (`POST /whep/NAME?alpha=below`) is sent a picture twice as high, colours above, alpha as grey
below, which a shader puts together again (`web/composer.js`); who did not, the person over the backdrop's colour.
Opaque pictures are sent as they are, to all alike: that one has alpha can be told from its shape.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import Enum

from mien.frames import VideoFrame
from mien.stage import EncodedFrame, Encoder


class Look(Enum):
    """What becomes of a picture, and who gets it."""

    PLAIN = "an opaque picture, for everybody"
    FLAT = "over the backdrop, for those who know nothing of alpha"
    ALPHA = "alpha below the colours, for those who asked for it"

    def suits(self, alpha: bool) -> bool:
        """Whether a viewer gets this; alpha: it asked for it."""
        return self is Look.PLAIN or alpha == (self is Look.ALPHA)


class LookEncoder:
    """Encodes a picture in each look that somebody watches: one encoder for colours, one more for alpha.

    On one thread. make: returns an opened encoder.
    """

    def __init__(self, make: Callable[[], Encoder], bits_per_second: int) -> None:
        self._make = make
        self._rate = bits_per_second
        self._encoders: dict[bool, Encoder] = {}
        self._looks: list[Look] = []

    def set_bitrate(self, bits_per_second: int) -> None:
        self._rate = bits_per_second
        for encoder in self._encoders.values():
            encoder.set_bitrate(bits_per_second)

    def encode(
        self, frame: VideoFrame, *, keyframe: bool, viewers: Collection[bool]
    ) -> list[tuple[Look, EncodedFrame]]:
        """viewers: for each, whether it asked for alpha. A key frame is made when `keyframe`, and when viewers get
        another look from now on.
        """
        looks = _looks(frame, viewers)
        changed = bool(self._looks) and looks != self._looks
        self._looks = looks
        return [
            (look, encoded)
            for look in looks
            for encoded in self._encoder(look).encode(_seen(frame, look), keyframe=keyframe or changed)
        ]

    def _encoder(self, look: Look) -> Encoder:
        alpha = look is Look.ALPHA
        if alpha not in self._encoders:
            self._encoders[alpha] = self._make()
            self._encoders[alpha].set_bitrate(self._rate)
        return self._encoders[alpha]

    def close(self) -> None:
        for encoder in self._encoders.values():
            encoder.close()
        self._encoders.clear()


def _looks(frame: VideoFrame, viewers: Collection[bool]) -> list[Look]:
    if frame.alpha is None:
        return [Look.PLAIN]
    return [look for look in (Look.FLAT, Look.ALPHA) if any(look.suits(alpha) for alpha in viewers)]


def _seen(frame: VideoFrame, look: Look) -> VideoFrame:
    if look is Look.PLAIN:
        return frame
    from mien.render.composition import flattened, laid_out  # compiles, and is not always needed

    return laid_out(frame, "below") if look is Look.ALPHA else flattened(frame)
