"""What the machine itself has: Python, a microphone, a GPU. Looked up in the system's own tables, at once."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import mien
from mien.stage import Check

GRANT_SOUND = "sudo usermod -aG audio $USER"
"""Then log in again."""

INSTALL_DRIVER = "sudo apt install nvidia-driver"
_NVIDIA = "0x10de"
_DISPLAY = "0x03"
"""First byte of the PCI class of graphics cards and accelerators."""

_SMI_TIMEOUT_S = 3.0


def machine() -> Check:
    """One line about the software and the processor."""
    detail = (
        f"mien {mien.__version__}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    )
    return Check("machine", sys.version_info >= (3, 11), detail)


def with_microphone(checks: list[Check]) -> list[Check]:
    """`checks`, and a line about microphones where none of the plugins has said anything about them."""
    told = any(check.name == "microphone" for check in checks)
    return checks if told else [microphone(), *checks]


def microphone(devices: Path = Path("/dev/snd"), cards: Path = Path("/proc/asound/cards")) -> Check:
    """Whether ALSA knows something that records. Without the plugin for microphones, only the page takes sound from
    there, through the browser.
    """
    name = "microphone"
    if platform.system() != "Linux":
        return Check(name, True, f"not looked for on {platform.system()}; the page asks your browser for it")
    nodes = sorted(devices.glob("pcmC*D*c"))
    if not nodes:
        return Check(name, False, "none found; plug one in, or use your browser's, on the page")
    if not any(os.access(node, os.R_OK | os.W_OK) for node in nodes):
        detail = f"{len(nodes)} found, but you may not open it; log in again after the command"
        return Check(name, False, detail, GRANT_SOUND)
    return Check(name, True, f"{_card_names(cards) or len(nodes)}; the page takes sound from it")


def gpu(
    proc: Path = Path("/proc/driver/nvidia/gpus"),
    bus: Path = Path("/sys/bus/pci/devices"),
    smi: str = "nvidia-smi",
) -> Check:
    """Whether there is an NVIDIA GPU with its driver. Nothing needs one; nothing heavy is imported."""
    name = "GPU"
    if names := _names_in_proc(proc) or _names_of_smi(smi):
        return Check(name, True, f"{', '.join(names)} (CUDA)")
    if _cards(bus):
        return Check(name, False, "an NVIDIA GPU without its driver; the CPU does the work", INSTALL_DRIVER)
    return Check(
        name, False, "no NVIDIA GPU with CUDA; the CPU does the work, which is enough for 512 px at 25 fps"
    )


def _card_names(cards: Path) -> str:
    """` 0 [PCH    ]: HDA-Intel - HDA Intel PCH` -> `HDA Intel PCH`."""
    try:
        text = cards.read_text(errors="replace")
    except OSError:
        return ""
    return ", ".join(re.findall(r"^ *\d+ \[.*?\]: .*? - (.+?) *$", text, re.MULTILINE))


def _names_in_proc(proc: Path) -> list[str]:
    models = []
    for information in sorted(proc.glob("*/information")):
        found = re.search(r"^Model:\s*(.+?)\s*$", information.read_text(errors="replace"), re.MULTILINE)
        models.append(found[1] if found else "NVIDIA GPU")
    return models


def _names_of_smi(smi: str) -> list[str]:
    """Windows and WSL have no /proc/driver/nvidia."""
    command = [smi, "--query-gpu=name", "--format=csv,noheader"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=_SMI_TIMEOUT_S, check=True)  # noqa: S603 - a fixed command
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in told.stdout.splitlines() if line.strip()]


def _cards(bus: Path) -> bool:
    for device in bus.glob("*"):
        try:
            vendor, kind = (device / "vendor").read_text().strip(), (device / "class").read_text().strip()
        except OSError:
            continue
        if vendor == _NVIDIA and kind.startswith(_DISPLAY):
            return True
    return False
