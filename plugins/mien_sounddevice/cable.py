"""The cable from `virtualmic` to call programs: a null sink of one's own on Linux, an installed driver elsewhere."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence

from mien.errors import DeviceError
from mien_sounddevice.devices import Device, find_device

LABEL = "mien"
"""The sink's name, and what call programs show."""

_MOST = 8
"""So many programs at once may have a virtual microphone each."""

DRIVERS = ("BlackHole", "CABLE Input", "VB-Cable", "VB-Audio Virtual Cable", "Loopback Audio")
"""Sound devices whose other end is a microphone."""

_THROUGH = ("pulse", "pipewire")
"""ALSA's ways to the sound server, the best first. Its `default` may as well be the loudspeakers."""

_TIMEOUT_S = 3.0

Run = Callable[[Sequence[str]], str]


def pactl(arguments: Sequence[str]) -> str:
    """What `pactl` answers. Raises `DeviceError`."""
    program = shutil.which("pactl")
    if program is None:
        raise DeviceError(
            "There is no `pactl` to make a virtual microphone with. Install it with: sudo apt install pulseaudio-utils"
        )
    try:
        told = subprocess.run(  # noqa: S603 - a fixed program
            [program, *arguments], capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
    except subprocess.CalledProcessError as error:
        why = " ".join(str(error.stderr).split()).rstrip(".") or "it failed"
        raise DeviceError(f"pactl {arguments[0]}: {why}. Start PipeWire or PulseAudio.") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError("The sound server does not answer. Start PipeWire or PulseAudio.") from error
    return told.stdout.strip()


class NullSink:
    """A sink that nobody hears, and a microphone that hears it. Blocking: use it on a thread.

    Call programs hide the monitors of sinks, so the monitor is dressed as a microphone. One that is there
    already, made by hand or left by a crash, is used, and stays; but one that somebody plays into is theirs, and the
    next name is taken: mien, mien-2, ...
    """

    def __init__(self, run: Run = pactl) -> None:
        self.name = LABEL
        """of the sink, and what call programs show; known once it is made"""
        self._run = run
        self._modules: list[str] = []

    @property
    def environment(self) -> dict[str, str]:
        """Where libpulse and PipeWire play what is opened while these are set."""
        return {"PULSE_SINK": self.name, "PIPEWIRE_NODE": self.name}

    def make(self) -> None:
        """Raises `DeviceError`; then nothing is left."""
        try:
            self.name = name = self._free_name()
            source, described = f"{name}_microphone", f"device.description={name}"
            if name not in self._named("sinks").values():
                self._load("module-null-sink", f"sink_name={name}", f"sink_properties={described}")
            if source not in self._named("sources").values():
                self._load(
                    "module-remap-source",
                    f"master={name}.monitor",
                    f"source_name={source}",
                    f"source_properties={described}",
                )
        except DeviceError:
            self.remove()
            raise

    def remove(self) -> None:
        """Take away what was made, the last first."""
        while self._modules:
            module = self._modules.pop()
            try:
                self._run(["unload-module", module])
            except DeviceError:
                continue  # the sound server went, and it with it

    def _load(self, *arguments: str) -> None:
        self._modules.append(self._run(["load-module", *arguments]))

    def _free_name(self) -> str:
        """Two programs that play into one sink would be heard by both their callers. Raises `DeviceError`."""
        played_into = set(self._named("sink-inputs").values())
        taken = {name for number, name in self._named("sinks").items() if number in played_into}
        for name in (LABEL, *(f"{LABEL}-{number}" for number in range(2, _MOST + 1))):
            if name not in taken:
                return name
        raise DeviceError(
            f"There are {_MOST} virtual microphones in use already. Stop a session that has one."
        )

    def _named(self, kind: str) -> dict[str, str]:
        """Number -> name, of sink inputs the number of the sink that they play into."""
        lines = (line.split() for line in self._run(["list", "short", kind]).splitlines())
        return {parts[0]: parts[1] for parts in lines if len(parts) > 1}


def way_to_sink(outputs: Sequence[Device]) -> Device:
    """The device by which PortAudio reaches the sound server, and there the sink that the environment names.

    Raises `DeviceError`.
    """
    for name in _THROUGH:
        for device in outputs:
            if device.name == name:
                return device
    raise DeviceError(
        "PortAudio does not see the sound server. Install ALSA's way to it: sudo apt install libasound2-plugins"
    )


def installed(outputs: Sequence[Device]) -> Device | None:
    """The virtual cable that a driver brings; None when there is none."""
    for driver in DRIVERS:
        if any(driver.lower() in device.name.lower() for device in outputs):
            return find_device(outputs, driver, "output")
    return None


def present(outputs: Sequence[Device], run: Run = pactl, system: str = "") -> str | None:
    """What the virtual microphone would be here, for people; None when it can't be had."""
    if (driver := installed(outputs)) is not None:
        return driver.name
    if (system or platform.system()) != "Linux":
        return None
    try:
        run(["info"])
        way_to_sink(outputs)
    except DeviceError:
        return None
    return f"“{LABEL}”, made when `--out virtualmic` asks for it"


def how_to_get_one(system: str = "") -> tuple[str, str]:
    """What is missing, and the command that mends it."""
    match system or platform.system():
        case "Linux":
            return (
                "none: it is made with pactl in PipeWire or PulseAudio, by way of ALSA's plugin for them",
                "sudo apt install pulseaudio-utils libasound2-plugins",
            )
        case "Darwin":
            return "none: install BlackHole", "brew install blackhole-2ch"
        case _:
            return "none: install VB-Cable from https://vb-audio.com/Cable", ""
