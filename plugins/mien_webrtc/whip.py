"""The source side of a session: a browser's or an encoder's camera and microphone, come by WHIP."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from aiortc import RTCRtpTransceiver

from mien.clock import NS_PER_S, Clock
from mien.frames import AudioFrame, VideoFrame
from mien.stage import MediaInfo, Source
from mien_webrtc.decoding import VideoDecoder
from mien_webrtc.receiving import AudioTap, VideoTap, install, payload_types

_SOUND_CAPACITY = 50
"""20 ms each; whoever is a second behind has lost the oldest."""


class WhipSource(Source):
    """Yields the newest decoded picture and all sound.

    Pictures are stamped with the arrival of their first packet, so the trace's `receive` holds what the
    network needed for the rest of them, decoding and hand-over. They are decoded on a thread of their own, which
    begins with the first; `on_closed` tells that the session let go of the source.
    """

    def __init__(
        self, clock: Clock, title: str = "WHIP", on_closed: Callable[[], object] = lambda: None
    ) -> None:
        self._clock = clock
        self._title = title
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._decoder = VideoDecoder(clock, self._picture_decoded)
        self._video: VideoTap | None = None
        self._audio: AudioTap | None = None
        self._picture: VideoFrame | None = None
        self._sound: deque[AudioFrame] = deque(maxlen=_SOUND_CAPACITY)
        self._ready = asyncio.Event()
        self._ended = False
        self._connected_ns: int | None = None
        self.replaced = 0
        """pictures that a newer one overtook before anybody took them"""
        self.unheard = 0
        """stretches of sound that newer ones pushed out before anybody took them"""

    def listen(self, transceivers: Sequence[RTCRtpTransceiver]) -> None:
        """Take over behind the receivers, between the agreement on codecs and the first packet."""
        for transceiver in transceivers:
            codecs = transceiver._codecs  # what was negotiated has no public name
            if transceiver.kind == "video":
                names = {n: name for name in ("H264", "VP8") for n in payload_types(codecs, name)}
                self._video = VideoTap(self._clock, names, self._decoder)
                install(transceiver.receiver, self._video)
            else:
                self._audio = AudioTap(self._clock, payload_types(codecs, "opus"), self._sound_decoded)
                install(transceiver.receiver, self._audio)

    @property
    def info(self) -> MediaInfo:
        # The size of pictures is known once they come; until then, that sound is all there is would be a guess.
        return MediaInfo(title=self._title, audio_rate=48_000 if self._video is None else None)

    @property
    def dropped(self) -> Mapping[str, int]:
        return {
            "undecodable": self._decoder.given_up,
            "overtaken at decoding": self._decoder.skipped,
            "overtaken at hand-over": self.replaced,
            "sound overtaken at hand-over": self.unheard,
        }

    @property
    def decoder(self) -> VideoDecoder:
        """For statistics."""
        return self._decoder

    def connected(self) -> None:
        """Packets may come from now on."""
        self._connected_ns = self._clock.now_ns()

    def silent_s(self, now_ns: int) -> float | None:
        """Seconds since the last packet of any kind, before the first since it was connected; None before that."""
        signs = [self._connected_ns, *(tap.last_packet_ns for tap in (self._video, self._audio) if tap)]
        last_ns = max((sign for sign in signs if sign is not None), default=None)
        return None if last_ns is None else (now_ns - last_ns) / NS_PER_S

    async def frames(self) -> AsyncIterator[VideoFrame | AudioFrame]:
        while not self._ended:
            await self._ready.wait()
            self._ready.clear()
            while self._sound:
                yield self._sound.popleft()
            picture, self._picture = self._picture, None
            if picture is not None:
                yield picture

    def end(self) -> None:
        """The publisher is gone: `frames` returns."""
        self._ended = True
        self._ready.set()

    async def close(self) -> None:
        self.end()
        await asyncio.to_thread(self._decoder.close)
        self._on_closed()

    def _picture_decoded(self, picture: VideoFrame) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._take_picture, picture)

    def _take_picture(self, picture: VideoFrame) -> None:
        if self._picture is not None:
            self.replaced += 1
        self._picture = picture
        self._ready.set()

    def _sound_decoded(self, sound: AudioFrame) -> None:
        self.unheard += len(self._sound) == _SOUND_CAPACITY
        self._sound.append(sound)
        self._ready.set()
