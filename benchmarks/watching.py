"""A viewer of a session's stream over WHEP that knows when everything it gets was captured, and when it came.

It is aiortc's, in a process of its own or on a thread beside a browser. Capture times are those of the sender's reports
(RFC 3550 section 6.4.1), as a player would use them, on the clock of this machine, which the engine's is.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import av
import httpx
import numpy as np
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.clock import current_ntp_time
from aiortc.rtp import RtcpSrPacket

from mien.clock import NS_PER_S
from mien_webrtc.ice import prepare_gathering

CONNECT_S = 20.0
RATES = {"video": 90_000, "audio": 48_000}


@dataclass(frozen=True, slots=True)
class Came:
    """A picture, or 20 ms of sound. rtp: its time stamp, not yet related to any clock. came_ns: the last packet of it,
    on the machine's monotonic clock. values: (H, W) luma, or (N,) samples, float32 in [-1, 1].
    """

    rtp: int
    came_ns: int
    values: np.ndarray[Any, Any]


class Line:
    """One of the two streams, as it comes."""

    def __init__(self, receiver: Any) -> None:
        """receiver: aiortc's, whose packets are looked at before it gets them, because it keeps neither when they came
        nor what the reports said.
        """
        self.kind: str = receiver.track.kind
        self.received: list[Came] = []
        self._receiver = receiver
        self._came_ns: dict[int, int] = {}
        self._reports: list[tuple[int, int]] = []
        """engine time and RTP time stamp of each report"""
        self._handle_rtp, self._handle_rtcp = receiver._handle_rtp_packet, receiver._handle_rtcp_packet
        receiver._handle_rtp_packet, receiver._handle_rtcp_packet = self._packet, self._report

    async def _packet(self, packet: Any, arrival_time_ms: int) -> None:
        self._came_ns[packet.timestamp] = time.monotonic_ns()
        await self._handle_rtp(packet, arrival_time_ms)

    async def _report(self, packet: Any) -> None:
        if isinstance(packet, RtcpSrPacket) and packet.sender_info.ntp_timestamp:
            ago = int(current_ntp_time()) - packet.sender_info.ntp_timestamp
            at_ns = time.monotonic_ns() - (ago * NS_PER_S >> 32)
            self._reports.append((at_ns, packet.sender_info.rtp_timestamp))
        await self._handle_rtcp(packet)

    async def run(self) -> None:
        """Take what comes, until cancelled."""
        while True:
            frame = await self._receiver.track.recv()
            rtp = (self._receiver._RTCRtpReceiver__timestamp_mapper._origin + frame.pts) % (1 << 32)
            came_ns = self._came_ns.get(rtp, time.monotonic_ns())
            self.received.append(Came(rtp, came_ns, _values(frame)))

    def captured_ns(self, rtp: int) -> int:
        """Engine time of a time stamp, by the report nearest to it. Raises `RuntimeError` when none has come."""
        if not self._reports:
            raise RuntimeError(f"No sender report has come for the {self.kind}; watch for some seconds more.")
        at_ns, stamp = min(self._reports, key=lambda report: abs(_ahead(rtp, report[1])))
        return at_ns + _ahead(rtp, stamp) * NS_PER_S // RATES[self.kind]


def _ahead(rtp: int, other: int) -> int:
    """How far one 32-bit time stamp is ahead of another one."""
    return (rtp - other + (1 << 31)) % (1 << 32) - (1 << 31)


def _values(frame: Any) -> np.ndarray[Any, Any]:
    if isinstance(frame, av.VideoFrame):
        return np.asarray(frame.to_ndarray(format="gray"))
    samples = frame.to_ndarray()[0, :: frame.layout.nb_channels].astype(np.float32)
    return np.asarray(samples / 32768 if frame.format.name.startswith("s16") else samples)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Both lines of a stream."""

    video: Line
    audio: Line


@contextlib.asynccontextmanager
async def watching(base: str) -> AsyncIterator[Viewer]:
    """A connected viewer of the main session of the engine at `base`."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
    connected = asyncio.Event()
    pc.on("connectionstatechange", lambda: connected.set() if pc.connectionState == "connected" else None)
    for kind in RATES:
        pc.addTransceiver(kind, "recvonly")
    try:
        prepare_gathering(pc, loopback=True)
        await pc.setLocalDescription(await pc.createOffer())
        async with httpx.AsyncClient(base_url=base) as web:
            headers = {"Content-Type": "application/sdp"}
            answer = await web.post("/whep/main", content=pc.localDescription.sdp, headers=headers)
            answer.raise_for_status()
        await pc.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        lines = {receiver.track.kind: Line(receiver) for receiver in pc.getReceivers()}
        async with asyncio.timeout(CONNECT_S):
            await connected.wait()
        tasks = [asyncio.create_task(line.run()) for line in lines.values()]
        try:
            yield Viewer(lines["video"], lines["audio"])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await pc.close()
