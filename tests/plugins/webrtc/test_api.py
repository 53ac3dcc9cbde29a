"""The JSON API, in process."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
import pytest_asyncio
from starlette.datastructures import UploadFile
from webrtc_fakes import FakeEngine, http, make_app, make_rooms, pattern, until

from mien.errors import MediaError
from mien.frames import Bytes, VideoFrame
from mien.stage import Context
from mien.testing.context import FakeContext
from mien.testing.stages import ScriptedSource
from mien_webrtc import page
from mien_webrtc.api import clip_source
from mien_webrtc.clip import ClipSource
from mien_webrtc.problems import Problem
from mien_webrtc.room import KEPT_RECORDINGS, Room

pytestmark = pytest.mark.plugin

AGREED = {"consent": "true", "statement": "It is me and I agree."}


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest_asyncio.fixture
async def web(engine: FakeEngine) -> AsyncIterator[httpx.AsyncClient]:
    rooms = make_rooms(engine, max_photo_mb=1, max_clip_mb=2)
    async with http(make_app(rooms)) as client:
        yield client
        await rooms.close_all()


async def test_status(web: httpx.AsyncClient) -> None:
    told = (await web.get("/api/status")).json()
    assert told["capacity"] == {"max": 2, "used": 1}
    assert told["sessions"] == [{"name": "main", "state": "idle", "viewers": 0}]
    assert told["auth_required"] is False
    assert told["ice_servers"] == []
    assert told["version"]


async def test_sessions_come_and_go(web: httpx.AsyncClient, engine: FakeEngine) -> None:
    made = await web.post("/api/sessions", json={"name": "second"})
    assert (made.status_code, made.json()) == (201, {"name": "second"})
    full = await web.post("/api/sessions", json={})
    assert full.status_code == 503
    assert full.headers["content-type"] == "application/problem+json"
    assert full.headers["Retry-After"]
    assert set(full.json()) == {"type", "title", "status", "detail"}
    assert (await web.delete("/api/sessions/second")).status_code == 204
    assert list(engine.sessions) == ["main"]
    assert (await web.delete("/api/sessions/second")).status_code == 404
    again = await web.post("/api/sessions", json={"name": "main"})
    assert again.status_code == 400


async def test_a_session_that_nobody_uses_is_closed(
    web: httpx.AsyncClient, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien_webrtc.rooms.LINGER_S", 0.05)
    await web.post("/api/sessions", json={"name": "second"})
    await until(lambda: list(engine.sessions) == ["main"])


async def test_a_session_lingers_from_when_the_last_one_left(engine: FakeEngine) -> None:
    def timers() -> list[asyncio.Task[Any]]:
        return [task for task in asyncio.all_tasks() if task.get_name() == "second lingers"]

    rooms = make_rooms(engine)
    room = await rooms.open("second")
    [first] = timers()
    for _ in range(2):  # somebody came and left
        await room.left()
    await asyncio.sleep(0)  # the cancellation
    [last] = timers()
    assert last is not first
    await rooms.close("second")
    await asyncio.sleep(0)
    assert not timers()
    assert list(engine.sessions) == ["main"]


async def test_nobody_takes_the_place_of_the_main_session_before_it_is_open(
    web: httpx.AsyncClient, engine: FakeEngine
) -> None:
    main = engine.sessions.pop("main")
    for name in ("main", "other"):
        early = await web.post("/api/sessions", json={"name": name})
        assert early.status_code == 503
        assert early.headers["Retry-After"]
        assert (await web.get(f"/api/sessions/{name}")).status_code == 503
    assert not engine.sessions
    engine.sessions["main"] = main
    assert (await web.post("/api/sessions", json={"name": "other"})).status_code == 201
    # One that was closed over the network may be opened over it again.
    assert (await web.delete("/api/sessions/main")).status_code == 204
    assert (await web.post("/api/sessions", json={"name": "main"})).status_code == 201


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"name": 3}', b'{"nam": "x"}', b"[" * 60_000])
async def test_what_is_no_request_for_a_session(web: httpx.AsyncClient, body: bytes) -> None:
    response = await web.post("/api/sessions", content=body)
    assert response.status_code == 400


async def test_a_photo_becomes_the_avatar(web: httpx.AsyncClient, engine: FakeEngine) -> None:
    response = await web.post(
        "/api/sessions/main/avatar", data=AGREED, files={"photo": ("Ada.png", b"a photo")}
    )
    assert (response.status_code, response.json()) == (200, {"title": "Ada"})
    made = engine.main.avatar
    assert made is not None
    assert made.consent.statement == AGREED["statement"]
    assert made.consent.basis == "self"


async def test_somebody_elses_consent(web: httpx.AsyncClient, engine: FakeEngine) -> None:
    form = AGREED | {"basis": "document", "holder": "Ada"}
    await web.post("/api/sessions/main/avatar", data=form, files={"photo": ("Ada.png", b"a photo")})
    made = engine.main.avatar
    assert made is not None
    assert (made.consent.basis, made.consent.holder) == ("document", "Ada")


@pytest.mark.parametrize(
    ("form", "photo", "status"),
    [
        ({}, b"a photo", 400),
        ({"consent": "false", "statement": "no"}, b"a photo", 400),
        ({"consent": "true", "statement": " "}, b"a photo", 400),
        (AGREED, None, 400),
        (AGREED, b"no face", 422),
        (AGREED, b"no picture", 422),
        (AGREED, b"x" * 1_100_000, 413),
    ],
)
async def test_photos_that_are_refused(
    web: httpx.AsyncClient, engine: FakeEngine, form: dict[str, str], photo: bytes | None, status: int
) -> None:
    before = engine.main.avatar
    files = {"photo": ("a.png", photo)} if photo is not None else {"other": ("a.png", b"x")}
    response = await web.post("/api/sessions/main/avatar", data=form, files=files)
    assert response.status_code == status
    assert response.json()["detail"]
    assert engine.main.avatar is before


async def test_a_form_is_wanted(web: httpx.AsyncClient) -> None:
    assert (await web.post("/api/sessions/main/avatar", json={})).status_code == 415
    broken = await web.post(
        "/api/sessions/main/avatar",
        content=b"??",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert broken.status_code == 400


async def test_the_portrait(web: httpx.AsyncClient, engine: FakeEngine) -> None:
    response = await web.get("/api/sessions/main/avatar.jpg")
    assert response.headers["content-type"] == "image/jpeg"
    shown = cv2.imdecode(np.frombuffer(response.content, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert np.abs(shown.astype(int) - pattern(0, 64)).mean() < 12
    engine.main.avatar = None
    assert (await web.get("/api/sessions/main/avatar.jpg")).status_code == 404


async def test_a_background(web: httpx.AsyncClient, engine: FakeEngine) -> None:
    png = cv2.imencode(".png", pattern(3)[:, :, ::-1])[1].tobytes()
    response = await web.post("/api/sessions/main/background", files={"image": ("b.png", png)})
    assert response.status_code == 204
    assert engine.main.background is not None
    assert (engine.main.background == pattern(3)).all()
    assert engine.main.controls.background.mode == "image"
    refused = await web.post("/api/sessions/main/background", files={"image": ("b.png", b"nonsense")})
    assert refused.status_code == 422


async def test_a_background_is_read_as_a_portrait_is(web: httpx.AsyncClient, engine: FakeEngine) -> None:
    """Reduced on arrival, and over the background's colour where it is transparent."""
    engine.main.update_controls({"background": {"colour": "#0000ff"}})
    wide = np.zeros((64, 4096, 4), np.uint8)
    wide[:, 2048:] = (10, 20, 30, 255)
    png = cv2.imencode(".png", wide)[1].tobytes()
    response = await web.post("/api/sessions/main/background", files={"image": ("b.png", png)})
    assert response.status_code == 204
    assert engine.main.background is not None
    assert engine.main.background.shape == (48, 3072, 3)
    assert engine.main.background[24, 100].tolist() == [0, 0, 255]
    assert engine.main.background[24, -100].tolist() == [30, 20, 10]


