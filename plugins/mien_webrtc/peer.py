"""One WebRTC connection, from the offer to the end, with a reason when it ends."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError

from mien_webrtc.ice import IceServer, prepare_gathering
from mien_webrtc.offers import PARSE_ERRORS, Fragment, Offer, malformed

log = logging.getLogger(__name__)

Role = Literal["viewer", "publisher"]

CLOSE_TIMEOUT_S = 0.8


class Peer:
    """Wraps an `RTCPeerConnection`. Event loop only.

    on_connected: DTLS is through. on_closed(peer, reason): called once, after everything is given back;
    reason is empty when the other side left or was asked to.
    """

    def __init__(
        self,
        role: Role,
        ice_servers: Sequence[IceServer],
        *,
        loopback: bool,
        connect_timeout_s: float,
        on_connected: Callable[[Peer], Awaitable[None]],
        on_closed: Callable[[Peer, str], Awaitable[None]],
    ) -> None:
        self.id = secrets.token_urlsafe(12)
        self.etag = f'"{secrets.token_urlsafe(9)}"'
        self.role = role
        self.connected = False
        self._loopback = loopback
        self._connect_timeout_s = connect_timeout_s
        self._on_connected = on_connected
        self._on_closed = on_closed
        self._offer: Offer | None = None
        self._closing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        # Without an explicit list aiortc asks a public STUN server.
        self.pc = RTCPeerConnection(
            RTCConfiguration(
                iceServers=[server.rtc() for server in ice_servers],
                bundlePolicy=RTCBundlePolicy.MAX_BUNDLE,
            )
        )

    async def answer(
        self,
        offer: Offer,
        add: Callable[[RTCPeerConnection], None],
        ready: Callable[[Sequence[RTCRtpTransceiver]], None] = lambda _: None,
    ) -> str:
        """Answer the offer.

        add: adds the transceivers, in the order of the offer's sections (aiortc bundles them onto the first
        one's transport). ready: called when the codecs are agreed on and nothing flows yet.
        Raises `Problem` 400 when aiortc cannot work with the offer.
        """
        self._offer = offer
        self.pc.on("connectionstatechange", self._changed)
        try:
            add(self.pc)
            prepare_gathering(self.pc, loopback=self._loopback)
            try:
                await self.pc.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
                ready(self.pc.getTransceivers())
                await self.pc.setLocalDescription(await self.pc.createAnswer())
            except (
                InternalError,
                InvalidAccessError,
                InvalidStateError,
                OperationError,
                *PARSE_ERRORS,
            ) as error:
                raise malformed(str(error) or "It could not be answered.") from error
        except BaseException:
            await self.close()
            raise
        self._hold(self._give_up_when_stuck(), "deadline")
        return str(self.pc.localDescription.sdp)

    def restarts(self, fragment: Fragment) -> bool:
        """Whether the fragment asks for an ICE restart rather than bringing candidates."""
        offer = self._offer
        return offer is not None and (
            (bool(fragment.ufrag) and fragment.ufrag != offer.ufrag)
            or (bool(fragment.password) and fragment.password != offer.password)
        )

    async def trickle(self, fragment: Fragment) -> None:
        """Add the fragment's candidates."""
        for candidate in fragment.candidates:
            try:
                await self.pc.addIceCandidate(candidate)
            except PARSE_ERRORS as error:
                raise malformed(str(error)) from error

    def sender(self, kind: str) -> RTCRtpSender | None:
        """The sender of that kind."""
        return next((s for s in self.pc.getSenders() if s.kind == kind), None)

    def end(self, reason: str = "") -> asyncio.Task[None]:
        """Close soon; for callbacks that cannot wait. Any number of times, the first reason counts."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(reason), name=f"close {self.role}")
        return self._closing

    async def close(self, reason: str = "") -> None:
        """Close, and return when everything is given back."""
        await asyncio.shield(self.end(reason))

    async def _close(self, reason: str) -> None:
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self.pc.close()
        except TimeoutError:
            log.warning("a %s's connection did not close in time", self.role)
        await self._on_closed(self, reason)

    def _changed(self) -> None:
        state = self.pc.connectionState
        if state == "connected" and not self.connected:
            self.connected = True
            self._hold(self._tell_connected(), "connected")
        elif state == "failed":
            self.end("The connection broke off." if self.connected else self._stuck())
        elif state == "closed":
            self.end()

    async def _tell_connected(self) -> None:
        await self._on_connected(self)

    async def _give_up_when_stuck(self) -> None:
        await asyncio.sleep(self._connect_timeout_s)
        if not self.connected:
            self.end(self._stuck())

    def _stuck(self) -> str:
        return (
            f"A {self.role} could not be reached within {self._connect_timeout_s:g} s: no path for media "
            "(UDP) opened between it and the engine. Open UDP in the firewall between them, or name a TURN "
            "server in server.ice_servers."
        )

    def _hold(self, work: Awaitable[None], name: str) -> None:
        async def run() -> None:
            await work

        task = asyncio.create_task(run(), name=f"{self.role} {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
