"""A small engine and session, real WebRTC clients, and the ASGI application over them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import httpx
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection

from mien.avatar.package import Avatar, AvatarContent, Consent
from mien.clock import NS_PER_S, Clock, SystemClock
from mien.config import Config, load_config
from mien.controls import Controls
from mien.errors import CapacityError, InputError, MediaError, NoFaceError
from mien.face.camera import Camera
from mien.face.subject import Subject
from mien.frames import AudioFrame, Bytes, FaceParams, VideoFrame
from mien.stage import Output, Source
from mien.testing.context import FakeContext
from mien.testing.stages import ScriptedSource
from mien.trace import Trace
from mien_webrtc.gateway import WebGateway, build_app
from mien_webrtc.guard import SDP_LIMIT
from mien_webrtc.ice import IceServer, prepare_gathering
from mien_webrtc.rooms import Rooms
from mien_webrtc.settings import WebrtcSettings
from mien_webrtc.stream import PacketTrack

TITLE = "test pattern"
PATIENCE_S = 30.0
"""How long to wait for what certainly comes, on however busy a machine."""

_LEVELS = 28


def pattern(index: int, size: int = 128) -> Bytes:
    """A picture that tells which one it is: a ramp that moves, and two grey levels that count."""
    x = np.arange(size, dtype=np.int32)
    ramp = ((x[None, :] * 2 + x[:, None] + 4 * index) % 256).astype(np.uint8)
    picture = np.stack([ramp, ramp[::-1], np.full_like(ramp, 128)], axis=-1)
    picture[: size // 4, : size // 4] = 16 + 8 * (index % _LEVELS)
    picture[: size // 4, size // 4 : size // 2] = 16 + 8 * (index // _LEVELS % _LEVELS)
    return picture


def noise(index: int, size: int = 256) -> Bytes:
    """A picture that no encoder can make small."""
    return np.random.default_rng(index).integers(0, 255, (size, size, 3), np.uint8)


def count(picture: Bytes) -> int:
    """The index (up to 783) that `pattern` drew, read off a (decoded) picture."""
    size = picture.shape[0]
    places = (size // 16, size // 16 + size // 4)
    inner = (picture[size // 16 : 3 * size // 16, x : x + size // 8] for x in places)
    low, high = (round((float(square.mean()) - 16) / 8) for square in inner)
    return low + _LEVELS * high


def avatar(title: str = TITLE) -> Avatar:
    subject = Subject("mien-head", np.zeros(4, np.float32), Camera.guess(64, 64))
    content = AvatarContent("photo", "mien-head", subject, {"portrait": pattern(0, 64)}, {}, title)
    return Avatar.new(content, Consent("I agree.", "Test", "self", "2025-01-31"))


class FakeSession:
    """What the gateway uses of `mien.session.Session`."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self.trace = Trace()
        self.viewers = 0
        self.state = "idle"
        self.controls = Controls()
        self.avatar: Avatar | None = avatar()
        self.outputs: list[Output] = []
        self.attached: Source | None = None
        self.voice: Source | None = None
        self.spoken: list[AudioFrame] = []
        self.interruptions = 0
        self.taken: list[VideoFrame | AudioFrame | FaceParams] = []
        self.on_taken: Callable[[Any], None] | None = None
        self.background: Bytes | None = None
        self.recentred = 0
        self.calibrated = 0
        self.recording: str | None = None
        self.recording_lost_by = ""
        self.sound_delay_ns = 0
        self.recordings = Path()
        self.told: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self.captured: list[int] = []
        self._index = 0
        self._task: asyncio.Task[None] | None = None
        self._speaking: asyncio.Task[None] | None = None

    # --- outputs and sources ---

    async def add_output(self, output: Output, plugin: str = "") -> None:
        await output.open(FakeContext(clock=self.clock, size=(128, 128), live=True))
        self.outputs.append(output)

    async def remove_output(self, output: Output) -> None:
        self.outputs.remove(output)
        await output.close()

    async def attach_source(self, source: Source) -> None:
        """Like the real one: the source is closed when it ends or another comes, even before its first step."""
        await self._stop_source()
        self.attached = source
        self._task = asyncio.create_task(self._take_from(source))

    async def detach_source(self, source: Source | None = None) -> None:
        if source is self.attached:
            await self._stop_source()

    async def attach_voice(self, source: Source) -> None:
        await self._stop_voice()
        self.voice = source
        self._speaking = asyncio.create_task(self._hear(source))

    async def detach_voice(self, source: Source | None = None) -> None:
        if source in {None, self.voice}:
            await self._stop_voice()

    def interrupt_voice(self) -> None:
        self.interruptions += 1

    async def _stop_voice(self) -> None:
        task, self._speaking = self._speaking, None
        source, self.voice = self.voice, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if source is not None:
            await source.close()

    async def _hear(self, source: Source) -> None:
        await source.open(FakeContext(clock=self.clock, live=True))
        async for item in source.frames():
            assert isinstance(item, AudioFrame)
            self.spoken.append(item)

    @property
    def heard_s(self) -> float:
        """Seconds of the voice that were no silence."""
        return sum(frame.duration_ns for frame in self.spoken if frame.samples.any()) / NS_PER_S

    async def _stop_source(self) -> None:
        task, self._task = self._task, None
        source, self.attached = self.attached, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if source is not None:
            await source.close()

    async def _take_from(self, source: Source) -> None:
        await source.open(FakeContext(clock=self.clock, live=True))
        async for item in source.frames():
            self.taken.append(item)
            if self.on_taken is not None:
                self.on_taken(item)

    async def show(self, picture: Bytes | None = None) -> VideoFrame:
        """Hand one picture to the outputs, as if it were captured now."""
        frame = VideoFrame(
            pattern(self._index) if picture is None else picture, self.clock.now_ns(), index=self._index
        )
        self._index += 1
        self.captured.append(frame.capture_ns)
        for output in self.outputs:
            await output.video(frame)
        return frame

    async def say(self, samples: int = 960) -> None:
        """Hand 20 ms of a tone to the outputs."""
        t = np.arange(samples, dtype=np.float32) / 48_000
        tone = (0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)[:, None]
        for output in self.outputs:
            await output.audio(AudioFrame(tone, 48_000, self.clock.now_ns()))

    # --- what a page asks for ---

    def update_controls(self, patch: dict[str, Any]) -> Controls:
        self.controls = self.controls.patched(patch)
        return self.controls

    def recentre(self) -> None:
        self.recentred += 1

    def calibrate(self) -> None:
        self.calibrated += 1

    def set_background_image(self, image: Bytes) -> None:
        self.background = image

    async def set_avatar(self, avatar: Avatar) -> None:
        self.avatar = avatar

    async def make_avatar(self, image: bytes, consent: Consent, title: str = "") -> Avatar:
        if image == b"no face":
            raise NoFaceError("No face was found in the picture. Use one that shows a face from the front.")
        if image == b"no picture":
            raise MediaError("That is not a picture.")
        assert self.avatar is not None
        return dataclasses.replace(
            self.avatar,
            content=dataclasses.replace(self.avatar.content, title=title),
            consent=consent,
        )

    async def start_recording(self) -> str:
        self.recording = "main-20250131"
        return self.recording

    async def stop_recording(self) -> Path | None:
        name, self.recording = self.recording, None
        if name is None:
            return None
        path = self.recordings / f"{name}.mp4"
        path.write_bytes(b"a film")
        return path

    async def notices(self) -> AsyncIterator[dict[str, str]]:
        while True:
            yield await self.told.get()

    def snapshot(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "source": "",
            "fps": 25.0,
            "frames": 100,
            "late": 1,
            "dropped": {"before render": 2},
            "latency_ms": {"track": {"p50": 9.0, "p95": 10.0, "p99": 11.0}},
            "level": 0,
            "viewers": self.viewers,
            "faces": 1,
        }


