"""Sender reports say when things were captured: a receiver finds the true relation of picture and sound."""

from __future__ import annotations

import asyncio
from typing import Any

import av
import numpy as np
import pytest
from aiortc.clock import current_ntp_time
from aiortc.rtp import RtcpSenderInfo, RtcpSrPacket
from webrtc_fakes import PATIENCE_S, World, until, viewer

from mien.clock import NS_PER_MS, NS_PER_S
from mien.errors import PluginError
from mien.frames import AudioFrame, VideoFrame
from mien.stage import EncodedFrame
from mien.testing.clock import VirtualClock
from mien_webrtc.opus import TIME_BASE
from mien_webrtc.reports import stamp_reports
from mien_webrtc.stream import AudioStream, PacketTrack, Ready

pytestmark = pytest.mark.plugin

PERIOD_NS = 480 * NS_PER_MS


def seconds(ntp: int) -> float:
    return ntp / (1 << 32)


class Sender:
    """What is leant on of aiortc's."""

    def __init__(self) -> None:
        self.reports: list[Any] = []
        self._RTCRtpSender__lsr: int | None = None

    async def _send_rtcp(self, packets: list[Any]) -> None:
        self.reports += packets


async def test_a_report_is_stamped_with_the_capture_time_of_what_was_sent_last() -> None:
    clock, sender = VirtualClock(start_ns=10 * NS_PER_S), Sender()
    track = PacketTrack("audio", lambda: None)
    stamp_reports(sender, track, clock)  # type: ignore[arg-type]
    report = RtcpSrPacket(ssrc=1, sender_info=RtcpSenderInfo(5 << 32, 7, 1, 1))
    await sender._send_rtcp([report])
    assert report.sender_info.ntp_timestamp == 5 << 32, "nothing was sent yet"
    track.last = Ready(EncodedFrame(b"", 9 * NS_PER_S, True, "opus"), 0, 0, TIME_BASE)
    await sender._send_rtcp([report])
    assert seconds(current_ntp_time() - report.sender_info.ntp_timestamp) == pytest.approx(1.0, abs=0.5)
    assert sender._RTCRtpSender__lsr == (report.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF
    assert len(sender.reports) == 2


def test_an_unknown_aiortc_is_refused() -> None:
    with pytest.raises(PluginError, match="pip install"):
        stamp_reports(object(), PacketTrack("audio", lambda: None), VirtualClock())  # type: ignore[arg-type]


async def test_an_interruption_reaches_the_packets_that_wait() -> None:
    clock = VirtualClock()
    stream = AudioStream("test", clock, 64_000)
    track = stream.subscribe()
    try:
        track._started = True
        for n in range(5):
            stream.put(AudioFrame(np.zeros((960, 1), np.float32), 48_000, n * 20 * NS_PER_MS))
        await until(lambda: stream.encoded >= 4)
        stream.hush(1)
        assert not track._queue
        stream.put(AudioFrame(np.zeros((960, 1), np.float32), 48_000, NS_PER_S, epoch=0))
        stream.put(AudioFrame(np.zeros((960, 1), np.float32), 48_000, 2 * NS_PER_S, epoch=1))
        async with asyncio.timeout(PATIENCE_S):
            packet = await track.recv()
        assert packet.pts == pytest.approx(2 * 48_000, abs=480), "older sound that comes late is not sent"
    finally:
        await stream.close()


class Listening:
    """One receiver of a client: its frames with the times that its sender reports give them."""

    def __init__(self, receiver: Any, rate: int) -> None:
        self.receiver, self.rate = receiver, rate
        self.report: Any = None
        self.onsets: list[int] = []
        self._loud = True
        handle = receiver._handle_rtcp_packet

        async def handling(packet: Any) -> None:
            if isinstance(packet, RtcpSrPacket):
                self.report = packet.sender_info
            await handle(packet)

        receiver._handle_rtcp_packet = handling

    def take(self, pts: int, levels: np.ndarray[Any, Any]) -> None:
        for index, loud in enumerate(levels):
            if loud and not self._loud:
                self.onsets.append(pts + index)
            self._loud = bool(loud)

    @property
    def times_s(self) -> list[float]:
        """When what began was captured, by the sender's time of day."""
        origin = self.receiver._RTCRtpReceiver__timestamp_mapper._origin
        ntp = seconds(self.report.ntp_timestamp)
        return [ntp + (origin + pts - self.report.rtp_timestamp) / self.rate for pts in self.onsets]


@pytest.mark.slow
@pytest.mark.parametrize("late_ms", [0.0, 80.0])
async def test_a_receiver_finds_how_sound_and_picture_belong_together(late_ms: float) -> None:
    async with World.alive() as world, viewer(world.web, kinds=("video", "audio")) as client:
        session = world.engine.main
        receivers = {r.track.kind: r for r in client.pc.getReceivers()}
        video, audio = Listening(receivers["video"], 90_000), Listening(receivers["audio"], 48_000)

        async def play() -> None:
            """White and a tone for half of each period; pictures take 60 ms, sound takes 20."""
            begin_ns = session.clock.now_ns()
            for n in range(10_000):
                at_ns = begin_ns + n * 20 * NS_PER_MS
                await session.clock.sleep_until(at_ns + 20 * NS_PER_MS)
                samples = np.arange(960)
                since_ns = at_ns - begin_ns + samples * NS_PER_S // 48_000 - late_ms * NS_PER_MS
                on = since_ns % PERIOD_NS < PERIOD_NS // 2
                tone = (0.7 * np.sin(2 * np.pi * 1000 * samples / 48_000) * on).astype(np.float32)[:, None]
                picture_ns = at_ns - 40 * NS_PER_MS
                shade = 255 * ((picture_ns - begin_ns) % PERIOD_NS < PERIOD_NS // 2)
                for output in session.outputs:
                    await output.audio(AudioFrame(tone, 48_000, at_ns))
                    if n % 2 == 0:
                        pixels = np.full((128, 128, 3), shade, np.uint8)
                        await output.video(VideoFrame(pixels, picture_ns, index=n // 2))

        async def see() -> None:
            while True:
                frame = await client.tracks["video"].recv()
                assert isinstance(frame, av.VideoFrame)
                video.take(frame.pts, np.array([frame.to_ndarray(format="gray").mean() > 128]))

        async def hear() -> None:
            while True:
                frame = await client.tracks["audio"].recv()
                assert isinstance(frame, av.AudioFrame)
                samples = np.abs(frame.to_ndarray()[0, ::2].astype(np.int32))
                loud = np.convolve(samples > 3000, np.ones(48), "same") > 0  # a tone crosses zero, too
                audio.take(frame.pts, loud)

        tasks = [asyncio.create_task(work()) for work in (play, see, hear)]
        try:
            await until(lambda: all(len(one.onsets) >= 3 and one.report for one in (video, audio)))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        found = [min(audio.times_s, key=lambda t: abs(t - flash)) - flash for flash in video.times_s]
        assert float(np.median(found)) * 1000 == pytest.approx(late_ms, abs=5)
