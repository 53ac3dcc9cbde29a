"""How far lips and lids are apart, and what the lid that closes is made of."""

from __future__ import annotations

import numpy as np
import pytest

from mien.face.model import load_model
from mien.face.rig import BLINKS, INDEX
from mien_photo import apertures
from mien_photo.anatomy import skin_of
from mien_photo.window import edges

pytestmark = pytest.mark.plugin

PLAIN = np.float32(0)
"""How round the lips of a portrait are that purses nothing."""


@pytest.fixture(scope="module")
def openings():
    return skin_of(load_model()).openings


def weights(**named):
    expression = np.zeros(52, np.float32)
    for name, weight in named.items():
        expression[INDEX[name]] = weight
    return expression


def test_the_models_mouth_opens_by_its_basis_and_never_crosses(openings):
    mouth = openings[0]
    expression = weights(jawOpen=0.4, mouthSmileLeft=0.3)
    expected = np.maximum(expression @ mouth.gap_basis, 0)
    np.testing.assert_allclose(apertures.model_aperture(mouth, expression), expected, atol=1e-5)
    assert (apertures.model_aperture(mouth, weights(mouthClose=1.0)) >= 0).all()


def test_lids_are_open_at_rest_and_shut_by_a_blink_whatever_else(openings):
    for opening, blink, side in zip(openings[1:], BLINKS, ("Left", "Right"), strict=True):
        np.testing.assert_allclose(apertures.open_share(opening, weights(), blink), 1, atol=1e-6)
        shut = weights(**{f"eyeBlink{side}": 1.0, f"eyeSquint{side}": 0.7, f"eyeWide{side}": 1.0})
        assert apertures.open_share(opening, shut, blink).max() < 1e-6


@pytest.mark.parametrize("own", [0.0, 0.4])
def test_lips_seal_whatever_the_portrait_shows_and_open_as_it_does(openings, own):
    mouth = openings[0]
    count = mouth.gap_basis.shape[1]
    gap = np.full(count, own, np.float32)
    wanted, reveal, line = np.empty((3, count), np.float32)
    model_gap = apertures.model_aperture(mouth, weights(jawOpen=0.2 if own else 0.0))
    apertures.lips(mouth.gap_basis, gap, model_gap, PLAIN, weights(), wanted, reveal, line)
    assert wanted.max() == 0
    assert (line.max() > 0.4) == (own > 0), "where teeth were, a line is drawn"
    if own:
        apertures.lips(mouth.gap_basis, gap, model_gap, PLAIN, weights(jawOpen=0.2), wanted, reveal, line)
        np.testing.assert_allclose(wanted[3:-3], own, atol=0.02)


