"""The passes over a clip: from frames to a performance, and on again after an interruption, to the same result."""

import asyncio

import numpy as np
import pytest
from drawn_person import SIDE, Scene, state

from mien.cli.track import track
from mien.clock import OfflineClock
from mien.config import Config
from mien.engine import Engine
from mien.errors import InputError, NoFaceError
from mien.face.offline import bundle, tracking
from mien.face.offline.checkpoint import Checkpoint
from mien.face.offline.passes import ClipTracking
from mien.face.performance import PerformanceReader
from mien.face.rig import INDEX
from mien.frames import AudioFrame, VideoFrame
from mien.plugins import Registry
from mien.stage import FaceLandmarks, Kind, Landmarker, MediaInfo, Plugin, Provides, Source

pytestmark = [pytest.mark.unit, pytest.mark.plugin]

FRAMES = 7
BLIND = 5
"""The frame in which no face is found."""


class DrawnClip(Source):
    """Frames that carry their number in the first pixel."""

    pictures: tuple[np.ndarray, ...] = ()

    def __init__(self, path):
        self.path = path

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

    async def track_clip(out, progress=lambda *_: None):
        engine = Engine(Config(), Registry([plugin]), OfflineClock(), live=False)
        try:
            clip = ClipTracking(engine, path, Checkpoint.beside(out, "this clip"), progress, lambda _: None)
            try:
                resumed = await clip.run()
                return resumed, await clip.write(out)
            finally:
                clip.close()
        finally:
            await engine.close()

    return track_clip


def test_an_overlay_needs_offline_tracking(tmp_path):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"x")
    with pytest.raises(InputError, match="--quality high"):
        track(clip, tmp_path / "out.performance", overlay=tmp_path / "over.mp4")


async def test_an_interrupted_run_goes_on_to_the_same_result(run, tmp_path):
    pieces, whole = tmp_path / "pieces.performance", tmp_path / "whole.performance"

    def interrupt(step, done, _total):
        if step == "Fitting every frame" and done == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await run(pieces, interrupt)
    assert not pieces.exists()
    held = Checkpoint.beside(pieces, "this clip").load()
    assert held["done"].tolist() == [0, 1, 2]

    # The same person, with no frame fitted yet: what an uninterrupted run has before its last pass.
    solved = ("done", "information", *(name for name in held if name.startswith("frame_")))
    Checkpoint.beside(whole, "this clip").save(held | {name: held[name][:0] for name in solved})

    for out in (pieces, whole):
        resumed, recorder = await run(out)
        assert resumed
        assert (recorder.frames, recorder.without_face) == (FRAMES, 1)
    with PerformanceReader(whole) as first, PerformanceReader(pieces) as second:
        assert first.subject.camera == second.subject.camera
        assert first.subject.reflectance.any()
        for a, b in zip(first, second, strict=True):
            assert np.array_equal(a.rotation, b.rotation)
            assert np.array_equal(a.expression, b.expression)
            assert a.light.any()
        assert [params.confidence > 0 for params in first] == [i != BLIND for i in range(FRAMES)]
        jaw = [params.expression[INDEX["jawOpen"]] for params in first]
        assert np.all(np.diff(jaw[:BLIND]) > 0)


async def test_a_clip_without_a_face_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr(KnownLandmarks, "points", ())
    out = tmp_path / "out.performance"
    with pytest.raises(NoFaceError, match=r"clip\.mp4"):
        await run(out)
    assert not list(tmp_path.glob("out*"))
