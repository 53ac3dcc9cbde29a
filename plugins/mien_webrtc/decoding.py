"""Coded pictures to RGB on a thread of their own, newest first: whoever is behind skips the conversion."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import av
import cv2
import numpy as np
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorRange

from mien.clock import NS_PER_MS, Clock
from mien.frames import Bytes, VideoFrame
from mien_webrtc.assembly import AssembledFrame, is_keyframe

log = logging.getLogger(__name__)

DECODERS = {"H264": "h264", "VP8": "libvpx"}

_BACKLOG = 12
"""Coded pictures that may wait; more than that is half a second behind and not worth catching up with."""

_STALL_NS = 500 * NS_PER_MS
_ASK_AGAIN_NS = 500 * NS_PER_MS


@dataclass(frozen=True, slots=True)
class Coded:
    """A picture to be decoded and the codec it is in."""

    codec: str
    frame: AssembledFrame


def to_rgb(picture: av.VideoFrame) -> Bytes:
    """(H, W, 3) uint8 RGB; OpenCV takes a quarter of swscale's time for the format that cameras send."""
    planar = picture.format.name == "yuv420p" and picture.color_range != ColorRange.JPEG
    if planar and picture.width % 2 == 0 and picture.height % 2 == 0:
        return np.asarray(cv2.cvtColor(picture.to_ndarray(), cv2.COLOR_YUV2RGB_I420), np.uint8)
    return np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)


class VideoDecoder:
    """Decodes one stream. `deliver` is called on the decoder's thread, which begins with the first picture, with
    pictures stamped with the arrival of their first packet.

    Nothing is decoded before a key frame or after a break (`put` says so); `wants_keyframe` tells, at
    most twice a second, when one should be asked for.
    """

    def __init__(self, clock: Clock, deliver: Callable[[VideoFrame], None]) -> None:
        self._clock = clock
        self._deliver = deliver
        self._queue: deque[Coded] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._blind = True  # until a key frame is decoded
        self._asked_ns: int | None = None
        self._alive_ns = clock.now_ns()
        self._index = 0
        self.decoded = 0
        self.skipped = 0
        """decoded, but not converted: a newer picture was there already"""
        self.given_up = 0
        """never decoded: what they refer to is missing, or too many waited"""
        self._thread: threading.Thread | None = None

    def put(self, codec: str, frame: AssembledFrame, *, after_loss: bool = False) -> bool:
        """Queue a picture; True when it is one that starts afresh, or that continues what is decodable."""
        key = is_keyframe(codec, frame.data)
        with self._wake:
            if after_loss:
                self._blind = True
            if len(self._queue) >= _BACKLOG and not key:
                self._give_up_waiting()
                self._blind = True
            if self._blind and not key:
                self.given_up += 1
                return False
            if key:
                self._give_up_waiting()  # it is older than a picture that needs none of it
                self._blind = False
            self._queue.append(Coded(codec, frame))
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="mien-video-decoder", daemon=True)
                self._thread.start()
            self._wake.notify()
        return True

    def _give_up_waiting(self) -> None:
        self.given_up += len(self._queue)
        self._queue.clear()

    def wants_keyframe(self, now_ns: int) -> bool:
        """Whether to send a PLI now."""
        with self._wake:
            stalled = self._blind or now_ns - self._alive_ns > _STALL_NS
            if not stalled:
                self._asked_ns = None
                return False
            if self._asked_ns is None:
                self._asked_ns = now_ns
                return self.decoded > 0  # a stream that begins, begins with a key frame anyway
            if now_ns - self._asked_ns < _ASK_AGAIN_NS:
                return False
            self._asked_ns = now_ns
            return True

    def close(self) -> None:
        """End the thread; a picture being decoded is the last. Waits for it (a few ms)."""
        with self._wake:
            self._closed = True
            self._queue.clear()
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        name, decoder = "", None
        while True:
            with self._wake:
                while not self._queue and not self._closed:
                    self._wake.wait()
                if self._closed:
                    return
                coded = self._queue.popleft()
            try:
                if decoder is None or name != coded.codec:
                    name, decoder = coded.codec, _create(coded.codec)
                self._decode(decoder, coded)
            except av.FFmpegError as error:
                log.debug("a picture could not be decoded: %s", error)
                self._start_afresh()
            except Exception:
                log.exception("a received picture was lost")
                self._start_afresh()

    def _start_afresh(self) -> None:
        """A picture was lost here, and those that refer to it with it."""
        with self._wake:
            self.given_up += 1
            self._give_up_waiting()
            self._blind = True

    def _decode(self, decoder: VideoCodecContext, coded: Coded) -> None:
        pictures = decoder.decode(av.Packet(coded.frame.data))
        if not pictures:
            return
        self._alive_ns = self._clock.now_ns()
        self.decoded += 1
        index, self._index = self._index, self._index + 1
        if self._queue:
            self.skipped += 1
            return
        self._deliver(VideoFrame(to_rgb(pictures[-1]), coded.frame.first_ns, index=index))


def _create(codec: str) -> VideoCodecContext:
    decoder: Any = av.CodecContext.create(DECODERS[codec], "r")
    decoder.thread_count = 1  # frame threads would each hold a picture back
    decoder.flags |= Flags.low_delay
    decoder.open()
    return cast("VideoCodecContext", decoder)
