"""A microphone as a source."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any

from mien.errors import DeviceError, MienError
from mien.frames import HIGHEST_RATE, LOWEST_RATE, AudioFrame, Float
from mien.stage import Context, MediaInfo, Source
from mien.tasks import to_end
from mien_sounddevice.devices import Device, find_device
from mien_sounddevice.portaudio import SYSTEM, PortAudio, Stream
from mien_sounddevice.settings import Settings, read_settings
from mien_sounddevice.timing import SampleClock, heard_at

SILENCE_S = 3.0
"""A microphone that hands nothing over for this long is given up; it is then opened again."""

_BACKLOG_S = 1.0
"""Sound that may wait to be taken; then the oldest goes, and is counted."""


class MicrophoneSource(Source):
    """What a microphone hears, in blocks of 10 ms, at the rate of the device.

    device: number, name or part of the name; None: the system's default. patience_s: see `SILENCE_S`.
    """

    def __init__(
        self, device: str | None = None, *, portaudio: PortAudio = SYSTEM, patience_s: float = SILENCE_S
    ) -> None:
        self._wish = device
        self._portaudio = portaudio
        self._patience_s = patience_s
        self._device: Device | None = None
        self._stream: Stream | None = None
        self._intake: _Intake | None = None

    @classmethod
    def available(cls) -> bool:
        """Whether this machine has a microphone and PortAudio to open it with."""
        try:
            return bool(SYSTEM.devices("input"))
        except MienError:
            return False

    async def open(self, context: Context) -> None:
        """Raises `DeviceError` that lists the microphones there are, `PluginError`, `ConfigError`."""
        settings = read_settings(context.settings)
        loop = asyncio.get_running_loop()
        # Cancelled, too: `close` gives back what it has opened.
        await to_end(asyncio.to_thread(self._open, settings, context, loop))

    def _open(self, settings: Settings, context: Context, loop: asyncio.AbstractEventLoop) -> None:
        device = find_device(self._portaudio.devices("input"), self._wish, "input")
        rate = settings.rate or min(max(device.rate, LOWEST_RATE), HIGHEST_RATE)
        block = round(rate * settings.block_ms / 1000)
        backlog = max(4, round(_BACKLOG_S * 1000 / settings.block_ms))
        intake = self._intake = _Intake(rate, backlog, context, loop)
        self._device = device
        self._stream = self._portaudio.open(
            "input",
            device,
            samplerate=rate,
            blocksize=block,
            channels=min(settings.channels, device.channels),
            latency="low",
            callback=intake.heard,
            finished_callback=intake.ended,
        )
        self._portaudio.start(self._stream, device)

    @property
    def info(self) -> MediaInfo:
        if self._device is None or self._intake is None:
            return MediaInfo(title="microphone")
        return MediaInfo(audio_rate=self._intake.rate, title=self._device.name)

    @property
    def dropped(self) -> Mapping[str, int]:
        """Over-runs: times that the device's own buffer was full. Overtaken: blocks that nobody took for a second."""
        if self._intake is None:
            return {}
        return {
            "microphone over-runs": self._intake.overruns,
            "sound overtaken at capture": self._intake.overtaken,
        }

    async def frames(self) -> AsyncIterator[AudioFrame]:
        if self._intake is None or self._device is None:
            raise RuntimeError("open comes first")
        while True:
            try:
                async with asyncio.timeout(self._patience_s):
                    await self._intake.ready.wait()
            except TimeoutError:
                raise DeviceError(
                    f"The microphone {self._device.name} sends no sound. Plug it in again."
                ) from None
            for frame in self._intake.take():
                yield frame
            if self._intake.over:
                raise DeviceError(f"The microphone {self._device.name} has stopped. Plug it in again.")

    async def close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await asyncio.to_thread(self._portaudio.close, stream)


class _Intake:
    """Between PortAudio's thread, which must never wait, and the event loop."""

    def __init__(self, rate: int, backlog: int, context: Context, loop: asyncio.AbstractEventLoop) -> None:
        self.rate = rate
        self.overruns = 0
        self.overtaken = 0
        self.over = False
        self.ready = asyncio.Event()
        self._clock = context.clock
        self._loop = loop
        self._backlog = backlog
        self._blocks: deque[AudioFrame] = deque()
        self._times = SampleClock(rate)

    # --- PortAudio's thread

    def heard(self, samples: Float, count: int, times: Any, status: Any) -> None:
        """samples: (N, C) float32, PortAudio's own memory."""
        now_ns = self._clock.now_ns()
        if status.input_overflow:
            self.overruns += 1
            self._times.resume()
        heard_ns = heard_at(now_ns, times.currentTime, times.inputBufferAdcTime, count, self.rate)
        if len(self._blocks) >= self._backlog:
            # Whoever takes may have been quicker just now.
            with contextlib.suppress(IndexError):
                self._blocks.popleft()
                self.overtaken += 1
        self._blocks.append(AudioFrame(samples.copy(), self.rate, self._times.stamp(count, heard_ns)))
        self._announce()

    def ended(self) -> None:
        """The stream has come to its end: the device has gone, or it was closed."""
        self.over = True
        self._announce()

    def _announce(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody listens any more
            self._loop.call_soon_threadsafe(self.ready.set)

    # --- event loop

    def take(self) -> list[AudioFrame]:
        """All that waits, oldest first."""
        self.ready.clear()
        taken = []
        with contextlib.suppress(IndexError):
            while True:
                taken.append(self._blocks.popleft())
        return taken
