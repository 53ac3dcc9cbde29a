"""The MP4 output: timing, sync, provenance, and that nothing is left half-written."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av_clips import RATE, picture, square_x, tone

from mien.errors import MediaError
from mien.frames import AudioFrame, VideoFrame
from mien.testing.context import FakeContext
from mien_av import muxing, videofile
from mien_av.clip import Clip
from mien_av.provenance import SYNTHETIC, append_digital_source_type, read_digital_source_type
from mien_av.videofile import VideoFileOutput

pytestmark = pytest.mark.plugin

MS = 1_000_000
START = 5_000_000 * MS  # live clocks don't start at zero


def shown(n: int, time_ms: float) -> VideoFrame:
    return VideoFrame(picture(n), START + round(time_ms * MS), index=n)


def heard(samples: np.ndarray, time_ms: float, rate: int = RATE) -> AudioFrame:
    return AudioFrame(samples, rate, START + round(time_ms * MS))


async def written(path: Path, frames: list[VideoFrame | AudioFrame], **context: object) -> list[str]:
    """Write `frames`; returns the notices."""
    fake = FakeContext(**context)  # type: ignore[arg-type]
    output = VideoFileOutput(str(path))
    await output.open(fake)
    for frame in frames:
        await (output.video(frame) if isinstance(frame, VideoFrame) else output.audio(frame))
    await output.close()
    return fake.notices


def pieces(sound: np.ndarray, start_ms: float = 0.0, size: int = 960, rate: int = RATE) -> list[AudioFrame]:
    return [
        heard(sound[at : at + size].copy(), start_ms + 1000 * at / rate, rate)
        for at in range(0, len(sound), size)
    ]


def sound_of(path: Path) -> np.ndarray:
    """(N,) float32 at 48 kHz, its first sample at media time 0."""
    frames = list(Clip(path).sound())
    out = np.zeros(10 * RATE, np.float32)
    for frame in frames:
        start = round(frame.capture_ns * RATE / 1e9)
        out[start : start + len(frame.samples)] = frame.samples[:, 0]
    return out


async def test_every_picture_with_its_own_time(tmp_path: Path) -> None:
    times = [0, 40, 73.3, 200, 201, 900]
    path = tmp_path / "out.mp4"
    await written(path, [shown(n, t) for n, t in enumerate(times)])
    pictures = list(Clip(path).pictures())
    assert [p.capture_ns / MS for p in pictures] == pytest.approx(times, abs=0.05)
    for n, frame in enumerate(pictures):
        assert square_x(frame.pixels) == pytest.approx(4 * n, abs=1.5)
        # BT.709 in and out: colours survive.
        assert np.abs(frame.pixels.astype(int) - picture(n)).mean() < 4
    with av.open(str(path)) as container:
        assert [s.type for s in container.streams] == ["video"]
        assert "Synthetic" in container.metadata["comment"]
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


async def test_pictures_that_do_not_advance_are_still_shown(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    await written(path, [shown(0, 0), shown(1, 40), shown(2, 40), shown(3, 30), shown(4, 80)])
    times = [p.capture_ns for p in Clip(path).pictures()]
    assert len(times) == 5
    assert times == sorted(set(times))


async def test_odd_sizes_and_a_change_of_size(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    frames = [VideoFrame(picture(n, 121, 91), n * 40 * MS) for n in range(3)]
    frames += [VideoFrame(picture(n, 200, 150), n * 40 * MS) for n in range(3, 6)]
    await written(path, list(frames))
    assert {p.pixels.shape for p in Clip(path).pictures()} == {(90, 120, 3)}


@pytest.mark.parametrize("wide_first", [True, False])
async def test_a_file_keeps_its_shape_and_nobody_in_it_is_squeezed(
    tmp_path: Path, *, wide_first: bool
) -> None:
    wide = np.zeros((90, 160, 3), np.uint8)
    wide[20:70, 55:105] = 255
    square = wide[:, 35:125].copy()
    pixels = [wide, square] if wide_first else [square, wide]
    path = tmp_path / "out.mp4"
    await written(path, [VideoFrame(one, n * 40 * MS) for n, one in enumerate(pixels)])
    before, after = (p.pixels for p in Clip(path).pictures())
    assert before.shape == pixels[0].shape
    np.testing.assert_allclose(after, pixels[0], atol=24)


async def test_sound_is_in_sync(tmp_path: Path) -> None:
    """A click is heard when the picture turns white."""
    sound = np.zeros((2 * RATE, 1), np.float32)
    sound[RATE : RATE + 960] = 0.8
    frames: list[VideoFrame | AudioFrame] = [
        VideoFrame(np.full((96, 96, 3), 255 if 1000 <= 40 * n < 1040 else 0, np.uint8), START + 40 * n * MS)
        for n in range(50)
    ]
    frames += pieces(sound)
    frames.sort(key=lambda frame: frame.capture_ns)
    path = tmp_path / "out.mp4"
    await written(path, frames)
    flash = next(p.capture_ns for p in Clip(path).pictures() if p.pixels.mean() > 128)
    click = int(np.argmax(np.abs(sound_of(path)) > 0.3))
    assert flash == 1000 * MS
    assert click / RATE == pytest.approx(1.0, abs=0.005)


async def test_sound_before_the_first_picture_is_cut_and_gaps_are_silent(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    frames: list[VideoFrame | AudioFrame] = [*pieces(tone(0.5), -200)]
    frames += [shown(n, 40 * n) for n in range(50)]
    frames += pieces(tone(0.4), 1000)
    await written(path, frames)
    level = np.abs(sound_of(path)[: 2 * RATE]).reshape(-1, RATE // 20).max(axis=1)  # per 50 ms
    assert (level[1:5] > 0.4).all()  # what remains of the first half second, to 300 ms
    assert (level[8:19] < 0.02).all()
    assert (level[21:27] > 0.4).all()


async def test_jitter_of_time_stamps_does_not_break_the_sound(tmp_path: Path) -> None:
    dice = np.random.default_rng(1)
    path = tmp_path / "out.mp4"
    frames: list[VideoFrame | AudioFrame] = [shown(n, 40 * n) for n in range(25)]
    frames += [
        AudioFrame(piece.samples, RATE, piece.capture_ns + int(dice.integers(-10, 10)) * MS)
        for piece in pieces(tone(1.0), 20)
    ]
    await written(path, frames)
    sound = sound_of(path)[RATE // 10 : RATE * 9 // 10]
    steps = np.abs(np.diff(sound))
    assert steps.max() < 0.5 * 2 * np.pi * 440 / RATE * 1.5  # no clicks: never steeper than the tone


async def test_other_rates_and_channels(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    frames: list[VideoFrame | AudioFrame] = [shown(n, 40 * n) for n in range(25)]
    frames += pieces(tone(1.0, 16_000), size=320, rate=16_000)
    await written(path, frames)
    spectrum = np.abs(np.fft.rfft(sound_of(path)[8000:32000]))
    assert np.argmax(spectrum) * 2 == pytest.approx(440, abs=4)


async def test_the_note_that_it_is_synthetic(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    for frames in ([shown(0, 0)], [shown(0, 0), *pieces(tone(0.1))]):
        await written(path, list(frames))
        assert read_digital_source_type(path) == SYNTHETIC
        assert SYNTHETIC.startswith("http://cv.iptc.org/newscodes/digitalsourcetype/")
        assert list(Clip(path).play())


def test_no_note_where_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "plain.mp4"
    for data in (b"", b"text", bytes(100), b"\0\0\0\x18ftypisom" + bytes(12) + b"\0\0\0\x09uuid" + bytes(20)):
        path.write_bytes(data)
        assert read_digital_source_type(path) is None
    append_digital_source_type(path, "http://example.org/x")
    assert read_digital_source_type(path) is None or path.stat().st_size > 500


# --- what goes wrong ---------------------------------------------------------------------------------------


async def test_until_it_is_finished_there_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"older")
    output = VideoFileOutput(str(path))
    await output.open(FakeContext())
    for n in range(5):
        await output.video(shown(n, 40 * n))
    assert path.read_bytes() == b"older"
    await output.abandon()
    assert path.read_bytes() == b"older"
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]
    await output.close()


async def test_without_pictures_there_is_no_file(tmp_path: Path) -> None:
    await written(tmp_path / "out.mp4", list(pieces(tone(0.2))))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "says"),
    [("out.avi", "Name it out.mp4"), ("no/out.mp4", "no folder"), ("dir.mp4", "is a folder")],
)
async def test_names_that_cannot_be(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "dir.mp4").mkdir()
    output = VideoFileOutput(str(tmp_path / name))
    with pytest.raises(MediaError, match=says):
        await output.open(FakeContext())
    await output.close()
    assert [p.name for p in tmp_path.iterdir()] == ["dir.mp4"]


@pytest.fixture
def disk_full(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, frame: object) -> None:
        raise av.error.OSError(errno.ENOSPC, "No space left on device", "out.mp4")

    monkeypatch.setattr(muxing.Muxer, "picture", fail)


@pytest.mark.usefixtures("disk_full")
@pytest.mark.parametrize("count", [1, 300])
async def test_a_full_disk_is_told_and_holds_nobody_up(tmp_path: Path, count: int) -> None:
    output = VideoFileOutput(str(tmp_path / "out.mp4"))
    await output.open(FakeContext())

    async def write() -> None:
        for n in range(count):
            await output.video(shown(n % 8, 40 * n))
        await output.close()

    with pytest.raises(MediaError, match="No space left"):
        await write()
    await output.abandon()
    assert not list(tmp_path.iterdir())


@pytest.fixture
async def held(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[], None]]:
    """An encoder that stands still until the fixture's value is called."""
    go = threading.Event()
    encode = muxing.Muxer.picture

    def wait(self: muxing.Muxer, frame: VideoFrame) -> None:
        go.wait()
        encode(self, frame)

    monkeypatch.setattr(muxing.Muxer, "picture", wait)
    yield go.set
    go.set()


