"""The portrait in another light."""

from __future__ import annotations

import numpy as np
import pytest

from mien.face.light import ambient, front, harmonics
from mien.frames import FaceParams, Float
from mien_photo.relighting import Exposure, limited, polynomial, relight
from mien_photo.shading import apply

pytestmark = pytest.mark.plugin

WHITE = np.ones(3, np.float32)
USUAL = Exposure(1.5, WHITE)


def at_rest(avatar, light: Float) -> FaceParams:
    subject = avatar.content.subject
    return FaceParams(0, subject.rest_rotation, subject.rest_translation, subject.neutral, light=light)


def test_a_polynomial_shades_as_the_harmonics_do():
    light = np.random.default_rng(0).standard_normal(9).astype(np.float32)
    x, y, z = front().T
    terms = np.stack([np.ones_like(x), x, y, z, x * y, y * z, z * z, z * x, x * x - y * y], axis=1)
    np.testing.assert_allclose(terms @ polynomial(light), harmonics(front()) @ light, atol=1e-5)


def test_no_change_is_nothing_to_do():
    assert relight(np.zeros((9, 3), np.float32), USUAL) is None
    assert relight(ambient(), USUAL) is None
    assert relight(np.full((9, 3), np.nan, np.float32), USUAL) is None


def test_limits_are_soft_and_small_changes_pass():
    factors = [float(limited(np.float32(value), np.float32(1.4))) for value in np.linspace(0.05, 5, 200)]
    assert (np.diff(factors) >= 0).all()
    assert min(factors) > 0.5
    assert max(factors) < 1.401
    assert limited(np.float32(1.03), np.float32(1.4)) == pytest.approx(1.03, abs=2e-3)
    assert limited(np.float32(0.97), np.float32(1.4)) == pytest.approx(0.97, abs=2e-3)


def test_a_bright_portrait_has_little_room_and_no_lamp_is_neon():
    bright, dark = (Exposure.of(np.full((50, 3), grey, np.float32)) for grey in (235, 150))
    assert bright.brightest < dark.brightest
    red = relight(ambient() * np.array([2, 0.3, 0.3], np.float32), USUAL)
    assert red is not None
    assert np.abs(np.log(red.tint)).max() <= 0.091


def darkened(grey: np.ndarray, hue: Float) -> np.ndarray:
    """(3,) what a pixel of that colour becomes in seven tenths of the light."""
    picture = np.tile(grey.astype(np.uint8), (8, 8, 1))
    whole = np.array([[0, 8]], np.int32)
    person = np.full((8, 8, 4), 255, np.uint8)
    apply(np.full((8, 8), 0.7, np.float32), WHITE, hue, 0, 0, 8, 8, person, whole, False, picture)
    return picture[4, 4].astype(float)


def test_pale_skin_gets_its_colour_back_in_less_light():
    skin = np.array([245, 225, 215], np.float32)
    change = darkened(skin, Exposure.of(np.tile(skin, (50, 1))).hue) / (0.7 * skin)
    assert change[0] > 1.01 > 0.99 > change[2]
    marble = np.full(3, 225, np.float32)
    same = darkened(marble, Exposure.of(np.tile(marble, (50, 1))).hue)
    np.testing.assert_allclose(same, 0.7 * marble, atol=0.6)


def test_only_the_person_is_lit():
    picture = np.full((16, 16, 3), 100, np.uint8)
    person = np.zeros((16, 16, 4), np.uint8)
    person[:, 4:12, 3] = 255
    person[:, 12:, 3] = 255  # left over from another frame
    factor = np.full((8, 8), 1.2, np.float32)
    spans = np.array([[1, 6], [8, 0]], np.int32)
    tint = np.array([1, 1, 0.9], np.float32)
    apply(factor, tint, WHITE, 0, 0, 8, 8, person, spans, False, picture)
    np.testing.assert_allclose(picture[3, 7], [120, 120, 108], atol=1)
    assert (picture[:, :3] == 100).all()
    assert (picture[:, 13:] == 100).all()
    assert (picture[9:] == 100).all()


def test_nobody_in_the_picture_is_no_error():
    picture = np.full((16, 16, 3), 100, np.uint8)
    nothing = np.array([[8, 0]], np.int32)
    one = np.ones((8, 8), np.float32)
    nobody = np.zeros((16, 16, 4), np.uint8)
    apply(one, WHITE, WHITE, 0, 0, 8, 8, nobody, nothing, False, picture)
    assert (picture == 100).all()


def test_light_falls_on_the_rows_that_were_painted_and_no_others():
    """With a map of 170 rows under a picture of 512 bands begin at different rows of either."""
    factor = np.full((170, 3), 1.2, np.float32)
    person = np.full((512, 9, 4), 255, np.uint8)
    bands = 16
    for band in range(bands):
        picture = np.full((512, 9, 3), 100, np.uint8)
        spans = np.tile(np.array([3, 0], np.int32), (bands, 1))
        spans[band] = 0, 3
        apply(factor, WHITE, WHITE, 0, 0, 3, 170, person, spans, False, picture)
        lit = np.flatnonzero(picture[:, 4, 0] != 100)
        assert lit.tolist() == list(range(512 * band // bands, 512 * (band + 1) // bands))


def test_the_face_gets_brighter_on_the_side_that_the_driver_is_lit_from(avatar, rendering):
    renderer = rendering()
    dim = ambient(0.85)
    dim[3] = 0.5
    dark, light = (
        renderer.process(at_rest(avatar, one)).pixels.astype(float) for one in (np.zeros((9, 3)), dim)
    )
    middle = slice(90, 170)
    change = light[middle] - dark[middle]
    left, right = change[:, 90:120].mean(), change[:, 140:170].mean()
    assert right > left + 5
    assert np.abs(change[:, :20]).mean() < 1  # the background


def test_the_portraits_own_light_changes_no_pixel(avatar, rendering):
    renderer = rendering()
    before = renderer.process(at_rest(avatar, np.zeros((9, 3), np.float32))).pixels.copy()
    after = renderer.process(at_rest(avatar, ambient())).pixels
    np.testing.assert_array_equal(before, after)
