"""Offline tracking of a clip: from frames to a performance, and on again after an interruption, to the same result."""

import asyncio
import threading

import numpy as np
import pytest

from drawn_person import SIDE, Scene, state
from mien import cliptracking
from mien.cli.track import Quality, track
from mien.cliptracking import ClipTracking
from mien.clock import OfflineClock
from mien.config import Config
from mien.engine import Engine
from mien.errors import InputError, MediaError, NoFaceError, PluginError
from mien.face.offline import bundle, tracking
from mien.face.offline.checkpoint import Checkpoint, fingerprint
from mien.face.rig import INDEX
from mien.frames import AudioFrame, VideoFrame
from mien.performance.reader import PerformanceReader
from mien.plugins import Registry
from mien.stage import FaceLandmarks, Kind, Landmarker, MediaInfo, Plugin, Provides, Source
from mien.testing.stages import MemoryOutput
from mien_raster.rasterizer import NumbaRasterizer

pytestmark = [pytest.mark.unit, pytest.mark.plugin]

FRAMES = 7
BLIND = 5
"""The frame in which no face is found."""


class DrawnClip(Source):
    """Frames that carry their number in the first pixel."""

    pictures: tuple[np.ndarray, ...] = ()
    unclosed = 0
    """by the task that opened them: what is left to the garbage collector, a task of the event loop's closes"""

    def __init__(self, path):
        self.path = path

    async def open(self, context):
        self.reader = asyncio.current_task()
        DrawnClip.unclosed += 1

    async def close(self):
        if self.reader is asyncio.current_task():
            DrawnClip.unclosed -= 1

    @property
    def info(self):
        return MediaInfo(SIDE, SIDE, 25.0, FRAMES, audio_rate=16000, title="drawn")

    async def frames(self):
        yield AudioFrame(np.zeros((160, 1), np.float32), 16000, 0)
        for index, picture in enumerate(self.pictures):
            yield VideoFrame(picture.copy(), index * 40_000_000, index=index)


class KnownLandmarks(Landmarker):
    """Finds what was drawn."""

    points: tuple[np.ndarray, ...] = ()

    def detect(self, pixels):
        index = int(pixels[0, 0, 0])
        return [] if index == BLIND or not self.points else [FaceLandmarks(self.points[index], 1.0)]


@pytest.fixture(scope="module")
def _clip():
    scene, rng = Scene(), np.random.default_rng(0)
    pictures, points = [], []
    for index in range(FRAMES):
        seen = state(jawOpen=0.1 * index, mouthSmileLeft=0.3)
        picture = (scene.picture(seen).clip(0, 1) * 255).astype(np.uint8)
        picture[0, 0] = index
        pictures.append(picture)
        noise = rng.normal(0, 0.3, (478, 2))
        points.append(np.column_stack([scene.landmarks(seen) + noise, np.zeros(478)]).astype(np.float32))
    DrawnClip.pictures, KnownLandmarks.points = tuple(pictures), tuple(points)


@pytest.fixture
def run(_clip, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "ROUNDS", 1)
    monkeypatch.setattr(bundle, "_ALBEDO_ROUNDS", 1)
    monkeypatch.setattr(tracking, "KEY_FRAMES", 3)
    monkeypatch.setattr(tracking, "PAINT_FRAMES", 2)
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"drawn")
    plugin = Plugin(
        name="drawn",
        summary="",
        provides=(
            Provides(Kind.SOURCE, "file", f"{__name__}:DrawnClip"),
            Provides(Kind.LANDMARKER, "known", f"{__name__}:KnownLandmarks"),
            Provides(Kind.RASTERIZER, "raster", "mien_raster.rasterizer:NumbaRasterizer"),
        ),
    )

    async def track_clip(out, progress=lambda *_: None, overlay=None):
        engine = Engine(Config(), Registry([plugin]), OfflineClock(), live=False)
        try:
            checkpoint = Checkpoint.beside(out, "this clip")
            clip = ClipTracking(engine, path, checkpoint, progress, lambda _: None, overlay)
            try:
                resumed = await clip.run()
                return resumed, await clip.write(out)
            finally:
                clip.close()
                assert DrawnClip.unclosed == 0, "who reads a source closes it"
        finally:
            await engine.close()

    return track_clip


def test_an_overlay_needs_offline_tracking(tmp_path):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"x")
    with pytest.raises(InputError, match="--quality high"):
        track(clip, tmp_path / "out.performance", overlay=tmp_path / "over.mp4")


