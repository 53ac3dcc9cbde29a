"""The face turns under the light of its portrait."""

from __future__ import annotations

import numpy as np
import pytest

from mien.face.camera import rotation_matrix
from mien.face.light import harmonics
from mien.face.model import load_model
from mien.face.normals import vertex_normals
from mien_photo.anatomy import skin_of
from mien_photo.shading import Shading, apply, light_of, spread

pytestmark = pytest.mark.plugin

SIDE = 256
FROM_THE_LEFT = np.array([3, 0, 0.4, 0.9, 0, 0, 0, 0, 0], np.float32)
"""Ambient light, some from the front, more from the right side of the picture: the subject's left."""
STRAIGHT = np.eye(3, dtype=np.float32)
WHITE = np.ones(3, np.float32)


@pytest.fixture(scope="module")
def skin():
    return skin_of(load_model())


@pytest.fixture(scope="module")
def neutral(skin):
    return np.ascontiguousarray(load_model().mean[skin.vertices])


def test_nothing_changes_as_long_as_the_face_is_as_in_the_portrait(skin, neutral):
    gain = Shading(skin, neutral, STRAIGHT, FROM_THE_LEFT).gain(neutral, STRAIGHT)
    np.testing.assert_allclose(gain, 1, atol=1e-3)


def test_a_cheek_that_turns_to_the_light_gets_brighter_by_what_the_light_says(skin, neutral):
    turned = rotation_matrix(np.array([0, 0.3, 0], np.float32))
    gain = Shading(skin, neutral, STRAIGHT, FROM_THE_LEFT).gain(neutral, turned)
    normals = vertex_normals(neutral, skin.triangles)
    stiff = np.zeros(len(neutral), bool)
    for opening in skin.openings:
        stiff[opening.rows] = True
    cheek = (skin.presence == 1) & (normals[:, 2] > 0.5) & ~stiff
    expected = (harmonics(normals @ turned.T) @ FROM_THE_LEFT) / (harmonics(normals) @ FROM_THE_LEFT)
    np.testing.assert_allclose(gain[cheek], expected[cheek], rtol=0.01)
    assert gain[cheek].mean() > 1.02


def test_the_light_is_read_off_the_portrait():
    place = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    x, y = np.meshgrid(place, -place)
    ball = np.stack([x, y, np.sqrt(np.maximum(1 - x * x - y * y, 0))], axis=-1).astype(np.float32)
    source = np.repeat(90 * (harmonics(ball) @ FROM_THE_LEFT)[..., None], 3, axis=2).clip(0, 255)
    rows, columns = (part[::37] for part in np.nonzero(ball[..., 2] > 0.2))
    xy = np.stack([columns, rows], axis=1).astype(np.float32) + 0.5
    light = light_of(source.astype(np.uint8), xy, ball[rows, columns], np.ones(len(xy), np.float32))
    found = harmonics(ball[rows, columns]) @ light
    expected = harmonics(ball[rows, columns]) @ FROM_THE_LEFT
    np.testing.assert_allclose(found / found.mean(), expected / expected.mean(), atol=0.06)


def test_a_picture_without_skin_has_no_light(skin, neutral):
    away = np.tile(np.array([0, 0, -1], np.float32), (len(neutral), 1))
    xy = np.zeros((len(neutral), 2), np.float32)
    assert not light_of(np.zeros((SIDE, SIDE, 3), np.uint8), xy, away, skin.presence).any()


def test_only_the_lit_part_of_the_picture_is_touched():
    triangle = np.full((8, 8), -1, np.int32)
    triangle[2:6, 3:5] = 0
    corners = np.array([[0, 1, 2]], np.int32)
    factor, box = np.empty((8, 8), np.float32), np.empty(4, np.int32)
    third = np.full((8, 8, 2), 1 / 3, np.float32)
    spread(np.full(3, 1.2, np.float32), triangle, third, corners, np.float32(1), factor, box)
    assert box.tolist() == [3, 2, 5, 6]
    picture = np.full((16, 16, 3), 100, np.uint8)
    person = np.full((16, 16, 4), 255, np.uint8)
    person[:, 8, 3] = 0
    everywhere = np.array([[0, 8]], np.int32)
    apply(factor, WHITE, WHITE, *box.tolist(), person, everywhere, False, picture)
    assert (picture[7:9, 7] == 120).all()
    assert (picture[:, 8] == 100).all(), "the background"
    assert (picture[:3] == 100).all()
    assert (picture[:, 12:] == 100).all()


def test_nothing_to_do_is_an_empty_box():
    factor, box = np.empty((4, 4), np.float32), np.empty(4, np.int32)
    nothing = np.full((4, 4), -1, np.int32)
    corners = np.zeros((1, 3), np.int32)
    spread(
        np.ones(3, np.float32), nothing, np.zeros((4, 4, 2), np.float32), corners, np.float32(1), factor, box
    )
    assert box[0] >= box[2]
