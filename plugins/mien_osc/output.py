"""The motion of the avatar's face as an output: to any program that listens for the VMC protocol."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from mien.clock import NS_PER_S, Clock
from mien.errors import DeviceError, InputError
from mien.face.retargeting import Reference
from mien.face.subject import Subject
from mien.frames import AudioFrame, VideoFrame
from mien.stage import Context, Driven, Output
from mien_osc.settings import PORT, Settings, read_settings
from mien_osc.vmc import Message, Value, messages

_DATAGRAM = 1400
"""Bytes in a datagram that passes any network in one piece."""


class VmcOutput(Output):
    """Sends each frame's face; pictures and sound have no place here.

    address: `//HOST[:PORT]` or `HOST[:PORT]`; the settings' where it says nothing.
    """

    def __init__(self, address: str = "") -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self._target: tuple[Any, ...] = ()
        self._settings = Settings()
        self._clock: Clock | None = None
        self._began_ns = 0
        self._subject: Subject | None = None
        self._rest: Reference | None = None
        self._unsent = 0

    async def open(self, context: Context) -> None:
        """Raises `InputError` for an address that is none, `DeviceError` for a host that isn't known."""
        self._settings = read_settings(context.settings)
        host, port = _host_and_port(self._address, self._settings)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except OSError as error:
            raise DeviceError(f"The host '{host}' is not known ({error.strerror}). Check --out.") from None
        family, kind, protocol, _, self._target = found[0]
        self._socket = socket.socket(family, kind, protocol)
        self._socket.setblocking(False)
        self._clock, self._began_ns = context.clock, context.clock.now_ns()
        context.notice(f"The face's motion goes to {host}:{port} (VMC).")

    async def face(self, driven: Driven) -> None:
        """Send one frame. A receiver that is not there goes unnoticed: UDP does not say."""
        if self._socket is None or self._clock is None:
            raise RuntimeError("open comes first")
        time_s = (self._clock.now_ns() - self._began_ns) / NS_PER_S
        settings = self._settings
        frame = messages(
            driven.params,
            self._rest_of(driven.avatar),
            time_s,
            capitals=settings.capitals,
            eye_bones=settings.eye_bones,
        )
        for datagram in datagrams(frame):
            try:
                self._socket.sendto(datagram, self._target)
            except OSError:
                # Nobody listens yet, or the buffer is full: the next frame says all of it again.
                self._unsent += 1

    async def video(self, frame: VideoFrame) -> None:
        """Pictures stay here."""

    async def audio(self, frame: AudioFrame) -> None:
        """The protocol knows no sound."""

    @property
    def dropped(self) -> Mapping[str, int]:
        return {"unsent over OSC": self._unsent} if self._unsent else {}

    async def close(self) -> None:
        opened, self._socket = self._socket, None
        if opened is not None:
            opened.close()

    def _rest_of(self, avatar: Subject) -> Reference:
        if self._rest is None or avatar is not self._subject:
            self._subject, self._rest = avatar, Reference.of(avatar)
        return self._rest


def datagrams(frame: Iterable[Message]) -> Iterator[bytes]:
    """The messages in OSC bundles, each of which fits into one datagram."""
    head = OscBundleBuilder(IMMEDIATELY).build().dgram
    bundle = bytearray(head)
    for address, values in frame:
        numbers = [value for value in values if isinstance(value, float)]
        message = _before_numbers(address, values[: len(values) - len(numbers)], len(numbers))
        message += struct.pack(f">{len(numbers)}f", *numbers)
        if len(bundle) + 4 + len(message) > _DATAGRAM:
            yield bytes(bundle)
            bundle = bytearray(head)
        bundle += struct.pack(">i", len(message)) + message
    if len(bundle) > len(head):
        yield bytes(bundle)


@cache
def _before_numbers(address: str, words: tuple[Value, ...], numbers: int) -> bytes:
    """An encoded message up to the floats at its end: all that stays the same from frame to frame."""
    builder = OscMessageBuilder(address)
    for value in (*words, *(0.0,) * numbers):
        builder.add_arg(value)
    dgram = builder.build().dgram
    return dgram[: len(dgram) - 4 * numbers]


def _host_and_port(address: str, settings: Settings) -> tuple[str, int]:
    try:
        parts = urlsplit(address if address.startswith("//") else f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, -1
    if port == -1 or (address.strip("/") and (not host or parts.path.strip("/"))):
        raise InputError(
            f"'vmc:{address}' is no address. Write vmc://HOST:PORT, for example vmc://127.0.0.1:{PORT}."
        )
    return host or settings.host, port or settings.port
