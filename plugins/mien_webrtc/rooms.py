"""The rooms of all sessions: made when first asked for, closed with their session."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mien.engine import Engine
from mien.errors import InputError
from mien_webrtc.ice import IceServer
from mien_webrtc.problems import unknown_session
from mien_webrtc.room import Room
from mien_webrtc.settings import WebrtcSettings


class Rooms:
    """Session name -> `Room`. Event loop only."""

    def __init__(
        self, engine: Engine, settings: WebrtcSettings, ice_servers: Sequence[IceServer] = ()
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.ice_servers = tuple(ice_servers)
        self._rooms: dict[str, Room] = {}

    async def get(self, name: str) -> Room:
        """The room of an open session. Raises `Problem` 404."""
        session = self.engine.sessions.get(name)
        room = self._rooms.get(name)
        if room is not None and room.session is not session:
            del self._rooms[name]
            await room.close()
            room = self._rooms.get(name)
        if session is None:
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
        """The room for a publisher, who may open a session by publishing to it. Raises `CapacityError`."""
        if name not in self.engine.sessions:
            try:
                await self.engine.open_session(name)
            except InputError:
                if name not in self.engine.sessions:  # else another request opened it meanwhile
                    raise
            else:
                room = await self.get(name)
                room.made_by_publisher = True
                return room
        return await self.get(name)

    async def forsake(self, room: Room) -> None:
        """A connection to the room failed; a session that was opened for it goes with it."""
        if room.empty:
            await self._emptied(room)

    async def open(self, name: str) -> Room:
        """Open a session. Raises `CapacityError`, `InputError`."""
        session = await self.engine.open_session(name)
        return await self.get(session.name)

    async def close(self, name: str) -> None:
        """Close a session and everybody's connection to it. Raises `Problem` 404."""
        room = await self.get(name)
        room.made_by_publisher = False
        del self._rooms[name]
        await room.close()
        await self.engine.close_session(name)

    async def close_all(self) -> None:
        """Close every connection; the sessions stay."""
        rooms, self._rooms = list(self._rooms.values()), {}
        for room in rooms:
            room.made_by_publisher = False
        await asyncio.gather(*(room.close() for room in rooms))

    async def _emptied(self, room: Room) -> None:
        if room.made_by_publisher and self._rooms.get(room.name) is room:
            del self._rooms[room.name]
            await room.close()
            await self.engine.close_session(room.name)
