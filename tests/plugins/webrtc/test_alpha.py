"""Alpha over WebRTC: who gets which look of a picture."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from webrtc_fakes import FakeEngine, FakeSession, Spans, http, make_app, make_rooms, take_all, until, viewer

from mien.clock import SystemClock
from mien.frames import VideoFrame
from mien.stage import EncodedFrame, Encoder
from mien_webrtc.feedback import BitrateControl
from mien_webrtc.looks import Look, LookEncoder
from mien_webrtc.stream import VideoStream

pytestmark = pytest.mark.plugin

SIDE = 96


def person(index: int, *, alpha: bool = True, capture_ns: int = 0) -> VideoFrame:
    """A red disc over blue; outside of it red as well."""
    y, x = np.mgrid[:SIDE, :SIDE]
    mask = np.where(np.hypot(x - SIDE / 2, y - SIDE / 2) < 30, 255, 0).astype(np.uint8)
    pixels = np.full((SIDE, SIDE, 3), (220, 40, 40), np.uint8)
    return VideoFrame(
        pixels, capture_ns or index, mask if alpha else None, index=index, backdrop=(20, 30, 200)
    )


class Shapes(Encoder):
    """Codes a picture as its shape; knows whether it is open."""

    opened = 0

    def __init__(self) -> None:
        Shapes.opened += 1
        self.rate = 0

    def encode(self, frame: VideoFrame, *, keyframe: bool = False) -> list[EncodedFrame]:
        assert frame.alpha is None
        return [EncodedFrame(b"%dx%d" % (frame.width, frame.height), frame.capture_ns, keyframe, "H264")]

    def set_bitrate(self, bits_per_second: int) -> None:
        self.rate = bits_per_second

    def close(self) -> None:
        Shapes.opened -= 1


FLAT, BELOW = b"96x96", b"96x192"


def told(encoder: LookEncoder, frame: VideoFrame, viewers: set[bool], *, keyframe: bool = False):
    return [
        (look, one.data, one.keyframe)
        for look, one in encoder.encode(frame, keyframe=keyframe, viewers=viewers)
    ]


def test_an_opaque_picture_is_encoded_once_for_all() -> None:
    encoder = LookEncoder(Shapes, 1000)
    for viewers in ({True}, {False}, {True, False}):
        assert told(encoder, person(0, alpha=False), viewers) == [(Look.PLAIN, FLAT, False)]
    assert Shapes.opened == 1
    encoder.close()
    assert Shapes.opened == 0


def test_each_look_that_somebody_watches_is_encoded() -> None:
    encoder = LookEncoder(Shapes, 1000)
    assert told(encoder, person(0), {True}) == [(Look.ALPHA, BELOW, False)]
    assert told(encoder, person(1), {True}) == [(Look.ALPHA, BELOW, False)]
    assert told(encoder, person(2), {True, False}) == [(Look.FLAT, FLAT, True), (Look.ALPHA, BELOW, True)]
    assert told(encoder, person(3), {True, False}) == [(Look.FLAT, FLAT, False), (Look.ALPHA, BELOW, False)]
    assert told(encoder, person(4), set()) == []
    encoder.set_bitrate(77)
    assert {one.rate for one in encoder._encoders.values()} == {77}
    encoder.close()


def test_a_change_of_look_begins_with_a_key_frame() -> None:
    """Decoders follow one encoder; another one's pictures mean nothing to them."""
    encoder = LookEncoder(Shapes, 1000)
    keys = [
        told(encoder, person(n, alpha=alpha), {True})[0][2]
        for n, alpha in enumerate((False, False, True, True, False, False))
    ]
    assert keys == [False, False, True, False, True, False]
    encoder.close()


async def test_each_viewer_is_sent_what_it_asked_for() -> None:
    clock, spans = SystemClock(), Spans()
    stream = VideoStream("test", clock, Shapes, BitrateControl(10**6, 10**5, 10**7), spans)
    knows, plain = [], []
    tasks = [
        asyncio.create_task(take_all(stream.subscribe(alpha=True), knows)),
        asyncio.create_task(take_all(stream.subscribe(), plain)),
    ]
    await until(lambda: stream.keyframes.asked == 2)
    numbers = itertools.count()
    for alpha in (False, True, False):
        seen = len(knows), len(plain)
        stream.put(person(next(numbers), alpha=alpha, capture_ns=clock.now_ns()))
        await until(lambda seen=seen: len(knows) > seen[0] and len(plain) > seen[1])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await stream.close()
    # Each frame's times are recorded once, in however many looks it was sent.
    assert {index for index, _ in spans.told} == {0, 1, 2}
    assert set(spans.told.values()) == {1}
    assert list(dict.fromkeys(knows)) == [FLAT, BELOW]
    assert set(plain) == {FLAT}
    assert Shapes.opened == 0


@asynccontextmanager
async def flowing(session: FakeSession) -> AsyncIterator[None]:
    async def run() -> None:
        for index in itertools.count():
            frame = person(index, capture_ns=session.clock.now_ns())
            for output in session.outputs:
                await output.video(frame)
            await session.clock.sleep(40_000_000)

    task = asyncio.create_task(run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_by_whep(codec: str) -> None:
    engine = FakeEngine()
    rooms = make_rooms(engine)
    async with http(make_app(rooms)) as web, flowing(engine.main):
        async with viewer(web, "/whep/main?alpha=below", codec) as knows:
            both = await knows.picture()
            assert both.shape == (2 * SIDE, SIDE, 3)
            np.testing.assert_allclose(both[3, 3], (220, 40, 40), atol=25)
            np.testing.assert_allclose(both[SIDE + SIDE // 2, SIDE // 2], 255, atol=8)
            np.testing.assert_allclose(both[SIDE + 6, 6], 0, atol=8)
            async with viewer(web, "/whep/main", codec) as plain:
                flat = await plain.picture()
                assert flat.shape == (SIDE, SIDE, 3)
                np.testing.assert_allclose(flat[3, 3], (20, 30, 200), atol=25)
                np.testing.assert_allclose(flat[SIDE // 2, SIDE // 2], (220, 40, 40), atol=25)
        await rooms.close_all()


async def test_alpha_comes_below_or_not_at_all() -> None:
    async with http(make_app(make_rooms(FakeEngine()))) as web:
        answer = await web.post(
            "/whep/main?alpha=beside", content="v=0\r\n", headers={"Content-Type": "application/sdp"}
        )
    assert answer.status_code == 400
    assert "alpha=below" in answer.json()["detail"]
