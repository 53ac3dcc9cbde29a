"""The microphone beside the source, and the client that pushes sound to a running engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from mien.cli.listening import keep_listening, voice_factory
from mien.cli.live import Live
from mien.cli.machine import with_microphone
from mien.cli.pushing import Place, push
from mien.cli.run import _as_source
from mien.cli.speak import STDIN, _speak, speak
from mien.clock import NS_PER_S
from mien.config import Config, RunSection, load_config
from mien.errors import AddressError, InputError, MediaError, PluginError
from mien.stage import Check, Kind, Source
from mien.testing.clock import VirtualClock
from mien.testing.stages import ScriptedSource
from world import FakeRegistry

pytestmark = pytest.mark.unit


class FakeSession:
    """What the voice beside the source needs of a session."""

    def __init__(self) -> None:
        self.vacancy = asyncio.Event()
        self.voice = None
        self.attached: list[Source] = []
        self.broken = 0

    @property
    def voice(self) -> Source | None:
        return self._voice

    @voice.setter
    def voice(self, voice: Source | None) -> None:
        self._voice = voice
        (self.vacancy.set if voice is None else self.vacancy.clear)()

    async def voice_vacant(self) -> None:
        await self.vacancy.wait()

    async def attach_voice(self, source: Source, *, if_vacant: bool) -> None:
        assert if_vacant
        self.attached.append(source)
        self.broken -= 1
        self.voice = source if self.broken < 0 else None


async def listening(clock: VirtualClock, session: FakeSession, seconds: float) -> None:
    task = asyncio.create_task(keep_listening(session, lambda: ScriptedSource([]), clock))  # type: ignore[arg-type]
    await clock.advance(round(seconds * NS_PER_S))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_one_microphone_is_enough() -> None:
    session = FakeSession()
    await listening(VirtualClock(), session, 60)
    assert len(session.attached) == 1


async def test_pulled_out_it_is_tried_again_less_and_less_often() -> None:
    session = FakeSession()
    session.broken = 1_000
    await listening(VirtualClock(), session, 60)
    assert 8 <= len(session.attached) <= 12


async def test_it_comes_back_after_another_voice() -> None:
    session, clock = FakeSession(), VirtualClock()
    task = asyncio.create_task(keep_listening(session, lambda: ScriptedSource([]), clock))  # type: ignore[arg-type]
    await clock.advance(2 * NS_PER_S)
    session.voice = ScriptedSource([])  # a program has taken over
    await clock.advance(10 * NS_PER_S)
    assert len(session.attached) == 1
    session.voice = None
    await clock.advance(3 * NS_PER_S)
    assert len(session.attached) == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class FakeEngine:
    """An engine with, or without, a plugin for microphones."""

    def __init__(self, *names: str) -> None:
        self.registry = FakeRegistry({(Kind.SOURCE, name): lambda *_: ScriptedSource([]) for name in names})

    def source_factory(self, spec: str) -> Any:
        return lambda: spec


def test_which_voice_is_meant() -> None:
    engine: Any = FakeEngine("microphone")
    assert voice_factory(engine, RunSection()) is None
    make = voice_factory(engine, RunSection(microphone="microphone:Blue Yeti"))
    assert make is not None
    assert make() == "microphone:Blue Yeti"
    with pytest.raises(PluginError, match="microphone"):
        voice_factory(FakeEngine("demo"), RunSection(microphone="microphone"))  # type: ignore[arg-type]
    assert voice_factory(FakeEngine("demo"), RunSection(drive="voice")) is None  # type: ignore[arg-type]
    assert not FakeEngine("demo").registry.sees("microphone")


# --- pushing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://127.0.0.1:8765/#token=abc", Place("127.0.0.1", 8765, token="abc")),  # noqa: S106
        ("https://studio.example", Place("studio.example", 443, tls=True)),
        ("10.0.0.7:9000", Place("10.0.0.7", 9000)),
        ("http://[::1]:8765/", Place("::1", 8765)),
    ],
)
def test_the_address_is_that_which_run_prints(url: str, place: Place) -> None:
    assert Place.of(url) == place


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://a:port", ""])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(AddressError, match="mien run"):
        Place.of(url)


class Server:
    """One answer for whoever asks, and what they sent. after: bytes that are read before it; 0: none is welcome."""

    def __init__(self, answer: bytes, after: int | None = None) -> None:
        self.head = self.body = b""
        self.gone = asyncio.Event()
        self._answer = answer
        self._after = after

    async def __aenter__(self) -> Place:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return Place("127.0.0.1", self._server.sockets[0].getsockname()[1], token="abc")  # noqa: S106

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = await reader.readuntil(b"\r\n\r\n")
        if self._after != 0:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while self._after is None or len(self.body) < self._after:
            data = await reader.read(1000)
            self.body += data
            if not data or self.body.endswith(b"0\r\n\r\n"):
                break
        writer.write(self._answer)
        await writer.drain()
        writer.close()
        self.gone.set()


def answer(status: str, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status.encode(), len(body), body)


async def sound(pieces: int) -> AsyncGenerator[bytes]:
    for _ in range(pieces):
        yield b"abcd"
        await asyncio.sleep(0)


async def test_it_is_sent_in_chunks_and_the_answer_comes_back() -> None:
    server = Server(answer("200 OK", b'{"state":"finished","position_s":1.5}'))
    async with server as place:
        told = await push(place, "main", sound(3), {"rate": 48_000})
    assert told == {"state": "finished", "position_s": 1.5}
    assert server.head.startswith(b"POST /api/sessions/main/voice?rate=48000 HTTP/1.1\r\n")
    assert b"Authorization: Bearer abc\r\n" in server.head
    assert b"Expect: 100-continue\r\n" in server.head
    assert server.body == b"4\r\nabcd\r\n" * 3 + b"0\r\n\r\n"


async def test_a_refusal_amid_the_sound_is_told_in_the_engines_words() -> None:
    refused = answer("409 Conflict", b'{"title":"Somebody else speaks already","detail":"Send takeover=1."}')
    server = Server(refused, after=10)
    async with server as place:
        with pytest.raises(InputError, match=r"Somebody else speaks already\. Send --takeover\."):
            await push(place, "main", sound(1_000_000), {})


async def test_who_is_refused_at_once_sends_nothing() -> None:
    """A connection that is closed while sound comes in may lose the answer."""
    refused = answer(
        "422 Unprocessable", b'{"detail":"Send s16le, or say format=s16be. Or channels=2, rate=44100."}'
    )
    server = Server(refused, after=0)
    async with server as place:
        with pytest.raises(
            InputError, match=r"Send s16le, or say --format s16be. Or --channels 2, --rate 44100\.$"
        ):
            await push(place, "main", sound(3), {})
    assert not server.body


async def test_nobody_there_or_gone_meanwhile() -> None:
    async with Server(b"") as place:
        with pytest.raises(AddressError, match="has gone"):
            await push(place, "main", sound(1), {})
    with pytest.raises(AddressError, match="There is no engine at"):
        await push(place, "main", sound(1), {})


async def test_interrupted_the_connection_is_closed() -> None:
    server = Server(b"")

    async def endless() -> AsyncGenerator[bytes]:
        while True:
            yield b"abcd"
            await asyncio.sleep(0.001)

    async with server as place:
        pushing = asyncio.create_task(push(place, "main", endless(), {}))
        async with asyncio.timeout(30):
            while not server.body:  # noqa: ASYNC110 - what another task does
                await asyncio.sleep(0.001)
            pushing.cancel()
            await asyncio.gather(pushing, return_exceptions=True)
            await server.gone.wait()


@pytest.mark.parametrize("raw", [{"channels": 2}, {"sample_format": "f32le"}])
def test_what_says_how_raw_samples_are_meant_wants_their_rate(raw: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="--rate 24000"):
        speak("-", to="http://127.0.0.1:1", **raw)


async def test_trouble_with_the_sound_itself_is_told() -> None:
    async def broken() -> AsyncGenerator[bytes]:
        yield b"abcd"
        raise InputError("speech.wav is no sound.")

    server = Server(b"")
    async with server as place:
        with pytest.raises(InputError, match="no sound"):
            await push(place, "main", broken(), {})


async def test_nobody_is_cut_short_for_sound_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async def damaged(config: Config, path: Path) -> AsyncGenerator[bytes]:
        if path.name:
            raise MediaError(f"{path} is no clip.")
        yield b""

    monkeypatch.setattr("mien.cli.speak._standard_input", lambda: sound(0))
    monkeypatch.setattr("mien.cli.speak._decoded", damaged)
    server = Server(b"")
    async with server as place:
        for name, error, words in (
            (STDIN, InputError, "No sound came"),
            ("a.wav", MediaError, "a.wav is no clip"),
        ):
            with pytest.raises(error, match=words):
                await _speak(load_config(), name, place, "main", {}, takeover=True)
    assert not server.head


async def test_the_first_of_the_sound_is_sent_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mien.cli.speak._standard_input", lambda: sound(3))
    server = Server(answer("200 OK", b'{"state":"finished","position_s":1.5}'))
    async with server as place:
        await _speak(load_config(), STDIN, place, "main", {}, takeover=False)
    assert server.body == b"4\r\nabcd\r\n" * 3 + b"0\r\n\r\n"
    assert capsys.readouterr().out == "Spoke 1.5 s.\n"


# --- the command line ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "source"),
    [
        (None, None),
        ("default", "microphone"),
        ("Blue Yeti", "microphone:Blue Yeti"),
        ("2", "microphone:2"),
        ("microphone:Blue", "microphone:Blue"),
    ],
)
def test_a_microphone_is_named_by_number_or_name(device: str | None, source: str | None) -> None:
    assert _as_source(device) == source


def test_the_doctor_asks_the_system_only_where_no_plugin_knows_better() -> None:
    known = Check("microphone", ok=True, detail="1: 0 Blue Yeti")
    other = Check("camera", ok=True, detail="1")
    assert with_microphone([other, known]) == [other, known]
    lines = with_microphone([other])
    assert [line.name for line in lines] == ["microphone", "camera"]


async def test_a_program_that_only_speaks_needs_no_camera() -> None:
    assert Live(load_config(None, ["run.drive=voice"]))._source == "browser"
    assert Live(load_config(None, ["run.drive=voice", "run.source=demo"]))._source == "demo"
    assert Live(load_config(None, ["run.drive=both"]))._source == "auto"
