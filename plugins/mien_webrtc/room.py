"""What the gateway holds for one session: who watches, who publishes, the control sockets, recordings."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from aiortc import RTCPeerConnection, RTCRtpCodecCapability, RTCRtpSender, RTCRtpTransceiver

from mien.clock import Clock
from mien.config import ServerSection
from mien.session import Session
from mien.stage import Source
from mien_webrtc.control import ControlHub
from mien_webrtc.ice import IceServer
from mien_webrtc.offers import Offer, Section, with_rate_hints
from mien_webrtc.peer import Peer
from mien_webrtc.problems import RETRY_AFTER_S, Problem
from mien_webrtc.settings import WebrtcSettings
from mien_webrtc.whep import Viewer, WhepOutput
from mien_webrtc.whip import WhipSource

log = logging.getLogger(__name__)

TAKEOVER_S = 1.5
"""A publisher that has been silent for so long may be replaced at once (a page that was reloaded)."""

KEPT_RECORDINGS = 32
WATCH_INTERVAL_S = 0.5


class Room:
    """One session and everybody who is connected to it. Event loop only."""

    def __init__(
        self,
        session: Session,
        clock: Clock,
        server: ServerSection,
        settings: WebrtcSettings,
        ice_servers: Sequence[IceServer],
        on_empty: Callable[[Room], Awaitable[None]],
    ) -> None:
        self.session = session
        self.name = session.name
        self.linger_s: float | None = None
        """how long the session outlives the last connection; None: it was not opened over the network"""
        self.recordings: dict[str, Path] = {}
        self.peers: dict[str, Peer] = {}
        self.hub = ControlHub(self)
        self._clock = clock
        self._server = server
        self._settings = settings
        self._ice_servers = ice_servers
        self._on_empty = on_empty
        self._output: WhepOutput | None = None
        self._viewers: dict[str, Viewer] = {}
        self._publisher: tuple[Peer, WhipSource] | None = None
        self._clip: Source | None = None
        self._watchdog: asyncio.Task[None] | None = None
        self._arriving = 0
        self._watching = asyncio.Lock()  # while viewers and the output change
        self._driving = asyncio.Lock()  # while one who drives gives way to the next

    @property
    def empty(self) -> bool:
        """Nobody watches, publishes or controls, or is about to."""
        return not self.peers and not self.hub.connections and not self._arriving

    @property
    def output(self) -> WhepOutput | None:
        """What feeds the viewers; None while there are none."""
        return self._output

    @property
    def source(self) -> WhipSource | None:
        """The publisher's media, when somebody publishes."""
        return self._publisher[1] if self._publisher else None

    # --- watching ---------------------------------------------------------------------------------------

    async def watch(self, offer: Offer, *, loopback: bool) -> tuple[Peer, str]:
        """One more viewer; returns its connection and the answer. Raises `Problem`."""
        async with self._arrival():
            return await self._watch(offer, loopback=loopback)

    async def _watch(self, offer: Offer, *, loopback: bool) -> tuple[Peer, str]:
        video = offer.section("video")
        codec = self._codec(video) if video else None
        async with self._watching:
            if len(self._viewers) >= self._settings.max_viewers:
                raise Problem(
                    503,
                    "too-many-viewers",
                    "Too many watch already",
                    f"At most {self._settings.max_viewers} at once; plugin.webrtc.max_viewers says so.",
                    {"Retry-After": str(RETRY_AFTER_S)},
                )
            if self._output is None:
                output = WhepOutput(self.name, self._clock, self._server, self._settings, self.session.trace)
                await self.session.add_output(output, "webrtc")
                self._output = output
            peer = self._peer("viewer", loopback=loopback)
            viewer = self._output.admit(codec, audio=offer.section("audio") is not None)
            self._viewers[peer.id] = viewer
            self.peers[peer.id] = peer
            self._watch_over()
            self._count()

        def add(pc: RTCPeerConnection) -> None:
            for section in offer.sections:
                track = viewer.video if section.kind == "video" else viewer.audio
                transceiver = pc.addTransceiver(track or section.kind, "sendonly")
                prefer(transceiver, codec if section.kind == "video" else "opus")

        answer = await peer.answer(offer, add)
        sender = peer.sender("video")
        if sender is not None and self._output is not None:
            self._output.listen(viewer, sender)
        return peer, answer

    def _codec(self, section: Section) -> str:
        """The configured codec where the viewer takes it, else the other one."""
        wanted, other = ("H264", "VP8") if self._server.codec == "h264" else ("VP8", "H264")
        return wanted if section.has(wanted) else other

    # --- publishing -------------------------------------------------------------------------------------

    async def publish(
        self, offer: Offer, *, loopback: bool, title: str = "camera over WHIP"
    ) -> tuple[Peer, str]:
        """Let a publisher drive; returns its connection and the answer. Raises `Problem` 409."""
        async with self._arrival():
            return await self._publish(offer, loopback=loopback, title=title)

    async def _publish(self, offer: Offer, *, loopback: bool, title: str) -> tuple[Peer, str]:
        async with self._driving:
            await self._make_way()
            peer = self._peer("publisher", loopback=loopback)
            source = WhipSource(self._clock, title, on_closed=peer.end)
            self._publisher = (peer, source)
            self.peers[peer.id] = peer
            self._watch_over()
        video = offer.section("video")

        def add(pc: RTCPeerConnection) -> None:
            for section in offer.sections:
                transceiver = pc.addTransceiver(section.kind, "recvonly")
                prefer(transceiver, self._codec(video) if video and section.kind == "video" else "opus")

        answer = await peer.answer(offer, add, source.listen)
        return peer, with_rate_hints(
            answer, start_kbps=self._server.start_kbps, minimum_kbps=self._server.min_kbps
        )

    async def _make_way(self) -> None:
        """A dead publisher is swept aside, a live one stays: 409."""
        if self._publisher is None:
            return
        peer, source = self._publisher
        silent = source.silent_s(self._clock.now_ns())
        if silent is None or silent < TAKEOVER_S:
            raise Problem(
                409,
                "driven",
                "Somebody else drives already",
                "A session takes one publisher at a time. End the other one, or open another session.",
            )
        await peer.close("Another publisher took over from one that had gone silent.")

    async def drive_with(self, source: Source) -> None:
        """Let a clip drive; it is closed when it cannot. Raises `Problem` 409 while somebody publishes."""
        try:
            async with self._arrival(), self._driving:
                await self._make_way()
                self._clip = source
                await self.session.attach_source(source)
        except BaseException:
            await source.close()
            raise

    async def release(self) -> None:
        """Whoever came over the network stops driving."""
        if self._publisher is not None:
            await self._publisher[0].close()
        if self._clip is not None:
            clip, self._clip = self._clip, None
            await self.session.detach_source(clip)

    def keep_recording(self, path: Path) -> str:
        """Offer a finished recording for download; returns its address. The oldest are forgotten."""
        self.recordings[path.stem] = path
        while len(self.recordings) > KEPT_RECORDINGS:
            del self.recordings[next(iter(self.recordings))]
        return f"/api/sessions/{self.name}/recordings/{path.stem}.mp4"

    # --- connections ------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _arrival(self) -> AsyncIterator[None]:
        """Somebody comes: the room is not empty, whoever leaves meanwhile. One who fails has left again."""
        self._arriving += 1
        try:
            yield
        finally:
            self._arriving -= 1
            await self.left()

    def _peer(self, role: str, *, loopback: bool) -> Peer:
        return Peer(
            "viewer" if role == "viewer" else "publisher",
            self._ice_servers,
            loopback=loopback,
            connect_timeout_s=self._settings.connect_timeout_s,
            on_connected=self._connected,
            on_closed=self._closed,
        )

    def _watch_over(self) -> None:
        if self._watchdog is None or self._watchdog.done():
            self._watchdog = asyncio.create_task(self._end_the_dead(), name=f"{self.name} watchdog")

    async def _end_the_dead(self) -> None:
        """ICE notices after half a minute that a peer vanished; silence says so earlier."""
        while self.peers:
            await asyncio.sleep(WATCH_INTERVAL_S)
            for peer_id, viewer in self._viewers.items():
                if viewer.gone:
                    self.peers[peer_id].end()
            if self._publisher is not None:
                peer, source = self._publisher
                silent = source.silent_s(self._clock.now_ns())
                if silent is not None and silent > self._settings.silence_timeout_s:
                    peer.end(f"The publisher has sent nothing for {silent:.0f} s; it is let go.")

    async def _connected(self, peer: Peer) -> None:
        if self._publisher is not None and self._publisher[0] is peer:
            self._clip = None
            await self.session.attach_source(self._publisher[1])

    async def _closed(self, peer: Peer, reason: str) -> None:
        self.peers.pop(peer.id, None)
        if reason:
            self.hub.notice("warning", reason)
        viewer = self._viewers.pop(peer.id, None)
        if viewer is not None:
            await self._viewer_left(viewer)
        if self._publisher is not None and self._publisher[0] is peer:
            _, source = self._publisher
            self._publisher = None
            source.end()
            await self.session.detach_source(source)
            await source.close()  # it may never have been attached
        await self.left()

    async def left(self) -> None:
        """Somebody left; the last one may end the session."""
        if self.empty:
            await self._on_empty(self)

    async def _viewer_left(self, viewer: Viewer) -> None:
        async with self._watching:
            self._count()
            if self._output is None:
                return
            await self._output.dismiss(viewer)
            if not self._viewers:
                output, self._output = self._output, None
                await self.session.remove_output(output)

    def _count(self) -> None:
        self.session.viewers = len(self._viewers)

    async def close(self) -> None:
        """Close every connection."""
        if self._watchdog is not None:
            self._watchdog.cancel()
            await asyncio.gather(self._watchdog, return_exceptions=True)
        await asyncio.gather(self.hub.close(), *(peer.close() for peer in list(self.peers.values())))


def prefer(transceiver: RTCRtpTransceiver, codec: str | None) -> None:
    """Answer with that codec alone (and its retransmissions), so that the offerer cannot pick another."""
    if codec is None:
        return
    kind = "audio" if codec == "opus" else "video"
    wanted = {codec.lower(), "rtx"}
    capabilities: list[RTCRtpCodecCapability] = [
        c for c in RTCRtpSender.getCapabilities(kind).codecs if c.name.lower() in wanted
    ]
    transceiver.setCodecPreferences(capabilities)
