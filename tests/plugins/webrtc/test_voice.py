"""Sound that programs push to a session, over a WebSocket and in a request's body (docs/voice-push.md)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import httpx
import numpy as np
import pytest
from aiortc.mediastreams import AudioStreamTrack
from webrtc_fakes import PATIENCE_S, Client, FakeEngine, World, http, make_app, make_rooms
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from mien.cli.pushing import Place, push
from mien.clock import NS_PER_S
from mien.config import load_config
from mien.errors import InputError
from mien.testing.stages import ScriptedSource
from mien_webrtc.gateway import WebGateway
from mien_webrtc.problems import Problem
from mien_webrtc.pushing import PushSource
from mien_webrtc.voice import Microphone, Speaker
from mien_webrtc.whip import WhipSource

pytestmark = pytest.mark.plugin

RATE = 24_000


def pcm(seconds: float, rate: int = RATE) -> bytes:
    tone = np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    return (tone * 9000).astype("<i2").tobytes()


@contextlib.asynccontextmanager
async def served(*assignments: str) -> AsyncIterator[tuple[FakeEngine, str]]:
    """A gateway and the address of the voice, without its scheme or token."""
    config = load_config(None, assignments, {"server.port": 0})
    engine, gateway = FakeEngine(config), WebGateway()
    address = await gateway.start(engine)  # type: ignore[arg-type]
    try:
        yield engine, f"{address.partition('://')[2].partition('#')[0]}api/sessions/main/voice"
    finally:
        await gateway.stop()


async def heard(socket: ClientConnection, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The next message of that kind."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            if wanted(message):
                return message


def state(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda message: message.get("state") == name


def kind(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda message: message["type"] == name


async def until(there: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not there():  # noqa: ASYNC110 - what another task does
            await asyncio.sleep(0.005)


# --- WebSocket ----------------------------------------------------------------------------------------------


async def test_a_program_speaks_and_is_told_when_it_was_heard() -> None:
    async with served() as (engine, address), connect(f"ws://{address}?rate=16000") as socket:
        ready = await heard(socket, kind("ready"))
        assert (ready["format"], ready["rate"], ready["channels"]) == ("s16le", 16_000, 1)
        assert ready["buffer_s"] == 10
        await socket.send(pcm(0.2, 16_000))
        await socket.send('{"type": "flush"}')
        assert (await heard(socket, state("started")))["segment"] == 1
        finished = await heard(socket, state("finished"))
        assert finished["position_s"] == pytest.approx(0.2)
        assert engine.main.heard_s == pytest.approx(0.2)
        assert engine.main.spoken[0].rate == 16_000
    await until(lambda: engine.main.voice is None)


async def test_clear_interrupts_at_once_and_the_next_words_are_spoken() -> None:
    async with served() as (engine, address), connect(f"ws://{address}") as socket:
        await socket.send(pcm(20))
        await heard(socket, state("started"))
        await socket.send('{"type": "clear"}')
        interrupted = await heard(socket, state("interrupted"))
        assert interrupted["position_s"] < 19
        assert engine.main.interruptions == 1
        await socket.send(pcm(0.1))
        await socket.send('{"type": "flush"}')
        finished = await heard(socket, state("finished"))
        assert (finished["segment"], finished["position_s"]) == (2, pytest.approx(0.1))
        assert engine.main.heard_s < 19


async def test_one_that_is_too_fast_is_told_and_bounded() -> None:
    async with (
        served("plugin.webrtc.voice_buffer_s=0.5") as (engine, address),
        connect(f"ws://{address}") as socket,
    ):
        for _ in range(40):
            await socket.send(pcm(0.5))
        assert (await heard(socket, kind("buffer")))["state"] == "full"
        error = await heard(socket, kind("error"))
        assert error["kind"] == "too-fast"
        assert "Wait for" in error["text"]
        assert engine.main.voice is not None
        assert engine.main.voice.queued_s <= 1.0  # type: ignore[attr-defined]
        await heard(socket, state("ready"))


NO_SOUND = [
    (b"odd", "no whole number of samples"),
    (np.frombuffer(pcm(0.2), "<i2").astype(">i2").tobytes(), "format=s16be"),
    ("hello", "Send sound as binary"),
    ('{"type": "sing"}', "Send sound as binary"),
    ("[" * 40_000, "Send sound as binary"),
    ('{"type": "format", "rate": 7}', "7 Hz"),
    ('{"type": "format", "rate": "fast"}', "rate=fast is no number"),
    ('{"type": "format", "rate": 1e999}', "rate=inf is no number"),
    ('{"type": "format", "tempo": 2}', "no 'tempo'"),
]


async def test_what_is_no_sound_is_answered_and_the_session_lives_on() -> None:
    async with served() as (engine, address), connect(f"ws://{address}") as socket:
        for message, words in NO_SOUND:
            await socket.send(message)
            assert words in (await heard(socket, kind("error")))["text"]
        await socket.send(pcm(0.04))
        await socket.send('{"type": "flush"}')
        await heard(socket, state("finished"))
        assert engine.main.heard_s == pytest.approx(0.04)


async def test_wavs_one_after_the_other_over_one_socket() -> None:
    from test_pcm import voice, wav

    async with served() as (engine, address), connect(f"ws://{address}?format=wav") as socket:
        assert (await heard(socket, kind("ready")))["rate"] is None
        for rate in (16_000, 48_000):
            data = wav(voice(0.1, rate), rate)
            await socket.send(data[:30])
            await socket.send(data[30:])
            await socket.send('{"type": "flush"}')
            await heard(socket, state("finished"))
        await socket.send(wav(voice(0.1))[:2000])
        await socket.send('{"type": "flush"}')
        assert "cut short" in (await heard(socket, kind("error")))["text"]
        await heard(socket, state("finished"))
        assert {frame.rate for frame in engine.main.spoken} == {16_000, 48_000}


async def test_the_format_may_change() -> None:
    async with served() as (engine, address), connect(f"ws://{address}") as socket:
        await socket.send('{"type": "format", "rate": 48000, "channels": 2, "format": "f32le"}')
        ready = [await heard(socket, kind("ready")) for _ in range(2)][-1]
        assert ready["channels"] == 2
        await socket.send(np.full((4800, 2), 0.1, "<f4").tobytes())
        await socket.send('{"type": "flush"}')
        await heard(socket, state("finished"))
        assert engine.main.spoken[0].samples.shape[1] == 2


async def test_a_second_one_is_refused_until_it_takes_over() -> None:
    async with served() as (engine, address), connect(f"ws://{address}") as first:
        await first.send(pcm(20))
        await heard(first, state("started"))
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{address}")
        assert refused.value.response.status_code == 409
        async with connect(f"ws://{address}?takeover=1") as second:
            with pytest.raises(ConnectionClosed) as closed:
                await heard(first, lambda _: False)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4409
            await second.send(pcm(0.04))
            await second.send('{"type": "flush"}')
            assert (await heard(second, state("finished")))["segment"] == 1
        await until(lambda: engine.main.voice is None)


async def test_one_that_the_session_no_longer_hears_is_sent_away() -> None:
    """The program's own microphone may have come between."""
    async with served() as (engine, address):
        async with connect(f"ws://{address}") as socket:
            await until(lambda: engine.main.voice is not None)
            await engine.main.attach_voice(ScriptedSource([]))
            await socket.send(pcm(0.1))
            with pytest.raises(ConnectionClosed) as closed:
                await heard(socket, lambda _: False)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4409

        more = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b""
            await more.wait()
            yield pcm(0.1)

        async with httpx.AsyncClient(timeout=PATIENCE_S) as web:
            playing = asyncio.create_task(web.post(f"http://{address}?takeover=1", content=body()))
            await until(lambda: isinstance(engine.main.voice, PushSource))
            await engine.main.attach_voice(ScriptedSource([]))
            more.set()
            assert (await playing).json()["state"] == "interrupted"


