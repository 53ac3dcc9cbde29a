"""What stands behind the person, at any shape of the picture."""

from __future__ import annotations

import numpy as np
import pytest

from mien.stage import Background
from mien_photo import backdrop, sides
from mien_photo.crop import SIDE, Square
from mien_photo.sides import Sides

pytestmark = pytest.mark.plugin

NOTHING = tuple(part[..., :3] for part in Sides.none().source)


def gradient(width: int, height: int, start: int = 0) -> np.ndarray:
    """Brighter to the right by one level in eight px; red tells the rows."""
    x = (np.arange(width) + start)[None, :] / 8
    rows = np.broadcast_to(np.arange(height)[:, None] * 255 / height, (height, width))
    grey = np.broadcast_to(x, (height, width))
    return np.stack([rows, grey, grey], axis=-1).astype(np.uint8)


def test_a_square_picture_shows_the_plate_as_it_is():
    plate = gradient(SIDE, SIDE)
    np.testing.assert_array_equal(backdrop.framed(plate, NOTHING, SIDE, SIDE), plate)
    assert backdrop.framed(plate, NOTHING, 256, 256).shape == (256, 256, 3)


@pytest.mark.parametrize("size", [(910, 512), (456, 256), (512, 910), (1820, 1024)])
def test_beyond_the_plate_it_goes_on_without_a_seam(size):
    width, height = size
    side = min(size)
    wide = backdrop.framed(gradient(SIDE, SIDE), NOTHING, width, height).astype(int)
    assert wide.shape == (height, width, 3)
    steps = np.abs(np.diff(wide, axis=1)).max(), np.abs(np.diff(wide, axis=0)).max()
    assert max(steps) <= 3 * max(1024 // side, 1)
    # The middle is the plate's own, sharp; far out nothing comes a second time: it stays as at the edge.
    middle = wide[(height - side) // 2 + side // 2, width // 2]
    np.testing.assert_allclose(middle, (127, 64, 64), atol=3)
    if width > height:
        assert abs(wide[height // 2, 0, 1] - wide[height // 2, (width - side) // 2, 1]) < 0.2 * 128


def test_what_the_picture_shows_beside_the_square_is_used():
    whole = gradient(SIDE + 800, SIDE)
    plate = whole[:, 400:-400]
    wide = backdrop.framed(plate, (whole[:, :400], whole[:, -400:]), 910, 512).astype(int)
    np.testing.assert_allclose(np.diff(wide[256, 10:-10, 1].astype(float)).mean(), 0.25, atol=0.01)
    assert wide[256, 20, 1] < 10
    assert wide[256, -20, 1] > 215


def test_a_blur_is_the_plates_alone_and_a_picture_fills():
    plate = gradient(256, 256)
    blurred = backdrop.behind(Background("blur"), plate)
    np.testing.assert_allclose(blurred.mean(axis=(0, 1)), plate.mean(axis=(0, 1)), atol=2)
    image = np.zeros((100, 400, 3), np.uint8)
    image[:, 150:250] = 200
    filled = backdrop.behind(Background("image", image=image), plate)
    assert filled.shape == plate.shape
    np.testing.assert_allclose(filled[:, 6:-6], 200, atol=3)  # its middle, at its own aspect
    assert (backdrop.behind(Background("image"), plate) == plate).all()  # none was given yet
    assert backdrop.behind(Background("colour", (1, 2, 3)), plate).flags.c_contiguous


def test_sides_meet_the_square():
    """They are separated apart from it, at half its resolution."""
    rng = np.random.default_rng(2)
    picture = np.asarray(rng.uniform(90, 110, (600, 1000, 3)), np.uint8)
    picture[350:] = (30, 60, 180)  # somebody's sleeves from edge to edge
    person = np.zeros((600, 1000), np.uint8)
    person[350:] = 255
    square = Square(300, 100, 400)
    source = np.zeros((SIDE, SIDE, 4), np.uint8)
    source[..., 3] = np.where(np.arange(SIDE) > 640, 255, 0)[:, None]
    source[..., :3] = (30, 60, 180)
    plate = np.full((SIDE, SIDE, 3), 100, np.uint8)
    beside = sides.separated(picture, square, person, source, plate)
    for k, seam in ((0, -1), (1, 0)):
        assert beside.source[k].shape == (SIDE, sides.WIDEST, 4)
        off = np.abs(beside.source[k][:, seam].astype(int) - source[:, seam].astype(int))
        assert np.median(off) < 8
        alpha = beside.source[k][..., 3]
        assert (alpha[900] > 250).all()
        assert (alpha[300] < 5).all()
        assert np.abs(beside.plate[k][200].astype(int) - 100).mean() < 12


@pytest.mark.parametrize("step", [-40, 25])
def test_a_shoulder_goes_on_without_a_step(step):
    """What the square and its side take for the person needn't end at the same height."""
    rows, away = np.arange(SIDE)[:, None], np.arange(200, dtype=np.float32)
    side = np.where(rows >= 700 + np.zeros(200), 255, 0).astype(np.float32)
    square = np.where(rows[:, 0] >= 700 + step, 255, 0).astype(np.uint8)
    joined = sides._joined(side, square, side[:, 0], away)
    top = (joined > 127).argmax(axis=0)
    assert abs(top[0] - 700 - step) <= 1
    assert abs(top[-1] - 700) <= 2
    assert np.abs(np.diff(top)).max() <= 1
    hand = np.where((rows[:, 0] > 300) & (rows[:, 0] < 400), 255, 0).astype(np.uint8)
    assert sides._joined(side, hand, side[:, 0], away) is side


def test_a_picture_no_wider_than_its_square_has_no_sides():
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    source = np.zeros((SIDE, SIDE, 4), np.uint8)
    beside = sides.separated(picture, Square(0, 0, SIDE), picture[..., 0], source, picture)
    assert [part.shape[1] for part in (*beside.source, *beside.plate)] == [0, 0, 0, 0]
