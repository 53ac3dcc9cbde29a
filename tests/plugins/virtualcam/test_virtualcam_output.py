"""The virtual camera, over a backend registered with pyvirtualcam the way its own are."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import pyvirtualcam

from mien.errors import ConfigError, DeviceError
from mien.frames import AudioFrame, Bytes, VideoFrame
from mien.testing.context import FakeContext
from mien_virtualcam import doctor, sending, setup
from mien_virtualcam.output import VirtualCameraOutput

pytestmark = pytest.mark.plugin


class FakeBackend:
    """As `pyvirtualcam.Backend` documents it; keeps what it is sent."""

    made: ClassVar[list[FakeBackend]] = []
    broken: ClassVar[bool] = False

    def __init__(self, *, width: int, height: int, fps: float, fourcc: int, device: str | None) -> None:
        if device == "missing":
            raise RuntimeError("no such device")
        self.size = width, height
        self.fps = fps
        self.name = device or "fake camera"
        self.sent: list[Bytes] = []
        self.closed = 0
        self.made.append(self)

    def send(self, frame: Bytes) -> None:
        if self.broken:
            raise RuntimeError("device is gone")
        self.sent.append(frame.copy())

    def close(self) -> None:
        self.closed += 1

    def device(self) -> str:
        return self.name

    def native_fourcc(self) -> int | None:
        return None


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeBackend]]:
    from pyvirtualcam import camera

    monkeypatch.setattr(camera, "BACKENDS", {})
    pyvirtualcam.register_backend("fake", FakeBackend)
    monkeypatch.setattr(FakeBackend, "made", [])
    monkeypatch.setattr(FakeBackend, "broken", False)
    yield FakeBackend
    assert all(made.closed == 1 for made in FakeBackend.made)


def shown(n: int = 0) -> VideoFrame:
    return VideoFrame(np.full((512, 512, 3), 40 + n, np.uint8), n)


async def test_one_that_is_cancelled_while_it_opens_holds_nobody_up_and_is_closed(
    backend: type[FakeBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    def slow(self: FakeBackend, **options: Any) -> None:
        begun.set()
        assert go_on.wait(30)
        made(self, **options)

    def close(self: FakeBackend) -> None:
        end(self)
        closed.set()

    made, end = FakeBackend.__init__, FakeBackend.close
    monkeypatch.setattr(FakeBackend, "close", close)
    monkeypatch.setattr(FakeBackend, "__init__", slow)
    output = VirtualCameraOutput()
    opening = asyncio.create_task(output.open(FakeContext(live=True)))
    assert await asyncio.to_thread(begun.wait, 30)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await output.close()
    assert not backend.made
    go_on.set()
    assert await asyncio.to_thread(closed.wait, 30)
    assert [camera.closed for camera in backend.made] == [1]


async def test_pictures_go_out_wide_and_one_by_one(backend: type[FakeBackend]) -> None:
    context = FakeContext(live=True, fps=25)
    output = VirtualCameraOutput()
    await output.open(context)
    for n in range(3):
        await output.video(shown(n))
    await output.audio(AudioFrame(np.zeros((960, 1), np.float32), 48_000, 0))
    await output.close()
    (camera,) = backend.made
    assert camera.size == (1280, 720)
    assert camera.fps == 25
    assert [frame.size for frame in camera.sent] == [1280 * 720 * 3] * 3
    assert [int(frame.mean()) for frame in camera.sent] == [40, 41, 42]
    assert "fake camera" in context.notices[0]


async def test_device_and_size_can_be_chosen(backend: type[FakeBackend]) -> None:
    context = FakeContext(settings={"width": 640, "height": 480, "device": "configured"})
    for output, name in ((VirtualCameraOutput(), "configured"), (VirtualCameraOutput("given"), "given")):
        await output.open(context)
        await output.close()
        assert backend.made[-1].name == name
        assert backend.made[-1].size == (640, 480)


@pytest.mark.usefixtures("backend")
async def test_a_device_that_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    output = VirtualCameraOutput()
    await output.open(FakeContext())
    monkeypatch.setattr(FakeBackend, "broken", True)
    with pytest.raises(DeviceError, match="has stopped: device is gone"):
        await output.video(shown())
    await output.close()
    await output.close()


async def test_a_driver_that_hangs_is_told_and_holds_nobody_up(
    backend: type[FakeBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    def hang(self: FakeBackend, frame: Bytes) -> None:
        begun.set()
        assert go_on.wait(30)

    def close(self: FakeBackend) -> None:
        end(self)
        closed.set()

    end = FakeBackend.close
    monkeypatch.setattr(FakeBackend, "send", hang)
    monkeypatch.setattr(FakeBackend, "close", close)
    monkeypatch.setattr(sending, "SEND_S", 1.0)  # in which the thread is sure to begin
    monkeypatch.setattr(sending, "CLOSE_S", 0.05)
    output = VirtualCameraOutput()
    await output.open(FakeContext(live=True))
    with pytest.raises(DeviceError, match="has stopped: it has taken no picture"):
        await output.video(shown())
    with pytest.raises(DeviceError, match="does not answer, so it could not be closed"):
        await output.close()
    await output.close()
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "virtualcam"]
    assert thread.daemon, "or the process would wait for it"
    assert begun.is_set()
    assert not closed.is_set(), "nobody closes what is in use"
    go_on.set()
    assert await asyncio.to_thread(closed.wait, 30)
    await asyncio.to_thread(thread.join, 30)
    assert [camera.closed for camera in backend.made] == [1]


@pytest.mark.usefixtures("backend")
async def test_without_a_device_the_commands_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "loopback_devices", list)
    monkeypatch.setattr(setup.platform, "system", lambda: "Linux")
    output = VirtualCameraOutput("missing")
    with pytest.raises(DeviceError) as caught:
        await output.open(FakeContext())
    await output.close()
    text = str(caught.value)
    assert "sudo apt install v4l2loopback-dkms" in text
    assert "sudo modprobe v4l2loopback exclusive_caps=1 card_label=mien" in text
    monkeypatch.setattr(setup.platform, "system", lambda: "Darwin")
    with pytest.raises(DeviceError, match="OBS"):
        await output.open(FakeContext())
    await output.close()


@pytest.mark.usefixtures("backend")
async def test_a_device_in_use_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "loopback_devices", lambda: [(Path("/dev/video9"), "mien")])
    monkeypatch.setattr(setup.platform, "system", lambda: "Linux")
    output = VirtualCameraOutput("missing")
    with pytest.raises(DeviceError, match="Close the program that sends to it"):
        await output.open(FakeContext())
    await output.close()


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"widht": 640}, r"\[plugin.virtualcam\]: there is no setting 'widht'. Did you mean 'width'"),
        ({"width": 641}, "width = 641.*multiple of 2"),
        ({"width": 480, "height": 640}, "height = 640.*between height"),
        ({"width": 480}, "height = 720.*between height"),
        ({"width": "wide", "height": 640}, "width = 'wide'"),
        ({"height": "tall"}, r"\[plugin.virtualcam\]: height = 'tall'"),
    ],
)
async def test_settings_are_checked(table: dict[str, object], says: str) -> None:
    output = VirtualCameraOutput()
    with pytest.raises(ConfigError, match=says):
        await output.open(FakeContext(settings=table))
    await output.close()


def test_doctor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor.platform, "system", lambda: "Linux")
    monkeypatch.setattr(doctor, "loopback_devices", list)
    (check,) = doctor.checks()
    assert not check.ok
    assert check.mend.startswith("sudo apt install v4l2loopback-dkms")
    (tmp_path / "video9").mkdir()
    (tmp_path / "video9" / "name").write_text("mien\n")
    assert setup.loopback_devices(tmp_path) == [(Path("/dev/video9"), "mien")]
    monkeypatch.setattr(doctor, "loopback_devices", lambda: [(tmp_path, "mien")])
    assert doctor.checks()[0].ok
    monkeypatch.setattr(doctor, "loopback_devices", lambda: [(tmp_path / "none", "mien")])
    assert doctor.checks()[0].mend == setup.GRANT
