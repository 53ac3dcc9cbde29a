"""Which file a recording becomes."""

from pathlib import Path

import pytest

from mien.errors import MediaError
from mien.recording import Recording
from mien.stage import Kind
from mien.testing.stages import MemoryOutput
from world import FakeRegistry

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
