"""The recorder: one frame for each picture, sound in step, and no more memory than it needs."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from performers import somebody

from mien.drive import recorder as recording
from mien.drive.recorder import Recorder
from mien.errors import NoFaceError, PackageError
from mien.face.subject import Subject
from mien.frames import AudioFrame, FaceParams, VideoFrame
from mien.performance.reader import PerformanceReader
from mien.stage import MediaInfo, Source, Tracked
from mien.trace import Passage

pytestmark = pytest.mark.unit

RATE = 8000
FRAME_NS = 40_000_000


class SilentFilm(Source):
    """A clip of which nothing but what it says of itself matters."""

    def __init__(self, audio_rate: int | None = RATE) -> None:
        self.audio_rate = audio_rate

    @property
    def info(self) -> MediaInfo:
        return MediaInfo(64, 64, 25.0, audio_rate=self.audio_rate, title="film.mp4")

    def frames(self) -> AsyncIterator[VideoFrame]:
        raise NotImplementedError


def see(recorder: Recorder, index: int, subject: Subject | None, *, face: bool) -> None:
    stamp = index * FRAME_NS
    expression = np.full(52, index / 100, np.float32)
    params = FaceParams(stamp, expression=expression, index=index, confidence=0.5) if face else None
    recorder.tracked(Tracked(params, subject), Passage(index, stamp, stamp))


async def hear(recorder: Recorder, index: int) -> None:
    samples = np.full((RATE // 25, 1), np.round(index / 100 * 32767) / 32767, np.float32)
    await recorder.audio(AudioFrame(samples, RATE, index * FRAME_NS))


@pytest.mark.parametrize("known", [True, False], ids=["subject known from the first", "with the first face"])
async def test_frames_before_the_first_face_are_kept(tmp_path: Path, known: bool) -> None:
    """So that frame N of the performance is frame N of the clip, and the sound stays in step."""
    recorder = Recorder(tmp_path / "a.performance", SilentFilm(None))
    subject = somebody()
    for i in range(10):
        see(recorder, i, subject if known or i >= 4 else None, face=i >= 4 and i != 7)
    await recorder.close()
    assert (recorder.frames, recorder.without_face) == (10, 5)
    with PerformanceReader(tmp_path / "a.performance") as reader:
        frames = list(reader)
    assert [params.capture_ns for params in frames] == [i * FRAME_NS for i in range(10)]
    assert [params.index for params in frames] == list(range(10))
    assert [params.confidence for params in frames] == [0, 0, 0, 0, 0.5, 0.5, 0.5, 0, 0.5, 0.5]
    shown = [round(100 * float(params.expression[0])) for params in frames]
    assert shown == [4, 4, 4, 4, 4, 5, 6, 6, 8, 9]


async def test_sound_before_the_first_face_is_kept_outside_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_EARLY_BYTES", 1000)
    recorder = Recorder(tmp_path / "a.performance", SilentFilm())
    for i in range(50):
        await hear(recorder, i)
        see(recorder, i, somebody() if i >= 40 else None, face=i >= 40)
    await recorder.close()
    with PerformanceReader(tmp_path / "a.performance") as reader:
        events = list(reader.events())
    order = [
        (event.capture_ns, isinstance(event, FaceParams))
        for event in events
        if not isinstance(event, Subject)
    ]
    times = [capture_ns for capture_ns, _ in order]
    assert times == sorted(times), "frames and sound by turns, also of what came early"
    assert len(order) == 100
    for event in events:
        if isinstance(event, AudioFrame):
            np.testing.assert_allclose(event.samples, event.capture_ns / FRAME_NS / 100, atol=1e-4)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.performance"]


async def test_no_room_for_early_sound_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_EARLY_BYTES", 100)
    recorder = Recorder(tmp_path / "nowhere" / "a.performance", SilentFilm())
    with pytest.raises(PackageError, match=r"nowhere.*Choose a folder"):
        await hear(recorder, 0)
    await recorder.abandon()


async def test_announced_sound_that_never_comes_is_left_out(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.performance", SilentFilm())
    see(recorder, 0, somebody(), face=True)
    await recorder.close()
    with PerformanceReader(tmp_path / "a.performance") as reader:
        assert reader.sound is None
        assert len(reader) == 1


async def test_a_clip_without_a_face_leaves_nothing(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.performance", SilentFilm())
    await hear(recorder, 0)
    see(recorder, 0, somebody(), face=False)
    with pytest.raises(NoFaceError, match=r"film\.mp4"):
        await recorder.close()
    await recorder.abandon()
    assert not list(tmp_path.iterdir())