async def test_backgrounds_are_decoded_one_at_a_time(
    web: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)
    at_once = most = 0

    def slow(data: bytes, behind: object) -> Bytes:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        begun.release()
        assert go_on.acquire(timeout=30)
        at_once -= 1
        return pattern(3)

    monkeypatch.setattr("mien_webrtc.api.read_background", slow)
    uploads = [
        asyncio.create_task(web.post("/api/sessions/main/background", files={"image": ("b.png", b"png")}))
        for _ in range(3)
    ]
    assert await asyncio.to_thread(begun.acquire, timeout=30)
    await asyncio.wait(uploads, timeout=0.05)
    for _ in uploads:
        go_on.release()
    assert [(await upload).status_code for upload in uploads] == [204, 204, 204]
    assert most == 1


async def test_a_clip_drives_and_its_file_goes_with_it(web: httpx.AsyncClient, engine: FakeEngine) -> None:
    response = await web.post("/api/sessions/main/clip", files={"clip": ("talk.mp4", b"a clip" * 1000)})
    assert (response.status_code, response.json()) == (200, {"title": "talk.mp4"})
    [path] = engine.files
    assert path.suffix == ".mp4"
    source = engine.main.attached
    assert isinstance(source, ClipSource)
    await source.open(FakeContext(live=True))
    await source.close()
    assert not path.exists()


@pytest.mark.parametrize(
    ("name", "suffix"), [("A.MOV", ".mov"), ("a\0.mp4", ".mp4"), ("a.m\0p4", ""), ("a.exe", ""), ("a", "")]
)
async def test_what_an_upload_is_called_names_no_file(
    engine: FakeEngine, tmp_path: Path, name: str, suffix: str
) -> None:
    source = await clip_source(make_rooms(engine), UploadFile(io.BytesIO(b"a clip"), filename=name))
    [path] = engine.files
    assert path.suffix == suffix
    assert path.read_bytes() == b"a clip"
    await source.close()
    assert not path.exists()


