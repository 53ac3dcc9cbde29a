"""The sound delay follows the pictures' latency."""

import asyncio
import itertools

import numpy as np
import pytest

from mien.clock import NS_PER_S
from mien.frames import AudioFrame
from mien.sound import LONGEST_NS, SoundDelay
from mien.testing.clock import VirtualClock
from world import MS, beep

pytestmark = pytest.mark.unit


async def test_sound_waits_as_long_as_the_picture_takes():
    clock, latency, out = VirtualClock(), [60.0 * MS], []
    delay = SoundDelay(clock, lambda: latency[0], lambda f: out.append((f.capture_ns, clock.now_ns())))
    task = asyncio.create_task(delay.run())
    for n in range(50):
        delay.put(beep(n))
        await clock.advance(20 * MS)
    assert [capture for capture, _ in out] == [n * 20 * MS for n in range(len(out))]
    assert len(out) >= 46
    assert all(at - capture == 60 * MS for capture, at in out)
    latency[0] = 100.0 * MS
    for n in range(50, 100):
        delay.put(beep(n))
        await clock.advance(20 * MS)
    waits = [at - capture for capture, at in out]
    steps = [b - a for a, b in itertools.pairwise(waits)]
    assert 0 < max(steps) <= MS // 10, "nobody hears it"
    for n in range(100, 110):
        delay.put(beep(n, level=0.0))
        await clock.advance(20 * MS)
    await clock.advance(200 * MS)
    waits = [at - capture for capture, at in out]
    assert max(b - a for a, b in itertools.pairwise(waits)) <= 10 * MS
    assert waits[-1] == pytest.approx(100 * MS, abs=1 * MS), "a breath is enough"
    assert len(out) == 110
    latency[0] = 200.0 * MS
    delay.clear()
    delay.put(beep(200))
    await clock.advance(5 * NS_PER_S)
    assert out[-1][1] - out[-1][0] == 200 * MS, "another voice begins with the right delay"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("dbfs", [-70, -60, -52, -45])
async def test_in_a_room_as_rooms_are_a_breath_is_enough_as_well(dbfs):
    rng, clock, latency = np.random.default_rng(6), VirtualClock(), [40.0 * MS]
    delay = SoundDelay(clock, lambda: latency[0], lambda f: None)
    task = asyncio.create_task(delay.run())
    voice = np.sin(np.arange(960) / 40)[:, None] * 0.1
    at = []
    for n in range(150):
        latency[0] = (40.0 if n < 100 else 100.0) * MS
        hum = rng.normal(size=(960, 1)) * 10 ** (dbfs / 20)
        speaks = n % 75 < 60  # 1.2 s, and a breath of 0.3 s
        delay.put(AudioFrame((hum + voice * speaks).astype(np.float32), 48000, n * 20 * MS))
        await clock.advance(20 * MS)
        at.append(delay.delay_ns)
    assert at[130] < 46 * MS, "not while anybody speaks"
    assert at[-1] == pytest.approx(100 * MS, abs=MS)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_was_forgotten_holds_up_nobody():
    clock, latency, out = VirtualClock(), [200.0 * MS], []
    delay = SoundDelay(clock, lambda: latency[0], lambda f: out.append(clock.now_ns()))
    task = asyncio.create_task(delay.run())
    delay.put(beep(0))
    heard_out = asyncio.create_task(delay.handed_over())
    await clock.advance(10 * MS)
    latency[0] = 40.0 * MS
    delay.clear()
    delay.put(beep(1))
    await clock.advance(60 * MS)
    assert out == [60 * MS]
    assert heard_out.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_knows_where_the_sound_ends_that_was_handed_over():
    clock = VirtualClock()
    delay = SoundDelay(clock, lambda: 100.0 * MS, lambda f: None)
    task = asyncio.create_task(delay.run())
    assert delay.delivered_end_ns is None
    for n in range(20):
        delay.put(beep(n))
    await clock.advance(205 * MS)
    delay.clear()
    assert delay.delivered_end_ns == 120 * MS
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_stalled_clock_never_piles_up_sound():
    clock = VirtualClock()
    delay = SoundDelay(clock, lambda: 0.0, lambda f: None)
    for n in range(500):
        delay.put(beep(n))
    assert delay.dropped == 500 - LONGEST_NS // (20 * MS) - 1
