"""Which cameras there are, and how to open one: V4L2, AVFoundation, DirectShow."""

from __future__ import annotations

import errno
import os
import platform
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import DeviceError

# From linux/videodev2.h: struct v4l2_capability is driver[16], card[32], bus_info[32], version,
# capabilities, device_caps, reserved[3].
_QUERYCAP = 0x80685600
_CAPABILITY = struct.Struct("=16s32s32sIII12x")
_CAPTURE, _OUTPUT, _DEVICE_CAPS = 0x1, 0x2, 0x8000_0000
_LOOPBACK = "v4l2 loopback"

GRANT = "sudo usermod -aG video $USER"
"""Then log in again."""


@dataclass(frozen=True, slots=True)
class Camera:
    """device: what FFmpeg opens. name: for people. denied: it is there, but may not be opened."""

    device: str
    name: str
    denied: bool = False


def list_cameras() -> list[Camera]:
    """The cameras of this machine, the preferred one first. Never raises."""
    if platform.system() == "Linux":
        return linux_cameras()
    format_name = "avfoundation" if platform.system() == "Darwin" else "dshow"
    return _enumerated(format_name)


def find_camera(wanted: str | None) -> Camera:
    """wanted: a device, its number, or part of a camera's name; None: the first one.

    Raises `DeviceError` when it is not there or may not be opened.
    """
    cameras = list_cameras()
    if wanted is None:
        if not cameras:
            raise DeviceError("No camera was found. Plug one in, or use --source browser, demo or a file.")
        found = next((camera for camera in cameras if not camera.denied), cameras[0])
    else:
        matches = [
            camera
            for camera in cameras
            if wanted in {camera.device, camera.device.removeprefix("/dev/video")}
            or wanted.lower() in camera.name.lower()
        ]
        if not matches and not (wanted.startswith("/dev/") and Path(wanted).exists()):
            there = ", ".join(f"{camera.device} ({camera.name})" for camera in cameras) or "none"
            raise DeviceError(f"There is no camera '{wanted}'. Cameras on this machine: {there}.")
        found = matches[0] if matches else Camera(wanted, wanted)
    if found.denied:
        raise DeviceError(
            f"The camera {found.device} may not be opened by you. Run `{GRANT}`, then log in again."
        )
    return found


def open_camera(camera: Camera, width: int, height: int, fps: int) -> Any:
    """Return the `av` container, at the size and rate that come closest to what is asked. Blocking.

    Raises `DeviceError`.
    """
    import av

    if platform.system() == "Linux":
        format_name, device = "v4l2", camera.device
    elif platform.system() == "Darwin":
        format_name, device = "avfoundation", camera.device
    else:
        format_name, device = "dshow", f"video={camera.device}"
    asked = {"video_size": f"{width}x{height}", "framerate": str(fps)}
    try:
        try:
            return av.open(device, format=format_name, options=asked)
        except (av.error.FFmpegError, ValueError) as error:
            if getattr(error, "errno", None) in {errno.EBUSY, errno.EACCES, errno.ENODEV, errno.ENOENT}:
                raise
            return av.open(device, format=format_name)
    except (av.error.FFmpegError, ValueError) as error:
        raise DeviceError(_why(camera, error)) from error


def _why(camera: Camera, error: Exception) -> str:
    match getattr(error, "errno", None):
        case errno.EBUSY:
            return f"The camera {camera.name} is in use by another program. Close that program."
        case errno.EACCES | errno.EPERM:
            return f"The camera {camera.device} may not be opened by you. Run `{GRANT}`, then log in again."
        case errno.ENODEV | errno.ENOENT | errno.ENXIO:
            return f"The camera {camera.name} ({camera.device}) is gone. Plug it in again."
    return f"The camera {camera.name} ({camera.device}) cannot be opened: {error}. Try another with --source."


def linux_cameras(folder: Path = Path("/dev"), query: Callable[[Path], bytes] | None = None) -> list[Camera]:
    """Nodes that capture pictures. A webcam has more nodes than one (metadata), and v4l2loopback's are our
    own output.

    query: returns the bytes of VIDIOC_QUERYCAP's answer for a node; raises `OSError`.
    """
    query = query or _query
    cameras = []
    for node in sorted(folder.glob("video*"), key=_number):
        try:
            driver, card, _, _, capabilities, of_node = _CAPABILITY.unpack(query(node))
        except PermissionError:
            cameras.append(Camera(str(node), node.name, denied=True))
            continue
        except OSError:  # gone, busy, or no V4L2 device at all
            continue
        if capabilities & _DEVICE_CAPS:
            capabilities = of_node
        if capabilities & _CAPTURE and not capabilities & _OUTPUT and _text(driver) != _LOOPBACK:
            cameras.append(Camera(str(node), _text(card)))
    return cameras


def _query(node: Path) -> bytes:
    import fcntl

    descriptor = os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return fcntl.ioctl(descriptor, _QUERYCAP, bytes(_CAPABILITY.size))
    finally:
        os.close(descriptor)


def _number(node: Path) -> int:
    digits = re.search(r"\d+$", node.name)
    return int(digits[0]) if digits else -1


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode(errors="replace")


def _enumerated(format_name: str) -> list[Camera]:
    try:
        from av.device import enumerate_input_devices

        devices = enumerate_input_devices(format_name)
    except (ImportError, OSError, ValueError):  # an older PyAV, or an FFmpeg without that format
        return []
    return [
        Camera(device.name, device.description)
        for device in sorted(devices, key=lambda d: not d.is_default)
        if not device.media_types or "video" in device.media_types
    ]