class Damaged(ScriptedSource):
    """Says what is wrong with its file, on the way and at its end."""

    def __init__(self, path: Path, *, opens: bool) -> None:
        super().__init__([])
        self._path = path
        self._opens = opens

    async def open(self, context: Context) -> None:
        assert context.live
        context.notice(f"{self._path} was turned upright.")
        if not self._opens:
            raise MediaError(f"{self._path} is no clip. Copy it again.")

    async def frames(self) -> AsyncIterator[VideoFrame]:
        yield VideoFrame(np.zeros((4, 4, 3), np.uint8), 0)
        raise MediaError(f"{self._path} cannot be read to its end. Copy it again.")


async def test_what_is_said_of_a_clip_calls_it_as_who_sent_it_does(tmp_path: Path) -> None:
    path, context = tmp_path / "mien-clip-x1.mp4", FakeContext(live=True)
    with pytest.raises(MediaError, match=r"^talk\.mp4 is no clip\. Copy it again\.$"):
        await ClipSource(Damaged(path, opens=False), path, "talk.mp4").open(context)
    source = ClipSource(Damaged(path, opens=True), path, "talk.mp4")
    await source.open(context)
    with pytest.raises(MediaError, match=r"^talk\.mp4 cannot be read to its end"):
        _ = [frame async for frame in source.frames()]
    assert context.notices == ["talk.mp4 was turned upright."] * 2


async def test_a_clip_that_may_not_drive_leaves_no_file(
    web: httpx.AsyncClient, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def driven(_: Room) -> None:
        raise Problem(409, "driven", "Somebody else drives already")

    monkeypatch.setattr(Room, "_make_way", driven)
    response = await web.post("/api/sessions/main/clip", files={"clip": ("talk.mp4", b"a clip")})
    assert response.status_code == 409
    [path] = engine.files
    assert not path.exists()


async def test_a_clip_that_never_played_leaves_no_file(engine: FakeEngine, tmp_path: Path) -> None:
    """It is closed without ever having been opened."""
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    room = await make_rooms(engine).get("main")
    for path in (first, second):
        path.write_bytes(b"a clip")
        await room.drive_with(ClipSource(ScriptedSource([]), path, path.name))
    assert not first.exists()
    await room.release()
    assert not second.exists()


async def test_recordings_are_offered_once_made(
    web: httpx.AsyncClient, engine: FakeEngine, tmp_path: Path
) -> None:
    assert (await web.get("/api/sessions/main/recordings/main-1.mp4")).status_code == 404
    room = await make_rooms(engine).get("main")
    paths = [tmp_path / f"main-{n}.mp4" for n in range(KEPT_RECORDINGS + 1)]
    assert [room.keep_recording(path) for path in paths][1] == "/api/sessions/main/recordings/main-1.mp4"
    assert list(room.recordings.values()) == paths[1:]  # the oldest is forgotten
    assert (await web.get("/api/sessions/main/recordings/..%2f..%2fetc%2fpasswd.mp4")).status_code == 404


async def test_trace_and_metrics(web: httpx.AsyncClient, engine: FakeEngine) -> None:
    engine.main.trace.span(1, "encode", 1000, 2000)
    trace = (await web.get("/api/sessions/main/trace.json")).json()
    assert any(event["name"] == "encode" for event in trace["traceEvents"])
    metrics = await web.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=")
    lines = metrics.text.splitlines()
    assert 'mien_frames_total{session="main"} 100.0' in lines
    assert 'mien_frames_dropped_total{session="main",where="before render"} 2.0' in lines
    assert 'mien_stage_latency_seconds{quantile="0.5",session="main",stage="track"} 0.009' in lines
    assert "mien_sessions_max 2.0" in lines


async def test_the_page_and_nothing_else(tmp_path: Path) -> None:
    from fastapi import FastAPI

    from mien_webrtc import problems

    root = tmp_path / "web"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_text("<!doctype html>")
    (root / "main.js").write_text("export {};")
    (root / "assets" / "icon.svg").write_text("<svg/>")
    (root / "notes.txt").write_text("private")
    (tmp_path / "secret.js").write_text("private")
    (root / "link.js").symlink_to(tmp_path / "secret.js")
    app = FastAPI()
    problems.install(app)
    app.include_router(page.router(root))
    async with http(app) as web:
        assert (await web.get("/")).headers["content-type"].startswith("text/html")
        assert (await web.get("/assets/main.js")).headers["content-type"].startswith("text/javascript")
        assert (await web.get("/assets/icon.svg")).headers["content-type"].startswith("image/svg+xml")
        for path in ("notes.txt", "link.js", "..%2fsecret.js", "%2e%2e/secret.js", "nothing.js", ""):
            assert (await web.get(f"/assets/{path}")).status_code == 404


def test_the_page_is_found() -> None:
    assert page.web_folder().is_dir()


async def test_unexpected_errors_tell_nothing(web: httpx.AsyncClient, engine: FakeEngine) -> None:
    def broken() -> dict[str, object]:
        raise RuntimeError("secret detail")

    engine.main.snapshot = broken  # type: ignore[method-assign]
    response = await web.get("/api/sessions/main")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.headers["content-type"] == "application/problem+json"
