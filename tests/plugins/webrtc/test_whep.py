"""Watching, with real aiortc peers on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, pack_remb_fci
from webrtc_fakes import (
    PATIENCE_S,
    Client,
    World,
    count,
    http,
    make_app,
    make_rooms,
    noise,
    showing,
    until,
    viewer,
)

from mien_webrtc.h264 import H264Encoder
from mien_webrtc.stream import VideoStream
from mien_webrtc.whep import Viewer

pytestmark = pytest.mark.plugin


class Watched(World):
    def stream(self) -> VideoStream:
        """The one stream of pictures of the main session."""
        output = self.rooms._rooms["main"].output
        assert output is not None
        streams = [s for s in output.streams if isinstance(s, VideoStream)]
        assert len(streams) == 1
        return streams[0]


@pytest_asyncio.fixture
async def world() -> AsyncIterator[Watched]:
    async with Watched.alive() as world:
        yield world


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_a_viewer_sees_the_pictures(world: Watched, codec: str) -> None:
    session = world.engine.main
    async with viewer(world.web, codec=codec) as client, showing(session):
        seen = [count(await client.picture()) for _ in range(12)]
    assert seen == sorted(seen)  # newest wins: some may be left out
    assert len(set(seen)) > 6  # one may be shown again when a key frame is wanted


async def test_sound_and_picture(world: Watched) -> None:
    async with (
        viewer(world.web, kinds=("video", "audio")) as client,
        showing(world.engine.main, sound=True),
    ):
        await client.picture()
        async with asyncio.timeout(PATIENCE_S):
            heard = [await client.tracks["audio"].recv() for _ in range(12)]
    assert max(abs(frame.to_ndarray()).max() for frame in heard) > 10_000


async def test_one_encoder_feeds_two_viewers_and_the_late_one_gets_a_key_frame(world: Watched) -> None:
    session = world.engine.main
    async with viewer(world.web) as first, showing(session):
        await first.picture()
        stream = world.stream()
        encoded, asked = stream.encoded, stream.keyframes.asked
        async with viewer(world.web) as late:
            await late.picture()
            assert world.stream() is stream
            assert stream.keyframes.asked > asked
            assert stream.viewers == 2
            assert session.viewers == 2
            await first.picture()
            assert stream.encoded <= encoded + session._index  # not once more per viewer


async def test_nothing_is_encoded_when_nobody_watches(world: Watched) -> None:
    session = world.engine.main
    async with viewer(world.web) as client, showing(session):
        await client.picture()
        await client.leave()
        await until(lambda: not session.outputs)
    assert session.viewers == 0
    assert world.rooms._rooms["main"].output is None


async def test_a_lost_picture_is_answered_by_a_key_frame(world: Watched) -> None:
    async with viewer(world.web) as client, showing(world.engine.main):
        await client.picture()
        stream = world.stream()
        granted, asked = stream.keyframes.granted, stream.keyframes.asked
        receiver = client.pc.getReceivers()[0]
        [ssrc] = receiver._RTCRtpReceiver__remote_streams
        for _ in range(5):
            await receiver._send_rtcp_pli(ssrc)
        await until(lambda: stream.keyframes.asked >= asked + 5)
        await until(lambda: stream.keyframes.granted > granted)
        await client.picture()


async def test_a_narrow_way_lowers_the_rate(world: Watched) -> None:
    async with viewer(world.web) as client, showing(world.engine.main, picture=noise):
        receiver = client.pc.getReceivers()[0]
        send = receiver._send_rtcp
        receiver._send_rtcp = lambda _: asyncio.sleep(0)  # it has an estimate of its own
        await until(lambda: world.stream().encoded > 25)
        stream = world.stream()
        granted = stream.keyframes.granted
        [ssrc] = receiver._RTCRtpReceiver__remote_streams
        await send(
            RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=pack_remb_fci(600_000, [ssrc]))
        )
        await until(lambda: stream.bitrate.target < 1_000_000)
        assert stream.bitrate.target == pytest.approx(600_000, rel=0.01)
        assert stream.keyframes.granted == granted


async def test_rtp_time_is_capture_time(world: Watched) -> None:
    session = world.engine.main
    async with viewer(world.web) as client, showing(session):
        pictures = []
        for _ in range(8):
            async with asyncio.timeout(PATIENCE_S):
                pictures.append(await client.tracks["video"].recv())
    times = {}
    for picture in pictures:
        index = count(picture.to_ndarray(format="rgb24"))
        times[index] = picture.pts / 90_000 - session.captured[index] / 1e9
    origin = next(iter(times.values()))
    assert len(times) == 8
    assert all(abs(offset - origin) < 1e-4 for offset in times.values())


async def test_the_trace_is_told(world: Watched) -> None:
    session = world.engine.main
    async with viewer(world.web) as client, showing(session):
        for _ in range(5):
            await client.picture()
    latency = session.trace.latency_ms()
    assert 0 < latency["encode"]["p50"] <= latency["packet"]["p50"]


async def test_a_viewer_that_reports_nothing_is_let_go(
    world: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Viewer, "DEAF", 5)
    session = world.engine.main
    async with viewer(world.web) as client, showing(session):
        await client.picture()
        client.pc.getReceivers()[0]._send_rtcp = lambda _: asyncio.sleep(0)
        await until(lambda: not session.outputs)


async def test_two_come_at_once_where_one_fits(world: Watched) -> None:
    rooms = make_rooms(world.engine, max_viewers=1)
    async with http(make_app(rooms)) as web:

        async def watch() -> int:
            client = Client(web, "/whep/main")
            client.pc.addTransceiver("video", "recvonly")
            headers = {"Content-Type": "application/sdp"}
            response = await web.post(client.path, content=await client.offer(), headers=headers)
            await client.pc.close()
            return response.status_code

        assert sorted(await asyncio.gather(watch(), watch())) == [201, 503]
    await rooms.close_all()


async def test_no_more_viewers_than_fit(world: Watched) -> None:
    rooms = make_rooms(world.engine, max_viewers=1)
    async with http(make_app(rooms)) as web, viewer(web):
        second = Client(web, "/whep/main")
        second.pc.addTransceiver("video", "recvonly")
        response = await web.post(
            "/whep/main", content=await second.offer(), headers={"Content-Type": "application/sdp"}
        )
        await second.pc.close()
        assert response.status_code == 503
        assert response.headers["Retry-After"]
        assert response.json()["detail"]
    await rooms.close_all()


async def test_an_encoder_that_fails_lets_its_viewers_go(
    world: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    session = world.engine.main

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no encoder here")

    with monkeypatch.context() as broken:
        broken.setattr(H264Encoder, "encode", fail)
        async with viewer(world.web), showing(session):
            await until(lambda: not session.outputs)
    assert "no encoder here" in caplog.text
    async with viewer(world.web) as client, showing(session):
        await client.picture()
