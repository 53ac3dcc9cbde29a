"""Flashes and beeps through a whole session, in virtual time: both leave together, and belong together."""

import itertools

import numpy as np
import pytest

from mien.clock import NS_PER_MS, NS_PER_S
from mien.testing.flashes import EVERY_NS, FlashSource
from mien.testing.stages import MemoryOutput
from world import world

pytestmark = pytest.mark.unit


class Clapper(MemoryOutput):
    """Notes when each picture came."""

    def __init__(self):
        super().__init__()
        self.picture_times = []

    async def video(self, frame):
        await super().video(frame)
        self.picture_times.append(self._clock.now_ns())

    def flashes(self):
        """(capture, when it came) of each first white picture."""
        pictures = [
            (p.pixels.mean() > 100, p.capture_ns, at)
            for p, at in zip(self.pictures, self.picture_times, strict=True)
        ]
        return [b[1:] for a, b in itertools.pairwise(pictures) if b[0] and not a[0]]

    def beeps(self):
        """(capture, when it was to be played) of the first sample of each tone."""
        found, silent = [], 0
        for frame, at in zip(self.sound, self.sound_times, strict=True):
            for index in np.flatnonzero(np.abs(frame.samples[:, 0]) > 0.1)[:1]:
                offset = int(index) * NS_PER_S // frame.rate
                if silent > 5:
                    found.append((frame.capture_ns + offset, at + offset))
                silent = -1
            silent += 1
        return found


@pytest.mark.parametrize(("voice", "shift_ms"), [(False, 0.0), (False, 80.0), (False, -40.0), (True, 0.0)])
async def test_sound_and_picture_leave_together(voice, shift_ms):
    async with world() as w:
        session = await w.engine.open_session("main")
        await session.add_output(output := Clapper())
        await session.attach_source(FlashSource(shift_ms, voice=voice))
        await w.clock.advance(round(2.9 * NS_PER_S))
        flashes, beeps = output.flashes()[-2:], output.beeps()[-2:]
        for (flash, shown), (beep, played) in zip(flashes, beeps, strict=True):
            assert abs(beep - flash - shift_ms * NS_PER_MS) <= 1 * NS_PER_MS, "stamps tell the truth"
            assert abs(played - shown - shift_ms * NS_PER_MS) <= 21 * NS_PER_MS, (
                "sound takes 20 ms to be there"
            )
        assert flashes[1][0] - flashes[0][0] == EVERY_NS
