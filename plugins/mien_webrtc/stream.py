"""One encoder, many viewers: a session's pictures or sound, encoded once on a thread of its own.

    put (any thread) ──▶ newest frame ──▶ [encoder thread] ──▶ event loop ──▶ one PacketTrack per viewer

A track's `recv` only hands over what is ready: aiortc awaits it and then sends, in series.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from mien.channel import Channel, Fifo, Latest
from mien.clock import NS_PER_MS, Clock
from mien.frames import NO_FRAME, AudioFrame, VideoFrame
from mien.stage import EncodedFrame, Encoder
from mien_webrtc import encoding, opus
from mien_webrtc.feedback import BitrateControl, KeyframeRequests, RateMeter
from mien_webrtc.looks import Look, LookEncoder


class SpanRecorder(Protocol):
    """The part of `mien.trace.Trace` that is used here."""

    def span(self, index: int, name: str, start_ns: int, end_ns: int) -> None: ...


log = logging.getLogger(__name__)

In = TypeVar("In", VideoFrame, AudioFrame)
CodedPacket: TypeAlias = "av.Packet[Any]"


class Ready:
    """A packet for all viewers that its look suits. index: of the frame that it was made of, or `NO_FRAME`."""

    __slots__ = ("capture_ns", "index", "keyframe", "look", "packet", "sent")

    def __init__(
        self,
        encoded: EncodedFrame,
        index: int,
        pts: int,
        time_base: Fraction,
        look: Look = Look.PLAIN,
    ) -> None:
        self.look = look
        self.packet = av.Packet(encoded.data)
        self.packet.pts = pts
        self.packet.time_base = time_base
        self.keyframe = encoded.keyframe
        self.capture_ns = encoded.capture_ns
        self.index = index
        self.sent = False
        """whether some viewer has got all of it"""


class PacketTrack(MediaStreamTrack):
    """What one viewer is sent. It starts with a key frame, and after a hole waits for the next one."""

    CAPACITY = 64
    """packets that may wait; a viewer that is so far behind gets a fresh start"""

    def __init__(
        self,
        kind: str,
        on_start: Callable[[], None],
        on_sent: Callable[[Ready], None] | None = None,
        *,
        alpha: bool = False,
    ) -> None:
        """alpha: the viewer asked for it."""
        super().__init__()
        self.kind = kind
        self.alpha = alpha
        self._on_start = on_start
        self._on_sent = on_sent
        self._queue: deque[Ready] = deque()
        self._ready = asyncio.Event()
        self._started = False
        self._in_step = kind == "audio"
        self._sending: Ready | None = None
        self.last: Ready | None = None
        """the last one that was sent whole"""
        self.sent = 0
        self.given_up = 0
        """packets, because so many waited already"""

    def offer(self, ready: Ready) -> None:
        """Queue a packet for this viewer; called on the event loop."""
        if not self._started or self.readyState != "live" or not ready.look.suits(self.alpha):
            return
        if ready.keyframe:
            self._in_step = True
        if not self._in_step:
            self.given_up += self.given_up > 0  # before its first packet nothing is missing
            return
        if len(self._queue) >= self.CAPACITY:
            self.given_up += len(self._queue) + 1
            self._queue.clear()
            self._in_step = self.kind == "audio"
            self._on_start()
            return
        self._queue.append(ready)
        self._ready.set()

    def flush(self) -> None:
        """Forget the packets that wait; called on the event loop."""
        self._queue.clear()

    async def recv(self) -> CodedPacket:
        """The next packet. The first call means that the connection is up: DTLS is through."""
        if self.readyState != "live":
            raise MediaStreamError
        if self._sending is not None and self._on_sent is not None:
            self._on_sent(self._sending)  # aiortc asks for the next one when all of this one is sent
        self.last = self._sending or self.last
        self._sending = None
        if not self._started:
            self._started = True
            self._on_start()
        while not self._queue:
            self._ready.clear()
            await self._ready.wait()
            if self.readyState != "live":
                raise MediaStreamError
        self._sending = self._queue.popleft()
        self.sent += 1
        return self._sending.packet

    def stop(self) -> None:
        super().stop()
        self._queue.clear()
        self._ready.set()


class Stream(ABC, Generic[In]):
    """The thread, the hand-over in and the fan-out; what is encoded how is the subclass's.

    Runs only while there are tracks. All methods but `put` are called on the event loop, `subscribe` never while
    `close` is under way: the room lets viewers in and out one at a time.
    """

    kind: str

    def __init__(self, name: str, inbox: Channel[In], clock: Clock) -> None:
        self.name = name
        self.inbox: Channel[In] = inbox
        self._clock = clock
        self._tracks: list[PacketTrack] = []
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self.encoded = 0
        self._refused = 0
        self._unsent = 0
        self.error: Exception | None = None
        """why the encoder gave up last"""

    @property
    def viewers(self) -> int:
        return len(self._tracks)

    @property
    def dropped(self) -> Mapping[str, int]:
        """What was given up, by reason, since the beginning."""
        sound = "sound " if self.kind == "audio" else ""
        return {
            f"{sound}overtaken at encoding": self.inbox.stats.dropped + self._refused,
            f"{sound}too much for a viewer": self._unsent + sum(track.given_up for track in self._tracks),
        }

    def put(self, frame: In) -> None:
        """Hand over a frame; returns at once. Nobody watches: it is dropped here."""
        if self._thread is None:
            return
        self._refused += not self.inbox.try_put(frame)
        with self._wake:
            self._wake.notify()

    def subscribe(self, *, alpha: bool = False) -> PacketTrack:
        """One more viewer. alpha: it asked for it."""
        track = PacketTrack(self.kind, self._viewer_started, self._sent, alpha=alpha)
        self._tracks.append(track)
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._stopping = False
            self._thread = threading.Thread(target=self._run_or_fail, name=f"mien-{self.name}", daemon=True)
            self._thread.start()
        return track

    async def unsubscribe(self, track: PacketTrack) -> None:
        """A viewer is gone; the last one switches off the light."""
        if track in self._tracks:
            self._tracks.remove(track)
            self._end(track)
        if not self._tracks:
            await self.close()

    async def close(self) -> None:
        """End the thread; at most one frame is still being encoded."""
        self._end_all()
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with self._wake:
            self._stopping = True
            self._wake.notify()
        await asyncio.to_thread(thread.join)
        self.inbox.take()

    def _end_all(self) -> None:
        tracks, self._tracks = self._tracks, []
        for track in tracks:
            self._end(track)

    def _end(self, track: PacketTrack) -> None:
        track.stop()
        self._unsent += track.given_up

    def _viewer_started(self) -> None:
        """A viewer's connection is up, or it lost step."""

    def _sent(self, ready: Ready) -> None:
        """All packets of a frame are handed to a viewer's socket."""

    def _publish(self, ready: Ready) -> None:
        for track in self._tracks:
            track.offer(ready)

    def _run_or_fail(self) -> None:
        try:
            self._run()
        except Exception as error:
            log.exception("the encoder of %s failed", self.name)
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._failed, error)

    def _failed(self, error: Exception) -> None:
        """End all tracks: their viewers are let go, and may come again to a new encoder."""
        self.error = error
        self._end_all()
        self._thread = None

    def _emit(self, ready: Ready) -> None:
        """From the encoder thread to the event loop."""
        self.encoded += 1
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._publish, ready)

    @abstractmethod
    def _run(self) -> None:
        """The encoder thread: until `_stopping`."""


