"""Sound comes in: `/api/sessions/{name}/voice`, as a WebSocket or as the body of a request."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response, WebSocket
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from mien.errors import MediaError
from mien_webrtc.problems import Problem
from mien_webrtc.room import Room
from mien_webrtc.rooms import Rooms
from mien_webrtc.speaking import BodyPusher, Pusher, SocketPusher, asked_reader

_YES = {"1", "true", "yes"}


def router(rooms: Rooms) -> APIRouter:
    """One address, three ways to use it."""
    routes = APIRouter(prefix="/api/sessions/{name}/voice")

    @routes.websocket("")
    async def talk(socket: WebSocket, name: str) -> None:
        try:
            room = await rooms.get(name)
            pusher = SocketPusher(room, socket, asked_reader(socket.query_params))
            await room.seat(pusher, force=_forced(socket))
        except (Problem, MediaError) as error:
            await socket.send_denial_response(_problem(error).response())
            return
        try:
            await pusher.serve()
        finally:
            await _leave(room, pusher)

    @routes.post("")
    async def play(request: Request, name: str) -> Response:
        room = await rooms.get(name)
        try:
            reader = asked_reader(request.query_params, request.headers.get("content-type", ""))
        except MediaError as error:
            raise _problem(error) from error
        pusher = BodyPusher(room, request, reader)
        await room.seat(pusher, force=_forced(request))
        try:
            return JSONResponse(await pusher.serve(), headers=pusher.farewell)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it
        finally:
            await _leave(room, pusher)

    @routes.delete("")
    async def clear(name: str) -> Response:
        (await rooms.get(name)).voice.interrupt()
        return Response(status_code=204)

    return routes


async def _leave(room: Room, pusher: Pusher) -> None:
    await room.voice.leave(pusher)
    pusher.source.end()  # it may never have been heard
    await room.left()


def _forced(connection: Request | WebSocket) -> bool:
    return connection.query_params.get("takeover", "").lower() in _YES


def _problem(error: Problem | MediaError) -> Problem:
    if isinstance(error, Problem):
        return error
    return Problem(400, "bad-sound-format", "Sound of that format is not taken", str(error))