class FakeEngine:
    """What the gateway uses of `mien.engine.Engine`."""

    def __init__(self, config: Config | None = None, max_sessions: int = 2) -> None:
        self.config = config or Config()
        self.clock = SystemClock()
        self.max_sessions = max_sessions
        self.sessions: dict[str, FakeSession] = {"main": FakeSession("main", self.clock)}
        self.opening: tuple[str, ...] = ()
        self.files: list[Path] = []

    async def session(self, name: str) -> FakeSession | None:
        return self.sessions.get(name)

    async def open_session(self, name: str = "") -> FakeSession:
        if len(self.sessions) >= self.max_sessions:
            raise CapacityError("This engine runs 2 sessions at once and all are taken.")
        if name in self.sessions:
            raise InputError(f"There is already a session called '{name}'.")
        session = FakeSession(name or f"s{len(self.sessions)}", self.clock)
        self.sessions[session.name] = session
        return session

    async def close_session(self, name: str) -> None:
        self.sessions.pop(name, None)

    def file_source(self, path: Path) -> Callable[[], Source]:
        self.files.append(path)
        return lambda: ScriptedSource([])

    @property
    def main(self) -> FakeSession:
        return self.sessions["main"]


def make_rooms(engine: FakeEngine, ice_servers: Sequence[IceServer] = (), **settings: Any) -> Rooms:
    patient = {"connect_timeout_s": 2 * PATIENCE_S, "silence_timeout_s": 2 * PATIENCE_S}
    return Rooms(engine, WebrtcSettings(**patient | settings), ice_servers)  # type: ignore[arg-type]


