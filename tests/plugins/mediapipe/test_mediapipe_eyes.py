"""Eyes through the real landmarker: gaze on pictures of known gaze, and blinks that were marked by looking."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mien.face.camera import Camera
from mien.face.model import load_model
from mien.face.rig import BLINKS
from mien.face.tracker import LandmarkTracker
from mien.frames import VideoFrame
from mien.stage import Kind
from mien.testing.blinks import Agreement, MarkedClip, agreement, marked_clips
from mien.testing.context import FakeContext
from mien.testing.sitter import FRAME_NS, Sitter
from mien_mediapipe.landmarker import MediaPipeLandmarker

pytestmark = pytest.mark.plugin

_MARKS = marked_clips(Path(__file__).parents[2] / "marks" / "blinks.json")
_GLANCES = ((0, 0), (12, 0), (20, 0), (-12, 0), (-20, 0), (0, 10), (10, 10), (-10, -8))
_EYES_CM = (0.0, 1.5, -50.0)
"""Pupils are 161 px apart."""


@pytest.fixture
def sitter() -> Iterator[Sitter]:
    one = Sitter(load_model(), MediaPipeLandmarker, Camera.guess(640, 640), _EYES_CM)
    yield one
    one.close()


def test_a_known_gaze_is_seen(sitter: Sitter) -> None:
    sitter.see(sitter.photograph(), frames=12)
    errors = []
    for gaze in _GLANCES:
        tracked = sitter.see(sitter.photograph(np.array(gaze)), frames=3)
        assert tracked.params is not None
        errors.append(np.hypot(*(np.degrees(tracked.params.gaze.mean(axis=0)) - gaze)))
    assert np.median(errors) < 3.5


def test_a_face_is_back_within_three_frames(sitter: Sitter) -> None:
    """Out of sight for half a second, then elsewhere and further away."""
    near = sitter.photograph()
    far = sitter.photograph(place=(6.0, -2.0, -80.0))
    empty = np.full_like(near, 250)
    assert sitter.see(near).params is not None
    assert [sitter.see(empty).params for _ in range(12)] == [None] * 12
    back = [sitter.see(far).params for _ in range(3)]
    seen = next((params for params in back if params is not None), None)
    assert seen is not None
    assert seen.translation == pytest.approx([6, -2, -80], abs=4)
    assert seen.confidence > 0.5


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
    tracker = LandmarkTracker()
    context = FakeContext(services={Kind.LANDMARKER: MediaPipeLandmarker})
    tracker.open(context)
    weights = []
    with av.open(str(path)) as container:
        pictures = zip(range(marks.frames), container.decode(video=0), strict=False)
        for index, picture in pictures:
            frame = VideoFrame(picture.to_ndarray(format="rgb24"), index * FRAME_NS, index=index)
            params = tracker.process(frame).params
            weights.append(np.full(2, np.nan) if params is None else params.expression[list(BLINKS)])
    context.close()
    return agreement(np.array(weights, np.float32), marks)
