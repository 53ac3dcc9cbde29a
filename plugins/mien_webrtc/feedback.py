"""What viewers ask for over RTCP, in one encoder's terms.

aiortc hands picture-loss indications (PLI, RFC 4585 section 6.3.1) and bandwidth estimates (REMB,
draft-alvestrand-rmcat-remb) to the encoder that a sender owns; a sender of pre-encoded packets owns none,
so they are lost there. `watch_feedback` taps them on their way in. Since one encoder feeds all viewers,
`KeyframeRequests` coalesces what they ask for, and `BitrateControl` finds a rate that suits all of them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from aiortc import RTCRtpSender
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    unpack_remb_fci,
)

from mien.clock import NS_PER_MS, NS_PER_S


def watch_feedback(
    sender: RTCRtpSender,
    *,
    on_keyframe: Callable[[], None],
    on_bitrate: Callable[[int], None],
    on_report: Callable[[], None] = lambda: None,
) -> None:
    """Call back, on the event loop, for what this sender's peer reports.

    on_keyframe: a PLI or FIR came. on_bitrate: a REMB, in bits per second. on_report: anything came, so
    the peer is alive. The sender's own handling (statistics, retransmissions) goes on as before: the
    DTLS transport calls `_handle_rtcp_packet` on the instance, and that is what is wrapped here.
    """
    handle = sender._handle_rtcp_packet  # aiortc has no public hook

    async def handle_and_tell(packet: AnyRtcpPacket) -> None:
        await handle(packet)
        on_report()
        if not isinstance(packet, RtcpPsfbPacket):
            return
        if packet.fmt in {RTCP_PSFB_PLI, RTCP_PSFB_FIR}:
            on_keyframe()
        elif packet.fmt == RTCP_PSFB_APP:
            try:
                bitrate, _ = unpack_remb_fci(packet.fci)
            except ValueError:
                return
            on_bitrate(bitrate)

    setattr(sender, "_handle_rtcp_packet", handle_and_tell)  # noqa: B010 - mypy: a method is no attribute


class KeyframeRequests:
    """Requests of many viewers become at most one key frame per interval. Thread-safe."""

    def __init__(self, interval_ns: int = 400 * NS_PER_MS) -> None:
        self._lock = threading.Lock()
        self._interval_ns = interval_ns
        self._last_ns: int | None = None
        self._wanted = False
        self.asked = 0
        self.granted = 0

    def ask(self) -> None:
        """Somebody needs a key frame."""
        with self._lock:
            self.asked += 1
            self._wanted = True

    @property
    def pending(self) -> bool:
        return self._wanted

    def due(self, now_ns: int) -> bool:
        """Whether the frame to be encoded now must be a key frame; if so the wish is fulfilled."""
        with self._lock:
            if not self._wanted:
                return False
            if self._last_ns is not None and now_ns - self._last_ns < self._interval_ns:
                return False
            self.made(now_ns)
            self.granted += 1
            return True

    def made(self, now_ns: int) -> None:
        """A key frame was made for whatever reason."""
        self._wanted = False
        self._last_ns = now_ns


@dataclass(slots=True)
class _Estimate:
    bits_per_second: int
    at_ns: int


class BitrateControl:
    """The rate that all viewers can take, within [minimum, maximum], without flutter.

    A receiver's estimate grows only as far as what it is sent allows (libwebrtc: 1.5 times that), so while
    the pictures need less than the target a low estimate says nothing; it is a limit when it does not
    exceed what is really sent. Down at once, up by at most a quarter each second and never beyond what
    somebody measured; changes under a tenth are not worth making. Thread-safe.
    """

    _HEADROOM = 1.1
    _STALE_NS = 10 * NS_PER_S
    _DEADBAND = 0.1
    _GROWTH = 1.25

    def __init__(self, start: int, minimum: int, maximum: int) -> None:
        self._minimum = minimum
        self._maximum = max(minimum, maximum)
        self._start = min(max(start, minimum), self._maximum)
        self.target = self._start
        self._lock = threading.Lock()
        self._estimates: dict[object, _Estimate] = {}
        self._raised_ns: int | None = None

    def report(self, viewer: object, bits_per_second: int, now_ns: int) -> None:
        """A viewer's estimate of what its way can carry."""
        with self._lock:
            self._estimates[viewer] = _Estimate(bits_per_second, now_ns)

    def forget(self, viewer: object) -> None:
        """The viewer is gone and limits nobody any more."""
        with self._lock:
            self._estimates.pop(viewer, None)

    def update(self, now_ns: int, sent: int) -> int | None:
        """The new rate when it is time to change it, else None. sent: what was really sent, bits/s."""
        limits = self._limits(now_ns, sent)
        wanted = min([self._maximum, *limits]) if limits else self._start
        wanted = max(wanted, self._minimum)
        if wanted > self.target:
            if self._raised_ns is not None and now_ns - self._raised_ns < NS_PER_S:
                return None
            wanted = min(wanted, int(self.target * self._GROWTH))
        if abs(wanted - self.target) < self._DEADBAND * self.target:
            return None
        if wanted > self.target:
            self._raised_ns = now_ns
        self.target = wanted
        return wanted

    def _limits(self, now_ns: int, sent: int) -> list[int]:
        """What each viewer whose estimate is fresh can take, bits/s."""
        with self._lock:
            return [
                estimate.bits_per_second
                if estimate.bits_per_second < self._HEADROOM * sent
                else max(estimate.bits_per_second, self.target)
                for estimate in self._estimates.values()
                if now_ns - estimate.at_ns < self._STALE_NS
            ]


class RateMeter:
    """Bits per second over the last second."""

    def __init__(self, window_ns: int = NS_PER_S) -> None:
        self._window_ns = window_ns
        self._sizes: deque[tuple[int, int]] = deque()
        self._bytes = 0

    def add(self, size: int, now_ns: int) -> None:
        """So many bytes went out."""
        self._sizes.append((now_ns, size))
        self._bytes += size

    def rate(self, now_ns: int) -> int:
        """In bits per second."""
        while self._sizes and self._sizes[0][0] <= now_ns - self._window_ns:
            self._bytes -= self._sizes.popleft()[1]
        return self._bytes * 8 * NS_PER_S // self._window_ns
