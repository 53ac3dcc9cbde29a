"""Tracking of real pixels, from picture to parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mediapipe_pictures import canvas

from mien.face.rig import INDEX
from mien.face.tracker import LandmarkTracker
from mien.frames import VideoFrame
from mien.stage import Kind, Tracked
from mien.testing.context import FakeContext
from mien_mediapipe.landmarker import MediaPipeLandmarker

pytestmark = pytest.mark.plugin

_STEP_NS = 40_000_000


def _tracker() -> tuple[LandmarkTracker, FakeContext]:
    context = FakeContext(services={Kind.LANDMARKER: MediaPipeLandmarker})
    tracker = LandmarkTracker()
    tracker.open(context)
    return tracker, context


def test_a_face_that_moves_in_the_picture_moves_in_space() -> None:
    tracker, context = _tracker()
    seen: list[Tracked] = []
    for index in range(16):
        pixels = canvas(900, 512, (index * 20, 20, 480))
        seen.append(tracker.process(VideoFrame(pixels, index * _STEP_NS, index=index)))
    params = [tracked.params for tracked in seen if tracked.params is not None]
    assert len(params) == 16
    across = np.array([one.translation[0] for one in params])
    # One px is |z| / f cm.
    step_cm = 20 * -params[-1].translation[2] / 1800
    np.testing.assert_allclose(np.diff(across)[2:].mean(), step_cm, rtol=0.08)
    assert params[-1].expression[INDEX["mouthSmileLeft"]] > 0.15
    assert params[-1].expression[INDEX["eyeBlinkLeft"]] < 0.5
    context.close()


@pytest.mark.data
@pytest.mark.parametrize(
    ("clip", "limit"), [("expressive/webcam_31s", 0.009), ("talk/anchor_71s_512", 0.009)]
)
def test_a_person_is_fitted_closely_after_a_second(data: Path, clip: str, limit: float) -> None:
    errors = []
    for tracked in _tracked(data / f"{clip}.mp4", 100):
        assert tracked.params is not None
        errors.append(_error(tracked))
    assert np.mean(errors[30:]) < limit


@pytest.mark.data
def test_a_blink_closes_the_lids(data: Path) -> None:
    """The frames were marked by looking at them: open, and shut, eyes."""
    weights = {}
    for index, tracked in enumerate(_tracked(data / "expressive" / "expressive_d10.mp4", 226)):
        assert tracked.params is not None
        weights[index] = tracked.params.expression[INDEX["eyeBlinkLeft"]]
    assert weights[223] > 0.95
    assert weights[100] < 0.1


def _tracked(clip: Path, frames: int) -> list[Tracked]:
    import av

    tracker, context = _tracker()
    seen = []
    with av.open(str(clip)) as container:
        for index, picture in enumerate(container.decode(video=0)):
            if index == frames:
                break
            pixels = picture.to_ndarray(format="rgb24")
            seen.append(tracker.process(VideoFrame(pixels, int(picture.time * 1e9), index=index)))
    context.close()
    return seen


def _error(tracked: Tracked) -> float:
    """Mean distance of the projected model from the landmarks, in distances of the outer eye corners."""
    from mien.face.camera import rotation_matrix
    from mien.face.fitting import Fitter
    from mien.face.model import load_model

    params, subject, points = tracked.params, tracked.subject, tracked.landmarks
    assert params is not None
    assert subject is not None
    assert points is not None
    fitter = Fitter(load_model(subject.model), subject.camera, subject)
    head = fitter.posed(params.expression) @ rotation_matrix(params.rotation).T + params.translation
    off = np.linalg.norm(subject.camera.project(head) - points[:, :2], axis=1)[fitter.basis.trust > 0]
    return float(off.mean() / np.linalg.norm(points[33, :2] - points[263, :2]))
