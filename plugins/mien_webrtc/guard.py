"""Who may talk to the server: host, origin, token, size of body. Plain ASGI, before anything else runs.

- Host: a server bound to loopback answers only to loopback names, so that a name that a stranger's DNS
  points at 127.0.0.1 (DNS rebinding) reaches nothing.
- Origin: a page of another site may neither change anything nor open the control socket, token or not.
- Token: constant-time comparison; `Authorization: Bearer`, or `?token=` where an element or a socket
  cannot send headers (GET and WebSocket only).
- Body: refused by its Content-Length before a byte is read, and while it is read when there is none.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien_webrtc.problems import Problem

SDP_LIMIT = 64 * 1024
"""Bytes of a body when nothing else is said: an SDP, a JSON text."""

MEGABYTE = 1024 * 1024

MESSAGE_LIMIT = MEGABYTE
"""Bytes of one message over a WebSocket: 20 s of sound at 24 kHz."""

_SAFE = {"GET", "HEAD", "OPTIONS"}
_PROTECTED = re.compile(r"/(api|whep|whip|metrics)(/|$)")
_PHOTO = re.compile(r"/api/sessions/[^/]+/(avatar|background)")
_CLIP = re.compile(r"/api/sessions/[^/]+/clip")
_VOICE = re.compile(r"/api/sessions/[^/]+/voice")
_ENDLESS = 1 << 62
"""Bytes of sound that is played as it comes: nothing of it is kept."""

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; worker-src 'self' blob:; "
        "style-src 'self' 'unsafe-inline'; connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
}


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine."""
    bare = host.strip("[]")
    if bare.lower() == "localhost" or bare.lower().endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the guard enforces. token: empty when none is needed (only ever on loopback)."""

    token: str = ""
    loopback: bool = True
    origins: frozenset[str] = field(default_factory=frozenset)
    photo_limit: int = 64 * MEGABYTE
    clip_limit: int = 1024 * MEGABYTE

    def accepts_host(self, host: str) -> bool:
        """host: the header's value. Raises `ValueError` when it is none, such as "[::1"."""
        name = urlsplit(f"//{host}").hostname or ""
        return not self.loopback or is_loopback(name)

    def accepts_origin(self, origin: str, host: str) -> bool:
        """origin: the header's value; host: that of the Host header."""
        if origin in self.origins:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if not parts.hostname:
            return False  # "null": a sandboxed frame or a local file
        return parts.netloc == host or (self.loopback and is_loopback(parts.hostname))

    def accepts_token(self, token: str | None) -> bool:
        return not self.token or hmac.compare_digest(self.token.encode(), (token or "").encode())

    def body_limit(self, path: str) -> int:
        if _PHOTO.fullmatch(path):
            return self.photo_limit
        if _VOICE.fullmatch(path):
            return _ENDLESS
        return self.clip_limit if _CLIP.fullmatch(path) else SDP_LIMIT


class Guard:
    """ASGI middleware that enforces a `Policy` and adds security and CORS headers."""

    def __init__(self, app: ASGIApp, policy: Policy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        outgoing = self._decorated(send, headers) if scope["type"] == "http" else send
        try:
            self._check(scope, headers)
        except Problem as problem:
            await problem.response()(scope, receive, outgoing)
            return
        if scope["type"] == "http":
            receive = self._limited(receive, self._policy.body_limit(scope["path"]))
        await self._app(scope, receive, outgoing)

    def _check(self, scope: Scope, headers: Headers) -> None:
        policy = self._policy
        method = scope.get("method", "GET")
        host = headers.get("host", "")
        try:
            accepted = policy.accepts_host(host)
        except ValueError:
            raise Problem(
                400, "bad-host", "The Host header is none", "Send HOST or HOST:PORT, IPv6 in brackets."
            ) from None
        if not accepted:
            raise Problem(
                421,
                "wrong-host",
                "This server answers to loopback names only",
                "Open it as http://127.0.0.1 or http://localhost.",
            )
        origin = headers.get("origin")
        acts = scope["type"] == "websocket" or method not in _SAFE
        if acts and origin is not None and not policy.accepts_origin(origin, host):
            raise Problem(
                403,
                "cross-site",
                "Pages of other sites may not use this engine",
                f"The request comes from {origin}. If you trust it, add it to server.origins.",
            )
        self._authorize(scope, headers, method)
        length = headers.get("content-length", "0")
        limit = policy.body_limit(scope["path"])
        if not length.isdecimal() or int(length) > limit:
            raise _too_large(limit)

    def _authorize(self, scope: Scope, headers: Headers, method: str) -> None:
        """Refuse, or note in `scope["state"]` whether the caller proved to be entitled."""
        given = _token(scope, headers, method)
        entitled = self._policy.accepts_token(given)
        scope.setdefault("state", {})["entitled"] = entitled
        path = scope["path"]
        if entitled or not _PROTECTED.match(path):
            return
        preflight = method == "OPTIONS" and given is None
        if preflight or (path == "/api/status" and method in _SAFE and given is None):
            return
        challenge = 'Bearer realm="mien"' + ("" if given is None else ', error="invalid_token"')
        raise Problem(
            401,
            "unauthorized",
            "The token is missing or wrong",
            "Open the whole address that the engine printed (it ends in #token=...), or send "
            "Authorization: Bearer TOKEN.",
            {"WWW-Authenticate": challenge},
        )

    def _limited(self, receive: Receive, limit: int) -> Receive:
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise _too_large(limit)
            return message

        return limited

    def _decorated(self, send: Send, request: Headers) -> Send:
        origin = request.get("origin")
        host = request.get("host", "")

        async def decorated(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if origin is not None and self._policy.accepts_origin(origin, host):
                    headers["Access-Control-Allow-Origin"] = origin
                    headers["Access-Control-Expose-Headers"] = "Location, ETag, Link, Retry-After"
                    headers.add_vary_header("Origin")
            await send(message)

        return decorated


def _token(scope: Scope, headers: Headers, method: str) -> str | None:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scope["type"] == "websocket" or method in {"GET", "HEAD"}:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        return next(iter(query.get("token", [])), None)
    return None


def _too_large(limit: int) -> Problem:
    return Problem(
        413,
        "too-large",
        "The body is too large",
        f"At most {limit // MEGABYTE} MB." if limit >= MEGABYTE else f"At most {limit // 1024} kB.",
        {"Connection": "close"},
    )
