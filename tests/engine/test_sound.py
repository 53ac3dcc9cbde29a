"""The sound delay follows the pictures' latency."""

import asyncio
import itertools

import pytest

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
    for n in range(50, 150):
        delay.put(beep(n))
        await clock.advance(20 * MS)
    await clock.advance(200 * MS)
    waits = [at - capture for capture, at in out]
    steps = [b - a for a, b in itertools.pairwise(waits)]
    assert max(steps) <= 5 * MS, "it moves smoothly"
    assert waits[-1] == pytest.approx(100 * MS, abs=1 * MS)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_stalled_clock_never_piles_up_sound():
    clock = VirtualClock()
    delay = SoundDelay(clock, lambda: 0.0, lambda f: None)
    for n in range(500):
        delay.put(beep(n))
    assert delay.dropped == 500 - LONGEST_NS // (20 * MS) - 1
