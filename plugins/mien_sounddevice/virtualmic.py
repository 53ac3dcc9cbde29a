"""The virtual microphone as an output: the sound that fits the pictures, for programs that take a microphone."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Mapping
from typing import Any

from mien.errors import DeviceError
from mien.frames import HIGHEST_RATE, LOWEST_RATE, AudioFrame, Float, VideoFrame
from mien.stage import Context, Output
from mien.tasks import to_end
from mien_sounddevice import cable
from mien_sounddevice.devices import Device, find_device
from mien_sounddevice.elastic import Elastic
from mien_sounddevice.portaudio import SYSTEM, PortAudio, Stream
from mien_sounddevice.settings import Settings, read_settings

RATE = 48_000
"""Hz of a null sink; other devices are played to at the rate that they prefer."""


class VirtualMicrophoneOutput(Output):
    """Plays into a virtual cable, whose other end call programs choose as their microphone.

    device: number, name or part of the name of any sound device, like the setting `virtual_microphone`, which it
    overrides; without either, a null sink of its own (Linux) or the cable that is installed. Pictures have no
    place here.
    """

    def __init__(
        self,
        device: str | None = None,
        *,
        portaudio: PortAudio = SYSTEM,
        make_sink: Callable[[], cable.NullSink] = cable.NullSink,
        system: str = "",
    ) -> None:
        self._wish = device
        self._portaudio = portaudio
        self._make_sink = make_sink
        self._system = system or platform.system()
        self._device: Device | None = None
        self._stream: Stream | None = None
        self._sink: cable.NullSink | None = None
        self._elastic: Elastic | None = None
        self._underflows = 0
        self._over = False

    async def open(self, context: Context) -> None:
        """Raises `DeviceError` with what is missing, `PluginError`, `ConfigError`."""
        settings = read_settings(context.settings)
        # Cancelled, too: `close` gives back what it has opened.
        await to_end(asyncio.to_thread(self._open, settings))
        context.notice(f"The virtual microphone is {self._name}; choose it in your call program.")

    @property
    def _name(self) -> str:
        """As call programs show it."""
        if self._sink is not None:
            return self._sink.name
        return self._device.name if self._device is not None else ""

    def _open(self, settings: Settings) -> None:
        wish = self._wish or settings.virtual_microphone
        outputs = self._portaudio.devices("output")
        device = find_device(outputs, wish, "output") if wish else cable.installed(outputs)
        rate = RATE
        environment: dict[str, str] = {}
        if device is not None:
            rate = min(max(device.rate, LOWEST_RATE), HIGHEST_RATE)
        elif self._system == "Linux":
            self._sink = self._make_sink()
            self._sink.make()
            device = cable.way_to_sink(self._portaudio.devices("output"))
            environment = self._sink.environment
        else:
            detail, mend = cable.how_to_get_one(self._system)
            raise DeviceError(f"There is no virtual microphone here: {detail}{f': {mend}' if mend else ''}.")
        channels = min(2, device.channels)
        self._device = device
        self._elastic = Elastic(rate, channels, settings.cushion_ms / 1000)
        self._stream = self._portaudio.open(
            "output",
            device,
            environment,
            samplerate=rate,
            blocksize=round(rate * settings.block_ms / 1000),
            channels=channels,
            latency=settings.device_ms / 1000,
            callback=self._play,
            finished_callback=self._ended,
        )
        self._portaudio.start(self._stream, device)

    async def video(self, frame: VideoFrame) -> None:
        """A microphone shows nothing, but that it has gone is told while nobody speaks as well."""
        self._check()

    async def audio(self, frame: AudioFrame) -> None:
        if self._elastic is None:
            raise RuntimeError("open comes first")
        self._check()
        self._elastic.put(frame)

    def _check(self) -> None:
        """Raises `DeviceError` when the device has gone."""
        if self._over:
            why = (
                "its device was pulled out. Plug it in"
                if self._sink is None
                else "the sound server has ended. Start PipeWire or PulseAudio"
            )
            raise DeviceError(
                f"The virtual microphone {self._name} has stopped: {why}, then start mien again."
            )

    def hush(self, epoch: int) -> None:
        if self._elastic is not None:
            self._elastic.hush()

    @property
    def dropped(self) -> Mapping[str, int]:
        """Under-runs: times that nothing was ready, here or in the device's own buffer."""
        if self._elastic is None:
            return {}
        return {
            "virtual microphone under-runs": self._elastic.underruns + self._underflows,
            "sound too early for the virtual microphone": self._elastic.skipped,
        }

    async def close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await asyncio.to_thread(self._portaudio.close, stream)
        sink, self._sink = self._sink, None
        if sink is not None:
            await asyncio.to_thread(sink.remove)

    # --- PortAudio's thread

    def _play(self, buffer: Float, count: int, _times: Any, status: Any) -> None:
        """buffer: (N, C) float32, to be filled."""
        self._underflows += bool(status.output_underflow)
        if self._elastic is not None:
            buffer[:] = self._elastic.take(count)

    def _ended(self) -> None:
        self._over = True
