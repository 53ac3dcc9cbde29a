"""The skin of closed lids, made up from what is around an open eye."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mien_photo import lids

pytestmark = pytest.mark.unit

SKIN = np.array([200, 160, 140])
BOX = (slice(40, 62), slice(36, 66))
"""Where a lid is as it closes: from below the brow to the lower lid."""


def eye(shadow: float = 1.0, side: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """A face with one eye at its middle under a dark brow; shadow: of that between the two. And the eye's outline."""
    picture = np.empty((side, side, 4), np.uint8)
    picture[..., :3], picture[..., 3] = SKIN, 255
    picture[36:46, 28:72, :3] = SKIN * shadow
    picture[32:38, 28:72, :3] = (50, 40, 30)
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    outline = np.stack([50 + 14 * np.cos(angles), 53 + 7 * np.sin(angles)], axis=1).astype(np.float32)
    cv2.fillPoly(picture, [np.round(outline).astype(np.int32)], (235, 235, 235, 255))
    cv2.circle(picture, (50, 53), 6, (30, 60, 60, 255), -1)
    cv2.ellipse(picture, (50, 53), (15, 8), 0, 180, 360, (20, 10, 10, 255), 2)
    return picture, outline


@pytest.mark.parametrize(("shadow", "share"), [(1.0, 0.95), (0.6, 0.84), (0.4, 0.78)])
def test_lids_have_the_colour_of_the_skin_around(shadow, share):
    """Somewhat darker under a shadow, without hairs of the brow."""
    picture, outline = eye(shadow)
    found = lids.bare(picture, [outline])[BOX][..., :3].astype(float)
    np.testing.assert_allclose(found.mean(axis=(0, 1)), SKIN * share, rtol=0.06)
    assert (found.std(axis=(0, 1)) < 6).all()


def test_what_is_around_stays_as_it_is():
    picture, outline = eye()
    before = picture.copy()
    found = lids.bare(picture, [outline])
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(found[:20], picture[:20])
    np.testing.assert_array_equal(found[80:], picture[80:])
    np.testing.assert_array_equal(found[..., 3], picture[..., 3])


@pytest.mark.parametrize("place", [(-200, 0), (0, 0), (49, 46), (500, 500)])
def test_eyes_at_and_beyond_the_border_do_no_harm(place):
    picture, outline = eye()
    assert lids.bare(picture, [outline + np.float32(place)]).shape == picture.shape


def test_all_in_the_dark_it_stays_dark():
    picture, outline = eye()
    dark = np.asarray(picture * np.array([0.1, 0.1, 0.1, 1]), np.uint8)
    assert lids.bare(dark, [outline])[..., :3].max() <= dark[..., :3].max()


def test_lids_of_statues_are_grey():
    picture, outline = eye(0.6)
    grey = np.asarray(picture[..., :3].mean(axis=2), np.uint8)
    stone = np.dstack([grey, grey, grey, picture[..., 3]])
    found = lids.bare(stone, [outline])[..., :3]
    assert np.ptp(found.astype(int), axis=2).max() <= 1


def test_a_lid_is_round_and_has_a_crease():
    """Bright over the lashes, darker further up, between the corners of the eye."""
    opening = np.zeros((60, 80), np.uint8)
    cv2.ellipse(opening, (40, 40), (20, 8), 0, 0, 360, 1, -1)
    shape = lids._shape(opening, 40.0)
    lashes = 32
    assert shape[lashes - 5, 40] > 1.02
    assert shape[lashes - 9, 40] < 0.95
    np.testing.assert_allclose(shape[:, 5], 1, atol=1e-6)
    np.testing.assert_array_equal(lids._shape(np.zeros_like(opening), 40.0), 1)


def test_lids_get_the_grain_of_the_skin_below_the_eye_and_no_specks_of_it():
    picture, outline = eye(side=200)
    assert np.abs(lids.grain(picture, outline)).max() < 1e-6, "smooth skin has none"
    random = np.random.default_rng(3)
    rough = picture.copy()
    noise = 1 + 0.05 * random.standard_normal(rough.shape[:2])[..., None]
    rough[..., :3] = np.clip(rough[..., :3] * noise, 0, 255)
    rough[70:73, 48:51, :3] = 20
    found = lids.grain(rough, outline)
    assert found.shape[0] == found.shape[1] > 10
    assert 0.02 < found.std() < 0.12
    assert found.min() > -0.4, "a mole is no grain"
    assert not lids.grain(rough[:60], outline).any(), "nothing to be seen below the eye"
    assert lids.grain(rough, outline * np.float32(100)).shape == (2, 2), "however large it is said to be"


def test_what_lies_below_the_far_eye_of_a_face_that_looks_aside_is_no_grain():
    """The ridge of a nose, or hair: neither its edge nor its roughness comes down with either lid."""
    picture, outline = eye(side=200)
    random = np.random.default_rng(5)
    noise = 1 + 0.03 * random.standard_normal(picture.shape[:2])[..., None]
    picture[..., :3] = np.clip(picture[..., :3] * noise, 0, 255)
    aside = picture.copy()
    aside[60:, :48, :3] = 40
    assert np.abs(lids.grain(aside, outline)).max() < 0.15, "an edge is as weak as a speck"
    both = np.concatenate([picture, aside], axis=1)
    near, far = lids.grains(both, [outline, outline + np.array([200, 0], np.float32)])
    np.testing.assert_array_equal(near, lids.grain(picture, outline))
    np.testing.assert_array_equal(far, near)
    unseen = np.array([0, 1000], np.float32)
    near, far = lids.grains(picture, [outline + unseen, outline])
    np.testing.assert_array_equal(near, far)
    assert far.any()
    assert not lids.grains(picture, [outline + unseen] * 2)[0].any()


def test_the_grain_stays_with_a_head_that_moves_and_turns():
    from mien.face.camera import rotation_matrix
    from mien.render.projection import pose_matrix

    lens = np.array([512, 512, 1024, 256, 256], np.float32)
    centre = np.array([3, 2, 8], np.float32)
    beside = centre + np.array([0.7, -0.4, 0], np.float32)
    places = []
    for turn, shift in (((0, 0, 0), (0, 0, -60)), ((0.2, -0.3, 0.4), (5, 3, -80))):
        pose = pose_matrix(rotation_matrix(np.array(turn, np.float32)), np.array(shift, np.float32))
        x, y, z = pose[:, :3] @ beside + pose[:, 3]
        seen = np.array([lens[3] - lens[2] * x / z - 100, lens[4] + lens[2] * y / z - 90, 1])
        places.append(lids.weave(pose, lens, centre, 20.0, 100, 90) @ seen)
    np.testing.assert_allclose(places[0], (14, 8), atol=0.01)
    np.testing.assert_allclose(places[1], places[0], atol=0.6)
