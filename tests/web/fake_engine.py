"""An engine that is none: the page's HTTP contract with invented figures and a drawn face over WebRTC.

Run by the tests as a program of its own; also good for working on the page:

    python tests/web/fake_engine.py --port 8799

`POST /fake` changes how it behaves, `GET /fake` tells what it was sent, `DELETE /fake` makes it as new.
`POST /fake/leave` lets it vanish until a line comes on its standard input: then it serves again, at the same port.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import aioice.ice
import cv2
import numpy as np
import uvicorn
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from av import VideoFrame
from fastapi import FastAPI, Form, Request, UploadFile, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from numpy.typing import NDArray

from mien.controls import Controls
from mien.errors import ConfigError
from mien.face.emotions import NAMES as EMOTION_NAMES
from mien.face.rig import ARKIT_NAMES

WEB = Path(__file__).resolve().parents[2] / "web"
STAGES_MS = {"receive": 6.0, "track": 13.0, "drive": 0.6, "render": 17.0, "encode": 5.0}
WAITING_MS = 9.0
PROBLEMS = {
    401: ("unauthorized", "The token is missing or wrong"),
    413: ("too-large", "The body is too large"),
    422: ("unusable-media", "The file cannot be used"),
    503: ("full", "The engine is full"),
}


@dataclass
class Behaviour:
    """How to go wrong. Each field is what `POST /fake` may set."""

    whep_status: int = 201
    detail: str = ""
    whep_silent: bool = False
    """answer the offer, then send nothing"""
    whep_without_path: bool = False
    """answer without candidates: no path for media"""
    state: str = "driven"
    source: str = "the built-in performance"
    notice: str = ""
    """told to every page once, as a warning"""
    recording_lost_by: str = ""
    """ends the recording for that reason"""
    budget_ms: float = 80.0
    avatar_status: int = 200
    token: str = ""


@dataclass
class Engine:
    """One pretended session."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    size: int = 320
    fps: int = 15
    picture: NDArray[np.uint8] | None = None
    controls: Controls = field(default_factory=Controls)
    title: str = "Mannequin"
    received: list[dict[str, Any]] = field(default_factory=list)
    sockets: set[WebSocket] = field(default_factory=set)
    peers: dict[str, RTCPeerConnection] = field(default_factory=dict)
    driving: int = 0
    recording: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def state(self) -> str:
        return "paused" if self.controls.paused else self.behaviour.state

    def renew(self) -> None:
        """Everything as in the beginning, but for who is connected."""
        self.behaviour, self.controls, self.title = Behaviour(), Controls(), "Mannequin"
        self.received.clear()
        self.recording = False

    def snapshot(self) -> dict[str, Any]:
        """Figures that breathe, so that the plot has something to show."""
        t = time.monotonic() - self.started
        latency = {}
        total = WAITING_MS + 3 * math.sin(t * 1.7)
        for i, (stage, usual) in enumerate(STAGES_MS.items()):
            p50 = usual * (1 + 0.16 * math.sin(t * (0.9 + 0.37 * i) + i) + 0.1 * math.sin(t * 5.1 + 2 * i))
            if stage == "render" and 6 < t % 24 < 9:
                p50 *= 1.9
            latency[stage] = {"p50": p50, "p95": p50 * 1.35, "p99": p50 * 1.8}
            total += p50
        latency["wait:track"] = {"p50": 2.0, "p95": 3.0, "p99": 4.0}
        latency["total"] = {"p50": total, "p95": total * 1.24, "p99": total * 1.6}
        return {
            "state": self.state,
            "source": "a browser's camera" if self.driving else self.behaviour.source,
            "avatar": self.title,
            "fps": round(self.fps - 0.4 - 0.4 * math.sin(t * 2.3), 1),
            "frames": int(t * self.fps),
            "late": int(t / 9),
            "dropped": {"before track": int(t / 21)},
            "latency_ms": latency,
            "budget_ms": self.behaviour.budget_ms,
            "level": 0,
            "viewers": len(self.peers),
            "faces": 0 if self.state == "holding" else 1,
            "recording": self.recording,
        }

    def draw(self, t: float) -> NDArray[np.uint8]:
        """(size, size, 3) uint8 RGB: a mannequin, or the given picture, swaying a little."""
        side = self.size
        if self.picture is not None:
            turn = cv2.getRotationMatrix2D((side / 2, side), 1.2 * math.sin(t), 1.02)
            out = cv2.warpAffine(self.picture, turn, (side, side), borderMode=cv2.BORDER_REFLECT)
            return np.asarray(out, np.uint8)
        canvas = np.full((side, side, 3), (74, 66, 60), np.uint8)
        s = side / 100
        x = round((50 + 3 * math.sin(t) + self.controls.head.yaw * 0.3) * s)
        y = round((46 - self.controls.head.pitch * 0.3) * s)

        def ellipse(dx: float, dy: float, rx: float, ry: float, colour: tuple[int, int, int]) -> None:
            centre = (x + round(dx * s), y + round(dy * s))
            axes = (max(1, round(rx * s)), max(1, round(ry * s)))
            cv2.ellipse(canvas, centre, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)

        ellipse(0, 62, 40, 26, (58, 72, 84))
        ellipse(0, 32, 9, 20, (196, 178, 160))
        ellipse(0, 0, 22, 29, (214, 198, 182))
        for side_x in (-8.5, 8.5):
            ellipse(side_x, -4, 4.6, 2.8, (244, 240, 234))
            look = self.controls.gaze
            ellipse(side_x + look.yaw * 0.08, -4 - look.pitch * 0.06, 2, 2, (58, 48, 40))
        ellipse(0, 13, 7, 0.8 + 4 * max(0.0, self.controls.expression.get("jawOpen", 0)), (140, 92, 84))
        return canvas


