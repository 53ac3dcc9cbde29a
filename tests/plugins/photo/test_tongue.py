"""A tongue that comes out, and where it may be seen."""

from __future__ import annotations

import numpy as np
import pytest

from mien.face.model import load_model
from mien.face.rig import INDEX
from mien_photo import tongue
from mien_photo.anatomy import skin_of
from mien_photo.teeth import Arch, Palette

pytestmark = pytest.mark.plugin

STILL = np.zeros(4, np.float32)
PLAIN = np.zeros((4, 4), np.float32)
"""No grain."""


def weights(out: float) -> np.ndarray:
    expression = np.zeros(52, np.float32)
    expression[INDEX["tongueOut"]] = out
    return expression


@pytest.fixture(scope="module")
def open_skin() -> np.ndarray:
    """(K, 3) the mean face with an open mouth."""
    model = load_model()
    return (model.mean + 0.3 * model.expression[INDEX["jawOpen"]])[skin_of(model).vertices]


@pytest.fixture(scope="module")
def sticking(open_skin) -> tongue.Tongue:
    mouth = skin_of(load_model()).openings[0]
    lip = mouth.lower.apply(open_skin)[5]
    none = np.zeros((52, 3), np.float32), np.zeros(52, np.float32)
    arch = Arch(3.0, 4.0, float(lip[2]) - 0.4, float(lip[1]) + 0.8, float(lip[1]), *none)
    red = np.array([180, 100, 95], np.float32)
    return tongue.Tongue(arch, Palette(red, red, red, red), mouth, np.array([0, 0, 1], np.float32))


def test_shut_lips_hold_it_back(sticking, open_skin):
    model = load_model()
    shut = model.mean[skin_of(model).vertices]
    assert sticking.out(weights(1.0), open_skin) == pytest.approx(1, abs=0.05)
    assert sticking.out(weights(1.0), shut) < 0.1
    assert sticking.out(weights(0.0), open_skin) == 0


def test_it_comes_out_over_the_lower_lip_and_hangs_down(sticking, open_skin):
    lip = skin_of(load_model()).openings[0].lower.apply(open_skin)[5]
    tips, before = [], []
    for out in (0.1, 0.3, 0.6, 1.0):
        points, look = sticking.laid_out(out, STILL, open_skin)
        assert points.dtype == look.dtype == np.float32
        assert np.isfinite(points).all()
        assert (look[:, 3:5] >= 0).all()
        assert (look[:, 3:5] <= 1).all()
        tips.append(points[-tongue._COLUMNS :].mean(axis=0))
        before.append(float((look[:, 4] > 0.5).mean()))
    assert before[0] == before[1] == 0, "up to a third of its way it stays behind the lips"
    assert before[2] < before[3]
    assert tips[1][2] < lip[2] < tips[3][2]
    assert tips[3][1] < lip[1] - 0.8
    assert abs(tips[3][0]) < 1e-3


def test_the_upper_lip_and_the_skin_beside_hide_what_is_behind_them():
    """A tongue everywhere: of what is behind the lips only that in the opening is seen, and nothing above it."""
    height, width = 12, 8
    triangle = np.zeros((height, width), np.int32)
    barycentric = np.full((height, width, 2), 1 / 3, np.float32)
    corners = np.array([[0, 1, 2]], np.int32)
    gathered = np.zeros((height, width, 9), np.float32)
    gathered[4:8, 2:6, 0] = 1
    top, bottom = np.full(width, float(height), np.float32), np.full(width, -1, np.float32)
    top[2:6], bottom[2:6] = 4, 8

    def drawn(before: float) -> np.ndarray:
        picture = np.full((height, width, 3), 200, np.uint8)
        look = np.tile(np.array([100, 50, 50, 1, before, 3, 3], np.float32), (3, 1))
        opening = gathered, top, bottom
        tongue.lay(
            triangle, barycentric, corners, look, *opening, PLAIN, 1, np.float32(0.1), 0, 0, 0, 0, picture,
        )  # fmt: skip
        return picture[..., 0] < 150

    np.testing.assert_array_equal(drawn(0.0), gathered[..., 0] > 0)
    out = drawn(1.0)
    assert out[8:, :].all()
    assert not out[:4].any()


