"""The landmarker on real pictures, through the real networks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from mediapipe_pictures import canvas, portrait, tight_crop

from mien.errors import PluginError
from mien.frames import Bytes, Float
from mien.stage import FaceLandmarks
from mien.testing.context import FakeContext
from mien_mediapipe.face_detector import Detection, FaceDetector
from mien_mediapipe.landmarker import MediaPipeLandmarker

pytestmark = pytest.mark.plugin

_NOSE, _RIGHT_EYE, _LEFT_EYE, _CHIN, _BROW = 1, 33, 263, 152, 10


@pytest.fixture(scope="module")
def opened() -> Iterator[MediaPipeLandmarker]:
    landmarker = MediaPipeLandmarker()
    landmarker.open(FakeContext())
    yield landmarker
    landmarker.close()


@pytest.fixture
def landmarker(opened: MediaPipeLandmarker) -> MediaPipeLandmarker:
    opened.reset()
    return opened


def _nose(faces: list[FaceLandmarks]) -> Float:
    return faces[0].points[_NOSE, :2]


def test_landmarks_lie_where_they_should(landmarker: MediaPipeLandmarker) -> None:
    (face,) = landmarker.detect(portrait())
    points = face.points
    assert points.shape == (478, 3)
    assert points.dtype == np.float32
    assert face.score > 0.9
    assert points[_RIGHT_EYE, 0] < points[_NOSE, 0] < points[_LEFT_EYE, 0]
    assert points[_BROW, 1] < points[_NOSE, 1] < points[_CHIN, 1]
    # Towards the camera is negative.
    assert points[_NOSE, 2] < points[_RIGHT_EYE, 2]
    np.testing.assert_allclose(points[468, :2], points[[33, 133], :2].mean(axis=0), atol=6)


@pytest.mark.parametrize("side", [256, 1500])
def test_the_size_of_the_picture_does_not_matter(landmarker: MediaPipeLandmarker, side: int) -> None:
    reference = landmarker.detect_still(portrait())[0].points / 512
    scaled = landmarker.detect_still(portrait(side))[0].points / side
    eye_distance = np.linalg.norm(reference[_RIGHT_EYE] - reference[_LEFT_EYE])
    assert np.linalg.norm(scaled - reference, axis=1)[:468].mean() < 0.02 * eye_distance


def test_a_place_in_the_picture_is_in_px(landmarker: MediaPipeLandmarker) -> None:
    alone = landmarker.detect_still(portrait(400))[0].points
    moved = landmarker.detect_still(canvas(1000, 600, (300, 120, 400)))[0].points
    np.testing.assert_allclose(moved[:, :2] - (300, 120), alone[:, :2], atol=2.5)


def test_without_a_face_nothing_is_found(landmarker: MediaPipeLandmarker) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (480, 640, 3), np.uint8)
    for picture in (canvas(640, 480), noise):
        assert landmarker.detect(picture) == []
        assert landmarker.detect_still(picture) == []
    assert landmarker.faces == 0


def test_of_several_faces_the_largest_is_followed(landmarker: MediaPipeLandmarker) -> None:
    picture = canvas(1200, 600, (20, 100, 350), (600, 20, 560))
    (face,) = landmarker.detect(picture)
    assert face.points[_NOSE, 0] > 600
    assert landmarker.faces == 2


def test_a_still_lists_faces_largest_first(landmarker: MediaPipeLandmarker) -> None:
    faces = landmarker.detect_still(canvas(1200, 600, (20, 100, 350), (600, 20, 560)))
    assert [bool(face.points[_NOSE, 0] > 600) for face in faces] == [True, False]


def test_a_face_is_followed_as_it_moves(landmarker: MediaPipeLandmarker) -> None:
    for left in range(0, 300, 20):
        face = landmarker.detect(canvas(900, 500, (left, 20, 450)))
        assert _nose(face)[0] == pytest.approx(left + 450 * 0.43, abs=25)


def test_a_lost_face_is_back_at_once(landmarker: MediaPipeLandmarker) -> None:
    landmarker.detect(canvas(900, 500, (0, 20, 450)))
    for _ in range(3):
        assert landmarker.detect(canvas(900, 500)) == []
    assert len(landmarker.detect(canvas(900, 500, (430, 20, 450)))) == 1


def test_a_cut_to_another_place_is_noticed_at_once(landmarker: MediaPipeLandmarker) -> None:
    landmarker.detect(canvas(900, 500, (0, 20, 450)))
    face = landmarker.detect(canvas(900, 500, (430, 20, 450)))
    assert _nose(face)[0] > 500


def test_a_much_larger_face_takes_over_within_a_second(landmarker: MediaPipeLandmarker) -> None:
    landmarker.detect(canvas(1200, 700, (20, 200, 400)))
    both = canvas(1200, 700, (20, 200, 400), (500, 0, 700))
    seen = [_nose(landmarker.detect(both))[0] for _ in range(30)]
    assert seen[0] < 400
    assert seen[-1] > 500


def test_beside_a_followed_face_a_picture_has_one_detector_to_bear(
    landmarker: MediaPipeLandmarker, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = canvas(500, 500, (20, 20, 450))
    landmarker.detect(picture)
    calls: list[int] = []
    find = FaceDetector.find

    def counted(detector: FaceDetector, pixels: Bytes) -> list[Detection]:
        calls[-1] += 1
        return find(detector, pixels)

    monkeypatch.setattr(FaceDetector, "find", counted)
    for _ in range(27):
        calls.append(0)
        landmarker.detect(picture)
    assert (sum(calls), max(calls)) == (2, 1)


def test_an_equal_face_does_not_take_over(landmarker: MediaPipeLandmarker) -> None:
    landmarker.detect(canvas(1000, 500, (0, 20, 440)))
    both = canvas(1000, 500, (0, 20, 440), (520, 10, 460))
    assert all(_nose(landmarker.detect(both))[0] < 500 for _ in range(30))
    assert landmarker.faces == 2


def test_a_face_of_64_px_is_found(landmarker: MediaPipeLandmarker) -> None:
    (face,) = landmarker.detect_still(tight_crop(64))
    assert 15 < face.points[_NOSE, 0] < 50


def test_a_small_face_in_a_large_picture_is_found(landmarker: MediaPipeLandmarker) -> None:
    faces = landmarker.detect_still(canvas(4000, 3000, (2500, 1300, 260)))
    assert _nose(faces) == pytest.approx((2500 + 0.43 * 260, 1300 + 0.27 * 260), abs=20)


def test_40_megapixels_are_no_obstacle(landmarker: MediaPipeLandmarker) -> None:
    picture = np.repeat(np.repeat(portrait(), 12, axis=0), 13, axis=1)
    faces = landmarker.detect_still(picture)
    assert _nose(faces) == pytest.approx((13 * 221, 12 * 137), rel=0.05)


def test_a_leaning_head_is_found(landmarker: MediaPipeLandmarker) -> None:
    assert len(landmarker.detect_still(_turned(portrait(), 40))) == 1


def test_a_still_leaves_the_followed_face_alone(landmarker: MediaPipeLandmarker) -> None:
    landmarker.detect(canvas(900, 500, (0, 20, 450)))
    landmarker.detect_still(canvas(900, 500, (430, 20, 450)))
    assert _nose(landmarker.detect(canvas(900, 500, (0, 20, 450))))[0] < 400


def test_a_still_face_hardly_jitters(landmarker: MediaPipeLandmarker) -> None:
    rng = np.random.default_rng(2)
    seen = []
    for _ in range(30):
        noisy = portrait().astype(int) + rng.integers(-1, 2, (512, 512, 3))
        seen.append(landmarker.detect(noisy.clip(0, 255).astype(np.uint8))[0].points[:468, :2])
    assert np.std(seen[5:], axis=0).mean() < 0.2


def test_pictures_that_are_views_or_read_only_are_fine(landmarker: MediaPipeLandmarker) -> None:
    mirrored = portrait()[:, ::-1]
    mirrored.setflags(write=False)
    assert len(landmarker.detect(mirrored)) == 1


def test_closing_twice_is_safe_and_using_it_then_is_an_error() -> None:
    landmarker = MediaPipeLandmarker()
    landmarker.close()
    landmarker.open(FakeContext())
    landmarker.close()
    landmarker.close()
    with pytest.raises(PluginError, match="closed"):
        landmarker.detect(canvas(64, 64))
    with pytest.raises(PluginError, match="closed"):
        landmarker.detect_still(canvas(64, 64))


def _turned(picture: np.ndarray, degrees: float) -> np.ndarray:
    import cv2

    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 0.8)
    return np.asarray(cv2.warpAffine(picture, matrix, (width, height), borderValue=(110, 110, 110)), np.uint8)
