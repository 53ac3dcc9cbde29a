"""The virtual camera as an output."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from mien.config import explain
from mien.errors import ConfigError, DeviceError
from mien.frames import AudioFrame, VideoFrame
from mien.stage import Context, Output
from mien_virtualcam.setup import why_not

if TYPE_CHECKING:
    import pyvirtualcam

    from mien_virtualcam.widescreen import Widescreen


class Settings(BaseModel):
    """What can be configured under `[plugin.virtualcam]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: Annotated[int, Field(ge=64, le=3840, multiple_of=2)] = 1280
    height: Annotated[int, Field(ge=64, le=2160, multiple_of=2, validate_default=True)] = 720
    device: str = ""
    """which virtual camera; empty: the first one"""

    @field_validator("height")
    @classmethod
    def _wide(cls, height: int, info: ValidationInfo) -> int:
        width = info.data.get("width", height)  # absent when it was refused itself
        if not height <= width <= 3 * height:
            raise ValueError(f"width ({width}) must lie between height and three times height")
        return height


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

        settings = _read_settings(context.settings)
        self._wide = Widescreen(settings.width, settings.height)
        self._thread = ThreadPoolExecutor(1, "virtualcam")
        loop = asyncio.get_running_loop()
        device = self._device or settings.device or None
        camera = await loop.run_in_executor(self._thread, _opened, settings, context.fps, device)
        self._camera = camera
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


def _read_settings(table: Mapping[str, Any]) -> Settings:
    try:
        return Settings.model_validate(dict(table))
    except ValidationError as error:
        raise ConfigError(explain(error, Settings, "[plugin.virtualcam]")) from None
