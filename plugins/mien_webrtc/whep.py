"""The output side of a session: pictures and sound to every viewer that came by WHEP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from aiortc import RTCRtpSender

from mien.clock import Clock
from mien.config import ServerSection
from mien.frames import AudioFrame, VideoFrame
from mien.stage import Context, Encoder, Output
from mien_webrtc.feedback import BitrateControl, watch_feedback
from mien_webrtc.h264 import H264Encoder
from mien_webrtc.settings import WebrtcSettings
from mien_webrtc.stream import AudioStream, PacketTrack, SpanRecorder, Stream, VideoStream
from mien_webrtc.vp8 import Vp8Encoder

KILO = 1000

ENCODERS: Mapping[str, type[H264Encoder | Vp8Encoder]] = {"H264": H264Encoder, "VP8": Vp8Encoder}


@dataclass(slots=True)
class Viewer:
    """What one viewer is subscribed to."""

    video: PacketTrack | None
    audio: PacketTrack | None
    video_stream: VideoStream | None
    acknowledged: int = 0
    """pictures sent when it last reported anything"""

    DEAF: ClassVar[int] = 250
    """pictures; receivers report every second or so, every five at the most"""

    @property
    def gone(self) -> bool:
        """Whether so much was sent without any report that nobody can be there, or the encoder failed."""
        if self.video is None:
            return False
        return self.video.readyState != "live" or self.video.sent - self.acknowledged > self.DEAF

    def heard(self) -> None:
        """It reported something."""
        if self.video is not None:
            self.acknowledged = self.video.sent


class WhepOutput(Output):
    """One encoder per codec in use, and one for sound, however many watch; none while nobody does."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        server: ServerSection,
        settings: WebrtcSettings,
        trace: SpanRecorder | None = None,
    ) -> None:
        self.name = name
        self._clock = clock
        self._server = server
        self._settings = settings
        self._trace = trace
        self._context: Context | None = None
        self._videos: dict[str, VideoStream] = {}
        self._sound = AudioStream(f"{name}-opus", clock, settings.audio_kbps * KILO)
        self._viewers: list[Viewer] = []

    @property
    def viewers(self) -> int:
        """How many are connected or about to be."""
        return len(self._viewers)

    @property
    def streams(self) -> tuple[Stream[VideoFrame] | Stream[AudioFrame], ...]:
        """What is encoded at the moment."""
        return tuple(stream for stream in self._all() if stream.viewers)

    @property
    def dropped(self) -> Mapping[str, int]:
        counts: Counter[str] = Counter()
        for stream in self._all():
            counts.update(stream.dropped)
        return counts

    def _all(self) -> list[Stream[VideoFrame] | Stream[AudioFrame]]:
        return [*self._videos.values(), self._sound]

    @property
    def takes_alpha(self) -> bool:
        return True

    async def open(self, context: Context) -> None:
        self._context = context

    async def video(self, frame: VideoFrame) -> None:
        for stream in self._videos.values():
            stream.put(frame)

    async def audio(self, frame: AudioFrame) -> None:
        self._sound.put(frame)

    def hush(self, epoch: int) -> None:
        self._sound.hush(epoch)

    async def close(self) -> None:
        for stream in self._all():
            await stream.close()
        self._videos.clear()
        self._viewers.clear()

    def admit(self, codec: str | None, *, audio: bool, alpha: bool = False) -> Viewer:
        """Subscribe a viewer. codec: "H264" or "VP8", None for one who only listens; alpha: see `looks`."""
        stream = self._video_stream(codec) if codec is not None else None
        viewer = Viewer(
            video=stream.subscribe(alpha=alpha) if stream is not None else None,
            audio=self._sound.subscribe() if audio else None,
            video_stream=stream,
        )
        self._viewers.append(viewer)
        return viewer

    def listen(self, viewer: Viewer, sender: RTCRtpSender) -> None:
        """Heed the feedback that comes to the sender of the viewer's picture."""
        stream = viewer.video_stream
        if stream is not None:
            watch_feedback(
                sender,
                on_keyframe=stream.request_keyframe,
                on_bitrate=lambda rate: stream.report_bitrate(id(viewer), rate),
                on_report=viewer.heard,
            )

    async def dismiss(self, viewer: Viewer) -> None:
        """The viewer is gone."""
        if viewer not in self._viewers:
            return
        self._viewers.remove(viewer)
        stream = viewer.video_stream
        if stream is not None and viewer.video is not None:
            stream.bitrate.forget(id(viewer))
            await stream.unsubscribe(viewer.video)
        if viewer.audio is not None:
            await self._sound.unsubscribe(viewer.audio)

    def _video_stream(self, codec: str) -> VideoStream:
        if codec not in self._videos:
            self._videos[codec] = VideoStream(
                f"{self.name}-{codec.lower()}",
                self._clock,
                lambda: self._encoder(codec),
                BitrateControl(
                    self._server.start_kbps * KILO,
                    self._server.min_kbps * KILO,
                    self._server.max_kbps * KILO,
                ),
                self._trace,
            )
        return self._videos[codec]

    def _encoder(self, codec: str) -> Encoder:
        encoder = ENCODERS[codec](self._server.max_kbps * KILO)
        if self._context is not None:
            encoder.open(self._context)
        return encoder
