"""Eyes through the real landmarker: gaze on pictures of known gaze, and blinks that were marked by looking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.face.camera import Camera
from mien.face.make.shading import Painter
from mien.face.model import PosedFace, load_model
from mien.face.retargeting import eye_look
from mien.face.tracker import LandmarkTracker
from mien.frames import Bytes, Float, VideoFrame
from mien.stage import Kind, Tracked
from mien.testing.blinks import BLINKS, Agreement, MarkedClip, agreement, marked_clips
from mien.testing.context import FakeContext
from mien_mediapipe.landmarker import MediaPipeLandmarker

pytestmark = pytest.mark.plugin

_MARKS = marked_clips(Path(__file__).parents[2] / "marks" / "blinks.json")
_GLANCES = ((0, 0), (12, 0), (20, 0), (-12, 0), (-20, 0), (0, 10), (10, 10), (-10, -8))
_CAMERA = Camera.guess(640, 640)
_PLACE = np.array([0.0, 1.5, -50.0], np.float32)
"""Pupils are 161 px apart."""


class Rig:
    """The tracker over the real landmarker, and a clock that counts frames."""

    def __init__(self) -> None:
        self.context = FakeContext(services={Kind.LANDMARKER: MediaPipeLandmarker})
        self.tracker = LandmarkTracker()
        self.tracker.open(self.context)
        self.index = 0

    def see(self, pixels: Bytes) -> Tracked:
        tracked = self.tracker.process(VideoFrame(pixels, self.index * 40_000_000, index=self.index))
        self.index += 1
        return tracked


@pytest.fixture(scope="module")
def photographer() -> Painter:
    return Painter(load_model())


def _photograph(painter: Painter, gaze: tuple[float, float], place: Float = _PLACE) -> Bytes:
    turned = np.radians([gaze, gaze]).astype(np.float32)
    face = PosedFace(painter.model, np.zeros(len(painter.model.identity), np.float32))
    return painter.photograph(
        face.vertices(eye_look(turned), turned), _CAMERA, np.zeros(3, np.float32), place
    )


def test_a_known_gaze_is_seen(photographer: Painter) -> None:
    rig = Rig()
    ahead = _photograph(photographer, (0, 0))
    for _ in range(12):
        rig.see(ahead)
    errors = []
    for gaze in _GLANCES:
        shown = _photograph(photographer, gaze)
        for _ in range(3):
            tracked = rig.see(shown)
        assert tracked.params is not None
        errors.append(np.hypot(*(np.degrees(tracked.params.gaze.mean(axis=0)) - gaze)))
    rig.context.close()
    assert np.median(errors) < 3.5


def test_a_face_is_back_within_three_frames(photographer: Painter) -> None:
    """Out of sight for half a second, then elsewhere and further away."""
    rig = Rig()
    near = _photograph(photographer, (0, 0))
    far = _photograph(photographer, (0, 0), np.array([6.0, -2.0, -80.0], np.float32))
    empty = np.full_like(near, 250)
    assert rig.see(near).params is not None
    assert [rig.see(empty).params for _ in range(12)] == [None] * 12
    back = [rig.see(far).params for _ in range(3)]
    first = next(index for index, params in enumerate(back) if params is not None)
    assert first < 3
    seen = back[first]
    assert seen is not None
    assert seen.translation == pytest.approx([6, -2, -80], abs=4)
    assert seen.confidence > 0.5
    rig.context.close()


@pytest.mark.data
def test_blinks_are_found_and_lids_shut(data: Path) -> None:
    """Two clips, of which one is full of grimaces, counted together."""
    found = [_agreement(data, marks) for marks in _MARKS[:2]]
    hits = sum(one.hits for one in found)
    wrong = sum(len(one.missed) + len(one.invented) for one in found)
    assert 2 * hits / (2 * hits + wrong) >= 0.95, found
    closed = [peak for one in found for peak in one.closed]
    assert np.median(closed) > 0.95
    assert np.percentile(closed, 10) > 0.75


def _agreement(data: Path, marks: MarkedClip) -> Agreement:
    import av

    path = data / marks.clip
    if not path.is_file() or not marks.is_of(path):
        pytest.skip(f"{marks.clip} is not the clip that was marked")
    rig = Rig()
    weights = []
    with av.open(str(path)) as container:
        for _, picture in zip(range(marks.frames), container.decode(video=0), strict=False):
            params = rig.see(picture.to_ndarray(format="rgb24")).params
            weights.append(np.full(2, np.nan) if params is None else params.expression[list(BLINKS)])
    rig.context.close()
    return agreement(np.array(weights, np.float32), marks)
