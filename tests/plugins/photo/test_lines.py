"""Lips of a smile at rest, its folds, and lids that close: pure parts of the photo avatar."""

from __future__ import annotations

import numpy as np
import pytest

from mien.face.chart import Lookup
from mien.face.rig import INDEX
from mien_photo import folds
from mien_photo.likeness import _fuller, smile_of
from mien_photo.posing import SkinPose

pytestmark = pytest.mark.plugin


def face_points() -> np.ndarray:
    """MediaPipe's points where folds and lips of a face of 300 px are."""
    points = np.full((478, 3), 150, np.float32)
    points[10], points[152] = (200, 40, 0), (200, 340, 0)
    for side, ids in ((-1, (203, 206, 216, 212)), (1, (423, 426, 436, 432))):
        for at, (x, y) in zip(ids, ((40, 210), (52, 225), (60, 240), (62, 258)), strict=True):
            points[at, :2] = 200 + side * x, y
    across = np.linspace(-35, 35, 11)
    bend = 12 * (1 - (across / 35) ** 2)
    for ids, sign in ((folds.LIP_UPPER, -1), (folds.LIP_LOWER, 1)):
        points[list(ids), :2] = np.stack([200 + across, 265 + sign * bend], axis=1)
    return points


def test_folds_get_shallower_and_the_rest_stays() -> None:
    picture = np.full((400, 400, 3), 180, np.uint8)
    points = face_points()
    for ids in ((203, 206, 216, 212), (423, 426, 436, 432)):
        for x, y in points[list(ids), :2].astype(int):
            picture[y - 8 : y + 8, x - 2 : x + 2] = (110, 90, 80)
    picture[260:270, 170:230] = (120, 60, 60)
    before = picture.copy()
    soft = folds.softened(picture, points, 1.0)
    x, y = points[206, :2].astype(int)
    assert before[y, x].mean() + 25 < soft[y, x].mean() < 180
    np.testing.assert_array_equal(soft[255:275, 170:230], before[255:275, 170:230])
    np.testing.assert_array_equal(soft[:150], before[:150])
    np.testing.assert_array_equal(picture, before, "the portrait itself is left alone")


def test_a_face_that_does_not_smile_keeps_its_lines() -> None:
    picture = np.random.default_rng(1).integers(0, 255, (400, 400, 3), np.uint8)
    assert folds.softened(picture, face_points(), 0.0) is picture
    assert smile_of(np.zeros(52, np.float32)) == 0
    smiling = np.zeros(52, np.float32)
    smiling[[INDEX["mouthSmileLeft"], INDEX["mouthSmileRight"]]] = 0.8
    assert smile_of(smiling) == 1


@pytest.mark.parametrize("stretched", [0.0, 0.5, 1.0])
def test_colour_on_a_lip_keeps_its_order(stretched: float) -> None:
    share = np.linspace(0, 2, 200).astype(np.float32)
    places = _fuller(share, stretched)
    assert (np.diff(places) >= -1e-6).all()
    assert places[-1] == pytest.approx(2)
    red = float(np.interp(1.0, share, places))
    assert red == pytest.approx(1.0, abs=0.01) if stretched == 0 else red < 0.97, (
        "a drawn lip is fuller at rest"
    )


def test_skin_is_drawn_down_with_lids_that_close(avatar) -> None:
    from mien.face.model import load_model
    from mien_photo import package
    from mien_photo.anatomy import skin_of

    model = load_model(avatar.content.face_model)
    skin = skin_of(model)
    photo = package.unpack(avatar.content, model, skin)
    pose = SkinPose(skin, photo.likeness, Lookup.of(model.mean[skin.vertices]), photo.subject.neutral)
    weights = np.zeros(52, np.float32)
    pose.update(weights)
    assert max(pose.drawn_out_cm) < 0.05
    weights[[INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]] = 1
    pose.update(weights)
    assert min(pose.shut[1:]) > 0.95
    assert pose.shut[0] == 0
    assert min(pose.drawn_out_cm[1:]) > 0.8, "skin is drawn down as far as the eye was open, and more"
