"""Hair and neck go where the driver's own do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mien.errors import PackageError
from mien.face.camera import rotation_matrix
from mien.face.landmark_basis import LandmarkBasis
from mien.face.model import load_model
from mien.face.rig import INDEX
from mien.face.subject import Subject
from mien.frames import DETAIL, FaceParams
from mien.render.projection import lens_of, pose_matrix
from mien_photo import package
from mien_photo.anatomy import skin_of
from mien_photo.surroundings import Surroundings

pytestmark = pytest.mark.plugin


@pytest.fixture(scope="module")
def photo(avatar):
    model = load_model(avatar.content.face_model)
    return package.unpack(avatar.content, model, skin_of(model))


@pytest.fixture
def moved(photo, avatar):
    """How far the grid's nodes go, (G, 2) px of the portrait, y down, from where they lie in it."""
    subject = photo.subject
    around = Surroundings(photo.grid.still, subject, load_model(avatar.content.face_model))
    lens = lens_of(subject.camera)
    pose = pose_matrix(rotation_matrix(subject.rest_rotation), subject.rest_translation)

    def run(detail, share=1.0, expression=subject.neutral):
        still = photo.grid.still
        grid = np.ones((len(still), 4), np.float32) * np.float32(70)
        grid[:, 0] = (2 * still[:, 0] / lens[0] - 1) * 70
        grid[:, 1] = (1 - 2 * still[:, 1] / lens[1]) * 70
        around.follow(np.asarray(expression), detail, share, pose, lens, grid)
        at = (grid[:, :2] / grid[:, 3:] * (1, -1) + 1) * lens[:2] / 2
        return at - still

    return run


def lifted(cm):
    detail = np.zeros(DETAIL, np.float32)
    detail[..., 1] = cm
    return detail


def test_at_rest_all_stays_where_it_was(moved):
    assert np.abs(moved(lifted(0.0))).max() < 0.1


def test_what_is_next_to_the_face_follows_and_what_is_far_from_it_stays(moved, photo):
    up = -moved(lifted(0.4))[:, 1]
    subject = photo.subject
    expected = 0.4 * subject.camera.focal / -float(subject.rest_translation[2])
    still = photo.grid.still
    face = photo.likeness.source_xy
    centre, reach = face.mean(axis=0), np.ptp(face, axis=0) / 2
    away = np.linalg.norm((still - centre) / reach, axis=1)
    assert np.median(up[away < 0.9]) == pytest.approx(expected, rel=0.15)
    assert np.abs(up[away > 1.8]).max() < 0.02 * expected
    half = -moved(lifted(0.4), share=0.5)[:, 1]
    assert np.allclose(half, up / 2, atol=0.2)


def test_the_neck_is_where_the_jaw_leaves_it(moved, photo):
    """The rim hangs on the oval: an open jaw takes what is below along, and `detail` says how far that is wrong."""
    opened = np.array(photo.subject.neutral)
    opened[:] = 0
    opened[INDEX["jawOpen"]] = 1.0
    down = moved(lifted(0.0), expression=opened)[:, 1]
    assert np.isfinite(down).all()
    assert down.max() > 10


@pytest.mark.parametrize("kept", [(0, 0, 0), (1, 0, 0)])
def test_a_face_without_area_is_refused(photo, avatar, kept):
    """In a stranger's package offsets may take away what there is of a face: all but a line or a point."""
    model = load_model(avatar.content.face_model)
    plain = Subject(model.name, np.zeros(len(model.identity), np.float32), photo.subject.camera)
    shape = LandmarkBasis.of(model).shape(plain.identity, plain.offsets)
    flat = replace(plain, offsets=shape * np.float32(kept) - shape)
    with pytest.raises(PackageError, match="mien avatar create"):
        Surroundings(photo.grid.still, flat, model)


def test_the_renderer_moves_hair_only_where_it_is_told_to(rendering, photo):
    subject = photo.subject
    face = FaceParams(
        0,
        subject.rest_rotation,
        subject.rest_translation,
        subject.neutral,
        subject.rest_gaze,
        detail=lifted(0.4),
    )
    renderer = rendering()
    plain, again, around = (
        renderer.process(replace(face, detail_around=share)).pixels.astype(int) for share in (0.0, 0.0, 1.0)
    )
    assert np.array_equal(plain, again)
    assert np.abs(plain - around).max() > 20