async def test_an_idle_one_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien_webrtc.voice.Speaker.patience_s", 0.0)
    async with served() as (_, address), connect(f"ws://{address}") as first:
        await heard(first, kind("ready"))
        async with connect(f"ws://{address}") as second:
            await heard(second, kind("ready"))
            with pytest.raises(ConnectionClosed):
                await heard(first, lambda _: False)


async def test_the_token_is_asked_for() -> None:
    async with served("server.token=word") as (_, address):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{address}")
        assert refused.value.response.status_code == 401
        async with connect(f"ws://{address}?token=word") as socket:
            await heard(socket, kind("ready"))
        async with httpx.AsyncClient() as web:
            assert (await web.post(f"http://{address}", content=pcm(0.1))).status_code == 401


async def test_unknown_sessions_and_formats_are_refused_before_anything_is_heard() -> None:
    async with served() as (engine, address):
        for place, status in ((address.replace("main", "nobody"), 404), (f"{address}?rate=9", 400)):
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://{place}")
            assert refused.value.response.status_code == status
        assert engine.main.voice is None


async def test_the_engine_ends_and_says_so() -> None:
    async with served() as (_, address):
        socket = await connect(f"ws://{address}")
        await heard(socket, kind("ready"))
    with pytest.raises(ConnectionClosed) as closed:
        await heard(socket, lambda _: False)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


