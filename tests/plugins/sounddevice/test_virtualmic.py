"""The virtual microphone: its cable, the cushion between two clocks, and that nothing clicks."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from sounddevice_fakes import FakeBackend, FakeStream, device

from mien.clock import NS_PER_S
from mien.errors import DeviceError, PluginError
from mien.frames import AudioFrame, Float, VideoFrame
from mien.testing.context import FakeContext
from mien_sounddevice import doctor
from mien_sounddevice.cable import NullSink, present
from mien_sounddevice.elastic import HALF, Elastic, Stretcher
from mien_sounddevice.portaudio import PortAudio
from mien_sounddevice.virtualmic import VirtualMicrophoneOutput

pytestmark = pytest.mark.plugin

RATE = 8_000
HZ = 200


def tone(start_s: float, seconds: float, rate: int = RATE, channels: int = 1) -> Float:
    t = start_s + np.arange(round(seconds * rate)) / rate
    return np.repeat((0.5 * np.sin(2 * np.pi * HZ * t)).astype(np.float32)[:, None], channels, axis=1)


def piece(start_s: float, seconds: float = 0.02, rate: int = RATE, channels: int = 1) -> AudioFrame:
    return AudioFrame(tone(start_s, seconds, rate, channels), rate, round(start_s * NS_PER_S))


def roughest(samples: Float) -> float:
    """The largest second difference: a click stands out of a low tone by far."""
    return float(np.abs(np.diff(samples[:, 0], n=2)).max())


SMOOTH = roughest(tone(0, 1))


# --- stretching ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "to"), [(24_000, 48_000), (48_000, 44_100), (48_000, 48_000), (96_000, 48_000)]
)
def test_any_rate_becomes_the_devices(rate: int, to: int) -> None:
    stretcher = Stretcher(1)
    made = np.concatenate([stretcher.feed(tone(n * 0.02, 0.02, rate), rate / to) for n in range(50)])
    assert len(made) == pytest.approx(to, abs=0.02 * to)
    wanted = tone(-HALF / rate, 1, to)[: len(made)]  # it looks ahead by half its taps
    inner = slice(to // 100, -to // 100)
    assert np.abs(made[inner] - wanted[inner]).max() < 0.01


def test_pieces_fit_together_whatever_their_length() -> None:
    rng, whole = np.random.default_rng(2), tone(0, 1)
    stretcher, made, at = Stretcher(1), [], 0
    while at < len(whole):
        length = int(rng.integers(0, 300))
        made.append(stretcher.feed(whole[at : at + length], 1.0007))
        at += length
    assert roughest(np.concatenate(made)[100:]) < 1.1 * SMOOTH


# --- two clocks ----------------------------------------------------------------------------------------------


def played(
    elastic: Elastic, seconds: float, *, fast: float = 0.0, jitter_s: float = 0.0, block: int = 80
) -> tuple[Float, list[float]]:
    """Let the engine put 20 ms at a time, each up to `jitter_s` late, and a device that is `fast` (1e-6: 1 ppm)
    take; returns what was played and how much waited after each piece.
    """
    rng = np.random.default_rng(4)
    out, waiting, taken = [], [], 0
    for n in range(round(seconds / 0.02)):
        now = n * 0.02 + rng.uniform(0, jitter_s)
        while taken * block / (RATE * (1 + fast)) < now:
            out.append(elastic.take(block))
            taken += 1
        elastic.put(piece(n * 0.02))
        waiting.append(elastic.waiting_s)
    return np.concatenate(out), waiting


def test_a_device_whose_clock_is_wrong_is_followed_without_clicks() -> None:
    speeds = []
    for fast in (-300e-6, 300e-6):
        elastic = Elastic(RATE, 1, 0.06)
        out, waiting = played(elastic, 30, fast=fast, jitter_s=0.015)
        assert elastic.underruns == elastic.skipped == 0
        assert np.ptp(waiting[500:]) < 0.05  # the jitter; what 300 ppm add would grow on
        assert abs(np.mean(waiting[-500:]) - np.mean(waiting[500:1000])) < 0.01
        assert roughest(out[RATE:]) < 1.3 * SMOOTH
        speeds.append(elastic.speed)
    slow, quick = speeds
    assert slow - quick == pytest.approx(600e-6, abs=200e-6)


def test_dry_amid_the_sound_it_fades_and_is_counted() -> None:
    elastic = Elastic(RATE, 1, 0.04)
    out = [elastic.take(80)]
    for n in range(10):
        elastic.put(piece(n * 0.02))
        out += [elastic.take(80), elastic.take(80)]
    out += [elastic.take(80) for _ in range(20)]
    for n in range(10, 20):
        elastic.put(piece(n * 0.02))
        out += [elastic.take(80), elastic.take(80)]
    assert elastic.underruns == 1
    whole = np.concatenate(out)
    assert np.abs(whole).max() > 0.4
    assert roughest(whole) < 0.15  # a step at this level would be up to 1
    assert np.abs(np.diff(whole[:, 0])).max() < 0.15


def test_a_pause_is_no_under_run() -> None:
    elastic = Elastic(RATE, 1, 0.04)
    for start in (0.0, 5.0):
        for n in range(5):
            elastic.put(piece(start + n * 0.02))
        for _ in range(50):
            elastic.take(80)
    assert elastic.underruns == 0


@pytest.mark.parametrize("goes_on", [False, True])
def test_interrupted_it_falls_silent_without_a_click(goes_on: bool) -> None:
    elastic = Elastic(RATE, 1, 0.06)
    out = []
    for n in range(20):
        elastic.put(piece(n * 0.02))
        out += [elastic.take(80), elastic.take(80)]
    spoken = len(np.concatenate(out))
    elastic.hush()
    assert elastic.waiting_s == 0
    for n in range(20, 30) if goes_on else ():
        elastic.put(piece(n * 0.02))
    out += [elastic.take(80) for _ in range(10)]
    whole = np.concatenate(out)[:, 0]
    assert np.abs(np.diff(whole)).max() < 0.15
    assert (np.abs(whole[spoken + 40 :]).max() > 0.4) == goes_on
    assert elastic.underruns == elastic.skipped == 0


def test_too_much_is_cut_at_once_without_a_click() -> None:
    elastic = Elastic(RATE, 1, 0.04)
    out = []
    for n in range(10):
        elastic.put(piece(n * 0.02))
        out += [elastic.take(80), elastic.take(80)]
    for n in range(10, 30):
        elastic.put(piece(n * 0.02))  # 400 ms at once: the machine slept
    out += [elastic.take(80) for _ in range(5)]
    assert elastic.skipped == 1
    assert elastic.waiting_s < 0.06
    assert np.abs(np.diff(np.concatenate(out)[:, 0])).max() < 0.15


def test_a_device_that_stands_still_fills_nothing_for_ever() -> None:
    elastic = Elastic(RATE, 1, 0.04)
    for n in range(500):
        elastic.put(piece(n * 0.02))
    assert elastic.waiting_s < 3
    assert elastic.skipped > 300


def test_mono_and_stereo_fit_every_device() -> None:
    for channels, device_channels in ((1, 2), (2, 1)):
        elastic = Elastic(RATE, device_channels, 0.02)
        for n in range(4):
            elastic.put(piece(n * 0.02, channels=channels))
        out = np.concatenate([elastic.take(80) for _ in range(4)])
        assert out.shape == (320, device_channels)
        assert np.abs(out).max() > 0.4


# --- the cable ----------------------------------------------------------------------------------------------


class SoundServer:
    """What `pactl` asks. there: sinks and microphones that were made by hand; `played_into`: sinks in use."""

    def __init__(self, *there: str, fails: str = "") -> None:
        self.there = list(there)
        self.fails = fails
        self.modules: dict[str, str] = {}
        self.played_into: list[str] = []
        self._numbers = itertools.count(20)

    @property
    def names(self) -> list[str]:
        """Of sinks and microphones; their place in it is their number."""
        return [*self.there, *self.modules.values()]

    def __call__(self, arguments: Sequence[str]) -> str:
        if self.fails in arguments:
            raise DeviceError(f"pactl {arguments[0]}: no.")
        match arguments:
            case ["list", "short", "sink-inputs"]:
                return "\n".join(
                    f"{n}\t{self.names.index(sink)}\t7\tPipeWire\tfloat32le 2ch 48000Hz"
                    for n, sink in enumerate(self.played_into)
                )
            case ["list", "short", kind]:
                sources = kind == "sources"
                return "\n".join(
                    f"{n}\t{name}\tmodule"
                    for n, name in enumerate(self.names)
                    if name.endswith("_microphone") == sources
                )
            case ["load-module", _, *settings]:
                number = str(next(self._numbers))
                named = dict(setting.split("=", 1) for setting in settings)
                self.modules[number] = named.get("sink_name") or named["source_name"]
                return number
            case ["unload-module", number]:
                del self.modules[number]
        return ""


def test_the_sink_is_made_and_taken_away_again() -> None:
    server = SoundServer(fails="nothing")
    sink = NullSink(server)
    sink.make()
    assert sorted(server.modules.values()) == ["mien", "mien_microphone"]
    sink.remove()
    assert server.modules == {}


def test_one_that_is_there_is_used_and_stays() -> None:
    server = SoundServer("mien", "mien_microphone", fails="nothing")
    sink = NullSink(server)
    sink.make()
    sink.remove()
    assert server.there == ["mien", "mien_microphone"]
    assert server.modules == {}


def test_two_programs_have_one_each() -> None:
    server = SoundServer(fails="nothing")
    one, other = NullSink(server), NullSink(server)
    one.make()
    server.played_into.append(one.name)
    other.make()
    assert (one.name, other.name) == ("mien", "mien-2")
    assert other.environment["PULSE_SINK"] == "mien-2"
    assert sorted(server.names) == ["mien", "mien-2", "mien-2_microphone", "mien_microphone"]
    one.remove()
    assert sorted(server.names) == ["mien-2", "mien-2_microphone"], "who stays keeps its own"


def test_there_is_an_end_to_them() -> None:
    server = SoundServer(*(f"mien-{n}" for n in range(2, 9)), "mien", fails="nothing")
    server.played_into += server.there
    with pytest.raises(DeviceError, match="in use already"):
        NullSink(server).make()
    assert server.modules == {}


def test_half_a_cable_is_taken_away() -> None:
    server = SoundServer(fails="module-remap-source")
    with pytest.raises(DeviceError):
        NullSink(server).make()
    assert server.modules == {}


# --- the output ----------------------------------------------------------------------------------------------

LINUX = [device("HDA", outputs=2), device("pulse", 32, 32, rate=44_100), device("default", 32, 32)]


async def test_on_linux_it_plays_into_a_null_sink_of_its_own() -> None:
    fake, server = FakeBackend(LINUX), SoundServer(fails="nothing")
    context = FakeContext(live=True)
    output = VirtualMicrophoneOutput(
        portaudio=fake.portaudio, make_sink=lambda: NullSink(server), system="Linux"
    )
    await output.open(context)
    stream: FakeStream = fake.streams[0]
    assert stream.options["device"] == 1
    assert stream.options["samplerate"] == 48_000
    assert stream.options["latency"] == 0.06, "PortAudio's lowest leaves holes on a busy machine"
    assert fake.environments == ["mien"]
    assert "mien; choose it" in context.notices[0]
    assert len(server.modules) == 2
    for n in range(5):
        await output.audio(piece(n * 0.02, rate=48_000))
    out = np.concatenate([stream.play(480) for _ in range(8)])
    assert np.abs(out).max() > 0.4
    output.hush(1)
    assert np.abs(np.concatenate([stream.play(480) for _ in range(4)])[240:]).max() == 0, "interrupted"
    stream.play(480, underflow=True)
    assert output.dropped["virtual microphone under-runs"] == 1
    await output.close()
    assert stream.closed
    assert server.modules == {}


async def test_elsewhere_it_plays_into_the_cable_that_is_installed() -> None:
    fake = FakeBackend([device("Speakers", outputs=2), device("BlackHole 2ch", 2, 2, rate=44_100)])
    output = VirtualMicrophoneOutput(portaudio=fake.portaudio, system="Darwin")
    await output.open(FakeContext(live=True))
    assert (fake.streams[0].options["device"], fake.streams[0].options["samplerate"]) == (1, 44_100)
    await output.close()


@pytest.mark.parametrize(
    ("system", "words"), [("Darwin", "brew install blackhole-2ch"), ("Windows", "VB-Cable")]
)
async def test_without_a_cable_it_says_how_to_get_one(system: str, words: str) -> None:
    fake = FakeBackend([device("Speakers", outputs=2)])
    output = VirtualMicrophoneOutput(portaudio=fake.portaudio, system=system)
    with pytest.raises(DeviceError, match=words):
        await output.open(FakeContext(live=True))
    await output.close()


async def test_without_a_way_to_the_sound_server_the_sink_is_taken_away() -> None:
    loudspeakers = [device("HDA", outputs=2), device("default", 32, 32)]  # ALSA's own default: nobody's cable
    fake, server = FakeBackend(loudspeakers), SoundServer(fails="nothing")
    output = VirtualMicrophoneOutput(
        portaudio=fake.portaudio, make_sink=lambda: NullSink(server), system="Linux"
    )
    with pytest.raises(DeviceError, match="libasound2-plugins"):
        await output.open(FakeContext(live=True))
    await output.close()
    assert server.modules == {}


async def test_any_device_may_be_named() -> None:
    fake = FakeBackend([device("Speakers", outputs=2), device("Line out", outputs=1)])
    output = VirtualMicrophoneOutput("line", portaudio=fake.portaudio, system="Linux")
    await output.open(FakeContext(live=True))
    assert fake.streams[0].options["channels"] == 1
    assert fake.environments == [""]
    await output.close()
    with pytest.raises(
        DeviceError, match=r"There is no sound device nothing\. There are: 0 Speakers, 1 Line out"
    ):
        await VirtualMicrophoneOutput("nothing", portaudio=fake.portaudio).open(FakeContext())


async def test_pulled_out_it_says_so() -> None:
    fake = FakeBackend([device("Line out", outputs=2)])
    output = VirtualMicrophoneOutput("line", portaudio=fake.portaudio)
    await output.open(FakeContext(live=True))
    fake.streams[0].unplug()
    await asyncio.sleep(0)
    with pytest.raises(DeviceError, match=r"Line out has stopped.* Plug it in"):
        await output.audio(piece(0))
    await output.close()


async def test_a_sound_server_that_ends_is_told_even_while_nobody_speaks() -> None:
    fake, server = FakeBackend(LINUX), SoundServer(fails="nothing")
    output = VirtualMicrophoneOutput(
        portaudio=fake.portaudio, make_sink=lambda: NullSink(server), system="Linux"
    )
    await output.open(FakeContext(live=True))
    picture = VideoFrame(np.zeros((4, 4, 3), np.uint8), 0)
    await output.video(picture)
    fake.streams[0].unplug()
    with pytest.raises(DeviceError, match=r"microphone mien has stopped: the sound server has ended"):
        await output.video(picture)
    await output.close()


# --- doctor ---------------------------------------------------------------------------------------------------


def test_the_doctor_names_what_there_is() -> None:
    backend = FakeBackend([device("Blue Yeti", 1), device("BlackHole 2ch", 0, 2)])
    lines = doctor.devices(backend.portaudio)
    assert backend.scans == 1
    assert [(line.name, line.ok, line.detail) for line in lines] == [
        ("microphone", True, "1: 0 Blue Yeti"),
        ("virtual microphone", True, "BlackHole 2ch"),
    ]


def test_the_doctor_knows_what_is_missing() -> None:
    def load() -> FakeBackend:
        raise PluginError("no library")

    (line,) = doctor.devices(PortAudio(load))
    assert (line.ok, line.mend) == (False, "sudo apt install libportaudio2")
    line = doctor.devices(FakeBackend([device("Speakers", outputs=2)]).portaudio)[0]
    assert not line.ok
    assert "plug one in" in line.detail


def test_on_linux_the_sound_server_is_enough() -> None:
    fake = FakeBackend(LINUX)
    outputs = fake.portaudio.devices("output")
    assert "--out virtualmic" in (present(outputs, SoundServer(fails="nothing"), "Linux") or "")
    assert present(outputs, SoundServer(fails="info"), "Linux") is None
    assert present(outputs[:1], SoundServer(fails="nothing"), "Linux") is None
