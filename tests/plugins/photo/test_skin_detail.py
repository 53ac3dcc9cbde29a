"""The avatar's skin follows `FaceParams.detail`."""

from __future__ import annotations

import numpy as np
import pytest

from mien.face.chart import Lookup
from mien.face.model import load_model
from mien.frames import DETAIL
from mien_photo import package
from mien_photo.anatomy import LIP_UPPER, MOUTH_LOWER, MOUTH_UPPER, skin_of
from mien_photo.posing import SkinPose

pytestmark = pytest.mark.plugin


@pytest.fixture
def pose(avatar):
    model = load_model(avatar.content.face_model)
    skin = skin_of(model)
    photo = package.unpack(avatar.content, model, skin)
    return SkinPose(skin, photo.likeness, Lookup.of(model.mean[skin.vertices]), photo.subject.neutral)


def lifted(cm):
    detail = np.zeros(DETAIL, np.float32)
    detail[..., 1] = cm
    return detail


def test_skin_moves_by_what_the_lattice_says(pose):
    weights = np.zeros(52, np.float32)
    pose.update(weights)
    before = pose.vertices.copy()
    pose.update(weights, lifted(0.3))
    moved = pose.vertices - before
    assert np.allclose(np.median(moved, axis=0), [0, 0.3, 0], atol=1e-3)
    pose.update(weights)
    assert np.array_equal(pose.vertices, before)


def test_lips_still_meet(pose, avatar):
    """Detail pulls the lips apart; how far the mouth is open is not its business."""
    model = load_model(avatar.content.face_model)
    mouth = skin_of(model).openings[0]
    apart = lifted(0.0)
    at = Lookup.of(model.landmarks.apply(model.mean)[list(LIP_UPPER)])
    apart.reshape(-1, 2)[np.unique(at.node), 1] = 0.25
    assert len(MOUTH_UPPER) == len(MOUTH_LOWER)
    pose.update(np.zeros(52, np.float32), apart)
    assert mouth.gaps(pose.vertices).max() < 0.02