# --- HTTP -----------------------------------------------------------------------------------------------------


async def test_a_body_is_answered_when_it_was_heard() -> None:
    from test_pcm import voice, wav

    async with served() as (engine, address), httpx.AsyncClient(timeout=PATIENCE_S) as web:
        answer = await web.post(f"http://{address}?rate=24000", content=pcm(0.2))
        assert answer.json() == {"state": "finished", "position_s": 0.2}
        wave = await web.post(
            f"http://{address}", content=wav(voice(0.1)), headers={"Content-Type": "audio/wav"}
        )
        assert wave.json()["position_s"] == pytest.approx(0.1)
        assert engine.main.heard_s == pytest.approx(0.3)
        assert engine.main.voice is None
        assert engine.main.interruptions == 0


async def test_a_long_body_is_read_as_it_is_played() -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield pcm(0.5)

    async with served("plugin.webrtc.voice_buffer_s=0.5") as (engine, address):
        async with httpx.AsyncClient(timeout=PATIENCE_S) as web:
            playing = asyncio.create_task(web.post(f"http://{address}", content=body()))
            sent_s, heard_s = 0.0, 0.0
            # What is read ahead and the sockets' buffers hold a few MB each; then no more is sent than is heard.
            while not heard_s or sent * 0.5 - sent_s > 2 + engine.main.heard_s - heard_s:
                sent_s, heard_s = sent * 0.5, engine.main.heard_s
                await until(lambda before=heard_s: engine.main.heard_s > before + 0.1)
            assert isinstance(source := engine.main.voice, PushSource)
            assert source.queued_s < 1.0
            assert source.given_up == 0
            assert (await web.delete(f"http://{address}")).status_code == 204
            with contextlib.suppress(httpx.HTTPError):  # answered while it still sends
                assert (await playing).json()["state"] == "interrupted"
        await until(lambda: engine.main.voice is None)
        assert engine.main.interruptions == 1


NO_BODY: list[tuple[bytes, str, int, str, float]] = [
    (pcm(0.1) + b"x", "", 422, "1 bytes are left over", 0.1),
    (b"", "?format=wav", 422, "Nothing was sent", 0),
    (b"RIFF and so on, but no WAV", "?format=wav", 422, "no WAV file", 0),
    (np.frombuffer(pcm(0.2), "<i2").astype(">i2").tobytes(), "", 422, "format=s16be", 0),
    (pcm(0.1), "?rate=1000000", 400, "1000000 Hz", 0),
    (pcm(0.1), "?codec=mp3", 400, "no 'codec'", 0),
]
"""content, query -> status, words of the answer, seconds that are heard all the same."""


async def test_bodies_that_are_no_sound() -> None:
    async with served() as (engine, address), httpx.AsyncClient(timeout=PATIENCE_S) as web:
        for content, query, status, words, played_s in NO_BODY:
            engine.main.spoken.clear()
            answer = await web.post(f"http://{address}{query}", content=content)
            assert answer.status_code == status
            assert words in answer.json()["detail"]
            assert engine.main.heard_s == pytest.approx(played_s)
        again = await web.post(f"http://{address}", content=pcm(0.04))
        assert again.json()["state"] == "finished"


