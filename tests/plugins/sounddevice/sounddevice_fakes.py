"""A PortAudio without devices: what the module `sounddevice` offers, driven by hand."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mien.frames import Float
from mien_sounddevice.portaudio import PortAudio


class FakeError(Exception):
    """`sounddevice.PortAudioError`."""


@dataclass
class Status:
    """`sounddevice.CallbackFlags`."""

    input_overflow: bool = False
    output_underflow: bool = False


@dataclass
class Times:
    """What a callback is told, in seconds of the stream's clock."""

    currentTime: float = 0.0  # noqa: N815 - PortAudio's names
    inputBufferAdcTime: float = 0.0  # noqa: N815
    outputBufferDacTime: float = 0.0  # noqa: N815


def device(
    name: str, inputs: int = 0, outputs: int = 0, rate: float = 48_000.0, host: int = 0
) -> dict[str, Any]:
    return {
        "name": name,
        "hostapi": host,
        "max_input_channels": inputs,
        "max_output_channels": outputs,
        "default_samplerate": rate,
    }


class FakeStream:
    """A stream whose callbacks a test calls."""

    def __init__(self, backend: FakeBackend, options: dict[str, Any]) -> None:
        self.options = options
        self.samplerate = float(options["samplerate"])
        self.latency = 0.02
        self.started = self.closed = False
        self._backend = backend

    def start(self) -> None:
        if self._backend.start_fails:
            raise FakeError("Error starting stream: Unanticipated host error [PaErrorCode -9999]")
        self.started = True

    def abort(self) -> None:
        if self.started:
            self.unplug()

    def close(self) -> None:
        self.closed = True
        self._backend.closed += 1

    def unplug(self) -> None:
        """The device has gone: PortAudio's thread ends."""
        self.started = False
        if (ended := self.options.get("finished_callback")) is not None:
            ended()

    def hear(
        self, samples: Float, *, age_s: float = 0.0, overflow: bool = False, clock_s: float = 100.0
    ) -> None:
        """samples: (N, C) that the device has recorded, the first of them `age_s` ago."""
        times = Times(clock_s, clock_s - age_s)
        self.options["callback"](samples, len(samples), times, Status(input_overflow=overflow))

    def play(self, count: int, *, underflow: bool = False) -> Float:
        """What the device would play next, (count, C)."""
        buffer = np.full((count, self.options["channels"]), np.nan, np.float32)
        self.options["callback"](buffer, count, Times(), Status(output_underflow=underflow))
        return buffer


@dataclass
class Defaults:
    """`sounddevice.default`."""

    device: tuple[int, int] = (-1, -1)


@dataclass
class FakeBackend:
    """The module `sounddevice`. plugged: what a rescan will find."""

    plugged: list[dict[str, Any]] = field(default_factory=list)
    default: Defaults = field(default_factory=Defaults)
    open_fails: str = ""
    start_fails: bool = False
    streams: list[FakeStream] = field(default_factory=list)
    environments: list[str] = field(default_factory=list)
    closed: int = 0
    scans: int = 1
    PortAudioError: type[Exception] = FakeError

    def __post_init__(self) -> None:
        self._seen = list(self.plugged)

    def query_devices(self) -> Sequence[Mapping[str, Any]]:
        return self._seen

    def query_hostapis(self) -> Sequence[Mapping[str, Any]]:
        return [{"name": name} for name in ("ALSA", "MME", "Windows WASAPI")]

    def InputStream(self, **options: Any) -> FakeStream:  # noqa: N802
        return self._opened("InputStream", options)

    def OutputStream(self, **options: Any) -> FakeStream:  # noqa: N802
        return self._opened("OutputStream", options)

    def _opened(self, what: str, options: dict[str, Any]) -> FakeStream:
        self.environments.append(os.environ.get("PULSE_SINK", ""))
        if self.open_fails:
            raise FakeError(f"Error opening {what}: {self.open_fails} [PaErrorCode -9985]")
        self.streams.append(FakeStream(self, options))
        return self.streams[-1]

    def _terminate(self) -> None:
        assert all(stream.closed for stream in self.streams), "that would end a stream in use"

    def _initialize(self) -> None:
        self.scans += 1
        self._seen = list(self.plugged)

    @property
    def portaudio(self) -> PortAudio:
        return PortAudio(lambda: self)
