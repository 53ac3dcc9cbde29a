"""One encoder and its viewers, without a network."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
from webrtc_fakes import Spans, pattern, take_all, until

from mien.clock import NS_PER_MS, NS_PER_S, SystemClock
from mien.config import ServerSection
from mien.frames import AudioFrame, VideoFrame
from mien.stage import EncodedFrame, Encoder
from mien_webrtc import whep
from mien_webrtc.encoding import TIME_BASE
from mien_webrtc.feedback import BitrateControl
from mien_webrtc.opus import OpusEncoder
from mien_webrtc.settings import WebrtcSettings
from mien_webrtc.stream import PacketTrack, Ready, VideoStream
from mien_webrtc.whep import WhepOutput

pytestmark = pytest.mark.plugin


class Namer(Encoder):
    """Codes a frame as its index."""

    def encode(self, frame: VideoFrame, *, keyframe: bool = False) -> list[EncodedFrame]:
        return [EncodedFrame(b"%d" % frame.index, frame.capture_ns, keyframe, "H264")]

    def set_bitrate(self, bits_per_second: int) -> None: ...


async def test_each_frame_is_traced_once_however_many_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VideoStream, "_REPEAT_NS", 2 * NS_PER_MS)
    clock, spans = SystemClock(), Spans()
    stream = VideoStream("test", clock, Namer, BitrateControl(10**6, 10**5, 10**7), spans)
    seen: list[list[bytes]] = [[], []]
    viewers = [asyncio.create_task(take_all(stream.subscribe(), into)) for into in seen]
    await until(lambda: stream.keyframes.asked == len(viewers))

    async def show(index: int, capture_ns: int) -> None:
        stream.put(VideoFrame(pattern(index), capture_ns, index=index))
        await until(lambda: all(b"%d" % index in into for into in seen))

    await show(0, clock.now_ns())
    await show(1, clock.now_ns())
    sent = len(seen[0])
    stream.request_keyframe()
    await until(lambda: len(seen[0]) > sent)  # the same picture again: no frame of the session's
    await show(2, clock.now_ns() - NS_PER_S)  # captured before the repetition
    for viewer in viewers:
        viewer.cancel()
    await asyncio.gather(*viewers, return_exceptions=True)
    await stream.close()
    assert spans.told == {(n, name): 1 for n in range(3) for name in ("encode", "packet")}


async def test_what_viewers_never_get_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def stuck(*_: object, **__: object) -> list[EncodedFrame]:
        go_on.wait()
        return []

    monkeypatch.setattr(Namer, "encode", stuck)
    monkeypatch.setattr(OpusEncoder, "encode", stuck)
    monkeypatch.setattr(whep, "ENCODERS", {"H264": lambda _: Namer()})
    output = WhepOutput("main", SystemClock(), ServerSection(), WebrtcSettings())
    slow = output.admit("H264", audio=True)
    stream, track = slow.video_stream, slow.video
    assert stream is not None
    assert track is not None
    assert not any(output.dropped.values())

    sound = AudioFrame(np.zeros((960, 1), np.float32), 48_000, 0)
    for held in (True, False):  # the first ones are what the encoders are stuck with
        for n in range(1 if held else 3):
            await output.video(VideoFrame(pattern(n), n, index=n))
        for _ in range(1 if held else 66):
            await output.audio(sound)
        if held:
            await until(lambda: not any(len(s.inbox) for s in output.streams))

    receiving = asyncio.create_task(track.recv())
    await until(lambda: stream.keyframes.asked)
    receiving.cancel()
    await asyncio.gather(receiving, return_exceptions=True)
    for n in range(PacketTrack.CAPACITY + 2):
        stream._publish(Ready(EncodedFrame(b"x", n, n == 0, "H264"), n, n, TIME_BASE))

    go_on.set()
    await output.dismiss(slow)
    assert output.dropped == {
        "overtaken at encoding": 2,
        "sound overtaken at encoding": 2,
        "too much for a viewer": PacketTrack.CAPACITY + 2,
        "sound too much for a viewer": 0,
    }