def test_rounded_lips_meet_towards_the_corners(openings):
    """What is left open is narrow and round; its height stays what the jaw says."""
    mouth = openings[0]
    count = mouth.gap_basis.shape[1]
    none = np.zeros(count, np.float32)
    plain, rounded = weights(jawOpen=0.3), weights(jawOpen=0.3, mouthPucker=0.9)
    wanted, reveal, line = np.empty((3, count), np.float32)
    apertures.lips(mouth.gap_basis, none, none, PLAIN, rounded, wanted, reveal, line)
    expected = apertures.model_aperture(mouth, rounded)
    assert apertures.roundness(plain) == 0
    assert wanted[count // 2] == pytest.approx(expected[count // 2], rel=1e-4)
    assert wanted[[1, -2]].max() < 0.2 * expected[[1, -2]].min()
    assert (np.diff(wanted[: count // 2 + 1]) >= -1e-6).all()


@pytest.mark.parametrize("pucker", [0.4, 0.7, 1.0])
def test_a_portrait_with_rounded_lips_is_itself_at_its_own_expression(openings, pucker):
    mouth = openings[0]
    own, plain = weights(jawOpen=0.3, mouthPucker=pucker), weights(jawOpen=0.3)
    model_gap = apertures.model_aperture(mouth, own)
    count = len(model_gap)
    gap = np.asarray(0.3 + 0.4 * np.sin(np.linspace(0, np.pi, count)), np.float32)
    wanted, reveal, line = np.empty((3, count), np.float32)
    then = np.float32(apertures.roundness(own))
    apertures.lips(mouth.gap_basis, gap, model_gap, then, own, wanted, reveal, line)
    np.testing.assert_allclose(wanted, gap, atol=1e-5)
    apertures.lips(mouth.gap_basis, gap, model_gap, then, plain, wanted, reveal, line)
    assert wanted[[1, -2]].min() > gap[[1, -2]].max(), "unrounded, they part towards the corners"
    assert wanted.max() < 4


def test_the_hollow_under_the_lower_lip_is_no_inside_of_a_lip(openings):
    from mien.face.normals import vertex_normals

    skin = skin_of(load_model())
    mean, mouth = load_model().mean[skin.vertices], openings[0]
    outside = vertex_normals(mean, skin.triangles)[mouth.rows, 2] > 0.5
    assert np.abs(mouth.pull[outside & (mouth.reach > 0.8)]).max() < 0.3


def test_lids_tell_how_far_they_are_shut(openings):
    opening, blink = openings[1], BLINKS[0]
    count = opening.gap_basis.shape[1]
    gap, open_then = np.ones((2, count), np.float32)
    wanted, reveal = np.empty((2, count), np.float32)
    own = opening.gap_basis, gap, open_then
    assert apertures.lids(*own, weights(), blink, wanted, reveal) == pytest.approx(0, abs=1e-5)
    np.testing.assert_allclose(wanted, 1, atol=1e-5)
    assert reveal.max() == 0
    shut = apertures.lids(*own, weights(eyeBlinkLeft=1.0), blink, wanted, reveal)
    assert shut == pytest.approx(1, abs=1e-5)
    assert wanted.max() < 1e-6
    assert reveal.min() == 1


def test_a_wide_mouth_is_oval_but_one_that_was_so_in_the_portrait_keeps_its_shape(openings):
    mouth = openings[0]
    count = mouth.gap_basis.shape[1]
    wanted, reveal, line = np.empty((3, count), np.float32)

    def opened(jaw, then):
        model_gap = apertures.model_aperture(mouth, weights(jawOpen=then))
        own = mouth.gap_basis, model_gap, model_gap, PLAIN
        return apertures.lips(*own, weights(jawOpen=jaw), wanted, reveal, line), wanted.copy()

    plain = apertures.model_aperture(mouth, weights(jawOpen=1.0))
    oval, wide = opened(1.0, 0.0)
    assert oval > 0.9
    assert wide.max() == pytest.approx(plain.max(), abs=0.01), "not further open"
    assert wide[1] > 1.1 * plain[1]
    assert wide[-2] > 1.1 * plain[-2]
    assert wide[0] == wide[-1] == plain[0]
    oval, kept = opened(1.0, 1.0)
    assert oval == pytest.approx(0, abs=1e-5)
    np.testing.assert_allclose(kept, plain, atol=1e-5)
    assert opened(0.1, 0.0)[0] == pytest.approx(0, abs=1e-5), "slits end in corners"


@pytest.mark.slow
def test_a_closing_lid_takes_no_colour_from_the_brow(avatar):
    from mien.face.camera import rotation_matrix
    from mien_photo.eyes import View
    from mien_photo.likeness import _eye

    subject = avatar.content.subject
    opening = skin_of(load_model()).openings[1]
    model = load_model(avatar.content.face_model)
    expressed = model.vertices(subject.identity, subject.neutral)[skin_of(model).vertices]
    view = View(subject.camera, rotation_matrix(subject.rest_rotation), subject.rest_translation)
    source_xy = view.project(expressed)
    edge = view.project(opening.upper.apply(expressed))
    far = np.stack([edge[:, 0], edge[:, 1] - 400], axis=1)
    low = np.stack([edge[:, 0], edge[:, 1] - 4], axis=1)
    own = source_xy[opening.rows]
    free, held = (
        _eye(opening, expressed, subject.neutral, BLINKS[0], source_xy, brow, view).hidden_xy
        for brow in (far, low)
    )
    assert (free[:, 1] < own[:, 1] - 4).any()
    assert (held[:, 1] > free[:, 1] + 1).any()
    climbed = held[:, 1] < own[:, 1] - 1e-3
    bare = np.interp(held[:, 0], edge[:, 0], edge[:, 1]) - 4
    assert (held[climbed, 1] > bare[climbed]).all()


@pytest.mark.parametrize(
    ("shares", "top", "bottom"),
    [({2: 0.4}, 2.3, 2.7), ({2: 0.3, 3: 1.0, 4: 0.5}, 2.7, 4.5), ({2: 1.0}, 2.0, 3.0), ({}, 8.0, -1.0)],
)
def test_the_edges_of_an_opening_lie_between_rows(shares, top, bottom):
    gathered = np.zeros((8, 1, 9), np.float32)
    for row, share in shares.items():
        gathered[row, 0, 0] = share
    found = np.empty((2, 1), np.float32)
    edges(gathered, *found)
    np.testing.assert_allclose(found[:, 0], (top, bottom), atol=1e-6)
