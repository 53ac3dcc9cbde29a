"""A square picture made wide."""

from __future__ import annotations

import numpy as np
import pytest

from mien.frames import Bytes
from mien_virtualcam.widescreen import Widescreen

pytestmark = pytest.mark.plugin


def scene(side: int = 512) -> Bytes:
    """A gradient background with a dark figure in the middle."""
    v, u = np.mgrid[0:side, 0:side].astype(np.float32) / side
    pixels = np.stack([200 - 60 * v, 150 + 50 * u, 120 + 40 * np.sin(7 * v)], axis=-1)
    pixels[side // 4 :, side // 4 : 3 * side // 4] = 20
    return pixels.astype(np.uint8)


def test_the_picture_stands_in_the_middle_untouched() -> None:
    import cv2

    wide = Widescreen(1280, 720).fill(scene())
    assert wide.shape == (720, 1280, 3)
    np.testing.assert_array_equal(wide[:, 280:1000], cv2.resize(scene(), (720, 720)))


def test_a_wide_picture_is_shown_as_it_is() -> None:
    """`video.aspect = "16:9"` rounds to even sizes."""
    import cv2

    wide = np.ascontiguousarray(cv2.resize(scene(), (910, 512)))
    shown = Widescreen(1280, 720).fill(wide)
    np.testing.assert_allclose(shown, cv2.resize(wide, (1280, 720)), atol=8)


def test_the_seams_are_invisible() -> None:
    wide = Widescreen(1280, 720).fill(scene()).astype(int)
    steps = np.abs(np.diff(wide, axis=1)).mean(axis=(0, 2))
    inside = np.median(steps[285:400])
    for seam in (279, 999):
        assert steps[seam - 2 : seam + 3].max() < inside + 1.5


def test_the_person_does_not_come_back_in_the_margins() -> None:
    wide = Widescreen(1280, 720).fill(scene())
    assert wide[:, :280].min() > 70
    assert wide[:, 1000:].min() > 70


def test_noise_is_calm_far_out() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (512, 512, 3), dtype=np.uint8)
    wide = Widescreen(1280, 720).fill(noise).astype(float)
    assert wide[:, :100].std() < 0.25 * wide[:, 400:800].std()


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((1280, 720), (256, 256)),
        ((1280, 720), (1024, 1024)),
        ((640, 480), (512, 512)),
        ((480, 480), (512, 512)),
        ((481, 480), (512, 512)),
        ((1280, 720), (360, 640)),
        ((640, 480), (360, 640)),
        ((1440, 480), (512, 512)),
    ],
)
def test_all_sizes_are_filled(size: tuple[int, int], shape: tuple[int, int]) -> None:
    wide = Widescreen(*size).fill(np.full((*shape, 3), 90, np.uint8))
    assert wide.shape == (size[1], size[0], 3)
    assert (wide == 90).all()
