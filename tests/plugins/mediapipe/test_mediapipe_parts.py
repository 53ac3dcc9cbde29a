"""Segmentation, regions, and a quiet terminal."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from mediapipe_pictures import canvas, portrait

from mien.errors import PluginError
from mien.stage import Kind
from mien.testing.context import FakeContext
from mien_mediapipe.doctor import checks
from mien_mediapipe.plugin import plugin
from mien_mediapipe.region import Region
from mien_mediapipe.segmenter import SelfieSegmenter
from mien_mediapipe.stderr import without_chatter

pytestmark = pytest.mark.plugin


def test_the_person_is_told_from_the_background() -> None:
    segmenter = SelfieSegmenter()
    segmenter.open(FakeContext())
    picture = portrait()
    mask = segmenter.segment(picture)
    assert mask.shape == picture.shape[:2]
    assert mask.dtype == np.float32
    assert mask.min() >= 0
    assert mask.max() <= 1
    assert mask[100:180, 190:250].mean() > 0.95  # the face
    assert segmenter.segment(canvas(300, 200)).shape == (200, 300)
    segmenter.close()
    segmenter.close()
    with pytest.raises(PluginError, match="closed"):
        segmenter.segment(picture)


def test_a_region_cuts_out_what_it_places() -> None:
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[120:124, 250:254] = 255
    region = Region(230, 130, 100, 0.4)
    crop = region.crop(picture, 200)
    rows, columns = np.nonzero(crop[:, :, 0] > 128)
    spot = np.array([[(columns.mean() + 0.5) / 200, (rows.mean() + 0.5) / 200, 0.1]], np.float32)
    np.testing.assert_allclose(region.place(spot), [[252, 122, 10]], atol=0.3)


@pytest.mark.parametrize("side", [90.0, 600.0, 2000.0])
def test_a_large_region_is_reduced_without_shifting(side: float) -> None:
    picture = np.zeros((2400, 2400, 3), np.uint8)
    picture[:, 1200:] = 200
    crop = Region(1200, 1200, side).crop(picture, 64)[:, :, 0].astype(float)
    assert crop[:, :31].max() < 5
    assert crop[:, 33:].min() > 195


def test_outside_of_the_picture_is_black() -> None:
    assert Region(-5000, 0, 900).crop(np.full((100, 100, 3), 9, np.uint8), 32).max() == 0


def test_a_resting_region_rests_and_a_moving_one_follows() -> None:
    region = Region(100, 100, 200)
    assert region.drawn_towards(Region(101, 99, 201), 0.015) == region
    moved = region.drawn_towards(Region(150, 100, 200), 0.015)
    assert moved.x == pytest.approx(147)


def test_chatter_is_held_back_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    with without_chatter():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
        os.write(2, b"W0000 00:00:1795228822.941557    9297 inference_feedback_manager.cc:114] Feedback\n")
        os.write(2, b"something that matters\n")
    assert capfd.readouterr().err == "something that matters\n"


def test_after_a_failure_all_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with without_chatter():
            os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert "XNNPACK" in capfd.readouterr().err


def test_a_whole_session_leaves_the_terminal_clean() -> None:
    code = (
        "import numpy as np\n"
        "from mien.testing.context import FakeContext\n"
        "from mien_mediapipe.landmarker import MediaPipeLandmarker\n"
        "from mien_mediapipe.segmenter import SelfieSegmenter\n"
        "empty = np.zeros((64, 64, 3), np.uint8)\n"
        "for part, use in ((MediaPipeLandmarker(), 'detect_still'), (SelfieSegmenter(), 'segment')):\n"
        "    part.open(FakeContext())\n"
        "    getattr(part, use)(empty)\n"
        "    part.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_the_doctor_is_content_here() -> None:
    assert [check.ok for check in checks()] == [True]


def test_the_descriptor_names_what_can_be_made() -> None:
    assert {one.kind for one in plugin.provides} == {Kind.LANDMARKER, Kind.SEGMENTER}
    assert "mien[mediapipe]" in plugin.install