@pytest.mark.parametrize("name", ["over", "over.avi", "over.performance"])
def test_an_overlay_that_could_not_be_written_is_refused_before_any_work(tmp_path, name):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"no clip at all: reading it would fail")
    with pytest.raises(InputError, match=r"Name it over\.mp4"):
        track(clip, tmp_path / "out.performance", quality=Quality.HIGH, overlay=tmp_path / name)


async def test_without_an_output_for_the_overlay_nothing_is_begun(run, tmp_path):
    steps = []
    with pytest.raises(PluginError, match="output"):
        await run(tmp_path / "out.performance", lambda *step: steps.append(step), tmp_path / "over.mp4")
    assert not steps


def test_a_checkpoint_is_bound_to_what_made_it(tmp_path):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"x")
    made = {"model": "mien-head", "model_fingerprint": "0" * 16, "landmarker": "one"}
    kept = Checkpoint.beside(tmp_path / "out.performance", fingerprint(clip, **made))
    kept.save({"seen": np.zeros(1)})
    for change in ({}, {"model_fingerprint": "1" * 16}, {"landmarker": "other"}):
        again = Checkpoint(kept.path, fingerprint(clip, **(made | change)))
        assert (again.load() is None) is bool(change)


async def test_a_checkpoint_that_cannot_be_gone_on_from_is_none(run, tmp_path):
    out = tmp_path / "out.performance"
    damaged = {"seen": np.arange(3), "capture_ns": np.zeros(1, np.int64), "points": np.zeros(1)}
    Checkpoint.beside(out, "this clip").save(damaged)

    def interrupt(step, done, _total):
        assert step == "Finding the face", "it begins anew"
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await run(out, interrupt)


async def test_an_interrupted_run_goes_on_to_the_same_result(run, tmp_path, monkeypatch):
    pieces, whole = tmp_path / "pieces.performance", tmp_path / "whole.performance"

    def interrupt(step, done, _total):
        if step == "Fitting every frame" and done == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await run(pieces, interrupt)
    assert not pieces.exists()
    held = Checkpoint.beside(pieces, "this clip").load()
    assert held["done"].tolist() == [0, 1, 2]
    with monkeypatch.context() as patched:
        patched.setattr(DrawnClip, "pictures", shrunk_from(5))
        with pytest.raises(MediaError, match="one size"):
            await run(pieces)

    for out in (pieces, whole):
        resumed, recorder = await run(out)
        assert resumed is (out is pieces)
        assert (recorder.frames, recorder.without_face) == (FRAMES, 1)
    with PerformanceReader(whole) as first, PerformanceReader(pieces) as second:
        assert first.subject.camera.focal == pytest.approx(second.subject.camera.focal, rel=1e-6)
        assert first.subject.reflectance.any()
        for a, b in zip(first, second, strict=True):
            # To rounding, since nothing promises the order in which sums are added up.
            np.testing.assert_allclose(a.rotation, b.rotation, rtol=0, atol=1e-6)
            np.testing.assert_allclose(a.expression, b.expression, rtol=0, atol=1e-6)
            assert a.light.any()
        assert [params.confidence > 0 for params in first] == [i != BLIND for i in range(FRAMES)]
        jaw = [params.expression[INDEX["jawOpen"]] for params in first]
        assert np.all(np.diff(jaw[:BLIND]) > 0)


def shrunk_from(index):
    """The clip's pictures, lower from that one on."""
    return tuple(
        picture if i < index else picture[:100].copy() for i, picture in enumerate(DrawnClip.pictures)
    )


async def test_a_clip_that_changes_size_is_refused(run, tmp_path, monkeypatch):
    """One camera can't have seen it."""
    monkeypatch.setattr(DrawnClip, "pictures", shrunk_from(5))
    with pytest.raises(MediaError, match=rf"clip\.mp4.*{SIDE}x{SIDE} px to {SIDE}x100 at 0\.2 s"):
        await run(tmp_path / "out.performance")
    assert not list(tmp_path.glob("out*"))


async def test_cancelled_while_it_learns_the_face_it_waits_for_the_thread(run, tmp_path, monkeypatch):
    """The rasterizer is closed right after: nobody may work with it then."""
    begun, working = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def meet(self, progress):
        working.set()
        loop.call_soon_threadsafe(begun.set)
        try:
            while True:
                progress(0.5)
                threading.Event().wait(0.001)
        finally:
            working.clear()

    closed_while = []
    monkeypatch.setattr(tracking.OfflineTracking, "meet", meet)
    close = ClipTracking.close
    monkeypatch.setattr(
        ClipTracking, "close", lambda self: (closed_while.append(working.is_set()), close(self))
    )
    task = asyncio.ensure_future(run(tmp_path / "out.performance"))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed_while == [False]


