"""The file source: pace, loops, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from av_clips import picture, tone, write_clip

from mien.clock import Clock, OfflineClock
from mien.errors import ConfigError, MediaError
from mien.frames import AudioFrame, VideoFrame
from mien.testing.context import FakeContext
from mien_av import file
from mien_av.file import FileSource

pytestmark = pytest.mark.plugin

MS = 1_000_000


class Leaping(Clock):
    """Time passes only by waiting for it, and then at once."""

    def __init__(self, start_ns: int = 0) -> None:
        self.time_ns = start_ns

    def now_ns(self) -> int:
        return self.time_ns

    async def sleep_until(self, when_ns: int) -> None:
        self.time_ns = max(self.time_ns, when_ns)
        await asyncio.sleep(0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    return str(write_clip(path, [picture(n) for n in range(10)], sound=tone(0.4)))


def threads() -> set[str]:
    return {t.name for t in threading.enumerate() if t.name.startswith("decode")}


async def test_offline_takes_every_frame_once_and_moves_the_clock(clip: str) -> None:
    clock = OfflineClock()
    source = FileSource(clip)
    await source.open(FakeContext(clock=clock, live=False))
    assert source.info.frames == 10
    frames = []
    async for frame in source.frames():
        assert clock.now_ns() >= frame.capture_ns
        frames.append(frame)
    await source.close()
    assert [f.capture_ns for f in frames if isinstance(f, VideoFrame)] == [40 * MS * n for n in range(10)]
    assert any(isinstance(f, AudioFrame) for f in frames)
    assert not threads()


async def test_live_is_paced_and_loops(clip: str) -> None:
    clock = Leaping(7000 * MS)
    source = FileSource(clip)
    await source.open(FakeContext(clock=clock, live=True))
    pictures = []
    async for frame in source.frames():
        assert clock.now_ns() >= frame.capture_ns
        if isinstance(frame, VideoFrame):
            pictures.append(frame)
            if len(pictures) == 25:
                break
    await source.close()
    assert [p.capture_ns - 7000 * MS for p in pictures] == [40 * MS * n for n in range(25)]
    assert [p.index for p in pictures] == list(range(25))
    assert not threads()


async def test_live_without_loop_ends(clip: str) -> None:
    source = FileSource(clip)
    await source.open(FakeContext(clock=Leaping(), live=True, settings={"loop": False}))
    count = 0
    async for frame in source.frames():
        count += isinstance(frame, VideoFrame)
    assert count == 10
    await source.close()


async def test_what_falls_behind_is_not_caught_up_with(clip: str) -> None:
    """A stall moves the rest of the clip back: late stamps would have every frame dropped."""
    clock = Leaping()
    source = FileSource(clip)
    await source.open(FakeContext(clock=clock, live=True))
    stamps = []
    async for frame in source.frames():
        if isinstance(frame, VideoFrame):
            stamps.append(frame.capture_ns)
            if len(stamps) == 3:
                clock.time_ns += 500 * MS
            if len(stamps) == 6:
                break
    await source.close()
    assert stamps[2] == 80 * MS
    assert stamps[3] >= 560 * MS
    assert stamps == sorted(stamps)
    assert stamps[5] - stamps[4] == 40 * MS


async def test_decoding_ahead_is_bounded_and_close_ends_it(
    clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "AHEAD", 2)
    source = FileSource(clip)
    await source.open(FakeContext(clock=Leaping(), live=True))
    frames = source.frames()
    await anext(frames)
    assert threads()
    await source.close()  # before the generator, as a cancelled session does
    assert not threads()
    await frames.aclose()


async def test_errors(tmp_path: Path, clip: str) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(Path(clip).read_bytes()[:2000])
    for path in (cut, tmp_path / "none.mp4"):
        source = FileSource(str(path))
        with pytest.raises(MediaError, match=path.name):
            await source.open(FakeContext())
        await source.close()
    with pytest.raises(ConfigError, match="Did you mean 'loop'"):
        await FileSource(clip).open(FakeContext(settings={"lop": True}))
    with pytest.raises(ConfigError, match="max_side"):
        await FileSource(clip).open(FakeContext(settings={"max_side": "big"}))


async def test_notices_reach_the_user(clip: str) -> None:
    context = FakeContext(settings={"max_side": 128})
    source = FileSource(clip)
    await source.open(context)
    assert "reduced" in context.notices[0]
    await source.close()
