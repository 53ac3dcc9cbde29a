"""A request whose body is sound that goes on and on: the client's side of `/api/sessions/NAME/voice`."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from mien.errors import AddressError, InputError
from mien.numbers import json_object

_PATIENCE_S = 2.0
"""For an engine to say that it listens, or to be told that it shall be silent."""

_IN_A_QUERY = re.compile(r"\b(format|rate|channels|takeover)=([\w.]*\w)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an engine serves. token: empty when none is needed."""

    host: str
    port: int
    tls: bool = False
    token: str = ""

    @classmethod
    def of(cls, url: str, token: str = "") -> Place:
        """The address that `mien run` prints, whole or without its token. Raises `AddressError`."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            port = 0
        if parts.scheme not in {"http", "https"} or not parts.hostname or not port:
            raise AddressError(f"{url} is no address of an engine. Give what `mien run` printed, http://...")
        told = parse_qs(parts.fragment).get("token", [""])[0]
        return cls(parts.hostname, port, parts.scheme == "https", token or told)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.tls else ''}://{host}:{self.port}"


async def push(
    place: Place, session: str, sound: AsyncGenerator[bytes], query: Mapping[str, str | int]
) -> dict[str, Any]:
    """Send `sound` as fast as it is taken; returns the answer, which comes when it was played.

    Cancelled, the session falls silent at once. Raises `AddressError` when nobody is there, `InputError` when it is
    refused, with the engine's own words.
    """
    path = f"{_path(session)}?{urlencode(query)}"
    reader, writer = await _connected(place)
    try:
        # Who is refused is told so before any sound is under way, or the answer may be lost with the connection.
        writer.write(_head(place, "POST", path, "Transfer-Encoding: chunked", "Expect: 100-continue"))
        welcome = asyncio.Event()
        sending = asyncio.create_task(_send(writer, sound, welcome), name="sound")
        answering = asyncio.create_task(_answer(reader, welcome), name="answer")
        try:
            await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and not _broken(sending):
                await sending
            status, body = await answering
        finally:
            for task in (sending, answering):
                task.cancel()
            await asyncio.gather(sending, answering, return_exceptions=True)
    except (OSError, EOFError) as error:
        raise AddressError(f"The engine at {place} has gone while it was spoken to.") from error
    except asyncio.CancelledError:
        writer.transport.abort()  # what waits to be sent is not to be heard, and would take its time
        await _silence(place, session)
        raise
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    if status != 200:
        words = ". ".join(str(body[key]).rstrip(".") for key in ("title", "detail") if body.get(key))
        raise InputError(f"{place} refuses: {_as_options(words) or status}.")
    return body


def _broken(sending: asyncio.Task[None]) -> bool:
    """Whether the engine took no more: its answer says why."""
    return isinstance(sending.exception(), OSError)


async def _connected(place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.create_default_context() if place.tls else None
    try:
        return await asyncio.open_connection(place.host, place.port, ssl=context)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise AddressError(f"There is no engine at {place} ({why}). Start one with: mien run") from error


async def _silence(place: Place, session: str) -> None:
    """Say that what was sent is not to be heard: the end of a connection lies behind all that was sent over it."""
    with contextlib.suppress(OSError, EOFError, AddressError):
        async with asyncio.timeout(_PATIENCE_S):
            reader, writer = await _connected(place)
            try:
                writer.write(_head(place, "DELETE", _path(session), "Content-Length: 0"))
                await reader.read()
            finally:
                writer.close()


def _path(session: str) -> str:
    return f"/api/sessions/{quote(session, safe='')}/voice"


def _as_options(words: str) -> str:
    """The engine speaks of what is in a query; here these are options."""
    return _IN_A_QUERY.sub(
        lambda found: "--takeover" if found[1] == "takeover" else f"--{found[1]} {found[2]}", words
    )


def _head(place: Place, method: str, path: str, *body: str) -> bytes:
    """body: the headers that tell its length, and what is waited for."""
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {str(place).partition('://')[2]}",
        "Content-Type: application/octet-stream",
        *body,
        "Connection: close",
    ]
    if place.token:
        lines.append(f"Authorization: Bearer {place.token}")
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1", "replace")


async def _send(writer: asyncio.StreamWriter, sound: AsyncGenerator[bytes], welcome: asyncio.Event) -> None:
    """Send it once it is welcome, or nobody says whether it is (RFC 9110 section 10.1.1)."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_S):
            await welcome.wait()
    async with contextlib.aclosing(sound):
        async for data in sound:
            if data:
                writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0)  # an answer that has come meanwhile ends this
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _answer(reader: asyncio.StreamReader, welcome: asyncio.Event) -> tuple[int, dict[str, Any]]:
    """Status and JSON body (RFC 9112, as far as an engine makes use of it). welcome: set when the sound is."""
    number = "100"
    while number.startswith("1"):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.split("\r\n")
        number = status.split(" ")[1] if " " in status else ""
        if number == "100":
            welcome.set()
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    length = headers.get("content-length", "")
    data = await reader.readexactly(int(length)) if length.isdecimal() else await reader.read()
    try:
        body = json_object(data or b"{}")
    except ValueError:
        body = {}
    return int(number) if number.isdecimal() else 0, body
