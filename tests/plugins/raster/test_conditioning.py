"""Conditioning images, drawn with the numba rasterizer."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mien.face.camera import Camera
from mien.face.light import ambient
from mien.face.model import EYES, Region, load_model
from mien.face.rig import INDEX
from mien.face.subject import Subject
from mien.frames import EXPRESSIONS, FaceParams
from mien.render.composition import over
from mien.render.conditioning import CHANNELS, NAMES, OF_A_FACE, Conditioner
from mien.render.projection import lens_of, pose_matrix, to_clip
from mien_raster.rasterizer import NumbaRasterizer

pytestmark = pytest.mark.plugin

SIDE = 128
SOMEBODY = Subject("mien-head", np.zeros(20, np.float32), Camera.guess(2 * SIDE, 2 * SIDE))
BROAD = Subject("mien-head", np.eye(1, 20, dtype=np.float32)[0] * 2, Camera.guess(SIDE, SIDE))


def face(yaw=0.0, gaze=(0.0, 0.0), light=None, stamp=5, **weights):
    expression = np.zeros(EXPRESSIONS, np.float32)
    for name, weight in weights.items():
        expression[INDEX[name]] = weight
    return FaceParams(
        stamp, np.array([0, yaw, 0], np.float32), np.array([0, 0, -70], np.float32), expression,
        np.array([gaze, gaze], np.float32), np.zeros((9, 3), np.float32) if light is None else light, index=2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def conditioner():
    return Conditioner(load_model(), NumbaRasterizer(), (SIDE, SIDE))


@pytest.fixture(scope="module")
def still(conditioner):
    params = face()
    return conditioner.images(SOMEBODY, [params], NAMES, conditioner.source(SOMEBODY, params))


def test_every_name_gives_an_image_of_its_shape(still):
    assert tuple(still) == NAMES
    for name, image in still.items():
        assert image.shape == (1, SIDE, SIDE, CHANNELS[name])
        assert np.isfinite(image).all()


def test_nothing_else_is_drawn_than_what_is_wanted(conditioner):
    assert list(conditioner.images(SOMEBODY, [face()], {"depth"})) == ["depth"]


def test_a_batch_holds_what_each_face_gives_alone(conditioner):
    subjects = [SOMEBODY, BROAD, SOMEBODY]
    params = [face(0.3, jawOpen=0.5), face(-0.2, (0.2, 0.1)), face(eyeBlinkLeft=1)]
    together = conditioner.images(subjects, params)
    assert tuple(together) == OF_A_FACE
    for k, (subject, one) in enumerate(zip(subjects, params, strict=True)):
        for name, image in conditioner.images(subject, [one]).items():
            np.testing.assert_array_equal(together[name][k], image[0], err_msg=name)


def test_frames_carry_the_stamps_of_their_params(conditioner):
    frames = conditioner.frames(SOMEBODY, [face(stamp=5), face(0.2, stamp=9)], {"uv", "regions"})
    assert [(frame.capture_ns, frame.index) for frame in frames] == [(5, 2), (9, 2)]
    assert frames[0].images["uv"].shape == (SIDE, SIDE, 2)
    assert not frames[0].images["uv"].flags.writeable


def test_depth_is_where_the_face_is(still):
    depth, shown = still["depth"][0, :, :, 0], still["regions"][0, :, :, 0]
    assert depth[64, 64] == pytest.approx(66, abs=4)
    assert ((depth > 50) & (depth < 90))[shown == Region.FACE].all()
    assert depth[0, 0] == 0


def test_normals_face_the_camera(still):
    normals, drawn = still["normals"][0], still["depth"][0, :, :, 0] > 0
    np.testing.assert_allclose(np.linalg.norm(normals[drawn], axis=1), 1, atol=1e-3)
    assert normals[drawn][:, 2].mean() > 0.5
    assert (normals[~drawn] == 0).all()


def test_regions_and_masks_are_those_of_the_model(still):
    regions, masks = still["regions"][0, :, :, 0], still["masks"][0]
    assert {-1, Region.FACE, Region.HEAD, Region.EYE_LEFT, Region.EYE_RIGHT} <= set(
        np.unique(regions).tolist()
    )
    left, right = (np.argwhere(regions == eye)[:, 1].mean() for eye in EYES)
    assert right < 64 < left
    assert (masks.sum(axis=2) == (regions >= 0)).all()
    assert (masks.argmax(axis=2) == regions)[regions >= 0].all()


def test_correspondence_grows_to_the_subjects_left_and_up(still):
    place = still["correspondence"][0]
    assert place[64, 80, 0] > place[64, 48, 0]
    assert place[50, 64, 1] > place[80, 64, 1]
    assert place.min() >= 0
    assert place.max() <= 1.001


def test_correspondence_sticks_to_the_face_while_it_moves(conditioner):
    params = face(0.4, jawOpen=0.6, mouthSmileLeft=0.8)
    images = conditioner.images(SOMEBODY, [params], {"correspondence", "depth"})
    model = load_model()
    low, high = model.mean.min(axis=0), model.mean.max(axis=0)
    # What the image says of the nose's tip, and where the nose's tip is seen.
    tip = int(np.argmax(model.mean[:, 2]))
    rotated = model.vertices(np.zeros(20), params.expression)[tip] @ [[np.cos(0.4), 0, -np.sin(0.4)], [0, 1, 0], [np.sin(0.4), 0, np.cos(0.4)]]  # fmt: skip  # noqa: E501
    x, y = Camera.guess(SIDE, SIDE).project(rotated + params.translation).astype(int)
    np.testing.assert_allclose(
        images["correspondence"][0, y, x], (model.mean[tip] - low) / (high - low), atol=0.04
    )


def test_colour_is_under_the_faces_light(conditioner):
    from_left = ambient(0.6)
    from_left[3] = -0.5  # x grows to the right of the picture
    even, lit = conditioner.images(SOMEBODY, [face(), face(light=from_left)], {"colour"})["colour"]
    assert 0.2 < even[64, 64].mean() < 0.9
    left, right = lit[64, 46].mean(), lit[64, 82].mean()
    assert left > 1.2 * right
    assert even[64, 46].mean() == pytest.approx(even[64, 82].mean(), rel=0.05)


def test_the_gaze_map_says_direction_and_iris(conditioner):
    ahead, aside = conditioner.images(SOMEBODY, [face(), face(gaze=(0.4, -0.1))], {"gaze"})["gaze"]
    regions = conditioner.images(SOMEBODY, [face(gaze=(0.4, -0.1))], {"regions"})["regions"][0, :, :, 0]
    ball = np.isin(regions, EYES)
    np.testing.assert_allclose(aside[ball][:, 0], np.sin(0.4) * np.cos(0.1), atol=1e-5)
    np.testing.assert_allclose(aside[ball][:, 1], -np.sin(0.1), atol=1e-5)
    assert (aside[~ball][:, :3] == 0).all()
    assert set(np.unique(aside[ball][:, 2].round(3))) >= {0.5, 1.0}
    columns = [np.argwhere(eyes[..., 2] > 0.9)[:, 1].mean() for eyes in (ahead, aside)]
    assert columns[1] > columns[0] + 0.25


def test_the_gaze_map_says_which_eye_is_shut(conditioner):
    gaze = conditioner.images(SOMEBODY, [face(eyeBlinkLeft=1, eyeBlinkRight=0.25)], {"gaze"})["gaze"][0]
    assert gaze[:, 64:, 3].max() == pytest.approx(1, abs=1e-4)
    assert gaze[:, :64, 3].max() == pytest.approx(0.25, abs=1e-4)
    assert gaze[110, 64, 3] == 0


def test_a_source_of_the_same_face_maps_onto_itself(still):
    x, y, visible = np.moveaxis(still["source_xy"][0], 2, 0)
    sure = still["regions"][0, :, :, 0] == Region.FACE
    rows, columns = np.nonzero(sure)
    # The source has twice the size.
    np.testing.assert_allclose(x[sure], 2 * (columns + 0.5), atol=0.1)
    np.testing.assert_allclose(y[sure], 2 * (rows + 0.5), atol=0.1)
    assert visible[sure].mean() > 0.9


def test_what_the_source_hides_is_told(conditioner):
    source = conditioner.source(SOMEBODY, face(0.5))
    regions, warp = conditioner.images(SOMEBODY, [face(-0.5)], {"regions", "source_xy"}, source).values()
    columns = np.argwhere(regions[0, :, :, 0] >= 0)[:, 1]
    visible = warp[0, :, :, 2]
    assert visible[64, int(columns.min()) + 12] != visible[64, int(columns.max()) - 12]


def test_what_does_not_fit_is_named(conditioner):
    with pytest.raises(ValueError, match="albedo"):
        conditioner.images(SOMEBODY, [face()], ["albedo"])
    with pytest.raises(ValueError, match=r"Conditioner\.source"):
        conditioner.images(SOMEBODY, [face()], ["source_xy"])
    with pytest.raises(ValueError, match="2 subjects for 1"):
        conditioner.images([SOMEBODY, BROAD], [face()])
    wide = Subject("mien-head", np.zeros(20, np.float32), Camera.guess(320, 180))
    with pytest.raises(ValueError, match="320x180"):
        conditioner.images(wide, [face()])
    other = Subject("flame2023", np.zeros(20, np.float32), Camera.guess(SIDE, SIDE))
    with pytest.raises(ValueError, match="flame2023"):
        conditioner.images(other, [face()])


@pytest.mark.parametrize("field", ["rotation", "translation", "expression", "gaze", "light"])
def test_a_face_that_cannot_be_drawn_is_named(conditioner, field):
    nothing = np.full_like(getattr(face(), field), np.nan)
    with pytest.raises(ValueError, match=rf"{field} of params\[1\] holds"):
        conditioner.images(SOMEBODY, [face(), dataclasses.replace(face(), **{field: nothing})])
    with pytest.raises(ValueError, match=rf"{field} of params\[0\] has shape"):
        conditioner.images(SOMEBODY, [dataclasses.replace(face(), **{field: nothing[:-1]})])


def test_somebody_who_cannot_be_drawn_is_named(conditioner):
    for field, wrong in (
        ("identity", np.zeros((2, 2), np.float32)),
        ("identity", np.full(20, np.inf, np.float32)),
        ("identity", np.zeros(10_000, np.float32)),
        ("offsets", np.zeros((468, 3), np.float32)),
        ("reflectance", np.full(78, np.nan, np.float32)),
    ):
        with pytest.raises(ValueError, match=field):
            conditioner.images(dataclasses.replace(SOMEBODY, **{field: wrong}), [face()])


def test_nobody_is_no_batch(conditioner):
    with pytest.raises(ValueError, match="one face at least"):
        conditioner.images([], [])


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
