"""What `mien doctor` says about cameras and encoders."""

from __future__ import annotations

import platform

from mien.stage import Check
from mien_av.cameras import GRANT, list_cameras


def checks() -> list[Check]:
    """One line for the encoders of MP4 files."""
    return [_encoders()]


def devices() -> list[Check]:
    """One line for the cameras."""
    return [_cameras()]


def _cameras() -> Check:
    cameras = list_cameras()
    usable = [camera for camera in cameras if not camera.denied]
    if usable:
        names = ", ".join(f"{camera.name} ({camera.device})" for camera in usable)
        return Check("camera", ok=True, detail=f"{len(usable)}: {names}")
    if cameras:
        detail = f"{len(cameras)} found, but you may not open them; log in again after the command"
        return Check("camera", ok=False, detail=detail, mend=GRANT)
    detail = "none found; plug one in, or use your browser's, on the page"
    if platform.system() == "Darwin":
        detail += ". macOS asks for permission in System Settings, Privacy & Security, Camera"
    return Check("camera", ok=False, detail=detail)


def _encoders() -> Check:
    import av
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    missing = []
    for name in ("libx264", "aac"):
        try:
            Codec(name, "w")
        except UnknownCodecError:
            missing.append(name)
    if missing:
        detail = f"PyAV {av.__version__} was built without {' and '.join(missing)}"
        return Check("MP4 encoders", ok=False, detail=detail, mend="pip install --force-reinstall av")
    return Check("MP4 encoders", ok=True, detail=f"x264 and AAC (PyAV {av.__version__})")
