"""The control socket: state and notices go out, edits and orders come in, the same for every page."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from mien.errors import MienError
from mien.face.emotions import NAMES as EMOTION_NAMES
from mien.face.rig import ARKIT_NAMES
from mien.numbers import json_object

if TYPE_CHECKING:
    from mien_webrtc.room import Room

log = logging.getLogger(__name__)

STATS_INTERVAL_S = 0.25
QUEUE = 64
"""Messages that may wait for a slow client; one that lets more of them wait does not read, and is let go."""

UNREAD = 1013
"""Close code: try again later."""

STATS = "stats"
"""The type of messages of which only the newest is of interest."""

ACTIONS = ("recentre", "calibrate", "record", "stop_recording", "release")
"""What a `do` message may ask for."""

Message = dict[str, Any]


class Connection:
    """One client's socket and what is still to be sent to it, all of it, in order."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self._waiting: deque[Message] = deque()
        self._arrived = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._over = False

    def post(self, message: Message) -> None:
        """Send it when those before it are sent."""
        if self._over:
            return
        if message["type"] == STATS:
            self._waiting = deque(other for other in self._waiting if other["type"] != STATS)
        self._waiting.append(message)
        self._arrived.set()
        if len(self._waiting) > QUEUE:
            self._over = True
            self._closing = asyncio.create_task(self._close(), name="end of a socket that is not read")

    async def send_all(self) -> None:
        """Send until cancelled or disconnected."""
        while True:
            if not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            message = self._waiting.popleft()
            await self.socket.send_text(json.dumps(message, separators=(",", ":")))

    async def end(self) -> None:
        """It has left: nothing is posted any more, and nobody closes what is closed."""
        self._over = True
        if self._closing is not None:
            self._closing.cancel()
            await asyncio.gather(self._closing, return_exceptions=True)

    async def _close(self) -> None:
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # it was closed just now
            await self.socket.close(UNREAD, "What it is told is not read.")


class ControlHub:
    """All control sockets of one session. What one page sets, the others are told."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.connections: set[Connection] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._controls: Message | None = None
        self._title = ""
        self._lost_by = ""

    async def serve(self, socket: WebSocket) -> None:
        """Talk to one page until it leaves."""
        await socket.accept()
        if self._room.closing:
            await socket.close(1001)
            return
        connection = Connection(socket)
        connection.post(self._hello())
        self.connections.add(connection)
        self._start()
        sending = asyncio.create_task(connection.send_all(), name=f"{self._room.name} control socket")
        try:
            while True:
                await self._receive(connection, await socket.receive_text())
        except (WebSocketDisconnect, KeyError):
            pass  # it left, or sent binary
        finally:
            sending.cancel()
            await asyncio.gather(sending, connection.end(), return_exceptions=True)
            self.connections.discard(connection)
            if not self.connections:
                await self._stop()
            await self._room.left()

    async def close(self) -> None:
        """Tell every page that the session ends."""
        await self._stop()
        for connection in list(self.connections):
            if connection.socket.client_state is WebSocketState.CONNECTED:
                try:
                    await connection.socket.close(1001)
                except (RuntimeError, WebSocketDisconnect):  # which one depends on who was first
                    log.debug("a control socket was closed already")

    def notice(self, level: str, text: str) -> None:
        """Tell all pages something in one sentence."""
        self.broadcast({"type": "notice", "level": level, "text": text})

    def broadcast(self, message: Message) -> None:
        for connection in self.connections:
            connection.post(message)

    # --- out --------------------------------------------------------------------------------------------

    def _hello(self) -> Message:
        session = self._room.session
        return {
            "type": "hello",
            "controls": session.controls.model_dump(),
            "expressions": list(ARKIT_NAMES),
            "emotions": list(EMOTION_NAMES),
            "avatar": {"title": self._avatar_title()},
            "snapshot": session.snapshot(),
        }

    def _avatar_title(self) -> str:
        avatar = self._room.session.avatar
        return avatar.content.title if avatar is not None else ""

    def _start(self) -> None:
        if self._tasks:
            return
        self._controls = self._room.session.controls.model_dump()
        self._title = self._avatar_title()
        self._lost_by = self._room.session.recording_lost_by
        self._tasks = [
            asyncio.create_task(self._tell_stats(), name=f"{self._room.name} stats"),
            asyncio.create_task(self._tell_notices(), name=f"{self._room.name} notices"),
        ]

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell_stats(self) -> None:
        while True:
            await asyncio.sleep(STATS_INTERVAL_S)
            self._tell_changes()
            self.broadcast({"type": STATS, "snapshot": self._room.session.snapshot()})

    async def _tell_notices(self) -> None:
        async for notice in self._room.session.notices():
            self.broadcast({"type": "notice", **notice})

    def _tell_changes(self) -> None:
        """Controls and avatar may be changed by anybody, not only by these pages; and a recording may end by itself."""
        session = self._room.session
        controls = session.controls.model_dump()
        if controls != self._controls:
            self._controls = controls
            self.broadcast({"type": "controls", "controls": controls})
        title = self._avatar_title()
        if title != self._title:
            self._title = title
            self.broadcast({"type": "avatar", "title": title})
        if (lost_by := session.recording_lost_by) != self._lost_by:
            self._lost_by = lost_by
            if lost_by:
                self.broadcast({"type": "recording", "state": "off", "reason": lost_by})

    # --- in ---------------------------------------------------------------------------------------------

    async def _receive(self, connection: Connection, text: str) -> None:
        try:
            message = json_object(text)
        except ValueError:
            message = {}
        try:
            match message:
                case {"type": "set", "controls": dict() as controls}:
                    self._room.session.update_controls(controls)
                    self._tell_changes()
                case {"type": "do", "action": str() as action}:
                    await self._do(action, connection)
                case _:
                    connection.post(_error("The control socket takes 'set' and 'do' messages only."))
        except MienError as error:
            connection.post(_error(str(error)))
        except RecursionError:
            connection.post(_error("The controls are nested too deeply."))

    async def _do(self, action: str, connection: Connection) -> None:
        room, session = self._room, self._room.session
        match action:
            case "recentre":
                session.recentre()
            case "calibrate":
                session.calibrate()
            case "record":
                await session.start_recording()
                self._lost_by = ""
                self.broadcast({"type": "recording", "state": "on"})
            case "stop_recording":
                message: Message = {"type": "recording", "state": "off"}
                try:
                    path = await session.stop_recording()
                    if path is not None:
                        message["url"] = room.keep_recording(path)
                finally:
                    self.broadcast(message)
            case "release":
                await room.release()
            case _:
                connection.post(_error(f"There is no action '{action}'; known: {', '.join(ACTIONS)}."))


def _error(text: str) -> Message:
    return {"type": "notice", "level": "error", "text": text}
