"""Sound as it should not be, pushed through a whole session to the network that ships: the mouth is shut when nobody
speaks, moves when somebody does, and the pictures go on whatever comes.
"""

from __future__ import annotations

import itertools
import shutil

import numpy as np
import pytest

from mien.clock import NS_PER_S
from mien.face.lips import parted
from mien.frames import Float
from mien.stage import Context, Kind
from mien.testing.context import FakeContext
from mien.testing.stages import MemoryOutput
from mien.voice.listener import SpeechListener
from mien_webrtc.pushing import Event, Playing, PushSource
from world import INTERVAL, MS, World, world

onnx = pytest.importorskip("mien_onnxruntime.runtime", exc_type=ImportError)

pytestmark = pytest.mark.plugin

RATE = 16_000
T = np.arange(3 * RATE) / RATE
RNG = np.random.default_rng(0)


class Listens(SpeechListener):
    """As it ships, on a runtime that the small world lacks."""

    def open(self, context: Context) -> None:
        super().open(FakeContext(fps=context.fps, services={Kind.RUNTIME: onnx.OnnxRuntime}))


async def pushed(w: World, sound: Float) -> tuple[list[Event], MemoryOutput]:
    """What a program is told that pushes sound, (N,), as it comes, and a second of silence after it."""
    w.clock.work_ns = w.clock.now_ns  # type: ignore[method-assign] # on a busy machine, too, work takes no time
    w.engine.registry._factories[Kind.LISTENER, "loud"] = Listens  # type: ignore[attr-defined]
    session = await w.engine.open_session("main")
    await session.add_output(output := MemoryOutput())
    events: list[Event] = []
    source = PushSource(w.clock, events.append)
    await session.attach_voice(source)
    for piece in np.array_split(sound.astype(np.float32)[:, None], max(len(sound) // 4000, 1)):
        source.push(piece, RATE)
        await w.clock.advance(len(piece) * NS_PER_S // RATE)
    source.flush()
    await w.clock.advance(NS_PER_S)
    assert not [notice for notice in session.board.recent if notice.level == "error"]
    times = [picture.capture_ns for picture in output.pictures]
    assert max(b - a for a, b in itertools.pairwise(times)) <= 3 * INTERVAL, "the pictures go on"
    return events, output


def openings(w: World) -> Float:
    return np.array([parted(params.expression) for params in w.renderers[-1].rendered])


def chords() -> Float:
    since = T % 0.5
    struck = sum(np.sin(2 * np.pi * hz * n * T) / n**2 for hz in (262, 330, 392) for n in range(1, 6))
    return np.asarray(0.1 * struck * np.exp(-since / 0.25))


NOBODY = {
    "silence": np.zeros(len(T)),
    "tone": 0.2 * np.sin(2 * np.pi * 1000 * T),
    "noise": RNG.normal(size=len(T)) * 0.05,
    "offset": np.full(len(T), 0.3),
    "music": chords(),
}

UNUSUAL = ("noise", "music")
"""What nobody can tell from a voice at once."""
BEGINNING = 50
"""Pictures."""


@pytest.mark.parametrize("what", NOBODY)
async def test_where_nobody_speaks_the_mouth_comes_to_rest(what: str) -> None:
    async with world() as w:
        events, _ = await pushed(w, NOBODY[what])
        opening = openings(w)
        assert opening[:BEGINNING].max() < (0.5 if what in UNUSUAL else 0.05)
        assert opening[BEGINNING:].max() < (0.3 if what in UNUSUAL else 0.05)
        assert opening[-5:].max() < 0.05
        assert events[-1].playing is Playing.FINISHED


def spoken(text: str, voice: str = "en-us+f2") -> Float:
    from mien_train.espeak import Speaker

    said = Speaker().say(text, voice)
    return np.asarray(
        np.interp(
            np.arange(0, len(said.samples), said.rate / RATE), np.arange(len(said.samples)), said.samples
        )
    )


def both(one: Float, other: Float) -> Float:
    count = max(len(one), len(other))
    return np.pad(one, (0, count - len(one))) + np.pad(other, (0, count - len(other)))


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
@pytest.mark.parametrize("how", ["clipped", "with an offset", "two at once"])
async def test_a_voice_is_heard_however_bad_it_is_and_then_the_mouth_shuts(how: str) -> None:
    one = spoken("My father bought a car.")
    sound = {
        "clipped": np.clip(8 * one, -0.9, 0.9),
        "with an offset": 0.5 * one + 0.3,
        "two at once": 0.4 * both(one, spoken("Who put a pumpkin there?", "en-us+m3")),
    }[how]
    async with world() as w:
        events, output = await pushed(w, np.clip(sound, -1, 1))
        opening = openings(w)
        assert opening.max() > 0.5
        assert opening[-5:].max() < 0.05
        assert [event.playing for event in events] == [Playing.STARTED, Playing.FINISHED]
        assert sum(len(sound.samples) for sound in output.sound) >= len(one)


async def test_one_that_stalls_and_one_that_is_too_fast_hold_up_nobody() -> None:
    async with world() as w:
        session = await w.engine.open_session("main")
        await session.add_output(output := MemoryOutput())
        events: list[Event] = []
        source = PushSource(w.clock, events.append, buffer_s=2.0)
        await session.attach_voice(source)
        second = np.full((RATE, 1), 0.5, np.float32)
        source.push(second, RATE)
        await w.clock.advance(3 * NS_PER_S)
        assert [event.playing for event in events] == [Playing.STARTED, Playing.STARVED]
        assert w.renderers[-1].rendered[-1].expression[17] < 0.05, "shut while it stalls"
        taken = [source.push(second, RATE) for _ in range(60)]
        assert 3 <= sum(taken) <= 4
        assert events[-1].playing is Playing.FULL
        assert source.queued_s <= 4.0
        await w.clock.advance(2 * NS_PER_S)
        assert source.queued_s == pytest.approx(2.0, abs=0.2), "played in its time however fast it came"
        source.clear()
        session.interrupt_voice()
        await w.clock.advance(100 * MS)
        assert w.renderers[-1].rendered[-1].expression[17] < 0.05
        assert session.snapshot()["dropped"]["pushed faster than played"] == 60 - sum(taken)
        times = [picture.capture_ns for picture in output.pictures]
        assert max(b - a for a, b in itertools.pairwise(times)) <= 3 * INTERVAL
