"""Outputs of motion: each picture's driven face reaches those that take it, and nobody else."""

import numpy as np
import pytest

from mien.clock import NS_PER_S
from mien.stage import Driven
from mien.testing.stages import MemoryOutput, ScriptedSource
from world import pose, world

pytestmark = pytest.mark.unit


class MotionOutput(MemoryOutput):
    def __init__(self) -> None:
        super().__init__()
        self.faces: list[Driven] = []

    async def face(self, driven: Driven) -> None:
        self.faces.append(driven)


async def test_the_motion_of_every_picture_comes_with_its_time():
    async with world() as w:
        session = await w.engine.open_session("main")
        output, other = MotionOutput(), MemoryOutput()
        await session.add_output(output)
        await session.add_output(other)
        await session.drive(lambda: ScriptedSource([pose(n) for n in range(25)]))
        await w.clock.advance(NS_PER_S)
        assert [d.params.capture_ns for d in output.faces] == [p.capture_ns for p in output.pictures]
        assert len(output.faces) >= 25
        assert all(d.avatar is session.avatar.content.subject for d in output.faces)
        drawn = {params.capture_ns: params for params in w.renderers[0].rendered}
        for driven in output.faces:
            np.testing.assert_array_equal(
                driven.params.expression, drawn[driven.params.capture_ns].expression
            )


async def test_an_emotion_of_the_controls_is_in_the_motion():
    async with world() as w:
        session = await w.engine.open_session("main")
        output = MotionOutput()
        await session.add_output(output)
        session.update_controls({"emotion": {"surprised": 1.0}})
        await w.clock.advance(2 * NS_PER_S)
        first, last = output.faces[0].params.expression, output.faces[-1].params.expression
        assert np.abs(last - first).max() > 0.5
        session.update_controls({"emotion": {"surprised": None}})
        assert session.controls.emotion == {}
        await w.clock.advance(2 * NS_PER_S)
        assert np.abs(output.faces[-1].params.expression - first).max() < 0.4
