"""A session's outputs: closed to the end, whatever else happens."""

import asyncio

import numpy as np
import pytest

from mien.errors import CapacityError, DeviceError
from mien.frames import VideoFrame
from mien.losses import Losses
from mien.outputs import Outputs
from mien.testing.context import FakeContext
from mien.testing.stages import MemoryOutput
from world import MS, world

pytestmark = pytest.mark.unit


async def test_an_output_that_failed_is_closed_to_the_end_though_its_session_closes():
    gate = asyncio.Event()

    class Failing(MemoryOutput):
        async def video(self, frame):
            raise DeviceError("the disk is full; make room")

        async def close(self):
            await gate.wait()
            await super().close()

    async with world() as w:
        session = await w.engine.open_session("main")
        await session.add_output(failing := Failing())
        await w.clock.advance(300 * MS)
        assert any("disk is full" in n.text for n in session.board.recent)
        closing = asyncio.create_task(w.engine.close_session("main"))
        await asyncio.sleep(0)
        gate.set()
        await closing
        assert failing.closed == 1


async def test_an_output_that_is_open_only_after_its_session_closed_is_given_up():
    opening, gate = asyncio.Event(), asyncio.Event()

    class Slow(MemoryOutput):
        abandoned = 0

        async def open(self, context):
            opening.set()
            await gate.wait()
            await super().open(context)

        async def abandon(self):
            self.abandoned += 1

    async with world() as w:
        session = await w.engine.open_session("main")
        adding = asyncio.create_task(session.add_output(slow := Slow()))
        await opening.wait()
        await w.engine.close_session("main")
        gate.set()
        with pytest.raises(CapacityError, match="has ended"):
            await adding
        assert slow.abandoned == 1


def transparent():
    pixels = np.full((4, 4, 3), 200, np.uint8)
    return VideoFrame(pixels, 1, alpha=np.zeros((4, 4), np.uint8), backdrop=(1, 2, 3))


class Waiting(MemoryOutput):
    """Says when it has got a picture."""

    def __init__(self):
        super().__init__()
        self.got = asyncio.Event()

    async def video(self, frame):
        await super().video(frame)
        self.got.set()


class Knowing(Waiting):
    """Understands alpha."""

    @property
    def takes_alpha(self):
        return True


@pytest.mark.parametrize("pumped", [False, True])
async def test_only_who_understands_alpha_gets_any(pumped):
    errors = []
    outputs = Outputs(lambda output, error: errors.append(error), Losses())
    plain, knowing = Waiting(), Knowing()
    for output in (plain, knowing):
        await outputs.add(output, FakeContext(), pumped=pumped)
    if pumped:
        outputs.video(transparent())
        async with asyncio.timeout(30):
            await asyncio.gather(plain.got.wait(), knowing.got.wait())
    else:
        await outputs.write_video(transparent())
    await outputs.close()
    (flat,), (whole,) = plain.pictures, knowing.pictures
    assert flat.alpha is None
    assert (flat.pixels == (1, 2, 3)).all()
    assert whole.alpha is not None
    assert not errors
