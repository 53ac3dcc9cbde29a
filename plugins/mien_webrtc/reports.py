"""RTCP sender reports that tell when what was sent was captured.

A receiver keeps picture and sound together by the sender reports: each pairs an RTP timestamp with a time of day (RFC
3550 section 6.4.1), and that ought to be when the media was sampled. aiortc pairs it with when the packet was sent, so
picture and sound would be apart by the difference of their latencies, as it happens to be for one packet.

The private names that this leans on are `RTCRtpSender._send_rtcp` and `__lsr`, by which aiortc knows its reports again
when they are answered; `stamp_reports` refuses to work when a later aiortc has none.
"""

from __future__ import annotations

from typing import Any

import aiortc
from aiortc import RTCRtpSender
from aiortc.clock import current_ntp_time
from aiortc.rtp import RtcpSrPacket

from mien.clock import NS_PER_S, Clock
from mien.errors import PluginError
from mien_webrtc.stream import PacketTrack

_SEND, _LAST_REPORT = "_send_rtcp", "_RTCRtpSender__lsr"


def stamp_reports(sender: RTCRtpSender, track: PacketTrack, clock: Clock) -> None:
    """Let the sender's reports carry the capture times of what `track` handed to it."""
    if not hasattr(sender, _SEND) or not hasattr(sender, _LAST_REPORT):
        raise PluginError(
            f"aiortc {aiortc.__version__} makes its reports elsewhere than this version of mien knows. "
            'Install a known one: pip install "aiortc<1.17"'
        )
    send = getattr(sender, _SEND)

    async def stamped(packets: list[Any]) -> None:
        for packet in packets:
            if isinstance(packet, RtcpSrPacket) and (last := track.last) is not None:
                info = packet.sender_info
                info.ntp_timestamp = ntp_time(clock.now_ns() - last.capture_ns)
                setattr(sender, _LAST_REPORT, (info.ntp_timestamp >> 16) & 0xFFFFFFFF)
        await send(packets)

    setattr(sender, _SEND, stamped)


def ntp_time(ago_ns: int) -> int:
    """The time of day `ago_ns` before now, as a 64-bit NTP timestamp."""
    return int(current_ntp_time()) - (ago_ns << 32) // NS_PER_S
