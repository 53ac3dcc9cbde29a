"""How a machine comes by a virtual camera."""

from __future__ import annotations

import platform
from pathlib import Path

MODULE_INSTALL = "sudo apt install v4l2loopback-dkms"
MODULE_LOAD = "sudo modprobe v4l2loopback exclusive_caps=1 card_label=mien"
GRANT = "sudo usermod -aG video $USER"


def how_to_get_one() -> str:
    """A sentence with the exact commands of this system."""
    if platform.system() == "Linux":
        return f"Make one with: {MODULE_INSTALL} && {MODULE_LOAD}"
    return "Install OBS Studio (https://obsproject.com) and press 'Start Virtual Camera' once."


def why_not(device: str | None, reason: str) -> str:
    """What to tell when opening `device` (None: any) failed for `reason`."""
    if platform.system() == "Linux" and (there := loopback_devices()):
        listed = ", ".join(str(node) for node, _ in there)
        return (
            f"The virtual camera {device or listed} cannot be used: {reason} "
            f"Virtual cameras here: {listed}. Close the program that sends to it, or name another."
        )
    return f"There is no virtual camera{f' {device}' if device else ''}. {how_to_get_one()}"


def loopback_devices(
    folder: Path = Path("/sys/devices/virtual/video4linux"),
) -> list[tuple[Path, str]]:
    """Linux: the nodes of v4l2loopback and their labels, whether they are in use or not."""
    found = []
    for entry in sorted(folder.glob("video*")):
        label = entry / "name"
        if label.is_file():
            found.append((Path("/dev") / entry.name, label.read_text(errors="replace").strip()))
    return found
