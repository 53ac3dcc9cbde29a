"""Microphones: which one is meant, what it yields, and what happens when it is pulled out."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import numpy as np
import pytest
from sounddevice_fakes import FakeBackend, FakeStream, device

from mien.clock import NS_PER_MS, NS_PER_S
from mien.errors import ConfigError, DeviceError
from mien.frames import AudioFrame, Float
from mien.testing.clock import VirtualClock
from mien.testing.context import FakeContext
from mien_sounddevice.devices import Device, find_device
from mien_sounddevice.microphone import MicrophoneSource
from mien_sounddevice.timing import SampleClock, heard_at

pytestmark = pytest.mark.plugin

START_NS = 10 * NS_PER_S


def block(level: float = 0.1, samples: int = 480, channels: int = 1) -> Float:
    return np.full((samples, channels), level, np.float32)


def backend(*devices: dict[str, Any], **options: Any) -> FakeBackend:
    return FakeBackend(list(devices) or [device("Built-in", 2)], **options)


class Opened:
    """An opened microphone, and what it has yielded."""

    def __init__(
        self, fake: FakeBackend, wish: str | None = None, patience_s: float = 30.0, **settings: Any
    ) -> None:
        self.fake = fake
        self.clock = VirtualClock(start_ns=START_NS)
        self.context = FakeContext(clock=self.clock, settings=settings, live=True)
        self.source = MicrophoneSource(wish, portaudio=fake.portaudio, patience_s=patience_s)
        self.heard: list[AudioFrame] = []
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.source.open(self.context)
        self._reading = asyncio.create_task(self._read())
        await asyncio.sleep(0)
        return self

    async def _read(self) -> None:
        async for frame in self.source.frames():
            self.heard.append(frame)

    @property
    def stream(self) -> FakeStream:
        return self.fake.streams[-1]

    async def settle(self) -> None:
        await self.clock.advance(0)

    async def fails(self) -> BaseException:
        assert self._reading is not None
        async with asyncio.timeout(30):
            await asyncio.wait({self._reading})
        error = self._reading.exception()
        assert error is not None
        return error

    async def __aexit__(self, *_: object) -> None:
        assert self._reading is not None
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self.source.close()


async def test_sound_comes_with_the_time_that_the_device_heard_it() -> None:
    async with Opened(backend()) as microphone:
        microphone.stream.hear(block(0.1), age_s=0.015)
        await microphone.clock.advance(10 * NS_PER_MS)
        microphone.stream.hear(block(0.2), age_s=0.015)
        await microphone.settle()
        first, second = microphone.heard
        assert first.rate == 48_000
        assert first.samples.shape == (480, 1)
        assert first.samples[0, 0] == np.float32(0.1)
        assert first.capture_ns == START_NS - 15 * NS_PER_MS
        assert second.capture_ns == first.capture_ns + 10 * NS_PER_MS
        assert microphone.source.info.title == "Built-in"
    assert microphone.stream.closed


async def test_the_devices_memory_is_not_kept() -> None:
    async with Opened(backend()) as microphone:
        memory = block(0.5)
        microphone.stream.hear(memory)
        memory[:] = 0
        await microphone.settle()
        assert microphone.heard[0].samples[0, 0] == np.float32(0.5)


@pytest.mark.parametrize(
    ("settings", "rate", "channels", "samples"),
    [
        ({}, 44_100, 1, 441),
        ({"rate": 8_000, "channels": 2}, 8_000, 2, 80),
        ({"rate": 96_000, "block_ms": 20}, 96_000, 1, 1920),
    ],
)
async def test_rate_and_channels_are_asked_of_the_device(
    settings: dict[str, Any], rate: int, channels: int, samples: int
) -> None:
    fake = backend(device("Built-in", 2, rate=44_100))
    async with Opened(fake, **settings) as microphone:
        asked = microphone.stream.options
        assert (asked["samplerate"], asked["channels"], asked["blocksize"]) == (rate, channels, samples)
        assert asked["dtype"] == "float32"


async def test_a_mono_microphone_gives_what_it_has_and_a_fast_one_is_asked_for_96_khz() -> None:
    async with Opened(backend(device("Studio", 1, rate=192_000)), channels=2) as microphone:
        assert microphone.stream.options["channels"] == 1
        assert microphone.stream.options["samplerate"] == 96_000


@pytest.mark.parametrize("rate", [7_999, 96_001, -1])
async def test_impossible_rates_are_refused(rate: int) -> None:
    with pytest.raises(ConfigError, match="8000"):
        await Opened(backend(), rate=rate).source.open(FakeContext(settings={"rate": rate}))


async def test_overruns_are_counted_and_the_time_goes_on_rightly() -> None:
    async with Opened(backend()) as microphone:
        microphone.stream.hear(block())
        await microphone.clock.advance(40 * NS_PER_MS)  # 30 ms were lost
        microphone.stream.hear(block(), overflow=True)
        await microphone.settle()
        first, second = microphone.heard
        assert second.capture_ns - first.capture_ns == 40 * NS_PER_MS
        assert microphone.source.dropped["microphone over-runs"] == 1


async def test_what_nobody_takes_is_bounded_and_counted() -> None:
    fake = backend()
    source = MicrophoneSource(portaudio=fake.portaudio)
    await source.open(FakeContext(clock=VirtualClock(start_ns=START_NS), live=True))
    for n in range(130):
        fake.streams[0].hear(block(n / 1000))
    assert source.dropped["sound overtaken at capture"] == 30
    first = await anext(source.frames())
    assert first.samples[0, 0] == np.float32(0.030)
    await source.close()


async def test_pulled_out_it_says_so_after_what_it_had_heard() -> None:
    async with Opened(backend()) as microphone:
        microphone.stream.hear(block())
        microphone.stream.unplug()
        error = await microphone.fails()
        assert isinstance(error, DeviceError)
        assert "Built-in has stopped" in str(error)
        assert len(microphone.heard) == 1


async def test_one_that_falls_silent_without_a_word_is_given_up() -> None:
    async with Opened(backend(), patience_s=0.01) as microphone:
        assert "sends no sound" in str(await microphone.fails())


async def test_plugged_in_again_it_is_found() -> None:
    fake = backend(device("USB microphone", 1))
    portaudio = fake.portaudio
    context = FakeContext(clock=VirtualClock(), live=True)
    first = MicrophoneSource("usb", portaudio=portaudio)
    await first.open(context)
    fake.plugged.clear()
    fake.streams[0].unplug()
    await first.close()
    with pytest.raises(DeviceError, match="There is no microphone usb here"):
        await MicrophoneSource("usb", portaudio=portaudio).open(context)
    fake.plugged.append(device("USB microphone", 1))
    again = MicrophoneSource("usb", portaudio=portaudio)
    await again.open(context)
    assert fake.streams[1].started
    await again.close()


async def test_no_rescan_pulls_the_device_from_under_a_stream_in_use() -> None:
    fake = backend()
    portaudio = fake.portaudio
    context = FakeContext(clock=VirtualClock(), live=True)
    first, second = (MicrophoneSource(portaudio=portaudio) for _ in range(2))
    await first.open(context)
    await second.open(context)  # the fake asserts
    assert fake.scans == 1
    await first.close()
    await second.close()
    await MicrophoneSource(portaudio=portaudio).open(context)
    assert fake.scans == 2


async def test_one_that_cannot_be_opened_says_why_and_what_to_do() -> None:
    context = FakeContext(live=True, settings={"rate": 22_050})
    busy = backend(open_fails="Device unavailable")
    with pytest.raises(DeviceError, match=r"Device unavailable\. Close the program that uses it"):
        await MicrophoneSource(portaudio=busy.portaudio).open(context)
    picky = backend(open_fails="Invalid sample rate")
    with pytest.raises(DeviceError, match="22050 Hz; it prefers 48000 Hz"):
        await MicrophoneSource(portaudio=picky.portaudio).open(context)


async def test_one_that_does_not_start_is_closed() -> None:
    fake = backend(start_fails=True)
    source = MicrophoneSource(portaudio=fake.portaudio)
    with pytest.raises(DeviceError, match="does not start"):
        await source.open(FakeContext(live=True))
    await source.close()
    assert fake.closed == 1


# --- which one ---------------------------------------------------------------------------------------------

THERE = [
    Device(1, "Built-in Audio", "ALSA", 2, 48_000),
    Device(3, "Blue Yeti", "ALSA", 1, 48_000, default=True),
    Device(4, "Blue Snowball", "ALSA", 1, 44_100),
]


def test_a_device_by_number_name_part_or_default() -> None:
    assert find_device(THERE, None, "input").number == 3
    assert find_device(THERE[:1], "", "input").number == 1
    assert find_device(THERE, "4", "input").number == 4
    assert find_device(THERE, "blue yeti", "input").number == 3
    assert find_device(THERE, "built", "input").number == 1


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ("Rode", "There is no microphone Rode. There are: 1 Built-in Audio, 3 Blue Yeti, 4 Blue Snowball."),
        ("2", "There is no microphone 2. There are: 1 Built-in"),
        ("blue", "blue may mean 3 Blue Yeti, 4 Blue Snowball"),
    ],
)
def test_a_wish_that_means_none_or_several_is_answered_with_what_there_is(wish: str, words: str) -> None:
    with pytest.raises(DeviceError, match=words):
        find_device(THERE, wish, "input")


def test_windows_lists_each_once_for_each_of_its_sound_systems() -> None:
    long = "Microphone (Realtek High Definition Audio)"
    listed = [Device(1, long[:31], "MME", 2, 44_100), Device(9, long, "Windows WASAPI", 2, 48_000)]
    assert find_device(listed, "realtek", "input").number == 9


# --- time ----------------------------------------------------------------------------------------------------


def test_stamps_are_steady_though_calls_are_not() -> None:
    times, rng = SampleClock(48_000), np.random.default_rng(3)
    late = rng.uniform(0, 8 * NS_PER_MS, 2000)
    stamps = np.array([times.stamp(480, n * 10 * NS_PER_MS + int(late[n])) for n in range(2000)])
    steps = np.diff(stamps[200:]) / NS_PER_MS
    assert abs(steps.mean() - 10) < 0.01
    assert steps.std() < 0.05


def test_a_device_that_runs_fast_is_followed() -> None:
    times, fast = SampleClock(48_000), 1 - 100e-6
    worst = 0.0
    for n in range(60_000):  # ten minutes: 60 ms fast in the end
        true_ns = round(n * 10 * NS_PER_MS * fast)
        worst = max(worst, abs(times.stamp(480, true_ns) - true_ns))
    assert worst < 0.2 * NS_PER_MS


def test_time_never_goes_back() -> None:
    times = SampleClock(48_000)
    assert times.stamp(480, NS_PER_S) == NS_PER_S
    assert times.stamp(480, NS_PER_S // 2) == NS_PER_S + 1


def test_a_driver_without_times_is_believed_to_hand_over_at_once() -> None:
    assert heard_at(NS_PER_S, 5.0, 0.0, 480, 48_000) == NS_PER_S - 10 * NS_PER_MS
    assert heard_at(NS_PER_S, 5.0, 5.3, 480, 48_000) == NS_PER_S - 10 * NS_PER_MS
    assert heard_at(NS_PER_S, 5.0, 4.97, 480, 48_000) == NS_PER_S - 30 * NS_PER_MS
