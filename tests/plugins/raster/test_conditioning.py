"""Conditioning images, drawn with the numba rasterizer."""

from __future__ import annotations

import numpy as np
import pytest

from mien.face.camera import Camera
from mien.face.model import PosedFace, Region, load_model
from mien.frames import FaceParams
from mien.render.composition import over
from mien.render.conditioning import NAMES, Conditioner
from mien.render.projection import lens_of, pose_matrix, to_clip
from mien_raster.rasterizer import NumbaRasterizer

pytestmark = pytest.mark.plugin


@pytest.fixture(scope="module")
def images():
    model = load_model()
    face = PosedFace(model, np.zeros(len(model.identity), np.float32))
    camera = Camera.guess(128, 128)
    params = FaceParams(5, translation=np.array([0, 0, -80], np.float32), index=2)
    return Conditioner(face, camera, NumbaRasterizer()).images(params)


def test_every_name_gives_an_image(images):
    assert set(images.images) == set(NAMES)
    assert (images.capture_ns, images.index) == (5, 2)
    for image in images.images.values():
        assert image.shape[:2] == (128, 128)
        assert np.isfinite(image).all()


def test_depth_is_where_the_face_is(images):
    depth = images.images["depth"][..., 0]
    face = images.images["regions"][..., 0] == Region.FACE
    assert depth[64, 64] == pytest.approx(76, abs=4)
    assert ((depth > 60) & (depth < 100))[face].all()
    assert depth[0, 0] == 0


def test_normals_face_the_camera(images):
    normals, drawn = images.images["normals"], images.images["depth"][..., 0] > 0
    np.testing.assert_allclose(np.linalg.norm(normals[drawn], axis=1), 1, atol=1e-3)
    assert normals[drawn][:, 2].mean() > 0.5


def test_regions_are_those_of_the_model(images):
    seen = set(np.unique(images.images["regions"]).tolist())
    assert {-1, Region.FACE, Region.HEAD, Region.EYE_LEFT, Region.EYE_RIGHT} <= seen
    left = np.argwhere(images.images["regions"][..., 0] == Region.EYE_LEFT)[:, 1].mean()
    right = np.argwhere(images.images["regions"][..., 0] == Region.EYE_RIGHT)[:, 1].mean()
    assert right < 64 < left


def test_correspondence_grows_to_the_subjects_left_and_up(images):
    place = images.images["correspondence"]
    assert place[64, 80, 0] > place[64, 48, 0]
    assert place[50, 64, 1] > place[80, 64, 1]
    assert place.min() >= 0
    assert place.max() <= 1.001


def test_unknown_names_are_refused():
    model = load_model()
    face = PosedFace(model, np.zeros(len(model.identity), np.float32))
    with pytest.raises(ValueError, match="albedo"):
        Conditioner(face, Camera.guess(8, 8), NumbaRasterizer()).images(FaceParams(0), ["albedo"])


def test_clip_space_is_the_cameras():
    camera = Camera(64, 48, 100.0, 30.0, 25.0)
    rng = np.random.default_rng(0)
    points = rng.normal(0, 5, (20, 3)).astype(np.float32)
    translation = np.array([1, 2, -70], np.float32)
    clip = np.empty((20, 4), np.float32)
    to_clip(points, pose_matrix(np.eye(3, dtype=np.float32), translation), lens_of(camera), clip)
    seen = points + translation
    expected = np.concatenate([seen, np.ones((20, 1))], axis=1) @ camera.clip_matrix().T
    np.testing.assert_allclose(clip, expected, rtol=1e-4, atol=1e-3)


def test_over_is_exact_at_both_ends_and_stays_inside_its_area():
    rng = np.random.default_rng(0)
    front = rng.integers(0, 256, (6, 8, 4), dtype=np.uint8)
    back = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    front[:, :4, 3], front[:, 4:, 3] = 255, 0
    front[2, 2, 3] = 128
    out = np.zeros_like(back)
    over(front, back, 1, 5, 2, 7, out)
    assert (out[0] == 0).all()
    assert (out[:, :2] == 0).all()
    assert (out[:, 7] == 0).all()
    np.testing.assert_array_equal(out[3:5, 2:4], front[3:5, 2:4, :3])
    np.testing.assert_array_equal(out[1:5, 4:7], back[1:5, 4:7])
    blended = (front[2, 2, :3].astype(float) + back[2, 2]) / 2
    np.testing.assert_allclose(out[2, 2], blended, atol=2)