def make_app(rooms: Rooms, token: str = "") -> FastAPI:
    return build_app(rooms, rooms.engine.config.server, token)


def http(app: FastAPI, **options: Any) -> httpx.AsyncClient:
    """A client in the same process; no sockets but those of the media."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://127.0.0.1", **options
    )


class World:
    """An engine, its rooms, and a client of the application over them."""

    def __init__(self) -> None:
        self.engine = FakeEngine()
        self.rooms = make_rooms(self.engine)
        self.web = http(make_app(self.rooms))

    @classmethod
    @contextlib.asynccontextmanager
    async def alive(cls) -> AsyncIterator[Self]:
        world = cls()
        async with world.web:
            yield world
            await world.rooms.close_all()


# --- the server, and what its control socket says ---------------------------------------------------------


def configured(**options: Any) -> Config:
    """plugin__webrtc__max_viewers=3 stands for `plugin.webrtc.max_viewers`."""
    return load_config(
        options={"server.port": 0, **{key.replace("__", "."): value for key, value in options.items()}}
    )


@contextlib.asynccontextmanager
async def served(config: Config | None = None) -> AsyncIterator[tuple[FakeEngine, WebGateway, str]]:
    """A gateway at any port, with the address of its page."""
    engine, gateway = FakeEngine(config or configured()), WebGateway()
    address = await gateway.start(engine)  # type: ignore[arg-type]
    try:
        yield engine, gateway, address
    finally:
        await gateway.stop()


async def heard(control: ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of that kind."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            message: dict[str, Any] = json.loads(await control.recv())
            if message["type"] == kind:
                return message


# --- WebRTC clients ----------------------------------------------------------------------------------------


class Client:
    """A real aiortc peer that watches or publishes through the HTTP application."""

    def __init__(self, web: httpx.AsyncClient, path: str) -> None:
        self.web = web
        self.path = path
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.tracks: dict[str, MediaStreamTrack] = {}
        self.connected = asyncio.Event()
        self.closed = asyncio.Event()
        self.response: httpx.Response | None = None
        self.pc.on("track", lambda track: self.tracks.__setitem__(track.kind, track))
        self.pc.on("connectionstatechange", self._changed)

    def _changed(self) -> None:
        if self.pc.connectionState == "connected":
            self.connected.set()
        elif self.pc.connectionState in {"closed", "failed"}:
            self.closed.set()

    def prefer(self, codec: str) -> None:
        capabilities = RTCRtpReceiver.getCapabilities("video")
        assert capabilities is not None
        for transceiver in self.pc.getTransceivers():
            if transceiver.kind == "video":
                transceiver.setCodecPreferences(
                    [c for c in capabilities.codecs if c.name.lower() in {codec.lower(), "rtx"}]
                )

    async def offer(self) -> str:
        prepare_gathering(self.pc, loopback=True)
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return str(self.pc.localDescription.sdp)

    async def connect(self) -> None:
        offer = await self.offer()
        assert len(offer) < SDP_LIMIT
        self.response = await self.web.post(
            self.path, content=offer, headers={"Content-Type": "application/sdp"}
        )
        assert self.response.status_code == 201, self.response.text
        await self.pc.setRemoteDescription(RTCSessionDescription(self.response.text, "answer"))
        async with asyncio.timeout(PATIENCE_S):
            await self.connected.wait()

    @property
    def location(self) -> str:
        assert self.response is not None
        return self.response.headers["Location"]

    async def leave(self) -> None:
        await self.web.delete(self.location)
        await self.pc.close()

    async def picture(self, timeout_s: float = PATIENCE_S) -> Bytes:
        async with asyncio.timeout(timeout_s):
            frame = await self.tracks["video"].recv()
        assert isinstance(frame, av.VideoFrame)
        return frame.to_ndarray(format="rgb24")


@contextlib.asynccontextmanager
async def viewer(
    web: httpx.AsyncClient, path: str = "/whep/main", codec: str = "H264", kinds: Sequence[str] = ("video",)
) -> AsyncIterator[Client]:
    """A connected viewer; it leaves at the end."""
    client = Client(web, path)
    for kind in kinds:
        client.pc.addTransceiver(kind, "recvonly")
    client.prefer(codec)
    try:
        await client.connect()
        yield client
    finally:
        await client.pc.close()


@contextlib.asynccontextmanager
async def publisher(
    web: httpx.AsyncClient, camera: MediaStreamTrack, path: str = "/whip/main", codec: str = "H264"
) -> AsyncIterator[Client]:
    """A connected publisher; it closes its connection at the end."""
    client = Client(web, path)
    client.pc.addTransceiver(camera, "sendonly")
    client.prefer(codec)
    try:
        await client.connect()
        yield client
    finally:
        await client.pc.close()


@contextlib.asynccontextmanager
async def showing(
    session: FakeSession,
    fps: float = 25.0,
    *,
    sound: bool = False,
    picture: Callable[[int], Bytes] = pattern,
) -> AsyncIterator[None]:
    """Pictures flow while the block runs."""

    async def run() -> None:
        when = session.clock.now_ns()
        while True:
            await session.show(picture(session._index))
            if sound:
                await session.say()
                await session.say()
            when += round(NS_PER_S / fps)
            await session.clock.sleep_until(when)

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class PatternTrack(MediaStreamTrack):
    """A camera that films `pattern` at 25 fps."""

    kind = "video"

    def __init__(self, clock: Clock, fps: float = 25.0) -> None:
        super().__init__()
        self._clock = clock
        self._interval = round(NS_PER_S / fps)
        self._next = clock.now_ns()
        self.filmed: dict[int, int] = {}
        """index -> engine time at which it was filmed"""
        self._index = 0

    async def recv(self) -> av.VideoFrame:
        self._next += self._interval
        await self._clock.sleep_until(self._next)
        index, self._index = self._index, self._index + 1
        frame = av.VideoFrame.from_ndarray(pattern(index), format="rgb24")
        frame.pts, frame.time_base = index * 3600, Fraction(1, 90_000)
        self.filmed[index] = self._clock.now_ns()
        return frame


async def until(condition: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
    """Return once the condition holds; real sockets and threads give no event to wait for."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


class Spans:
    """Counts what a trace is told."""

    def __init__(self) -> None:
        self.told: Counter[tuple[int, str]] = Counter()

    def span(self, index: int, name: str, start_ns: int, end_ns: int) -> None:
        assert start_ns <= end_ns
        self.told[index, name] += 1


async def take_all(track: PacketTrack, into: list[bytes]) -> None:
    """Take what a viewer is sent, as aiortc does."""
    while True:
        into.append(bytes(await track.recv()))