class VideoStream(Stream[VideoFrame]):
    """A session's pictures in one codec. make_encoder: an unopened encoder is made for each period in
    which somebody watches; `prepare` opens it.
    """

    kind = "video"
    _REPEAT_NS = 200 * NS_PER_MS

    def __init__(
        self,
        name: str,
        clock: Clock,
        make_encoder: Callable[[], Encoder],
        bitrate: BitrateControl,
        trace: SpanRecorder | None = None,
    ) -> None:
        super().__init__(name, Latest(name), clock)
        self._make_encoder = make_encoder
        self.bitrate = bitrate
        self.keyframes = KeyframeRequests()
        self._trace = trace
        self._sent_rate = RateMeter()
        self._last_pts = -1

    def request_keyframe(self) -> None:
        """A viewer lost the picture."""
        self.keyframes.ask()
        with self._wake:
            self._wake.notify()

    def report_bitrate(self, viewer: object, bits_per_second: int) -> None:
        """A viewer's bandwidth estimate."""
        self.bitrate.report(viewer, bits_per_second, self._clock.now_ns())

    def _viewer_started(self) -> None:
        self.request_keyframe()

    def _sent(self, ready: Ready) -> None:
        first, ready.sent = not ready.sent, True
        if self._trace is not None and first and ready.index != NO_FRAME:
            self._trace.span(ready.index, "packet", ready.capture_ns, self._clock.now_ns())

    def _run(self) -> None:
        encoder = LookEncoder(self._make_encoder, self.bitrate.target)
        last: VideoFrame | None = None
        try:
            while True:
                frame = self._next(last)
                if frame is None:
                    return
                self._encode(encoder, frame)
                last = frame
        finally:
            encoder.close()

    def _next(self, last: VideoFrame | None) -> VideoFrame | None:
        """The newest picture; when none comes though a key frame is wanted, the last one again."""
        with self._wake:
            while not self._stopping:
                frame: VideoFrame | None = self.inbox.take()
                if frame is not None:
                    return frame
                repeat = last is not None and self.keyframes.pending
                timed_out = not self._wake.wait(self._REPEAT_NS / 1e9 if repeat else None)
                if timed_out and last is not None and len(self.inbox) == 0:
                    return replace(last, capture_ns=last.capture_ns + self._REPEAT_NS, index=NO_FRAME)
        return None

    def _encode(self, encoder: LookEncoder, frame: VideoFrame) -> None:
        start = self._clock.now_ns()
        rate = self.bitrate.update(start, self._sent_rate.rate(start))
        if rate is not None:
            encoder.set_bitrate(rate)
        viewers = {track.alpha for track in list(self._tracks)}
        encoded = encoder.encode(frame, keyframe=self.keyframes.due(start), viewers=viewers)
        if self._trace is not None and frame.index != NO_FRAME:
            self._trace.span(frame.index, "encode", start, self._clock.now_ns())
        if not encoded:
            return
        self._last_pts = max(encoding.rtp_time(frame.capture_ns), self._last_pts + 1)
        if any(picture.keyframe for _, picture in encoded):
            self.keyframes.made(start)
        self._sent_rate.add(max(len(picture.data) for _, picture in encoded), start)
        for number, (look, picture) in enumerate(encoded):
            index = frame.index if number == 0 else NO_FRAME  # one look of a frame is enough for the trace
            self._emit(Ready(picture, index, self._last_pts, encoding.TIME_BASE, look))


class AudioStream(Stream[AudioFrame]):
    """A session's sound as Opus."""

    kind = "audio"

    def __init__(self, name: str, clock: Clock, bitrate: int) -> None:
        super().__init__(name, Fifo(name, capacity=64), clock)
        self._bitrate = bitrate

    def hush(self, epoch: int) -> None:
        """Forget sound older than `epoch`, encoded or not: the speaker was interrupted."""
        self.inbox.bump_epoch(epoch)
        for track in self._tracks:
            track.flush()

    def _run(self) -> None:
        epoch = 0
        encoder = opus.OpusEncoder(self._bitrate)
        while True:
            with self._wake:
                while not self._stopping and len(self.inbox) == 0:
                    self._wake.wait()
                if self._stopping:
                    return
                frame = self.inbox.take()
            if frame is None:
                continue
            if frame.epoch != epoch:
                epoch = frame.epoch
                encoder.forget()
            for packet in encoder.encode(frame):
                self._emit(Ready(packet, NO_FRAME, opus.rtp_time(packet.capture_ns), opus.TIME_BASE))
