"""The JSON API: sessions, avatar, background, clip, recordings, trace, and the control socket."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Request, Response, WebSocket
from fastapi.responses import FileResponse, JSONResponse
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

import mien
from mien.avatar.package import Consent
from mien.avatar.portrait import read_background
from mien.numbers import json_object
from mien.stage import Source
from mien.tasks import to_end
from mien_webrtc import pictures
from mien_webrtc.clip import ClipSource
from mien_webrtc.problems import Problem
from mien_webrtc.rooms import Rooms

_FORM_FIELDS = 16
_SUFFIXES = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".performance", ".webm"}
"""What an upload's temporary file may be called: the reader is chosen by it. Others are known by content."""
_AGREED = {"true", "1", "yes", "on"}


def router(rooms: Rooms, *, auth_required: bool) -> APIRouter:
    """Everything under /api."""
    routes = APIRouter(prefix="/api")
    # A large picture takes hundreds of megabytes while it is decoded: the next one waits, on the disk.
    decoding = asyncio.Lock()

    @routes.get("/status")
    async def status(request: Request) -> dict[str, Any]:
        engine = rooms.engine
        told: dict[str, Any] = {"version": mien.__version__, "auth_required": auth_required}
        if not request.scope["state"]["entitled"]:
            return told
        sessions = engine.sessions.values()
        return told | {
            "capacity": {"max": engine.max_sessions, "used": len(engine.sessions)},
            "sessions": [
                *({"name": s.name, "state": s.state, "viewers": s.viewers} for s in sessions),
                *({"name": name, "state": "opening", "viewers": 0} for name in engine.opening),
            ],
            "ice_servers": [server.json() for server in rooms.ice_servers],
        }

    @routes.post("/sessions", status_code=201)
    async def open_session(request: Request) -> JSONResponse:
        asked = await _json_object(request)
        name = asked.get("name", "")
        if not isinstance(name, str) or set(asked) - {"name"}:
            raise Problem(400, "bad-input", "What was sent cannot be used", 'Send {"name": "..."} or {}.')
        room = await rooms.open(name)
        return JSONResponse({"name": room.name}, 201, {"Location": f"/api/sessions/{room.name}"})

    @routes.get("/sessions/{name}")
    async def session(name: str) -> dict[str, Any]:
        return (await rooms.get(name)).session.snapshot()

    @routes.delete("/sessions/{name}")
    async def close_session(name: str) -> Response:
        await rooms.close(name)
        return Response(status_code=204)

    @routes.websocket("/sessions/{name}/control")
    async def control(socket: WebSocket, name: str) -> None:
        try:
            room = await rooms.get(name)
        except Problem as problem:
            await socket.send_denial_response(problem.response())
            return
        await room.hub.serve(socket)

    @routes.post("/sessions/{name}/avatar")
    async def make_avatar(request: Request, name: str) -> dict[str, str]:
        session = (await rooms.get(name)).session
        async with _form(request) as form:
            statement = str(form.get("statement") or "").strip()
            if str(form.get("consent", "")).lower() not in _AGREED or not statement:
                raise Problem(
                    400,
                    "consent-missing",
                    "Nobody has agreed",
                    "Send consent=true and the statement that was agreed to: no face is animated without.",
                )
            photo = _file(form, "photo")
            data = await photo.read()
            title = Path(photo.filename or "portrait").stem[:80]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        holder = str(form.get("holder") or "").strip()[:200] or "the person at the page"
        basis: Literal["self", "document"] = "document" if form.get("basis") == "document" else "self"
        avatar = await session.make_avatar(data, Consent(statement[:2000], holder, basis, now), title)
        await session.set_avatar(avatar)
        return {"title": avatar.content.title}

    @routes.get("/sessions/{name}/avatar.jpg")
    async def portrait(name: str) -> Response:
        avatar = (await rooms.get(name)).session.avatar
        if avatar is None or "portrait" not in avatar.content.images:
            raise Problem(404, "no-portrait", "There is no portrait", "This avatar holds none.")
        image = avatar.content.images["portrait"]
        data = await asyncio.to_thread(pictures.jpeg, image)
        return Response(data, media_type="image/jpeg", headers={"Cache-Control": "no-store"})

    @routes.post("/sessions/{name}/background")
    async def background(request: Request, name: str) -> Response:
        session = (await rooms.get(name)).session
        async with _form(request) as form, decoding:
            data = await _file(form, "image", "background", "photo").read()
            behind = session.controls.background.rgb
            image = await to_end(asyncio.to_thread(read_background, data, behind))
        session.set_background_image(image)
        session.update_controls({"background": {"mode": "image"}})
        return Response(status_code=204)

    @routes.post("/sessions/{name}/clip")
    async def clip(request: Request, name: str) -> dict[str, str]:
        room = await rooms.get(name)
        async with _form(request) as form:
            upload = _file(form, "clip")
            source = await clip_source(rooms, upload)
            await room.drive_with(source)
        return {"title": source.info.title}

    @routes.get("/sessions/{name}/recordings/{recording}")
    async def recording(name: str, recording: str) -> FileResponse:
        path = (await rooms.get(name)).recordings.get(recording)
        if path is None or not path.is_file():
            raise Problem(404, "no-recording", "There is no such recording", "It was deleted, or never made.")
        return FileResponse(path, media_type=f"video/{path.suffix[1:]}", filename=path.name)

    @routes.get("/sessions/{name}/trace.json")
    async def trace(name: str) -> JSONResponse:
        session = (await rooms.get(name)).session
        return JSONResponse(session.trace.perfetto(name))

    return routes


class _form:  # noqa: N801 - reads like a function
    """`async with _form(request) as form`: parse multipart, close its temporary files afterwards."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._form: FormData | None = None

    async def __aenter__(self) -> FormData:
        kind = self._request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "multipart/form-data":
            raise Problem(
                415, "wrong-content-type", "The content type does not fit", "Send multipart/form-data."
            )
        try:
            self._form = await self._request.form(max_files=_FORM_FIELDS, max_fields=_FORM_FIELDS)
        except HTTPException as error:
            raise Problem(400, "bad-form", "The form cannot be read", str(error.detail)) from error
        return self._form

    async def __aexit__(self, *_: object) -> None:
        if self._form is not None:
            await self._form.close()


def _file(form: FormData, *names: str) -> UploadFile:
    for name in names:
        value = form.get(name)
        if isinstance(value, UploadFile):
            return value
    raise Problem(400, "file-missing", "The file is missing", f"Send it as the field '{names[0]}'.")


async def _json_object(request: Request) -> dict[str, Any]:
    body = await request.body()
    try:
        return json_object(body or b"{}")
    except ValueError:
        raise Problem(400, "bad-json", "The body is no JSON object", 'Send {"name": "..."} or {}.') from None


async def clip_source(rooms: Rooms, upload: UploadFile) -> Source:
    """Keep the upload in a temporary file for as long as its source lives."""
    title = Path(upload.filename or "clip").name[:80]
    suffix = Path(title).suffix.lower()
    if suffix not in _SUFFIXES:
        suffix = ""

    handle, name = tempfile.mkstemp(prefix="mien-clip-", suffix=suffix)
    path = Path(name)

    def keep() -> None:
        with os.fdopen(handle, "wb") as file:
            upload.file.seek(0)
            shutil.copyfileobj(upload.file, file, 1 << 20)

    try:
        await to_end(asyncio.to_thread(keep))
        return ClipSource(rooms.engine.file_source(path)(), path, title)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
