"""Sound devices by number or name, and clear words when there is none of that name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from mien.errors import DeviceError

Direction = Literal["input", "output"]

_HOSTS = (
    "Windows WASAPI",
    "Core Audio",
    "PulseAudio",
    "ALSA",
    "JACK Audio Connection Kit",
    "Windows DirectSound",
    "MME",
)
"""Windows shows each device once for each of its sound systems; the earlier one here is taken."""


@dataclass(frozen=True, slots=True)
class Device:
    """One sound device as PortAudio lists it. rate: Hz it prefers; default: the system's choice."""

    number: int
    name: str
    host: str
    channels: int
    rate: int
    default: bool = False

    def __str__(self) -> str:
        return f"{self.number} {self.name}"


class Listing(Protocol):
    """The part of PortAudio that lists devices."""

    @property
    def default(self) -> Any: ...

    def query_devices(self) -> Sequence[Mapping[str, Any]]: ...

    def query_hostapis(self) -> Sequence[Mapping[str, Any]]: ...


def devices_of(listing: Listing, direction: Direction) -> list[Device]:
    """All that record, or play, in PortAudio's order."""
    hosts = [str(host["name"]) for host in listing.query_hostapis()]
    default = int(listing.default.device[0 if direction == "input" else 1])
    return [
        Device(
            number,
            str(one["name"]).strip(),
            hosts[int(one["hostapi"])],
            int(one[f"max_{direction}_channels"]),
            round(float(one["default_samplerate"])),
            default=number == default,
        )
        for number, one in enumerate(listing.query_devices())
        if one[f"max_{direction}_channels"] > 0
    ]


def find_device(devices: Sequence[Device], wish: str | None, direction: Direction) -> Device:
    """The device that `wish` means: its number, its name, or a part of its name that no other one has. None or
    empty: the system's default, else the first.

    Raises `DeviceError` that lists what there is.
    """
    what = "microphone" if direction == "input" else "sound device"
    wish = (wish or "").strip()
    if not devices:
        mend = (
            "Plug one in, or use your browser's, on the page."
            if direction == "input"
            else "Plug one in, or start the sound server."
        )
        raise DeviceError(f"There is no {what}{f' {wish}' if wish else ''} here. {mend}")
    if not wish:
        return next((device for device in devices if device.default), devices[0])
    if wish.isdecimal():
        found = [device for device in devices if device.number == int(wish)]
    else:
        lower = wish.lower()
        found = [device for device in devices if device.name.lower() == lower] or [
            device for device in devices if lower in device.name.lower()
        ]
    if not found:
        raise DeviceError(f"There is no {what} {wish}. There are: {listed(devices)}.")
    best = min(found, key=_preference)
    if any(not _same(best.name, device.name) for device in found):
        raise DeviceError(f"{wish} may mean {listed(found)}. Name one in full, or by its number.")
    return best


def listed(devices: Sequence[Device]) -> str:
    """For people: number and name of each."""
    return ", ".join(str(device) for device in devices)


def _preference(device: Device) -> tuple[int, int]:
    place = _HOSTS.index(device.host) if device.host in _HOSTS else len(_HOSTS)
    return place, device.number


def _same(name: str, other: str) -> bool:
    """MME cuts names after 31 letters."""
    short, long = sorted((name.lower(), other.lower()), key=len)
    return short == long or (len(short) >= 31 and long.startswith(short))
