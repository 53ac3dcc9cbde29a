"""The thread that hands pictures to a virtual camera, and its end."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from concurrent.futures import Future
from typing import Protocol

from mien.errors import DeviceError
from mien.frames import Bytes
from mien.tasks import to_end
from mien_virtualcam.widescreen import Widescreen

log = logging.getLogger(__name__)

SEND_S = 5.0
"""For so long a driver may sit on a picture."""

CLOSE_S = 2.0
"""For so long whoever closes waits for a driver to let go."""


class Camera(Protocol):
    """The part of `pyvirtualcam.Camera` that is used here."""

    def send(self, frame: Bytes) -> None: ...

    def close(self) -> None: ...


class Sending:
    """Feeds an opened camera, and closes it, on a thread of its own: composing and handing over takes some
    milliseconds, and a driver that hangs holds this thread and nobody else. Then it ends with the process.
    """

    def __init__(self, camera: Camera, wide: Widescreen) -> None:
        self._camera = camera
        self._wide = wide
        self._jobs: queue.SimpleQueue[tuple[Bytes, Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="virtualcam", daemon=True)
        self._thread.start()

    async def send(self, pixels: Bytes) -> None:
        """pixels: (H, W, 3) uint8 RGB. Returns when the camera has it. Raises what the camera raises, and
        `DeviceError` when it does not answer.
        """
        sent: Future[None] = Future()
        self._jobs.put((pixels, sent))
        try:
            async with asyncio.timeout(SEND_S):
                await asyncio.wrap_future(sent)
        except TimeoutError:
            raise DeviceError(f"it has taken no picture for {SEND_S:.0f} s") from None

    async def close(self) -> None:
        """Send no more and close the camera. Raises `DeviceError` when the driver does not let go of it in time: the
        thread closes it as soon as it does.
        """
        self._jobs.put(None)
        await to_end(asyncio.to_thread(self._thread.join, CLOSE_S))
        if self._thread.is_alive():
            raise DeviceError(
                "The virtual camera does not answer, so it could not be closed; it goes when mien ends. "
                "Close the program that watches it."
            )

    def _run(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                self._send(*job)
        finally:
            try:
                self._camera.close()
            except Exception:
                log.exception("the virtual camera did not close cleanly")

    def _send(self, pixels: Bytes, sent: Future[None]) -> None:
        if not sent.set_running_or_notify_cancel():
            return  # nobody waits for it any more
        try:
            self._camera.send(self._wide.fill(pixels))
        except Exception as error:  # noqa: BLE001 - it is whose who awaits it
            sent.set_exception(error)
        else:
            sent.set_result(None)
