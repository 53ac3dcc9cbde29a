"""Irises found by their edge, on eyes painted with nothing but discs and lids."""

from __future__ import annotations

import numpy as np
import pytest

from mien.face.iris import Irises
from mien.face.landmark_basis import IRISES
from mien.face.model import LIDS
from mien.frames import Bytes, Float

pytestmark = pytest.mark.unit

_PX_PER_CM = 25.0
_IRIS_PX = 0.58 * _PX_PER_CM
_EYE_PX = (2.4 * _IRIS_PX, 1.1 * _IRIS_PX)
"""Half its width and height."""
_AHEAD = np.array([0, 0, 1], np.float32)
_ACROSS = np.array([1, 0, 0], np.float32)


def _painted(
    iris: tuple[float, float],
    *,
    colour: int = 60,
    white: int = 210,
    glint: tuple[float, float] | None = None,
    high: float = 1.0,
    noise: int = 2,
) -> tuple[Bytes, Float]:
    """A picture, (120, 160, 3), and its lids' landmarks. iris: its middle, px from the eye's; high: of the opening."""
    fine = 4
    y, x = (np.mgrid[: 120 * fine, : 160 * fine] + 0.5) / fine - np.array([60, 80])[:, None, None]
    wide, tall = _EYE_PX[0], _EYE_PX[1] * high
    shade = np.full(x.shape, 150.0)
    within = np.abs(y) < tall * (1 - (x / wide) ** 2)
    shade[within] = white
    away = np.hypot(x - iris[0], y - iris[1])
    shade[within & (away < _IRIS_PX)] = colour
    shade[within & (away < 0.4 * _IRIS_PX)] = 15
    if glint is not None:
        shade[np.hypot(x - glint[0], y - glint[1]) < 0.2 * _IRIS_PX] = 255
    smooth = shade.reshape(120, fine, 160, fine).mean(axis=(1, 3))
    grain = np.random.default_rng(1).integers(-noise, noise + 1, (120, 160, 3))
    points = np.zeros((478, 2), np.float32)
    ring = LIDS[0]
    for k, point in enumerate(ring):
        turn = 2 * np.pi * k / len(ring)
        across = np.cos(turn)
        along = tall * (1 - across**2) * (1 if k <= len(ring) // 2 else -1)
        points[point] = 80 + wide * across, 60 + along
    return (smooth[..., None] + grain).clip(0, 255).astype(np.uint8), points


def _found(
    picture: Bytes, points: Float, guess: tuple[float, float], gaze: Float = _AHEAD
) -> tuple[Float, tuple[float, float]]:
    points[IRISES[0]] = 80 + guess[0], 60 + guess[1]
    at, sure = Irises().find(picture, points, 0, _PX_PER_CM, _ACROSS, gaze)
    return at - np.array([80, 60], np.float32), sure


@pytest.mark.parametrize("iris", [(0.0, 0.0), (6.3, -1.2), (-5.5, 2.0)])
@pytest.mark.parametrize("colour", [25, 90])
def test_an_iris_is_found_to_a_fraction_of_a_pixel(iris: tuple[float, float], colour: int) -> None:
    picture, points = _painted(iris, colour=colour)
    at, sure = _found(picture, points, (0.6 * iris[0], 0.6 * iris[1]))
    np.testing.assert_allclose(at, iris, atol=0.4)
    assert min(sure) > 0.7


def test_a_lamp_in_the_eye_moves_nothing() -> None:
    picture, points = _painted((3.0, 0.0), glint=(3.0 + 0.95 * _IRIS_PX, -3.0))
    at, sure = _found(picture, points, (0.0, 0.0))
    np.testing.assert_allclose(at, (3.0, 0.0), atol=0.8)
    assert min(sure) > 0.5


def test_lids_over_top_and_bottom_hide_little() -> None:
    picture, points = _painted((4.0, 0.0), high=0.7)
    at, sure = _found(picture, points, (1.0, 0.0))
    assert at[0] == pytest.approx(4.0, abs=0.6)
    assert sure[0] > 0.4


def test_the_height_of_an_iris_under_both_lids_is_told_by_its_sides() -> None:
    picture, points = _painted((1.0, 2.5), high=0.85)
    at, sure = _found(picture, points, (0.0, 0.0))
    assert at[1] == pytest.approx(2.5, abs=0.8)
    assert sure[1] > 0.3


def test_less_is_believed_the_less_lids_show() -> None:
    usual, narrow, nearly_shut = (
        _found(*_painted((0.0, 0.0), high=high), (0.0, 0.0))[1] for high in (1.0, 0.5, 0.35)
    )
    assert min(usual) > 0.9
    assert usual[0] > 1.1 * narrow[0] > 1.3 * nearly_shut[0]
    assert usual[1] > 1.1 * narrow[1] >= nearly_shut[1]
    assert narrow[1] < narrow[0]


def test_edges_and_landmarks_of_eyes_at_rest_come_to_agree() -> None:
    """Eyeballs are placed by landmarks of eyes on the camera: what those are off by is no gaze."""
    rest, points = _painted((0.0, 0.0))
    irises = Irises()
    for _ in range(25):
        points[IRISES[0]] = 80, 62.5
        at, _sure = irises.find(rest, points, 0, _PX_PER_CM, _ACROSS, _AHEAD)
    np.testing.assert_allclose(at, (80, 62.5), atol=0.3)
    aside, points = _painted((4.0, 0.0))
    for _ in range(25):
        points[IRISES[0]] = 82, 62.5
        at, _sure = irises.find(aside, points, 0, _PX_PER_CM, _ACROSS, _AHEAD)
    np.testing.assert_allclose(at, (84, 62.5), atol=0.5)


def test_the_edge_of_a_large_eye_is_found_in_fewer_pixels() -> None:
    picture, points = _painted((2.0, 1.0))
    large = np.repeat(np.repeat(picture, 3, axis=0), 3, axis=1)
    points[IRISES[0]] = 80, 60
    at, sure = Irises().find(large, 3 * points, 0, 3 * _PX_PER_CM, _ACROSS, _AHEAD)
    np.testing.assert_allclose(at / 3 - np.array([80, 60]), (2.0, 1.0), atol=0.6)
    assert min(sure) > 0.7


def test_an_eye_that_is_shut_says_nothing() -> None:
    picture, points = _painted((0.0, 0.0), high=0.08)
    assert _found(picture, points, (2.0, 0.0))[1] == (0, 0)


def test_a_picture_without_an_eye_says_nothing() -> None:
    _, points = _painted((0.0, 0.0))
    rng = np.random.default_rng(2)
    for shade in (0, 128):
        plain = (shade + rng.integers(0, 3, (120, 160, 3))).astype(np.uint8)
        assert _found(plain, points, (0.0, 0.0))[1][0] < 0.05


def test_an_eye_of_a_few_pixels_says_nothing() -> None:
    picture, points = _painted((0.0, 0.0))
    small = np.ascontiguousarray(picture[::5, ::5])
    points[IRISES[0]] = 80, 60
    assert Irises().find(small, points / 5, 0, _PX_PER_CM / 5, _ACROSS, _AHEAD)[1] == (0, 0)


def test_an_eye_at_the_border_or_out_of_the_picture_is_survived() -> None:
    picture, points = _painted((0.0, 0.0))
    for place in ((-75.0, 0.0), (750.0, -500.0), (-1e4, 1e4)):
        points[IRISES[0]] = place
        at, sure = Irises().find(picture, points, 0, _PX_PER_CM, _ACROSS, _AHEAD)
        assert np.isfinite(at).all()
        assert all(0 <= one <= 1 for one in sure)


def test_a_gaze_that_is_no_number_says_nothing() -> None:
    picture, points = _painted((0.0, 0.0))
    at, sure = _found(picture, points, (2.0, 0.0), np.full(3, np.nan, np.float32))
    np.testing.assert_allclose(at, (2.0, 0.0))
    assert sure == (0, 0)


def test_who_has_larger_irises_is_found_to_have_them() -> None:
    picture, points = _painted((0.0, 0.0))
    points[IRISES[0]] = 82, 61
    irises = Irises()
    for _ in range(12):
        irises.find(picture, points, 0, 0.9 * _PX_PER_CM, _ACROSS, _AHEAD)
    assert 0.9 * _PX_PER_CM * irises.radius_cm == pytest.approx(_IRIS_PX, rel=0.03)