class Drawn(MediaStreamTrack):
    """The picture, at the engine's rate."""

    kind = "video"

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine
        self.index = 0
        self.began = time.monotonic()

    async def recv(self) -> VideoFrame:
        due = self.began + self.index / self.engine.fps
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        if self.engine.behaviour.whep_silent:
            await asyncio.Event().wait()
        frame = VideoFrame.from_ndarray(self.engine.draw(self.index / self.engine.fps), format="rgb24")
        frame.pts, frame.time_base = self.index, Fraction(1, self.engine.fps)
        self.index += 1
        return frame


def problem(status: int, detail: str) -> JSONResponse:
    """RFC 9457."""
    kind, title = PROBLEMS.get(status, ("refused", "Refused"))
    body = {"type": f"urn:mien:problem:{kind}", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status, media_type="application/problem+json")


def without_candidates(sdp: str) -> str:
    """Take away all addresses: neither side finds the other."""
    return "".join(line for line in sdp.splitlines(True) if not line.startswith("a=candidate"))


def build(engine: Engine, end: Callable[[], None]) -> FastAPI:
    """The application: the page, the interface, and `/fake`. end: ends the server."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        ticking = asyncio.create_task(tick(), name="stats")
        yield
        ticking.cancel()
        with suppress(asyncio.CancelledError):
            await ticking
        for peer in list(engine.peers.values()):
            await peer.close()
        engine.peers.clear()

    app = FastAPI(lifespan=lifespan)

    async def tell(message: dict[str, Any]) -> None:
        for ws in list(engine.sockets):
            with suppress(RuntimeError, WebSocketDisconnect):
                await ws.send_json(message)

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.25)
            await tell({"type": "stats", "snapshot": engine.snapshot()})

    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Response:
        guarded = request.url.path.startswith(("/api", "/whep", "/whip"))
        token = engine.behaviour.token
        given = request.headers.get("Authorization") == f"Bearer {token}"
        if token and guarded and not given and request.query_params.get("token") != token:
            return problem(401, "The token is missing or wrong.")
        response: Response = await call_next(request)
        response.headers["Cache-Control"] = "no-store"
        return response

    @app.get("/fake")
    def told() -> dict[str, Any]:
        return {"received": engine.received}

    @app.post("/fake")
    async def behave(request: Request) -> dict[str, Any]:
        for key, value in (await request.json()).items():
            setattr(engine.behaviour, key, value)
        if engine.behaviour.notice:
            await tell({"type": "notice", "level": "warning", "text": engine.behaviour.notice})
            engine.behaviour.notice = ""
        if reason := engine.behaviour.recording_lost_by:
            engine.recording = False
            await tell({"type": "recording", "state": "off", "reason": reason})
            engine.behaviour.recording_lost_by = ""
        return {}

    @app.delete("/fake")
    async def renewed() -> dict[str, Any]:
        engine.renew()
        await tell({"type": "controls", "controls": engine.controls.model_dump()})
        await tell({"type": "avatar", "title": engine.title})
        await tell({"type": "stats", "snapshot": engine.snapshot()})
        return {}

    @app.post("/fake/leave")
    def left() -> dict[str, Any]:
        end()
        return {}

    @app.get("/api/status")
    def status() -> dict[str, Any]:
        sessions = [{"name": "main", "state": engine.state, "viewers": len(engine.peers)}]
        return {
            "version": "0",
            "auth_required": bool(engine.behaviour.token),
            "capacity": {"max": 1, "used": 1},
            "sessions": sessions,
            "ice_servers": [],
        }

    @app.post("/api/sessions")
    def open_session() -> Response:
        return problem(503, "This machine has room for 1 session and it is taken.")

    @app.websocket("/api/sessions/{name}/control")
    async def control(ws: WebSocket, name: str) -> None:
        token = engine.behaviour.token
        if token and ws.query_params.get("token") != token:
            await ws.close(4401)
            return
        await ws.accept()
        hello = {
            "type": "hello",
            "controls": engine.controls.model_dump(),
            "expressions": list(ARKIT_NAMES),
            "emotions": list(EMOTION_NAMES),
            "avatar": {"title": engine.title},
            "snapshot": engine.snapshot(),
        }
        await ws.send_json(hello)
        engine.sockets.add(ws)
        try:
            while True:
                await obey(await ws.receive_json())
        except WebSocketDisconnect:
            pass
        finally:
            engine.sockets.discard(ws)

    async def obey(message: dict[str, Any]) -> None:
        engine.received.append(message)
        if message["type"] == "set":
            try:
                engine.controls = engine.controls.patched(message["controls"])
            except ConfigError as error:
                await tell({"type": "notice", "level": "error", "text": str(error)})
            await tell({"type": "controls", "controls": engine.controls.model_dump()})
            await tell({"type": "stats", "snapshot": engine.snapshot()})
        elif message["action"] == "record":
            engine.recording = True
            await tell({"type": "recording", "state": "on"})
        elif message["action"] == "stop_recording":
            engine.recording = False
            url = "/api/sessions/main/recordings/1.mp4"
            await tell({"type": "recording", "state": "off", "url": url})

    @app.post("/api/sessions/{name}/avatar")
    async def avatar(
        name: str, photo: UploadFile, consent: str = Form(""), statement: str = Form("")
    ) -> Response:
        engine.received.append({"type": "avatar", "consent": consent, "statement": statement})
        if consent != "true":
            return problem(400, "A portrait needs consent.")
        if engine.behaviour.avatar_status != 200:
            return problem(engine.behaviour.avatar_status, f"No face was found in {photo.filename}.")
        engine.title = Path(photo.filename or "camera").stem
        await tell({"type": "avatar", "title": engine.title})
        return JSONResponse({"title": engine.title})

    @app.get("/api/sessions/{name}/avatar.jpg")
    def portrait(name: str) -> Response:
        jpeg = cv2.imencode(".jpg", cv2.cvtColor(engine.draw(0), cv2.COLOR_RGB2BGR))[1]
        return Response(jpeg.tobytes(), media_type="image/jpeg")

    @app.get("/api/sessions/{name}/recordings/{file}")
    def recording(name: str, file: str) -> Response:
        return Response(b"not a film", media_type="video/mp4")

    @app.post("/api/sessions/{name}/{what}")
    async def taken(name: str, what: str, request: Request) -> Response:
        form = await request.form()
        engine.received.append({"type": what, "fields": sorted(form)})
        return JSONResponse({})

    async def answer(request: Request, peer: RTCPeerConnection, where: str) -> Response:
        body = (await request.body()).decode()
        if engine.behaviour.whep_without_path:
            body = without_candidates(body)
        offer = RTCSessionDescription(body, "offer")
        key = f"{where}{len(engine.received)}-{id(peer)}"
        await peer.setRemoteDescription(offer)
        await peer.setLocalDescription(await peer.createAnswer())
        engine.peers[key] = peer

        @peer.on("connectionstatechange")
        async def gone() -> None:
            if peer.connectionState in ("failed", "closed"):
                engine.peers.pop(key, None)

        sdp = peer.localDescription.sdp
        if engine.behaviour.whep_without_path:
            sdp = without_candidates(sdp)
        headers = {"Location": f"/{where}/main/{key}", "ETag": '"1"'}
        return Response(sdp, 201, headers, media_type="application/sdp")

    @app.post("/whep/{name}")
    async def watch(name: str, request: Request) -> Response:
        if engine.behaviour.whep_status != 201:
            return problem(engine.behaviour.whep_status, engine.behaviour.detail)
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer.addTrack(Drawn(engine))
        return await answer(request, peer, "whep")

    @app.post("/whip/{name}")
    async def drive(name: str, request: Request) -> Response:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        engine.driving += 1
        engine.received.append({"type": "whip"})
        return await answer(request, peer, "whip")

    @app.options("/{where}/{name}")
    def options(where: str, name: str) -> Response:
        return Response(status_code=204)

    @app.patch("/{where}/{name}/{key}")
    def trickle(where: str, name: str, key: str) -> Response:
        return Response(status_code=204)

    @app.delete("/{where}/{name}/{key}")
    async def leave(where: str, name: str, key: str) -> Response:
        if where == "whip":
            engine.driving -= 1
        engine.received.append({"type": "delete", "where": where})
        if peer := engine.peers.pop(key, None):
            await peer.close()
        return Response(status_code=200)

    @app.get("/")
    def page() -> Response:
        return FileResponse(WEB / "index.html")

    app.mount("/assets", StaticFiles(directory=WEB))
    return app


def serve(engine: Engine, port: int) -> int:
    """Serve until told to leave; the port is written out as soon as it is open."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen()
    port = int(listening.getsockname()[1])
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()

    def end() -> None:
        server.should_exit = True

    app = build(engine, end)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    server.run(sockets=[listening])
    return port


def main() -> None:
    """Serve until ended, and again after each line of input."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--token", default="")
    arguments.add_argument("--size", type=int, default=320)
    arguments.add_argument("--fps", type=int, default=15)
    arguments.add_argument("--picture", type=Path)
    given = arguments.parse_args()
    # aioice leaves loopback out, and these tests have nothing else for sure.
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    engine = Engine(Behaviour(token=given.token), size=given.size, fps=given.fps)
    if given.picture:
        pixels = cv2.cvtColor(cv2.imread(str(given.picture)), cv2.COLOR_BGR2RGB)
        engine.picture = np.asarray(cv2.resize(pixels, (given.size, given.size)), np.uint8)
    port = serve(engine, given.port)
    while sys.stdin.readline():
        serve(engine, port)


if __name__ == "__main__":
    main()
