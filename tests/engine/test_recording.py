"""Which file a recording becomes."""

from pathlib import Path

import pytest

from mien.clock import NS_PER_S
from mien.config import load_config
from mien.engine import Engine
from mien.errors import MediaError
from mien.recording import Recording
from mien.stage import Kind
from mien.testing.clock import VirtualClock
from mien.testing.stages import GreyRenderer, MemoryOutput
from world import FakeRegistry, avatar

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("alpha", "suffix"), [(False, ".mp4"), (True, ".webm")])
async def test_alpha_takes_another_kind_of_file(tmp_path, monkeypatch, alpha, suffix):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    paths, outputs = [], []

    def make(path):
        paths.append(Path(path))
        return MemoryOutput()

    async def add(output, plugin):
        outputs.append(output)

    async def remove(output):
        outputs.remove(output)
        paths[0].touch()

    recording = Recording("main", FakeRegistry({(Kind.OUTPUT, "file"): make}), add, remove, lambda: alpha)
    name = await recording.start()
    assert recording.running
    assert name == paths[0].stem
    assert paths[0].suffix == suffix
    assert len(outputs) == 1
    assert await recording.stop() == paths[0]
    assert not outputs


async def test_one_without_a_single_picture_is_no_file_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))

    async def nothing(*_):
        """Opened and closed; nothing came in between."""

    files = FakeRegistry({(Kind.OUTPUT, "file"): lambda path: MemoryOutput()})
    recording = Recording("main", files, nothing, nothing, lambda: True)
    await recording.start()
    with pytest.raises(MediaError, match="No picture was shown"):
        await recording.stop()
    assert not recording.running
    assert await recording.stop() is None


async def test_one_whose_output_failed_is_over_and_says_why_until_the_next(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    made = []

    def make(path):
        made.append(MemoryOutput())
        return made[-1]

    async def nothing(*_):
        """Opened and closed."""

    recording = Recording("main", FakeRegistry({(Kind.OUTPUT, "file"): make}), nothing, nothing, lambda: True)
    await recording.start()
    assert not recording.lost(MemoryOutput(), MediaError("Somebody else's."))
    assert recording.running
    assert recording.lost(made[0], MediaError("The disk is full."))
    assert not recording.running
    assert recording.lost_by == "The disk is full."
    await recording.start()
    assert recording.running
    assert recording.lost_by == ""
    assert recording.lost(made[1], MemoryError())
    assert recording.lost_by == "MemoryError"


class FullDisk(MemoryOutput):
    async def video(self, frame):
        raise MediaError("The disk is full.")


async def test_a_session_whose_file_fails_goes_on_and_says_that_it_records_no_more(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    files = [FullDisk(), MemoryOutput()]
    registry = FakeRegistry(
        {(Kind.RENDERER, "grey"): GreyRenderer, (Kind.OUTPUT, "file"): lambda path: files.pop(0)}
    )
    engine = Engine(load_config(None, ()), registry, clock := VirtualClock())
    clock._settled = lambda: engine.lanes.idle
    try:
        session = await engine.open_session("main", avatar=avatar())
        await session.start_recording()
        assert session.recording
        await clock.advance(NS_PER_S)
        assert not session.snapshot()["recording"]
        assert session.recording_lost_by == "The disk is full."
        assert await session.stop_recording() is None
        await session.start_recording()
        await clock.advance(NS_PER_S)
        assert session.recording
        assert session.recording_lost_by == ""
    finally:
        await engine.close()
