"""A program that pushes sound: over a WebSocket, or in the body of a request. The protocol: docs/voice-push.md."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastapi import Request, WebSocket
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketDisconnect, WebSocketState

from mien.errors import MediaError
from mien.numbers import json_object, whole
from mien_webrtc.control import Connection, Message
from mien_webrtc.pcm import PcmReader, Reader, WavReader, reader_for
from mien_webrtc.problems import Problem
from mien_webrtc.pushing import Event, Playing, PushSource
from mien_webrtc.voice import TAKEN_OVER, Speaker

if TYPE_CHECKING:
    from mien_webrtc.room import Room

REPLACED = 4409
"""Close code of a socket that another one has replaced."""

ENDED = 1001
TYPES = ("format", "flush", "clear")
"""What a client may send as text."""

_WAV_TYPES = {"audio/wav", "audio/wave", "audio/x-wav", "audio/vnd.wave"}
_QUERY = {"rate", "channels", "format", "takeover", "token"}
_PIECE = 1 << 15
"""Bytes that are queued at a time, of a body that comes in larger ones."""

_AHEAD = 256
"""Pieces of a body that are read before there is room for them: that a client leaves is seen behind the last byte
that it sent, and not before."""


class Pusher(Speaker):
    """What both have: the source, and where its events go."""

    def __init__(self, room: Room) -> None:
        session = room.session
        self._source = PushSource(
            room.clock,
            self.happened,
            delay_ns=lambda: session.sound_delay_ns,
            buffer_s=room.settings.voice_buffer_s,
            title="a program's voice",
        )

    @property
    def source(self) -> PushSource:
        return self._source

    def happened(self, event: Event) -> None:
        """Of the source: sound begins, ends, or waits."""

    def idle_s(self, now_ns: int) -> float:
        return self.source.idle_s(now_ns)

    def clear(self) -> None:
        self.source.clear()


class SocketPusher(Pusher):
    """One WebSocket, from its first message to its last."""

    def __init__(self, room: Room, socket: WebSocket, reader: Reader) -> None:
        super().__init__(room)
        self._room = room
        self._socket = socket
        self._reader = reader
        self._connection = Connection(socket)
        self._overflowing = False

    def happened(self, event: Event) -> None:
        self._connection.post(event.json())
        if event.playing is Playing.READY:
            self._overflowing = False

    async def dismiss(self, reason: str) -> None:
        if self._socket.client_state is WebSocketState.CONNECTED:
            code = REPLACED if reason == TAKEN_OVER else ENDED
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # it was closed just now
                await self._socket.close(code, reason)

    async def serve(self) -> None:
        """Until either side closes. The seat is taken already."""
        await self._socket.accept()
        if (
            self._room.voice.speaker is not self
        ):  # another one was quicker to take over than this one to arrive
            await self.dismiss(TAKEN_OVER)
            return
        self._connection.post(self._hello())
        sending = asyncio.create_task(self._connection.send_all(), name=f"{self._room.name} voice socket")
        await self._room.voice.speak(self)
        try:
            while (message := await self._socket.receive())["type"] != "websocket.disconnect":
                if self.source.over:  # the session hears somebody else
                    await self.dismiss(TAKEN_OVER)
                    return
                self._receive(message)
        except (WebSocketDisconnect, RuntimeError):
            pass  # it left, or was replaced
        finally:
            sending.cancel()
            await asyncio.gather(sending, self._connection.end(), return_exceptions=True)

    def _hello(self) -> Message:
        sound = self._reader.format
        return {
            "type": "ready",
            "format": sound.encoding if sound else "wav",
            "rate": sound.rate if sound else None,
            "channels": sound.channels if sound else None,
            "buffer_s": self._room.settings.voice_buffer_s,
        }

    def _receive(self, message: Mapping[str, Any]) -> None:
        try:
            if (data := message.get("bytes")) is not None:
                self._take(data)
            else:
                self._obey(message.get("text") or "")
        except MediaError as error:
            self._complain("unusable-sound", str(error))

    def _take(self, data: bytes) -> None:
        sound = self._reader.format
        if isinstance(self._reader, PcmReader) and sound is not None and len(data) % sound.frame_bytes:
            raise MediaError(
                f"A message of {len(data)} bytes holds no whole number of samples: {sound} takes "
                f"{sound.frame_bytes} bytes at a time. It was left out."
            )
        try:
            samples = self._reader.feed(data)
        except MediaError:
            if isinstance(self._reader, WavReader):
                self._reader = WavReader()
            raise
        if self._reader.format is None or self.source.push(samples, self._reader.format.rate):
            return
        if not self._overflowing:  # once, until there is room again
            self._overflowing = True
            self._complain(
                "too-fast",
                f"{self.source.queued_s:.1f} s of sound wait already, so what comes now is left out. Wait for the "
                "message that the buffer is ready.",
            )

    def _obey(self, text: str) -> None:
        try:
            message = json_object(text)
        except ValueError:
            message = {}
        match message:
            case {"type": "clear"}:
                self._restart_reader()
                self._room.voice.interrupt()
            case {"type": "flush"}:
                try:
                    self._restart_reader(finish=True)
                finally:
                    self.source.flush()
            case {"type": "format", **rest}:
                self._reader = asked_reader({str(name): value for name, value in rest.items()})
                self._connection.post(self._hello())
            case _:
                self._complain(
                    "unknown-message", f"Send sound as binary, or text of a type: {', '.join(TYPES)}."
                )

    def _restart_reader(self, *, finish: bool = False) -> None:
        """The next bytes begin anew: another WAV, or whole samples."""
        before = self._reader
        sound = before.format
        self._reader = WavReader() if isinstance(before, WavReader) or sound is None else PcmReader(sound)
        if finish and (sound is not None or not isinstance(before, WavReader)):
            before.finish()

    def _complain(self, kind: str, text: str) -> None:
        self._connection.post({"type": "error", "kind": kind, "text": text})


class BodyPusher(Pusher):
    """The body of one request; it is answered when its sound was played."""

    def __init__(self, room: Room, request: Request, reader: Reader) -> None:
        super().__init__(room)
        self._room = room
        self._request = request
        self._reader = reader
        self._over: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._reason = ""
        self._whole = False
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(_AHEAD)

    def happened(self, event: Event) -> None:
        if event.playing in {Playing.FINISHED, Playing.INTERRUPTED} and not self._over.done():
            self._over.set_result(event)

    @property
    def farewell(self) -> dict[str, str]:
        """Headers of the answer: a client that is still sending is cut off, or it would never look at the answer."""
        return {} if self._whole else {"Connection": "close"}

    async def dismiss(self, reason: str) -> None:
        self._reason = reason
        self.source.end()
        if not self._over.done():
            self._over.set_result(Event(Playing.INTERRUPTED, 0, 0.0, 0.0))

    async def serve(self) -> Message:
        """Play it all; returns what became of it. Raises `Problem` 422 when the sound was none, or was cut short;
        what came before is played. Cancelled, or left by the client, it is silent at once.
        """
        await self._room.voice.speak(self)
        receiving = asyncio.create_task(self._receive(), name=f"{self._room.name} voice body")
        feeding = asyncio.create_task(self._feed(), name=f"{self._room.name} voice sound")
        try:
            await _first(receiving, feeding, self._over)
            trouble = await feeding if feeding.done() else ""
            if feeding.done() and not self._over.done():
                await self._played(receiving)
            if not self._over.done():
                raise ClientDisconnect
            event = self._over.result()
        finally:
            for task in (receiving, feeding):
                task.cancel()
            await asyncio.gather(receiving, feeding, return_exceptions=True)
            if not self._over.done():
                self._room.voice.interrupt()
        if trouble:
            raise Problem(
                422,
                "unusable-sound",
                "The sound cannot be used",
                f"{trouble} Played: {event.position_s:.2f} s.",
            )
        answer = {"state": str(event.playing), "position_s": round(event.position_s, 3)}
        return answer | ({"reason": self._reason} if self._reason else {})

    async def _receive(self) -> None:
        """Read the body, some of it ahead; returns when the client has left."""
        try:
            async for data in self._request.stream():
                for start in range(0, len(data), _PIECE):
                    await self._pieces.put(data[start : start + _PIECE])
            self._whole = True
            await self._pieces.put(None)
            while (await self._request.receive())["type"] != "http.disconnect":
                pass
        except ClientDisconnect:
            return

    async def _feed(self) -> str:
        """Queue the body as there is room for it; returns what is wrong with it."""
        try:
            while (piece := await self._pieces.get()) is not None:
                samples = self._reader.feed(piece)
                if self._reader.format is not None:
                    await self.source.push_all(samples, self._reader.format.rate)
                if self.source.over:  # the session hears somebody else
                    await self.dismiss(TAKEN_OVER)
                    return ""
            self._reader.finish()
        except MediaError as error:
            return str(error)
        return ""

    async def _played(self, leaving: asyncio.Task[None]) -> None:
        """Wait until all is played; a client that leaves meanwhile doesn't want to hear the rest."""
        if self.source.flush():
            await _first(leaving, self._over)
        else:
            self._over.set_result(Event(Playing.FINISHED, 0, 0.0, 0.0))


async def _first(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def asked_reader(asked: Mapping[str, Any], content_type: str = "") -> Reader:
    """What reads sound of the format that a query, or a message, asks for. Raises `MediaError`."""
    unknown = set(asked) - _QUERY
    if unknown:
        raise MediaError(f"There is no '{min(unknown)}' to set; there are: rate, channels, format, takeover.")
    kind = content_type.partition(";")[0].strip().lower()
    encoding = str(asked.get("format", "wav" if kind in _WAV_TYPES else "s16le")).lower()
    rate, channels = (_number(asked, name, usual) for name, usual in (("rate", 24_000), ("channels", 1)))
    return reader_for(encoding, rate, channels)


def _number(asked: Mapping[str, Any], name: str, usual: int) -> int:
    given = asked.get(name, usual)
    try:
        return whole(given)
    except (TypeError, ValueError):
        raise MediaError(f"{name}={given} is no number. Say, for example, {name}={usual}.") from None
