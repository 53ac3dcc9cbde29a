"""Cameras: which there are, and what happens while one runs."""

from __future__ import annotations

import asyncio
import errno
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from mien.clock import OfflineClock
from mien.errors import DeviceError
from mien.frames import VideoFrame
from mien.testing.context import FakeContext
from mien_av import camera as camera_module
from mien_av import cameras
from mien_av.camera import CameraSource
from mien_av.cameras import Camera, find_camera, linux_cameras, open_camera

pytestmark = pytest.mark.plugin

CAPTURE, OUTPUT, METADATA, NODE = 0x1, 0x2, 0x00800000, 0x80000000


def answer(driver: bytes, card: bytes, device: int, whole: int = 0) -> bytes:
    return struct.pack("=16s32s32sIII12x", driver, card, b"usb", 1, (whole or device) | NODE, device)


def test_only_nodes_that_capture_count(tmp_path: Path) -> None:
    webcam = CAPTURE | METADATA
    answers: dict[str, bytes | OSError] = {
        "video10": answer(b"uvcvideo", b"Second", CAPTURE),
        "video2": answer(b"uvcvideo", b"First: Webcam", CAPTURE, webcam),
        "video3": answer(b"uvcvideo", b"First: Webcam", METADATA, webcam),
        "video4": answer(b"v4l2 loopback", b"mien", OUTPUT),
        "video5": answer(b"v4l2 loopback", b"in use", CAPTURE),
        "video6": answer(b"bcm2835-codec", b"codec", CAPTURE | OUTPUT),
        "video7": PermissionError(errno.EACCES, "denied"),
        "video8": OSError(errno.ENODEV, "gone"),
    }
    for name in answers:
        (tmp_path / name).touch()

    def query(node: Path) -> bytes:
        found = answers[node.name]
        if isinstance(found, OSError):
            raise found
        return found

    assert linux_cameras(tmp_path, query) == [
        Camera(str(tmp_path / "video2"), "First: Webcam"),
        Camera(str(tmp_path / "video7"), "video7", denied=True),
        Camera(str(tmp_path / "video10"), "Second"),
    ]


def test_files_that_are_no_devices_are_none(tmp_path: Path) -> None:
    (tmp_path / "video0").write_text("no device")
    assert linux_cameras(tmp_path) == []


@pytest.fixture
def two_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    there = [
        Camera("/dev/video7", "Locked", denied=True),
        Camera("/dev/video0", "Built-in"),
        Camera("/dev/video2", "Logi Brio"),
    ]
    monkeypatch.setattr(cameras, "list_cameras", lambda: there)
    monkeypatch.setattr(camera_module, "list_cameras", lambda: there)


@pytest.mark.usefixtures("two_cameras")
def test_finding_one() -> None:
    assert find_camera(None).device == "/dev/video0"
    for wanted in ("2", "/dev/video2", "brio"):
        assert find_camera(wanted).device == "/dev/video2"
    with pytest.raises(DeviceError, match="Built-in"):
        find_camera("nikon")
    with pytest.raises(DeviceError, match="usermod"):
        find_camera("locked")
    assert CameraSource.available()


def test_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cameras, "list_cameras", list)
    monkeypatch.setattr(camera_module, "list_cameras", list)
    with pytest.raises(DeviceError, match="Plug one in"):
        find_camera(None)
    assert not CameraSource.available()


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.EBUSY, "in use"),
        (errno.EACCES, "usermod"),
        (errno.ENODEV, "is gone"),
        (errno.EIO, "cannot be opened"),
    ],
)
def test_why_it_cannot_be_opened(monkeypatch: pytest.MonkeyPatch, number: int, says: str) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise av.error.OSError(number, "no", "device")

    monkeypatch.setattr(av, "open", fail)
    with pytest.raises(DeviceError, match=says):
        open_camera(Camera("/dev/video0", "Webcam"), 640, 480, 30)


def test_a_camera_that_knows_no_such_size_is_opened_as_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def picky(device: str, **options: Any) -> str:
        asked.append(options)
        if "options" in options:
            raise av.error.OSError(errno.EINVAL, "no such size", device)
        return "container"

    monkeypatch.setattr(av, "open", picky)
    assert open_camera(Camera("/dev/video0", "Webcam"), 640, 480, 30) == "container"
    assert asked[0]["options"] == {"video_size": "640x480", "framerate": "30"}


# --- running -----------------------------------------------------------------------------------------------