def test_where_the_lips_meet_within_the_mouth_the_opening_before_it_is_what_ends():
    height, width = 12, 9
    gathered = np.zeros((height, width, 9), np.float32)
    top, bottom = np.full(width, float(height), np.float32), np.full(width, -1, np.float32)
    for columns, first, last in ((slice(1, 3), 2, 5), (slice(6, 8), 7, 10)):
        gathered[first:last, columns, 0] = 1
        top[columns], bottom[columns] = first, last
    picture = np.full((height, width, 3), 200, np.uint8)
    look = np.tile(np.array([100, 50, 50, 1, 1, 3, 3], np.float32), (3, 1))
    tongue.lay(
        np.zeros((height, width), np.int32), np.full((height, width, 2), 1 / 3, np.float32),
        np.array([[0, 1, 2]], np.int32), look, gathered, top, bottom, PLAIN, 1, np.float32(0.1), 0, 0, 0, 0, picture,
    )  # fmt: skip
    first_row = (picture[..., 0] < 150).argmax(axis=0)
    np.testing.assert_array_equal(first_row, [5, 2, 2, 5, 5, 5, 7, 7, 10])


def test_a_box_around_it_alone_shows_the_same_as_the_whole_window_and_goes_on_below_it():
    rows, columns = 12, 9
    gathered = np.zeros((rows, columns, 9), np.float32)
    gathered[2:6, 2:7, 0] = 1
    top, bottom = np.full(columns, float(rows), np.float32), np.full(columns, -1, np.float32)
    top[2:7], bottom[2:7] = 2, 6
    look = np.tile(np.array([100, 50, 50, 1, 1, 3, 3], np.float32), (3, 1))
    corners = np.array([[0, 1, 2]], np.int32)

    def drawn(across: int, down: int, width: int, height: int) -> np.ndarray:
        picture = np.full((20, columns, 3), 200, np.uint8)
        hits = np.zeros((height, width), np.int32), np.full((height, width, 2), 1 / 3, np.float32)
        tongue.lay(
            *hits, corners, look, gathered, top, bottom, PLAIN, 1, np.float32(0.1), across, down, across, down, picture,
        )  # fmt: skip
        return picture[..., 0]

    whole, part = drawn(0, 0, columns, rows), drawn(3, 4, 3, 14)
    np.testing.assert_array_equal(part[4:rows, 3:6], whole[4:rows, 3:6])
    assert (part[rows:18, 3:6] < 150).all(), "below the mouth's window"
    assert (part[:, :3] == 200).all()


def test_light_from_aside_is_on_that_side_of_it(open_skin):
    from mien.face.light import COEFFICIENTS

    light = np.zeros(COEFFICIENTS, np.float32)
    light[0] = 2
    above = tongue.towards(light, np.eye(3, dtype=np.float32))
    assert above[1] > 0.4
    assert abs(above[0]) < 1e-6, "ambient light comes from above"
    light[3] = 2
    aside = tongue.towards(light, np.eye(3, dtype=np.float32))
    assert aside[0] > 0.8
    assert np.linalg.norm(aside) == pytest.approx(1, abs=1e-5)


def test_its_spine_is_the_cubic_spline_through_its_points():
    from scipy.interpolate import CubicSpline

    points = np.array([[0, 0], [0.2, 1], [0.5, 2], [0.3, 2.4], [-0.2, 3], [-1.4, 3.1]])
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.linspace(0, length[-1], 22)
    spline = CubicSpline(length, points)
    place, tangent = tongue._spline(points, length, at)
    slope = spline(at, 1)
    np.testing.assert_allclose(place, spline(at), atol=1e-10)
    np.testing.assert_allclose(tangent, slope / np.linalg.norm(slope, axis=1, keepdims=True), atol=1e-9)
