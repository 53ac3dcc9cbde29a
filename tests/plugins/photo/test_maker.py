"""Making photo avatars out of pictures as they come."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mien.errors import MediaError, NoFaceError
from mien.testing.context import FakeContext
from mien_photo import crop, matte
from mien_photo.maker import PhotoMaker
from plugins.photo.conftest import services

pytestmark = [pytest.mark.plugin, pytest.mark.slow]


@pytest.fixture(scope="module")
def astronaut():
    from skimage.data import astronaut

    return astronaut()


@pytest.fixture
def making():
    context = FakeContext(services=services())
    maker = PhotoMaker()
    maker.open(context)
    yield maker, context
    maker.close()
    context.close()


def test_what_a_package_holds(avatar):
    content = avatar.content
    assert content.renderer == "photo"
    assert content.subject.camera.width == crop.SIDE
    assert content.images["portrait"].shape == (512, 512, 3)
    assert content.images["source"].shape == (crop.SIDE, crop.SIDE, 4)
    for name, array in content.arrays.items():
        assert np.isfinite(array).all(), name
    # The astronaut smiles with teeth: the fit must have seen that.
    assert content.subject.neutral.max() > 0.2
    assert content.arrays["mouth_gap"].max() > 0.2


def test_what_the_picture_shows_beside_the_square_is_kept(avatar):
    """A flag at one side, a space shuttle at the other; both sleeves are hers."""
    images = avatar.content.images
    source = images["source"]
    for side, seam, edge in (("left", -1, 0), ("right", 0, -1)):
        beside = images[f"source_{side}"]
        assert beside.shape[0] == crop.SIDE
        assert beside.shape[1] > 300
        assert images[f"plate_{side}"].shape == (*beside.shape[:2], 3)
        off = np.abs(beside[:, seam].astype(int) - source[:, edge].astype(int))
        assert np.median(off) < 10
    assert source[-10, 5, 3] > 128
    assert source[-10, int(0.86 * crop.SIDE), 3] > 128


def test_the_person_is_in_front_and_the_wall_behind(avatar):
    alpha = avatar.content.images["source"][..., 3]
    side = alpha.shape[0]
    assert alpha[int(0.4 * side), side // 2] == 255
    assert alpha[int(0.05 * side), int(0.05 * side)] == 0
    plate = avatar.content.images["plate"].astype(int)
    # Nothing of the dark collar is left in the background where the person was cut out.
    assert plate[side // 3 : side // 2, side // 3 : 2 * side // 3].min() > 90


def test_a_picture_without_a_face_is_refused(making):
    maker, _ = making
    with pytest.raises(NoFaceError, match="front"):
        maker.make(np.full((300, 400, 3), 128, np.uint8))


def test_a_picture_in_another_format_is_refused(making):
    maker, _ = making
    with pytest.raises(MediaError, match="RGB"):
        maker.make(np.zeros((300, 400), np.uint8))


def test_a_small_face_is_remarked_upon(making, astronaut):
    maker, context = making
    small = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    maker.make(small)
    assert any("px high" in notice for notice in context.notices)


@pytest.mark.parametrize(
    ("left", "right", "said"), [(0.05, 0.02, "eyes are"), (0.2, 0.9, "left eye is"), (0.9, 0.6, "")]
)
def test_eyes_that_are_shut_are_remarked_upon(making, avatar, left, right, said):
    maker, context = making
    before = len(context.notices)
    gaps = {"left_gap": np.full(9, left, np.float32), "right_gap": np.full(9, right, np.float32)}
    maker._remark_eyes(replace(avatar.content, arrays={**avatar.content.arrays, **gaps}))
    told = context.notices[before:]
    assert [said in notice and "open eyes" in notice for notice in told] == ([True] if said else [])


def test_a_tight_crop_gets_surroundings(making, astronaut):
    maker, context = making
    content = maker.make(np.ascontiguousarray(astronaut[60:190, 165:290]))
    assert any("made up" in notice for notice in context.notices)
    assert content.images["source"].shape == (crop.SIDE, crop.SIDE, 4)


def test_two_faces_the_larger_is_used(making, astronaut):
    maker, context = making
    half = cv2.resize(astronaut, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    both = np.full((512, 512 + half.shape[1], 3), 200, np.uint8)
    both[:, :512] = astronaut
    both[: half.shape[0], 512:] = half
    content = maker.make(both)
    assert any("2 faces" in notice for notice in context.notices)
    assert content.images["portrait"].shape == (512, 512, 3)


def test_given_alpha_is_taken_as_it_is(making, astronaut):
    maker, _ = making
    alpha = np.zeros(astronaut.shape[:2], np.uint8)
    alpha[:, :256] = 255
    content = maker.make(astronaut, alpha)
    taken = content.images["source"][..., 3]
    assert taken[500, 100] == 255
    assert taken[500, 950] == 0


def test_the_square_stays_inside_where_it_can():
    points = np.zeros((478, 3), np.float32)
    points[:, :2] = np.random.default_rng(0).uniform([400, 50], [500, 170], (478, 2))
    square = crop.choose(points, 520, 600)
    assert square.overhang(520, 600) <= 0.03  # a little headroom
    assert square.left + square.side == pytest.approx(520)
    assert crop.choose(points, 505, 172).overhang(505, 172) > 0


def test_tall_hair_is_kept_as_far_as_the_picture_shows_it():
    points = np.zeros((478, 3), np.float32)
    points[:, 1] = np.linspace(180, 420, 478)
    points[:, 0] = np.linspace(140, 320, 478)
    without = crop.choose(points, 450, 675)
    square = crop.choose(points, 450, 675, crown=40.0)
    assert without.top > 40 > square.top
    assert square.top + square.side > 420 + 0.15 * 240
    assert square.side <= 2.0 * 240
    assert crop.choose(points, 450, 675, crown=150.0) == without


def test_only_small_faces_of_bad_jpegs_are_smoothed(astronaut):
    _, encoded = cv2.imencode(".jpg", astronaut[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 25])
    bad = np.ascontiguousarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1])
    small, large = crop.Square(120, 0, 220), crop.Square(0, 0, 510)
    assert crop.cleaned(astronaut, small) is astronaut, "a picture without blocks keeps its grain"
    assert crop.cleaned(bad, large) is bad
    cleaned = crop.cleaned(bad, small)
    assert crop.blockiness(cleaned[:220, 120:340]) < 0.5 + 0.5 * crop.blockiness(bad[:220, 120:340])
    assert (cleaned[230:] == bad[230:]).all()
    assert np.abs(cleaned.astype(float) - bad).mean() < 2


def test_what_lies_beyond_the_picture_shows_no_second_head():
    rng = np.random.default_rng(1)
    picture = np.full((400, 400, 3), (40, 60, 90), np.uint8)
    picture[0:300, 150:250] = (220, 170, 150)
    picture[300:, 100:300] = rng.integers(0, 40, (100, 200, 3))
    square = crop.Square(-56, -56, 512)
    portrait = crop.cut(picture, square)
    person = crop.cut(np.where((picture != (40, 60, 90)).any(2), 255, 0).astype(np.uint8), square) / 255.0
    whole, allowed = crop.surround(portrait, square, 400, 400, person.astype(np.float32), 700.0)
    np.testing.assert_allclose(
        whole[:100].reshape(-1, 3), np.full((100 * crop.SIDE, 3), (40, 60, 90)), atol=3
    )
    assert allowed[:100].max() == 0
    assert allowed[-1, 512] == 1
    assert whole[-1, 512].max() < 45
    np.testing.assert_array_equal(whole[120:900, 120:900], portrait[120:900, 120:900])


def test_enlarging_keeps_the_picture(astronaut):
    square = crop.Square(75, 0, 300)
    large = crop.cut(astronaut, square)
    back = cv2.resize(large, (300, 300), interpolation=cv2.INTER_AREA)
    assert cv2.PSNR(back, np.ascontiguousarray(astronaut[0:300, 75:375])) > 32


def test_colours_continue_beyond_what_is_known():
    image = np.zeros((64, 64, 3), np.float32)
    image[:, :32] = (200, 100, 50)
    known = np.zeros((64, 64), np.float32)
    known[:, :20] = 1
    grown = matte.continued(image, known)
    np.testing.assert_allclose(grown[:, -1], np.broadcast_to((200, 100, 50), (64, 3)), atol=2)