@pytest.mark.parametrize("work", ["restore", "result"])
async def test_cancelled_at_its_beginning_or_end_it_waits_for_the_thread(run, tmp_path, monkeypatch, work):
    begun, go_on, ended = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(self):
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(30)
        ended.set()

    for step in "_look", "_save", "_meet", "_solve":
        monkeypatch.setattr(ClipTracking, step, lambda _: asyncio.sleep(0))
    owner, name = (ClipTracking, "_restore") if work == "restore" else (tracking.OfflineTracking, "result")
    monkeypatch.setattr(owner, name, slow)
    ended_before, close = [], ClipTracking.close
    monkeypatch.setattr(
        ClipTracking, "close", lambda self: (ended_before.append(ended.is_set()), close(self))
    )
    task = asyncio.create_task(run(tmp_path / "out.performance"))
    async with asyncio.timeout(30):
        await begun.wait()
    task.cancel()
    loop.call_later(0.05, go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended_before == [True]


async def test_cancelled_while_it_saves_it_saves_again_only_afterwards(run, tmp_path, monkeypatch):
    """Or what was worked out first might be what is kept."""
    begun, go_on, at_once = asyncio.Event(), threading.Event(), []
    saving, loop, save = threading.Lock(), asyncio.get_running_loop(), Checkpoint.save

    def slow(self, arrays):
        at_once.append(saving.locked())
        with saving:
            if len(at_once) == 3:
                loop.call_soon_threadsafe(begun.set)
                assert go_on.wait(30)
            save(self, arrays)

    monkeypatch.setattr(Checkpoint, "save", slow)
    for work in "_look", "_meet":
        monkeypatch.setattr(ClipTracking, work, lambda _: asyncio.sleep(0))
    monkeypatch.setattr(ClipTracking, "_solve", ClipTracking._save)
    task = asyncio.create_task(run(tmp_path / "out.performance"))
    async with asyncio.timeout(30):
        await begun.wait()
    task.cancel()
    loop.call_later(0.05, go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert at_once == [False] * 4


async def test_every_frame_is_kept_and_the_overlay_shows_it(run, tmp_path, monkeypatch):
    """Also those before the first face, or all that follows would be early against the sound."""
    out, film = tmp_path / "out.performance", MemoryOutput()
    monkeypatch.setattr(f"{__name__}.BLIND", 0)
    monkeypatch.setattr(Engine, "output", lambda _self, _spec: (film, "drawn"))
    _, recorder = await run(out, overlay=tmp_path / "over.mp4")
    assert (recorder.frames, recorder.without_face) == (FRAMES, 1)
    with PerformanceReader(out) as reader:
        assert [params.capture_ns for params in reader] == [i * 40_000_000 for i in range(FRAMES)]
        assert [params.confidence > 0 for params in reader] == [i > 0 for i in range(FRAMES)]
    assert [frame.index for frame in film.pictures] == list(range(FRAMES))
    assert [len(sound.samples) for sound in film.sound] == [160]
    for index, (shown, picture) in enumerate(zip(film.pictures, DrawnClip.pictures, strict=True)):
        changed = (shown.pixels != picture).any(axis=2).mean()
        assert changed == 0 if index == BLIND else changed > 0.15
    assert (film.opened, film.closed, film.abandoned) == (1, 1, 0)


async def test_an_overlay_that_cannot_be_opened_is_given_up(run, tmp_path, monkeypatch):
    class Full(MemoryOutput):
        async def open(self, context):
            await super().open(context)
            raise MediaError("The disk is full.")

    out, film = tmp_path / "out.performance", Full()
    monkeypatch.setattr(Engine, "output", lambda _self, _spec: (film, "drawn"))
    with pytest.raises(MediaError, match="disk is full"):
        await run(out, overlay=tmp_path / "over.mp4")
    assert (film.opened, film.closed, film.abandoned) == (1, 0, 1)
    assert not out.exists()


async def test_what_was_opened_is_closed_when_the_rest_cannot_be(run, tmp_path, monkeypatch):
    def refuse(*_):
        raise MemoryError

    closed = []

    def close(_rasterizer):
        closed.append("rasterizer")

    monkeypatch.setattr(NumbaRasterizer, "close", close)
    monkeypatch.setattr(cliptracking, "OfflineTracking", refuse)
    with pytest.raises(MemoryError):
        await run(tmp_path / "out.performance")
    assert closed == ["rasterizer"]


async def test_a_clip_without_a_face_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr(KnownLandmarks, "points", ())
    out = tmp_path / "out.performance"
    with pytest.raises(NoFaceError, match=r"clip\.mp4"):
        await run(out)
    assert not list(tmp_path.glob("out*"))
