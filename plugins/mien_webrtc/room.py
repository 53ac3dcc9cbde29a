"""What the gateway holds for one session: who watches, who publishes, the control sockets, recordings."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from aiortc import RTCPeerConnection, RTCRtpCodecCapability, RTCRtpSender, RTCRtpTransceiver

from mien.clock import Clock
from mien.config import ServerSection
from mien.session import Session
from mien.stage import Source
from mien_webrtc.control import ControlHub
from mien_webrtc.ice import IceServer
from mien_webrtc.offers import Offer, Section, with_rate_hints
from mien_webrtc.peer import Peer, Role
from mien_webrtc.problems import RETRY_AFTER_S, Problem, ending
from mien_webrtc.reports import stamp_reports
from mien_webrtc.settings import WebrtcSettings
from mien_webrtc.voice import Microphone, Seat, Speaker
from mien_webrtc.whep import Viewer, WhepOutput
from mien_webrtc.whip import WhipSource

log = logging.getLogger(__name__)

TAKEOVER_S = 1.5
"""A publisher that has been silent for so long may be replaced at once (a page that was reloaded)."""

KEPT_RECORDINGS = 32
WATCH_INTERVAL_S = 0.5


class Publisher(NamedTuple):
    """Who drives over the network, or is about to."""

    peer: Peer
    source: WhipSource


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
        self.voice = Seat(session, clock)
        self.linger_s: float | None = None
        """how long the session outlives the last connection; None: it was not opened over the network"""
        self.recordings: dict[str, Path] = {}
        self.peers: dict[str, Peer] = {}
        self._leaving: set[Peer] = set()  # whose connection is closed and what hung on it not yet
        self.hub = ControlHub(self)
        self.clock = clock
        self._server = server
        self.settings = settings
        self._ice_servers = ice_servers
        self._on_empty = on_empty
        self._output: WhepOutput | None = None
        self._viewers: dict[str, Viewer] = {}
        self._publisher: Publisher | None = None
        self._microphones: dict[str, Microphone] = {}
        self._clip: Source | None = None
        self._watchdog: asyncio.Task[None] | None = None
        self._arriving = 0
        self.closing = False
        self._watching = asyncio.Lock()  # while viewers and the output change, one at a time
        self._driving = asyncio.Lock()  # while one who drives gives way to the next

    @property
    def empty(self) -> bool:
        """Nobody watches, publishes, speaks or controls, or is about to."""
        present = self.peers or self.hub.connections or self.voice.speaker
        return not present and not self._arriving

    @property
    def output(self) -> WhepOutput | None:
        """What feeds the viewers; None while there are none."""
        return self._output

    @property
    def source(self) -> WhipSource | None:
        """The publisher's media, when somebody publishes."""
        return self._publisher.source if self._publisher else None

    def check_open(self) -> None:
        """Raises `Problem` 503 once the room is being closed: nobody who comes then would be let out again."""
        if self.closing:
            raise ending(self.name)

    # --- watching ---------------------------------------------------------------------------------------

    async def watch(self, offer: Offer, *, loopback: bool, alpha: bool = False) -> tuple[Peer, str]:
        """One more viewer; returns its connection and the answer. alpha: see `looks`. Raises `Problem`."""
        async with self._arrival():
            return await self._watch(offer, loopback=loopback, alpha=alpha)

    async def _watch(self, offer: Offer, *, loopback: bool, alpha: bool) -> tuple[Peer, str]:
        video = offer.section("video")
        codec = self._codec(video) if video else None
        async with self._watching:
            if len(self._viewers) >= self.settings.max_viewers:
                raise Problem(
                    503,
                    "too-many-viewers",
                    "Too many watch already",
                    f"At most {self.settings.max_viewers} at once; plugin.webrtc.max_viewers says so.",
                    {"Retry-After": str(RETRY_AFTER_S)},
                )
            if self._output is None:
                output = WhepOutput(self.name, self.clock, self._server, self.settings, self.session.trace)
                await self.session.add_output(output, "webrtc")
                if self.closing:
                    await self.session.remove_output(output)
                self.check_open()
                self._output = output
            peer = self._peer("viewer", loopback=loopback)
            viewer = self._output.admit(codec, audio=offer.section("audio") is not None, alpha=alpha)
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
        for kind, track in (("video", viewer.video), ("audio", viewer.audio)):
            if track is not None and (sender := peer.sender(kind)) is not None:
                stamp_reports(sender, track, self.clock)
        return peer, answer

    def _codec(self, section: Section) -> str:
        """The configured codec where the viewer takes it, else the other one."""
        wanted, other = ("H264", "VP8") if self._server.codec == "h264" else ("VP8", "H264")
        return wanted if section.has(wanted) else other

    # --- publishing -------------------------------------------------------------------------------------

    async def publish(
        self, offer: Offer, *, loopback: bool, title: str = "camera over WHIP"
    ) -> tuple[Peer, str]:
        """Let a publisher drive, or speak when it sends no pictures; returns its connection and the answer.

        Raises `Problem` 409.
        """
        async with self._arrival():
            if offer.section("video") is None:
                return await self._publish_voice(offer, loopback=loopback)
            return await self._publish(offer, loopback=loopback, title=title)

    async def _publish(self, offer: Offer, *, loopback: bool, title: str) -> tuple[Peer, str]:
        async with self._driving:
            await self._make_way()
            self.check_open()
            peer = self._peer("publisher", loopback=loopback)
            source = WhipSource(self.clock, title, on_closed=peer.end)
            self._publisher = Publisher(peer, source)
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

    async def _publish_voice(self, offer: Offer, *, loopback: bool) -> tuple[Peer, str]:
        peer = self._peer("publisher", loopback=loopback)
        source = WhipSource(self.clock, "microphone over WHIP", on_closed=peer.end)
        microphone = Microphone(peer, source)
        try:
            await self.seat(microphone)
        except BaseException:
            await source.close()
            raise
        self._microphones[peer.id] = microphone
        self.peers[peer.id] = peer
        self._watch_over()

        def add(pc: RTCPeerConnection) -> None:
            prefer(pc.addTransceiver("audio", "recvonly"), "opus")

        return peer, await peer.answer(offer, add, source.listen)

    async def seat(self, speaker: Speaker, *, force: bool = False) -> None:
        """Let `speaker` be the voice, see `Seat.take`. Raises `Problem` 409, and 503 when the room is being closed."""
        self.check_open()
        await self.voice.take(speaker, force=force)
        if self.closing:
            await self.voice.leave(speaker)
        self.check_open()

    async def _make_way(self) -> None:
        """A dead publisher is swept aside, a live one stays: 409."""
        if self._publisher is None:
            return
        peer, source = self._publisher
        silent = source.silent_s(self.clock.now_ns())
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
                self.check_open()
                self._clip = source
                await self.session.attach_source(source)
        except BaseException:
            await source.close()
            raise

    async def release(self) -> None:
        """Whoever came over the network stops driving."""
        if self._publisher is not None:
            await self._publisher.peer.close()
        if self._clip is not None:
            clip, self._clip = self._clip, None
            await self.session.detach_source(clip)

    def keep_recording(self, path: Path) -> str:
        """Offer a finished recording for download; returns its address. The oldest are forgotten."""
        self.recordings[path.name] = path
        while len(self.recordings) > KEPT_RECORDINGS:
            del self.recordings[next(iter(self.recordings))]
        return f"/api/sessions/{self.name}/recordings/{path.name}"

    # --- connections ------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _arrival(self) -> AsyncIterator[None]:
        """Somebody comes: the room is not empty, whoever leaves meanwhile. One who fails has left again.

        Raises `Problem` 503 when the room is being closed.
        """
        self.check_open()
        self._arriving += 1
        try:
            yield
        finally:
            self._arriving -= 1
            await self.left()

    def _peer(self, role: Role, *, loopback: bool) -> Peer:
        return Peer(
            role,
            self._ice_servers,
            loopback=loopback,
            connect_timeout_s=self.settings.connect_timeout_s,
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
                self._end_if_silent(*self._publisher)
            for microphone in self._microphones.values():
                self._end_if_silent(microphone.peer, microphone.source)

    def _end_if_silent(self, peer: Peer, source: WhipSource) -> None:
        silent = source.silent_s(self.clock.now_ns())
        if silent is not None and silent > self.settings.silence_timeout_s:
            peer.end(f"The publisher has sent nothing for {silent:.0f} s; it is let go.")

    async def _connected(self, peer: Peer) -> None:
        if self._publisher is not None and self._publisher.peer is peer:
            self._clip = None
            self._publisher.source.connected()
            await self.session.attach_source(self._publisher.source)
        elif (microphone := self._microphones.get(peer.id)) is not None:
            microphone.source.connected()
            await self.voice.speak(microphone)

    async def _closed(self, peer: Peer, reason: str) -> None:
        self.peers.pop(peer.id, None)
        self._leaving.add(peer)
        try:
            if reason:
                self.hub.notice("warning", reason)
            await self._let_go(peer)
        finally:
            self._leaving.discard(peer)
        await self.left()

    async def _let_go(self, peer: Peer) -> None:
        """Give back what hung on its connection."""
        viewer = self._viewers.pop(peer.id, None)
        if viewer is not None:
            await self._viewer_left(viewer)
        if self._publisher is not None and self._publisher.peer is peer:
            source, self._publisher = self._publisher.source, None
            source.end()
            await self.session.detach_source(source)
            await source.close()  # it may never have been attached
        if (microphone := self._microphones.pop(peer.id, None)) is not None:
            microphone.source.end()
            await self.voice.leave(microphone)
            await microphone.source.close()

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
        """Close every connection, and let nobody in any more."""
        self.closing = True
        if self._watchdog is not None:
            self._watchdog.cancel()
            await asyncio.gather(self._watchdog, return_exceptions=True)
        peers = (peer.close() for peer in {*self.peers.values(), *self._leaving})
        await asyncio.gather(self.hub.close(), self.voice.close(), *peers)


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
