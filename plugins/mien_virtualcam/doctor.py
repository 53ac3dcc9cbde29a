"""What `mien doctor` says about the virtual camera."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from mien.stage import Check
from mien_virtualcam.setup import GRANT, MODULE_INSTALL, MODULE_LOAD, how_to_get_one, loopback_devices


def checks() -> list[Check]:
    """One line: which virtual cameras there are, or how to get one."""
    return [_linux(loopback_devices()) if platform.system() == "Linux" else _elsewhere()]


def _linux(devices: list[tuple[Path, str]]) -> Check:
    name = "virtual camera"
    if not devices:
        detail = "none: the kernel module v4l2loopback is not loaded"
        return Check(name, ok=False, detail=detail, mend=f"{MODULE_INSTALL} && {MODULE_LOAD}")
    listed = ", ".join(f"{label} ({node})" for node, label in devices)
    if not any(os.access(node, os.W_OK) for node, _ in devices):
        return Check(name, ok=False, detail=f"{listed}: you may not write to it", mend=GRANT)
    return Check(name, ok=True, detail=listed)


def _elsewhere() -> Check:
    import pyvirtualcam

    try:
        camera = pyvirtualcam.Camera(1280, 720, 25)
    except (RuntimeError, OSError) as error:
        detail = f"none ({' '.join(str(error).split())}). {how_to_get_one()}"
        return Check("virtual camera", ok=False, detail=detail)
    with camera:
        return Check("virtual camera", ok=True, detail=camera.device)
