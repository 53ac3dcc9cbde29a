"""What `mien doctor` says about microphones."""

from __future__ import annotations

import platform

from mien.errors import DeviceError, PluginError
from mien.stage import Check
from mien_sounddevice.cable import how_to_get_one, present
from mien_sounddevice.devices import Device, listed
from mien_sounddevice.portaudio import INSTALL, SYSTEM, PortAudio


def devices(portaudio: PortAudio = SYSTEM) -> list[Check]:
    """A line for the microphones, and one for the virtual one."""
    try:
        found = portaudio.both()
    except PluginError:
        missing = (
            "the system's PortAudio library is missing; the page can use your browser's microphone without"
        )
        return [Check("microphone", ok=False, detail=missing, mend=INSTALL)]
    except DeviceError as error:
        return [Check("microphone", ok=False, detail=str(error))]
    return [_microphones(found["input"]), _virtual(found["output"])]


def _microphones(inputs: list[Device]) -> Check:
    if inputs:
        return Check("microphone", ok=True, detail=f"{len(inputs)}: {listed(inputs)}")
    detail = "none found; plug one in, or use your browser's, on the page"
    if platform.system() == "Darwin":
        detail += ". macOS asks for permission in System Settings, Privacy & Security, Microphone"
    return Check("microphone", ok=False, detail=detail)


def _virtual(outputs: list[Device]) -> Check:
    name = "virtual microphone"
    if (cable := present(outputs)) is not None:
        return Check(name, ok=True, detail=cable)
    detail, mend = how_to_get_one()
    return Check(name, ok=False, detail=detail, mend=mend)
