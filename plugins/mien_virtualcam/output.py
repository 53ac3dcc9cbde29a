"""The virtual camera as an output."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from mien.errors import DeviceError
from mien.frames import AudioFrame, VideoFrame
from mien.stage import Context, Output
from mien.tasks import open_beside
from mien_virtualcam.settings import Settings, read_settings
from mien_virtualcam.setup import why_not

if TYPE_CHECKING:
    import pyvirtualcam

    from mien_virtualcam.widescreen import Widescreen


class VirtualCameraOutput(Output):
    """Sends every picture to a virtual camera as it comes, made wide by its own background.

    device: like the setting of that name, which it overrides. The pace is that of the pictures; sound has no
    place here.
    """

    def __init__(self, device: str | None = None) -> None:
        self._device = device
        self._camera: pyvirtualcam.Camera | None = None
        self._wide: Widescreen | None = None
        # A thread of its own: composing and handing over takes some milliseconds.
        self._thread: ThreadPoolExecutor | None = None

    async def open(self, context: Context) -> None:
        """Raises `DeviceError` with the commands that make a virtual camera when there is none."""
        from mien_virtualcam.widescreen import Widescreen

        settings = read_settings(context.settings)
        self._wide = Widescreen(settings.width, settings.height)
        device = self._device or settings.device or None
        camera = await open_beside(
            lambda: _opened(settings, context.fps, device),
            lambda opened: opened.close(),
            "opening of the virtual camera",
        )
        self._camera = camera
        self._thread = ThreadPoolExecutor(1, "virtualcam")
        context.notice(f"The virtual camera is {camera.device}; choose it in your call program.")

    async def video(self, frame: VideoFrame) -> None:
        if self._thread is None:
            raise RuntimeError("open comes first")
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._send, frame)
        except (OSError, RuntimeError) as error:
            raise DeviceError(f"The virtual camera has stopped: {error}. Start it again.") from error

    async def audio(self, frame: AudioFrame) -> None:
        """A camera has no sound."""

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.shutdown)
        camera, self._camera = self._camera, None
        if camera is not None:
            await asyncio.to_thread(camera.close)

    def _send(self, frame: VideoFrame) -> None:
        if self._camera is not None and self._wide is not None:
            self._camera.send(self._wide.fill(frame.pixels))


def _opened(settings: Settings, fps: float, device: str | None) -> pyvirtualcam.Camera:
    import pyvirtualcam

    try:
        return pyvirtualcam.Camera(settings.width, settings.height, fps, device=device)
    except (RuntimeError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DeviceError(why_not(device, reason)) from error
