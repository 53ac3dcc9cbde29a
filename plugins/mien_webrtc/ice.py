"""ICE servers in all their notations, and candidates that a browser on this machine can reach."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiortc import RTCIceServer, RTCPeerConnection

from mien.errors import ConfigError

LOOPBACK = "127.0.0.1"
GATHER_TIMEOUT_S = 2
"""How long a STUN or TURN server may take before the answer goes out without it."""

_URI = re.compile(
    r"(?P<scheme>stuns?|turns?):(?:(?P<user>[^:@]+):(?P<password>[^@]+)@)?(?P<rest>[^@?\s]+(?:\?transport=(?:udp|tcp))?)"
)


@dataclass(frozen=True, slots=True)
class IceServer:
    """One STUN or TURN server. uri: without credentials, as RFC 7064 and RFC 7065 write it."""

    uri: str
    username: str = ""
    credential: str = ""

    @classmethod
    def parse(cls, text: str) -> IceServer:
        """`stun:HOST[:PORT]` or `turn:USER:PASSWORD@HOST[:PORT][?transport=udp]`. Raises `ConfigError`."""
        match = _URI.fullmatch(text.strip())
        if match is None or (match["scheme"].startswith("turn") and not match["user"]):
            raise ConfigError(
                f"server.ice_servers: '{text}' is not acceptable: write stun:HOST:PORT or "
                "turn:USER:PASSWORD@HOST:PORT?transport=udp."
            )
        return cls(f"{match['scheme']}:{match['rest']}", match["user"] or "", match["password"] or "")

    @property
    def link(self) -> str:
        """A `Link` header (RFC 9725 section 4.6)."""
        text = f'<{self.uri}>; rel="ice-server"'
        if self.username:
            text += (
                f'; username="{self.username}"; credential="{self.credential}"; credential-type="password"'
            )
        return text

    def json(self) -> dict[str, str]:
        """As `RTCPeerConnection` of a browser takes it."""
        if not self.username:
            return {"urls": self.uri}
        return {"urls": self.uri, "username": self.username, "credential": self.credential}

    def rtc(self) -> RTCIceServer:
        """As aiortc takes it."""
        return RTCIceServer(self.uri, self.username or None, self.credential or None)


def link_header(servers: Iterable[IceServer]) -> dict[str, str]:
    """The header that names them all; empty when there are none."""
    value = ", ".join(server.link for server in servers)
    return {"Link": value} if value else {}


def prepare_gathering(pc: RTCPeerConnection, *, loopback: bool) -> None:
    """Let the connection gather loopback candidates too, for a peer on this machine.

    aioice leaves 127.0.0.1 out of its host candidates, so that without any other network (or behind a
    VPN that swallows local traffic) a browser on the same machine cannot connect. Chromium hides its own
    addresses behind mDNS names; that is no hindrance: it reaches us, and its address is learnt from its
    check (a peer-reflexive candidate, RFC 8445 section 7.3.1.3).

    Call it once all transceivers are there and before gathering. `get_component_candidates` is replaced on
    the ICE connections of this peer alone.
    """
    connections = {
        id(connection): connection
        for transceiver in pc.getTransceivers()
        for connection in [transceiver.receiver.transport.transport.iceGatherer._connection]
    }
    for connection in connections.values():
        gather = functools.partial(_gather, connection.get_component_candidates, loopback)
        setattr(connection, "get_component_candidates", gather)  # noqa: B010 - mypy: a method is no attribute


async def _gather(gather: Any, loopback: bool, component: int, addresses: list[str]) -> Any:
    extra = [LOOPBACK] if loopback and LOOPBACK not in addresses else []
    return await gather(component=component, addresses=[*extra, *addresses], timeout=GATHER_TIMEOUT_S)
