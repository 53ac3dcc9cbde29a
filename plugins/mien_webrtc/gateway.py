"""The gateway: one HTTP server on the running event loop, and what hangs on it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import secrets
import socket
import ssl
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from mien.config import ServerSection
from mien.engine import Engine
from mien.errors import AddressError
from mien.stage import Gateway
from mien_webrtc import api, metrics, page, problems, signalling, voice_api
from mien_webrtc.guard import MEGABYTE, MESSAGE_LIMIT, Guard, Policy, is_loopback
from mien_webrtc.ice import IceServer
from mien_webrtc.rooms import Rooms
from mien_webrtc.settings import WebrtcSettings

log = logging.getLogger(__name__)

BACKLOG = 128
STOP_TIMEOUT_S = 0.9


class WebGateway(Gateway):
    """Serves the page, the API, WHEP and WHIP for all sessions of an engine."""

    def __init__(self) -> None:
        self.rooms: Rooms | None = None
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self, engine: Engine) -> str:
        section = engine.config.server
        settings = WebrtcSettings.parse(engine.config.plugin.get("webrtc", {}))
        ice_servers = [IceServer.parse(text) for text in section.ice_servers]
        token = section.token
        if not token and not is_loopback(section.host):
            token = secrets.token_urlsafe(24)
        tls = _check_tls(section)
        listener = bind(section.host, section.port)
        try:
            self.rooms = Rooms(engine, settings, ice_servers)
            app = build_app(self.rooms, section, token)
            config = uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                ws="websockets-sansio",
                ws_max_size=MESSAGE_LIMIT,
                timeout_graceful_shutdown=1,
                ssl_certfile=section.tls_cert if tls else None,
                ssl_keyfile=section.tls_key if tls else None,
            )
            config.load()
        except BaseException:
            listener.close()
            raise
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve([listener]), name="web server")
        up = asyncio.create_task(self._server.up.wait(), name="web server comes up")
        try:
            await asyncio.wait({self._serving, up}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            up.cancel()
        if self._serving.done():
            await self._serving
        host, port = listener.getsockname()[:2]
        return _address(section.host, host, port, tls=tls, token=token)

    async def stop(self) -> None:
        server, self._server = self._server, None
        serving, self._serving = self._serving, None
        if self.rooms is not None:
            rooms, self.rooms = self.rooms, None
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S / 2):
                    await rooms.close_all()
            except TimeoutError:
                log.warning("some connections did not close in time")
        if server is None or serving is None:
            return
        server.should_exit = True
        done, _ = await asyncio.wait({serving}, timeout=STOP_TIMEOUT_S / 2)
        if not done:
            server.force_exit = True
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: they are the command line's. `up` tells when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def build_app(rooms: Rooms, section: ServerSection, token: str) -> FastAPI:
    """The application behind its guard."""
    app = FastAPI(title="mien", openapi_url=None, docs_url=None, redoc_url=None)
    problems.install(app)
    app.include_router(signalling.router(rooms))
    app.include_router(api.router(rooms, auth_required=bool(token)))
    app.include_router(voice_api.router(rooms))
    app.include_router(metrics.router(rooms.engine))
    app.include_router(page.router(page.web_folder()))
    policy = Policy(
        token=token,
        loopback=is_loopback(section.host),
        origins=frozenset(section.origins),
        photo_limit=rooms.settings.max_photo_mb * MEGABYTE,
        clip_limit=rooms.settings.max_clip_mb * MEGABYTE,
    )
    app.add_middleware(Guard, policy=policy)
    return app


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `AddressError` that says what is wrong and how to mend it."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise AddressError(f"There is no address '{host}' to serve on ({error}). Set server.host.") from None
    # "localhost" may mean both families; browsers try either.
    family, kind, protocol, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it would let two programs have the same port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise AddressError(_why(error, host, port)) from None
    return listener


def _why(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"Port {port} on {host} is in use. Stop what has it, or choose another with --port."
        case errno.EACCES:
            return f"Port {port} needs more rights than this user has. Choose one above 1023 with --port."
        case errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine. Use 127.0.0.1, or 0.0.0.0 for all of them."
        case _:
            return f"Cannot serve on {host}:{port}: {error.strerror}."


def _check_tls(section: ServerSection) -> bool:
    """Whether to serve HTTPS. Raises `AddressError` when certificate or key cannot be used."""
    cert, key = section.tls_cert, section.tls_key
    if cert is None and key is None:
        return False
    if cert is None or key is None:
        raise AddressError("HTTPS needs both --tls-cert and --tls-key; only one was given.")
    for option, path in (("--tls-cert", cert), ("--tls-key", key)):
        if not path.is_file():
            raise AddressError(f"{option}: there is no file {path}.")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    except (ssl.SSLError, OSError) as error:
        raise AddressError(
            f"{cert} and {key} are no certificate and key that belong together ({error})."
        ) from None
    return True


def _address(asked: str, bound: str, port: int, *, tls: bool, token: str) -> str:
    host = bound if asked in {"", "localhost"} else asked
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - every interface: name this machine
        host = socket.gethostname()
    if ":" in host:
        host = f"[{host}]"
    fragment = f"#token={token}" if token else ""
    return f"http{'s' if tls else ''}://{host}:{port}/{fragment}"
