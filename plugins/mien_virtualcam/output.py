"""The virtual camera as an output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.errors import DeviceError
from mien.frames import AudioFrame, VideoFrame
from mien.stage import Context, Output
from mien.tasks import open_beside
from mien_virtualcam.settings import Settings, read_settings
from mien_virtualcam.setup import why_not

if TYPE_CHECKING:
    import pyvirtualcam

    from mien_virtualcam.sending import Sending


class VirtualCameraOutput(Output):
    """Sends every picture to a virtual camera as it comes, made wide by its own background.

    device: like the setting of that name, which it overrides. The pace is that of the pictures; sound has no
    place here.
    """

    def __init__(self, device: str | None = None) -> None:
        self._device = device
        self._sending: Sending | None = None

    async def open(self, context: Context) -> None:
        """Raises `DeviceError` with the commands that make a virtual camera when there is none."""
        from mien_virtualcam.sending import Sending
        from mien_virtualcam.widescreen import Widescreen

        settings = read_settings(context.settings)
        wide = Widescreen(settings.width, settings.height)
        device = self._device or settings.device or None
        camera = await open_beside(
            lambda: _opened(settings, context.fps, device),
            lambda opened: opened.close(),
            "opening of the virtual camera",
        )
        self._sending = Sending(camera, wide)
        context.notice(f"The virtual camera is {camera.device}; choose it in your call program.")

    async def video(self, frame: VideoFrame) -> None:
        if self._sending is None:
            raise RuntimeError("open comes first")
        try:
            await self._sending.send(frame.pixels)
        except (DeviceError, OSError, RuntimeError) as error:
            raise DeviceError(f"The virtual camera has stopped: {error}. Start it again.") from error

    async def audio(self, frame: AudioFrame) -> None:
        """A camera has no sound."""

    async def close(self) -> None:
        """Raises `DeviceError` when the camera's driver hangs; nobody waits for it longer than two seconds."""
        sending, self._sending = self._sending, None
        if sending is not None:
            await sending.close()


def _opened(settings: Settings, fps: float, device: str | None) -> pyvirtualcam.Camera:
    import pyvirtualcam

    try:
        return pyvirtualcam.Camera(settings.width, settings.height, fps, device=device)
    except (RuntimeError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DeviceError(why_not(device, reason)) from error