async def test_half_a_wav_is_played_and_told() -> None:
    from test_pcm import voice, wav

    async with served() as (engine, address), httpx.AsyncClient(timeout=PATIENCE_S) as web:
        whole = wav(voice(0.4))
        answer = await web.post(f"http://{address}?format=wav", content=whole[: len(whole) // 2])
        assert answer.status_code == 422
        assert "cut short: 0.20 of 0.40 s" in answer.json()["detail"]
        assert engine.main.heard_s == pytest.approx(0.2, abs=0.01)


async def test_a_client_that_leaves_is_silent_at_once() -> None:
    """Long before what it had sent is played: ten times as much as may wait, and all of it has been sent."""
    async with served("plugin.webrtc.voice_buffer_s=2") as (engine, address):
        async with httpx.AsyncClient(timeout=PATIENCE_S) as web:
            playing = asyncio.create_task(web.post(f"http://{address}", content=pcm(60)))
            await until(lambda: engine.main.heard_s > 0.05)
            assert engine.main.voice is not None
            assert engine.main.voice.queued_s < 4  # type: ignore[attr-defined]
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
        left_at_s = engine.main.heard_s
        await until(lambda: engine.main.voice is None)
        assert engine.main.heard_s < left_at_s + 15  # a minute was sent; the machine may be busy
        assert engine.main.interruptions == 1


async def test_whoever_comes_while_the_session_ends_is_not_seated() -> None:
    """The one who sat there takes its time to go, and meanwhile the room is closed."""

    class Slow(Speaker):
        source = ScriptedSource([])

        def idle_s(self, now_ns: int) -> float:
            return 60.0

        async def dismiss(self, reason: str) -> None:
            await leave.wait()

    class Next(Slow):
        async def dismiss(self, reason: str) -> None:
            """Not there yet."""

    leave = asyncio.Event()
    async with World.alive() as world:
        room = await world.rooms.get("main")
        await room.seat(Slow())
        coming = asyncio.create_task(room.seat(Next()))
        await asyncio.sleep(0)
        closing = asyncio.create_task(room.close())
        await asyncio.sleep(0)
        leave.set()
        with pytest.raises(Problem, match="is being closed"):
            await coming
        await closing
        assert room.voice.speaker is None
        with pytest.raises(Problem, match="is being closed"):
            await room.seat(Next())


async def test_nothing_at_all_is_finished_at_once() -> None:
    async with served() as (_, address), httpx.AsyncClient(timeout=PATIENCE_S) as web:
        assert (await web.post(f"http://{address}")).json() == {"state": "finished", "position_s": 0.0}


# --- a microphone over WHIP -----------------------------------------------------------------------------------


async def test_a_microphone_that_never_sends_anything_gives_way() -> None:
    engine = FakeEngine()
    rooms = make_rooms(engine)
    room = await rooms.get_or_open("main")
    now_ns = room.clock.now_ns
    peer = room._peer("publisher", loopback=True)
    mute = Microphone(peer, WhipSource(room.clock))
    room._microphones[peer.id] = mute
    await room.seat(mute)
    assert mute.idle_s(now_ns() + 60 * NS_PER_S) == 0, "it has yet to be connected"
    await room._connected(peer)
    later_ns = now_ns() + 2 * NS_PER_S
    assert mute.idle_s(later_ns) >= 2.0 > mute.patience_s
    assert (mute.source.silent_s(later_ns) or 0) >= 2.0, "the watchdog sees it, too"
    await mute.source.close()
    await peer.close()
    await rooms.close_all()


async def test_a_microphone_alone_speaks_beside_who_drives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien_webrtc.voice.Microphone.patience_s", PATIENCE_S)
    engine = FakeEngine()
    rooms = make_rooms(engine)
    async with http(make_app(rooms)) as web:
        client = Client(web, "/whip/main")
        client.pc.addTransceiver(AudioStreamTrack(), "sendonly")
        try:
            await client.connect()
            await until(lambda: len(engine.main.spoken) > 5)
            assert engine.main.attached is None
            assert isinstance(engine.main.voice, WhipSource)
            assert engine.main.voice.info.audio_rate == 48_000
            refused = await web.post("/api/sessions/main/voice", content=pcm(0.1))
            assert refused.status_code == 409
        finally:
            await client.leave()
        await until(lambda: engine.main.voice is None)
    await rooms.close_all()


async def test_the_command_lines_client_speaks_the_same() -> None:
    async def sound() -> AsyncGenerator[bytes]:
        for _ in range(4):
            yield pcm(0.05)

    async with served("server.token=word") as (engine, address):
        place = Place.of(f"http://{address.partition('/')[0]}/#token=word")
        assert await push(place, "main", sound(), {"rate": RATE}) == {"state": "finished", "position_s": 0.2}
        with pytest.raises(InputError, match="5 Hz"):
            await push(place, "main", sound(), {"rate": 5})
        with pytest.raises(InputError, match="no such session"):
            await push(place, "nobody", sound(), {})
        assert engine.main.heard_s == pytest.approx(0.2)


async def test_the_command_lines_client_is_silent_when_it_is_stopped() -> None:
    """At once, though megabytes of what it has sent wait in sockets."""

    async def endless() -> AsyncGenerator[bytes]:
        while True:
            yield pcm(1.0)

    async with served("plugin.webrtc.voice_buffer_s=1") as (engine, address):
        place = Place.of(address.partition("/")[0])
        speaking = asyncio.create_task(push(place, "main", endless(), {"rate": RATE}))
        await until(lambda: engine.main.heard_s > 0.1)
        stopped_at_s = engine.main.heard_s
        speaking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await speaking
        await until(lambda: engine.main.voice is None)
        assert engine.main.heard_s < stopped_at_s + 15
        assert engine.main.interruptions == 1