class Device:
    """FFmpeg's test pattern in place of a camera; after `count` pictures it fails, hangs or ends.

    first: called once the first picture is on its way.
    """

    def __init__(
        self, count: int, then: Callable[[], object], first: Callable[[], object] = lambda: None
    ) -> None:
        self.pattern = av.open("testsrc=size=64x48:rate=30", format="lavfi")
        self.streams = self.pattern.streams
        self.closed = threading.Event()
        self._count = count
        self._then = then
        self._first = first

    def demux(self, stream: Any) -> Any:
        for n, packet in enumerate(self.pattern.demux(stream)):
            if n == self._count:
                self._then()
                return
            if n == 1:
                self._first()
            yield packet

    def close(self) -> None:
        self.closed.set()
        self.pattern.close()


async def opened(device: Device, clock: OfflineClock | None = None) -> CameraSource:
    source = CameraSource("brio", open_device=lambda *_: device)
    await source.open(FakeContext(clock=clock or OfflineClock(), live=True))
    return source


def unplug() -> None:
    raise av.error.OSError(errno.ENODEV, "No such device", "/dev/video2")


@pytest.mark.usefixtures("two_cameras")
async def test_pictures_arrive_until_it_is_unplugged() -> None:
    clock = OfflineClock()
    clock.advance_to(123)
    device = Device(5, unplug)
    source = await opened(device, clock)
    assert (source.info.width, source.info.height, source.info.fps) == (64, 48, 30.0)
    assert source.info.title == "Logi Brio"
    frames: list[VideoFrame] = []

    async def collect() -> None:
        async for frame in source.frames():
            frames.append(frame)  # noqa: PERF401 - the error shall not lose them

    with pytest.raises(DeviceError, match="Logi Brio has stopped"):
        await collect()
    assert frames
    assert source.info.title == "Logi Brio"
    assert frames[-1].index == 4  # the newest always arrives; older ones may have been replaced
    assert frames[0].pixels.shape == (48, 64, 3)
    assert frames[0].capture_ns == 123
    await source.close()
    assert device.closed.is_set()


@pytest.mark.usefixtures("two_cameras")
async def test_newest_wins() -> None:
    taken, sent, over = threading.Event(), threading.Event(), threading.Event()

    def hang() -> None:
        sent.set()
        over.wait()

    device = Device(20, hang, first=taken.wait)
    source = await opened(device)
    frames = source.frames()
    assert (await anext(frames)).index == 0
    taken.set()
    await asyncio.to_thread(sent.wait)
    assert (await anext(frames)).index == 19
    over.set()
    await source.close()
    await frames.aclose()


@pytest.mark.usefixtures("two_cameras")
async def test_a_camera_that_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_module, "SILENCE_S", 0.05)
    over = threading.Event()
    source = await opened(Device(0, over.wait))
    with pytest.raises(DeviceError, match="sends no pictures"):
        await anext(source.frames())
    over.set()
    await source.close()


@pytest.mark.usefixtures("two_cameras")
async def test_closing_before_and_without_pictures() -> None:
    device = Device(5, unplug)
    source = await opened(device)
    await source.close()
    assert device.closed.is_set()
    await CameraSource().close()


@pytest.mark.usefixtures("two_cameras")
async def test_one_that_is_cancelled_while_it_opens_holds_nobody_up_and_is_closed() -> None:
    device, begun, go_on = Device(5, unplug), threading.Event(), threading.Event()

    def slow(*_: Any) -> Device:
        begun.set()
        assert go_on.wait(30)
        return device

    source = CameraSource("brio", open_device=slow)
    opening = asyncio.create_task(source.open(FakeContext(live=True)))
    assert await asyncio.to_thread(begun.wait, 30)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await source.close()
    assert not device.closed.is_set()
    go_on.set()
    assert await asyncio.to_thread(device.closed.wait, 30)


def test_doctor_says_how_to_get_a_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    from mien_av import doctor

    monkeypatch.setattr(doctor, "list_cameras", list)
    (camera,), (encoders,) = doctor.devices(), doctor.checks()
    assert not camera.ok
    assert "plug one in" in camera.detail
    assert encoders.ok
    monkeypatch.setattr(doctor, "list_cameras", lambda: [Camera("/dev/video0", "Webcam", denied=True)])
    assert doctor.devices()[0].mend == "sudo usermod -aG video $USER"
    monkeypatch.setattr(doctor, "list_cameras", lambda: [Camera("/dev/video0", "Webcam")])
    assert doctor.devices()[0].ok
    assert "Webcam" in doctor.devices()[0].detail
