"""A camera as a source."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from mien.clock import Clock
from mien.errors import DeviceError
from mien.frames import VideoFrame
from mien.stage import Context, MediaInfo, Source
from mien.tasks import open_beside
from mien_av.cameras import Camera, find_camera, list_cameras, open_camera
from mien_av.handover import ClosedError, Handover
from mien_av.settings import Settings, read_settings

SILENCE_S = 5.0
"""A camera that sends nothing for this long is given up; it is then opened again."""

_JOIN_S = 2.0


class CameraSource(Source):
    """Pictures of a camera as they arrive; one that nobody takes in time is replaced by the next.

    device: as `find_camera` takes it. open_device: what opens it, replaceable by tests.
    """

    def __init__(
        self, device: str | None = None, *, open_device: Callable[[Camera, int, int, int], Any] = open_camera
    ) -> None:
        self._device = device
        self._open_device = open_device
        self._context: Context | None = None
        self._camera: Camera | None = None
        self._settings = Settings()
        self._info = MediaInfo(title="camera")
        self._container: Any = None
        self._queue: Handover[VideoFrame] | None = None
        self._thread: threading.Thread | None = None

    @staticmethod
    def available() -> bool:
        """Whether this machine has a camera that may be opened."""
        return any(not camera.denied for camera in list_cameras())

    async def open(self, context: Context) -> None:
        """Raises `DeviceError`, `ConfigError`."""
        self._context = context
        self._settings = read_settings(context.settings)
        camera, container = await open_beside(
            self._open, lambda opened: _close(opened[1]), "opening of the camera"
        )
        self._camera, self._container = camera, container
        stream = container.streams.video[0]
        rate = float(stream.average_rate) if stream.average_rate else None
        self._info = MediaInfo(stream.width, stream.height, rate, title=camera.name)

    def _open(self) -> tuple[Camera, Any]:
        settings = self._settings
        camera = find_camera(self._device)
        size = settings.camera_width, settings.camera_height
        return camera, self._open_device(camera, *size, settings.camera_fps)

    @property
    def info(self) -> MediaInfo:
        return self._info

    @property
    def dropped(self) -> Mapping[str, int]:
        return {"overtaken at capture": self._queue.replaced} if self._queue is not None else {}

    async def frames(self) -> AsyncIterator[VideoFrame]:
        if self._context is None or self._camera is None:
            raise RuntimeError("open comes first")
        queue = self._queue = Handover(1, newest_wins=True)
        capture = _Capture(self._container, self._context.clock, self._settings.max_side, self._camera)
        self._thread = threading.Thread(target=capture.run, args=(queue,), name="camera", daemon=True)
        self._thread.start()
        self._container = None  # the thread closes it
        while True:
            try:
                async with asyncio.timeout(SILENCE_S):
                    frame = await queue.get()
            except TimeoutError:
                raise DeviceError(
                    f"The camera {self._camera.name} sends no pictures. Plug it in again."
                ) from None
            if frame is None:
                return
            yield frame

    async def close(self) -> None:
        if self._queue is not None:
            self._queue.close()
            self._queue = None
        if self._thread is not None:
            # A driver that hangs holds its thread; it ends with the process.
            thread, self._thread = self._thread, None
            await asyncio.to_thread(thread.join, _JOIN_S)
        if self._container is not None:
            container, self._container = self._container, None
            await asyncio.to_thread(container.close)


def _close(container: Any) -> None:
    import av

    with contextlib.suppress(av.error.FFmpegError, OSError):
        container.close()


class _Capture:
    """What the camera's thread does."""

    def __init__(self, container: Any, clock: Clock, max_side: int, camera: Camera) -> None:
        self._container = container
        self._clock = clock
        self._max_side = max_side
        self._camera = camera

    def run(self, queue: Handover[VideoFrame]) -> None:
        """Read until the device fails or nobody listens any more; then close it."""
        import av

        lost = DeviceError(f"The camera {self._camera.name} has stopped. Plug it in again.")
        try:
            self._read(queue)
        except ClosedError:
            pass
        except (av.error.FFmpegError, OSError):  # unplugged, mostly
            queue.finish(lost)
        except Exception as error:  # noqa: BLE001 - it is the consumer's to handle
            queue.finish(error)
        else:
            queue.finish(lost)
        finally:
            _close(self._container)

    def _read(self, queue: Handover[VideoFrame]) -> None:
        import av
        from av.video.reformatter import VideoReformatter

        from mien_av.rgb import to_rgb

        stream = self._container.streams.video[0]
        stream.thread_type = "NONE"  # threads that decode several pictures at once hold them back
        reformatter = VideoReformatter()
        index = 0
        for packet in self._container.demux(stream):
            arrived_ns = self._clock.now_ns()
            try:
                pictures = packet.decode()
            except av.error.InvalidDataError:  # the first pictures of many a webcam are broken
                continue
            for picture in pictures:
                queue.put(VideoFrame(to_rgb(picture, reformatter, self._max_side), arrived_ns, index=index))
                index += 1
