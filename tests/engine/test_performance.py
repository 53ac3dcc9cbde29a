"""Performance files: what is written is read, whatever happens to the file on the way."""

import errno
import io
import json
import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from performers import somebody

from mien.clock import NS_PER_S, Clock
from mien.drive.sources import PerformanceSource
from mien.errors import InputError, PackageError
from mien.face.rig import ARKIT_NAMES
from mien.face.subject import Subject
from mien.frames import DETAIL, AudioFrame, FaceParams
from mien.performance.pcm import SoundFormat
from mien.performance.reader import PerformanceReader
from mien.performance.writer import PerformanceWriter
from mien.testing.context import FakeContext

pytestmark = pytest.mark.unit

GROUPS = ("rotation", "translation", "expression", "gaze", "light")
FRAME_NS = 40_000_000
START_NS = 123_000_000_000


def some_frames(count: int = 30) -> list[FaceParams]:
    rng = np.random.default_rng(1)
    return [
        FaceParams(
            START_NS + i * FRAME_NS,
            rng.normal(size=3).astype(np.float32),
            rng.normal(size=3).astype(np.float32),
            rng.random(52).astype(np.float32),
            rng.normal(size=(2, 2)).astype(np.float32),
            rng.normal(size=(9, 3)).astype(np.float32),
            confidence=0.5,
            index=i,
        )
        for i in range(count)
    ]


def written(path: Path, frames: Sequence[FaceParams] | None = None) -> Path:
    with PerformanceWriter(path, somebody(), 25.0) as writer:
        for frame in frames or some_frames():
            writer.add(frame)
    return path


def assert_same(one: FaceParams, other: FaceParams) -> None:
    for name in GROUPS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (one.capture_ns, one.index, one.confidence) == (other.capture_ns, other.index, other.confidence)