async def test_live_drops_and_counts_what_does_not_fit(tmp_path: Path, held: Callable[[], None]) -> None:
    path = tmp_path / "out.mp4"
    output = VideoFileOutput(str(path))
    await output.open(FakeContext(live=True))
    for n in range(videofile.CAPACITY + 11):
        await output.video(shown(n, 40 * n))
    (dropped,) = output.dropped.values()
    assert 10 <= dropped <= 11  # one may be in the encoder's hands
    held()
    await output.close()
    assert len(list(Clip(path).pictures())) == videofile.CAPACITY + 11 - dropped


async def test_offline_waits_for_room(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    await written(path, [shown(n, 40 * n) for n in range(3 * videofile.CAPACITY)])
    assert len(list(Clip(path).pictures())) == 3 * videofile.CAPACITY


async def test_one_that_is_cancelled_while_it_opens_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, made = threading.Event(), threading.Event(), muxing.Muxer

    def slow(*arguments: Any, **options: Any) -> muxing.Muxer:
        begun.set()
        assert go_on.wait(30)
        return made(*arguments, **options)

    monkeypatch.setattr(muxing, "Muxer", slow)
    output = VideoFileOutput(str(tmp_path / "out.mp4"))
    opening = asyncio.create_task(output.open(FakeContext(live=True)))
    assert await asyncio.to_thread(begun.wait, 30)
    opening.cancel()
    asyncio.get_running_loop().call_later(0.05, go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await opening
    await output.abandon()
    go_on.set()
    assert not list(tmp_path.iterdir())
    assert not [thread for thread in threading.enumerate() if thread.name == "write out.mp4"]


async def test_closing_what_was_never_opened(tmp_path: Path) -> None:
    output = VideoFileOutput(str(tmp_path / "out.mp4"))
    await output.close()
    await output.abandon()
