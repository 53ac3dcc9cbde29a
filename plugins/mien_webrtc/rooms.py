"""The rooms of all sessions: made when first asked for, closed with their session."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mien.engine import MAIN, Engine
from mien.errors import InputError
from mien_webrtc.ice import IceServer
from mien_webrtc.problems import ending, starting, unknown_session
from mien_webrtc.room import Room
from mien_webrtc.settings import WebrtcSettings

LINGER_S = 60.0
"""A session that was opened over the API lives on so long without any connection (a page reloads)."""


class Rooms:
    """Session name -> `Room`. Event loop only.

    The main session is its program's to open, and comes first: until it is there, nobody opens one over
    the network. Its name and its place in the engine stay free that way.
    """

    def __init__(
        self, engine: Engine, settings: WebrtcSettings, ice_servers: Sequence[IceServer] = ()
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.ice_servers = tuple(ice_servers)
        self._rooms: dict[str, Room] = {}
        self._closing: set[str] = set()
        self._lingering: dict[str, asyncio.Task[None]] = {}
        self._main_ended = False  # somebody closed it over the network, and may open it anew

    async def get(self, name: str) -> Room:
        """The room of a session, awaited while that is being opened.

        Raises `Problem` 404, 503 at the start and while the session is being closed.
        """
        self._check_kept(name)
        session = await self.engine.session(name)
        room = self._rooms.get(name)
        if room is not None and room.session is not session:
            del self._rooms[name]
            await room.close()
            room = self._rooms.get(name)
        if session is None:
            self._check_started()
            raise unknown_session(name)
        if room is None:
            room = self._rooms[name] = Room(
                session,
                self.engine.clock,
                self.engine.config.server,
                self.settings,
                self.ice_servers,
                self._emptied,
            )
        return room

    async def get_or_open(self, name: str) -> Room:
        """The room for a publisher, who may open a session by publishing to it.

        Raises `CapacityError`, `Problem` 503 at the start and while one of that name is being closed.
        """
        self._check_kept(name)
        if await self.engine.session(name) is None:
            self._check_started()
            try:
                await self.engine.open_session(name)
            except InputError:
                if name not in self.engine.sessions:  # else another request opened it meanwhile
                    raise
            else:
                room = await self.get(name)
                room.linger_s = 0.0
                return room
        return await self.get(name)

    async def open(self, name: str) -> Room:
        """Open a session. Raises `CapacityError`, `InputError`, `Problem` 503 like `get_or_open`."""
        self._check_started()
        self._check_kept(name)
        session = await self.engine.open_session(name)
        room = await self.get(session.name)
        room.linger_s = LINGER_S
        await self._emptied(room)
        return room

    async def close(self, name: str) -> None:
        """Close a session and everybody's connection to it. Raises `Problem` 404."""
        room = await self.get(name)
        await self._close(room)

    async def close_all(self) -> None:
        """Close every connection; the sessions stay."""
        rooms, self._rooms = list(self._rooms.values()), {}
        lingering, self._lingering = list(self._lingering.values()), {}
        for task in lingering:
            task.cancel()
        await asyncio.gather(*lingering, return_exceptions=True)
        await asyncio.gather(*(room.close() for room in rooms))

    def _check_started(self) -> None:
        engine = self.engine
        if not (self._main_ended or MAIN in engine.sessions or MAIN in engine.opening):
            raise starting()

    def _check_kept(self, name: str) -> None:
        if name in self._closing:
            raise ending(name)

    async def _emptied(self, room: Room) -> None:
        if room.linger_s is None or self._rooms.get(room.name) is not room:
            return
        if room.linger_s == 0:
            await self._close(room)
            return
        self._stop_lingering(room.name)
        self._lingering[room.name] = asyncio.create_task(
            self._close_if_still_empty(room, room.linger_s), name=f"{room.name} lingers"
        )

    def _stop_lingering(self, name: str) -> None:
        task = self._lingering.pop(name, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    async def _close_if_still_empty(self, room: Room, after_s: float) -> None:
        await asyncio.sleep(after_s)
        if room.empty and self._rooms.get(room.name) is room:
            await self._close(room)

    async def _close(self, room: Room) -> None:
        del self._rooms[room.name]
        self._stop_lingering(room.name)
        self._main_ended |= room.name == MAIN
        self._closing.add(room.name)
        try:
            await room.close()
            await self.engine.close_session(room.name)
        finally:
            self._closing.remove(room.name)