def assert_same_subject(one: Subject, other: Subject) -> None:
    assert (one.model, one.camera, one.epoch) == (other.model, other.camera, other.epoch)
    for name in ("identity", "offsets", "neutral", "gains", "rest_rotation", "rest_translation", "rest_gaze"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_round_trip_is_exact(tmp_path: Path) -> None:
    frames = some_frames()
    with PerformanceReader(written(tmp_path / "a.performance", frames)) as reader:
        assert (len(reader), reader.fps, reader.complete, reader.notice) == (30, 25.0, True, "")
        assert reader.duration_s == pytest.approx(30 / 25)
        assert_same_subject(reader.subject, somebody())
        for _ in range(2):
            for read, frame in zip(reader, frames, strict=True):
                assert_same(read, frame)


def test_the_header_can_be_read_with_any_tool(tmp_path: Path) -> None:
    line = written(tmp_path / "a.performance").read_bytes().split(b"\n", 1)[0]
    header = json.loads(line)
    assert (header["format"], header["version"], header["fps"]) == ("mien-performance", 1, 25.0)
    assert tuple(header["expressions"]) == ARKIT_NAMES


def test_sound_and_a_new_subject_come_in_their_place(tmp_path: Path) -> None:
    sound = AudioFrame(np.linspace(-1, 1, 1920, dtype=np.float32).reshape(960, 2), 48000, START_NS)
    frames = some_frames(3)
    with PerformanceWriter(tmp_path / "a.performance", somebody(), 25, SoundFormat(48000, 2)) as writer:
        writer.add(frames[0])
        writer.add_sound(sound)
        writer.set_subject(somebody(1))
        writer.add(frames[1])
    with PerformanceReader(tmp_path / "a.performance") as reader:
        first, heard, subject, second = reader.events()
    assert isinstance(first, FaceParams)
    assert isinstance(heard, AudioFrame)
    assert isinstance(subject, Subject)
    assert isinstance(second, FaceParams)
    np.testing.assert_allclose(heard.samples, sound.samples, atol=1 / 32767)
    assert (heard.rate, heard.capture_ns) == (48000, START_NS)
    assert_same_subject(subject, somebody(1))


def test_seeking_skips_what_comes_before(tmp_path: Path) -> None:
    with PerformanceReader(written(tmp_path / "a.performance")) as reader:
        first = next(reader.events(start_s=0.5))
    assert isinstance(first, FaceParams)
    assert first.index == 13


def test_nothing_is_under_its_name_before_it_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "a.performance"
    writer = PerformanceWriter(path, somebody(), 25)
    writer.add(some_frames(1)[0])
    assert not path.exists()
    writer.close()
    writer.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.performance"]


def test_a_failed_recording_leaves_nothing_and_keeps_the_old_one(tmp_path: Path) -> None:
    path = written(tmp_path / "a.performance")
    before = path.read_bytes()

    def fail() -> None:
        with PerformanceWriter(path, somebody(), 25) as writer:
            writer.add(some_frames(1)[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_after_a_crash_the_part_can_be_read(tmp_path: Path) -> None:
    writer = PerformanceWriter(tmp_path / "a.performance", somebody(), 25)
    for frame in some_frames(10):
        writer.add(frame)
    with PerformanceReader(tmp_path / "a.performance.part") as reader:
        assert len(list(reader)) == 10
        assert "10 frames were recovered" in reader.notice
    writer.abandon()


def test_two_writers_of_one_name_keep_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.performance"
    first, second = PerformanceWriter(path, somebody(), 25), PerformanceWriter(path, somebody(), 25)
    for writer, count in ((first, 3), (second, 2)):
        for frame in some_frames(count):
            writer.add(frame)
    second.close()
    with PerformanceReader(path) as reader:
        assert len(reader) == 2
    first.abandon()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.performance"]


@pytest.mark.parametrize("fps", [0, -1, 1000, 6000, float("nan"), float("inf")])
def test_a_rate_that_no_reader_takes_is_not_written(tmp_path: Path, fps: float) -> None:
    with pytest.raises(InputError, match="frames per second"):
        PerformanceWriter(tmp_path / "a.performance", somebody(), fps)
    assert not list(tmp_path.iterdir())


class FullDisk(io.BytesIO):
    """Has room for so many bytes."""

    def __init__(self, path: Path, room: int) -> None:
        super().__init__()
        self.room = room
        self.behind = os.open(path, os.O_WRONLY)

    def flush(self) -> None:
        if not self.closed and len(self.getvalue()) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")

    def fileno(self) -> int:
        return self.behind

    def close(self) -> None:
        if not self.closed:
            os.close(self.behind)
            try:
                self.flush()  # as a buffered file does
            finally:
                super().close()


@pytest.mark.parametrize("missing", [10, 30, 1 << 30], ids=["for its end", "for a frame", "for the header"])
def test_a_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: int
) -> None:
    size = written(tmp_path / "whole.performance", some_frames(3)).stat().st_size
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", lambda path, _mode: FullDisk(path, size - missing))
        with pytest.raises(PackageError, match=r"Cannot write .*a\.performance.*Make room"):
            written(tmp_path / "a.performance", some_frames(3))
    assert [entry.name for entry in tmp_path.iterdir()] == ["whole.performance"]


@pytest.mark.parametrize(
    "bad",
    [
        {"expression": np.full(52, np.nan, np.float32)},
        {"translation": np.array([0, 1e300, 0])},
        {"confidence": float("inf")},
        {"detail": np.full(DETAIL, np.nan, np.float32)},
    ],
)
def test_what_no_reader_takes_is_not_written(tmp_path: Path, bad: dict[str, Any]) -> None:
    """It would take all that follows for damaged as well."""
    first, second = some_frames(2)
    with PerformanceWriter(tmp_path / "a.performance", somebody(), 25) as writer:
        writer.add(first)
        with pytest.raises(InputError, match=r"a\.performance: frame 1 is made of"):
            writer.add(replace(second, **bad))
        writer.add(second)
    with PerformanceReader(tmp_path / "a.performance") as reader:
        assert len(list(reader)) == 2
        assert reader.complete


def test_every_truncation_is_survived(tmp_path: Path) -> None:
    data = written(tmp_path / "a.performance", some_frames(4)).read_bytes()
    header = data.index(b"\n") + 1
    record = (len(data) - header - 20) // 4
    for length in range(header + record, len(data), 7):
        cut = tmp_path / "cut.performance"
        cut.write_bytes(data[:length])
        with PerformanceReader(cut) as reader:
            whole = min((length - header) // record, 4)
            assert len(list(reader)) == len(reader) == whole
            assert not reader.complete
            assert f"ends early; {whole} frames were recovered" in reader.notice


def test_damage_ends_the_reading(tmp_path: Path) -> None:
    path = written(tmp_path / "a.performance")
    data = bytearray(path.read_bytes())
    header = data.index(b"\n") + 1
    data[header + (len(data) - header) // 2] ^= 0x40
    path.write_bytes(data)
    with PerformanceReader(path) as reader:
        assert 5 < len(list(reader)) < 25
        assert "is damaged" in reader.notice


def test_random_damage_never_ends_in_anything_but_a_package_error(tmp_path: Path) -> None:
    data = written(tmp_path / "a.performance", some_frames(3)).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(data)
        for place in rng.integers(0, len(data), 4):
            broken[place] = rng.integers(0, 256)
        path = tmp_path / "b.performance"
        path.write_bytes(broken)
        with suppress(PackageError), PerformanceReader(path) as reader:
            list(reader.events())


def test_unknown_records_are_skipped(tmp_path: Path) -> None:
    path = written(tmp_path / "a.performance", some_frames(2))
    data = path.read_bytes()
    header = data.index(b"\n") + 1
    extra = struct.pack("<4sII", b"NOTE", 0, 0)
    path.write_bytes(data[:header] + extra + data[header:])
    with PerformanceReader(path) as reader:
        assert len(list(reader)) == 2
        assert reader.complete


def test_a_file_with_fewer_and_reordered_expressions_is_read_by_name(tmp_path: Path) -> None:
    writer = PerformanceWriter(tmp_path / "a.performance", somebody(), 25)
    writer.add(some_frames(1)[0])
    writer.close()
    head, rest = (tmp_path / "a.performance").read_bytes().split(b"\n", 1)
    header = json.loads(head)
    header["expressions"] = [*reversed(ARKIT_NAMES[1:]), "somethingElse"]
    (tmp_path / "b.performance").write_bytes(json.dumps(header).encode() + b"\n" + rest)
    with PerformanceReader(tmp_path / "b.performance") as reader:
        (frame,) = reader
    expected = some_frames(1)[0].expression
    np.testing.assert_array_equal(frame.expression[1:], expected[:51][::-1])
    assert frame.expression[0] == 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is not a performance"),
        (b"\x00\x01\x02" * 100, "is not a performance"),
        (b"[1, 2]\n", "is not a performance"),
        (b'{"format":"mien-performance","version":2}\n', "Update mien"),
        (b'{"format":"mien-performance","version":1}\n', "damaged header"),
        (b"{" * 3_000_000, "is not a performance"),
        (b"[" * 500_000 + b"\n", "is not a performance"),
    ],
)
def test_what_is_no_performance_is_refused_by_name(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "x.performance"
    path.write_bytes(content)
    with pytest.raises(PackageError, match=expected) as raised:
        PerformanceReader(path)
    assert str(path) in str(raised.value)


def test_a_file_without_a_frame_is_refused(tmp_path: Path) -> None:
    PerformanceWriter(tmp_path / "a.performance", somebody(), 25).close()
    with pytest.raises(PackageError, match="no whole frame"):
        PerformanceReader(tmp_path / "a.performance")


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"nowhere\.performance"):
        PerformanceReader(tmp_path / "nowhere.performance")
    with pytest.raises(PackageError, match="Choose a folder"):
        PerformanceWriter(tmp_path / "none" / "a.performance", somebody(), 25)


# --- replay -------------------------------------------------------------------------------------------


class LiveClock(Clock):
    def __init__(self) -> None:
        self.now = 5 * NS_PER_S

    def now_ns(self) -> int:
        return self.now

    async def sleep_until(self, when_ns: int) -> None:
        self.now = max(self.now, when_ns + 100_000)


async def test_offline_replay_is_stamped_with_media_time_and_ends(tmp_path: Path) -> None:
    source = PerformanceSource(written(tmp_path / "a.performance"))
    await source.open(FakeContext())
    frames = [frame async for frame in source.frames()]
    await source.close()
    await source.close()
    assert [frame.capture_ns for frame in frames] == [i * FRAME_NS for i in range(30)]
    assert isinstance(frames[3], FaceParams)
    np.testing.assert_array_equal(frames[3].expression, some_frames()[3].expression)
    assert source.subject is not None


async def test_live_replay_keeps_time_and_starts_over_smoothly(tmp_path: Path) -> None:
    clock = LiveClock()
    moving = [
        replace(frame, rotation=np.array([0, 0.01 * i, 0], np.float32))
        for i, frame in enumerate(some_frames())
    ]
    source = PerformanceSource(written(tmp_path / "a.performance", moving))
    await source.open(FakeContext(clock=clock, live=True))
    frames: list[FaceParams] = []
    async for frame in source.frames():
        assert isinstance(frame, FaceParams)
        frames.append(frame)
        if len(frames) == 75:
            break
    await source.close()
    steps = np.diff([frame.capture_ns for frame in frames])
    assert steps.min() > 30_000_000
    assert steps.max() < 50_000_000
    assert [frame.index for frame in frames] == list(range(75))
    turns = np.abs(np.diff([frame.rotation[1] for frame in frames]))
    assert turns.max() < 0.06, "0.29 rad back within 0.4 s"


async def test_a_cut_file_is_played_with_a_notice(tmp_path: Path) -> None:
    path = written(tmp_path / "a.performance")
    path.write_bytes(path.read_bytes()[:-30])
    context = FakeContext()
    source = PerformanceSource(path)
    await source.open(context)
    assert len([frame async for frame in source.frames()]) == 29
    await source.close()
    assert "29 frames were recovered" in context.notices[0]
