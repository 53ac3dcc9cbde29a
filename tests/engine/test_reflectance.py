"""Reflectance in few numbers, the fields that it is made of, and colours from pictures."""

import numpy as np
import pytest

from mien.face.landmark_basis import LIP_PAIRS
from mien.face.model import Region, load_model
from mien.face.reflectance import FIELD_NAMES, Reflectance
from mien.face.skin_modes import skin_modes
from mien.face.subject import REFLECTANCE

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def reflectance():
    return Reflectance.of(load_model())


def test_a_person_has_at_most_eighty_numbers(reflectance):
    assert reflectance.fields.shape == (len(FIELD_NAMES), len(load_model().mean))
    assert 3 * len(FIELD_NAMES) == REFLECTANCE <= 80


def test_what_it_can_paint_it_finds_again(reflectance):
    true = (0.03 * np.random.default_rng(0).standard_normal(REFLECTANCE)).astype(np.float32)
    albedo = reflectance.albedo(true)
    found = reflectance.albedo(reflectance.coefficients(albedo, np.ones(len(albedo))))
    face = load_model().vertex_region == Region.FACE
    assert np.abs(found - albedo)[face].mean() < 0.01


def test_zero_is_the_average_face(reflectance):
    assert np.allclose(reflectance.albedo(np.zeros(REFLECTANCE, np.float32)), reflectance.average)


def test_lips_brows_and_eyes_have_colours_of_their_own(reflectance):
    model = load_model()
    fields = dict(zip(FIELD_NAMES, reflectance.fields, strict=True))
    mark = model.landmarks.vertices[np.arange(478), model.landmarks.weights.argmax(axis=1)]
    assert fields["lips"][mark[[0, 17]]].min() >= 0.4  # the rims
    assert fields["lips"][mark[[1, 152]]].max() == 0  # nose and chin
    assert fields["brows"][mark[[52, 105, 282, 334]]].min() > 0.4
    assert fields["pupils"][mark[[468, 473]]].min() > 0.9
    assert fields["whites"][model.vertex_region == Region.FACE].max() == 0


def test_modes_are_smooth_and_do_not_part_the_lips():
    model = load_model()
    modes = skin_modes(model, 8)
    face = model.vertex_region == Region.FACE
    assert np.allclose(modes[0, face], 1)
    assert np.allclose(np.sqrt((modes[:, face] ** 2).mean(axis=1)), 1, atol=0.5)
    mark = model.landmarks.vertices[np.arange(478), model.landmarks.weights.argmax(axis=1)]
    upper, lower = np.array(LIP_PAIRS).T
    assert np.abs(modes[:, mark[upper]] - modes[:, mark[lower]]).max() < 0.1
