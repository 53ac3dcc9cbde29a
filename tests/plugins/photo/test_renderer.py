"""The photo renderer on the astronaut: what a person would notice if it was wrong."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from numba.core.registry import CPUDispatcher

from mien.errors import PackageError
from mien.face.model import load_model
from mien.face.rig import INDEX
from mien.frames import DETAIL, FaceParams
from mien.render.composition import flattened
from mien.stage import Background
from mien.testing.context import FakeContext
from mien_photo import backdrop
from mien_photo.renderer import PhotoRenderer

pytestmark = [pytest.mark.plugin, pytest.mark.slow]


def portrait_params(avatar, index=0, **weights):
    """The avatar as in its portrait, with some expressions changed."""
    subject = avatar.content.subject
    expression = subject.neutral.copy()
    for name, weight in weights.items():
        for key, place in INDEX.items():
            if key.startswith(name):
                expression[place] = weight
    return FaceParams(
        capture_ns=index * 40_000_000,
        rotation=subject.rest_rotation.copy(),
        translation=subject.rest_translation.copy(),
        expression=expression,
        gaze=subject.rest_gaze.copy(),
        index=index,
    )


def closed_mouth(avatar, **weights):
    return portrait_params(avatar, jawOpen=0, mouth=0, **weights)


def turned(params, degrees):
    from mien.face.camera import axis_angle, rotation_matrix

    turn = rotation_matrix(np.radians([0.0, degrees, 0.0]))
    return replace(params, rotation=axis_angle(turn @ rotation_matrix(params.rotation)))


def region(avatar, which, size):
    """Box around landmarks in the portrait, px at `size`: rows and columns."""
    subject = avatar.content.subject
    model = load_model(avatar.content.face_model)
    from mien.face.camera import rotation_matrix

    expressed = model.vertices(subject.identity, subject.neutral)
    points = model.landmarks.apply(expressed) + subject.offsets
    seen = subject.camera.project(
        points @ rotation_matrix(subject.rest_rotation).T + subject.rest_translation
    )
    chosen = seen[list(which)] * size / subject.camera.width
    (x0, y0), (x1, y1) = chosen.min(axis=0), chosen.max(axis=0)
    return slice(int(y0), int(y1) + 1), slice(int(x0), int(x1) + 1)


FACE = (10, 152, 234, 454)
MOUTH = (78, 13, 14, 308)
EYE = (33, 159, 145, 133)


def luma(pixels):
    return pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


def test_the_portrait_comes_out_as_it_went_in(avatar, rendering):
    frame = rendering((512, 512)).process(portrait_params(avatar, index=7))
    portrait = avatar.content.images["portrait"]
    rows, columns = region(avatar, FACE, 512)
    assert frame.pixels.shape == (512, 512, 3)
    assert (frame.index, frame.capture_ns) == (7, 280_000_000)
    assert cv2.PSNR(np.ascontiguousarray(frame.pixels[rows, columns]), portrait[rows, columns].copy()) > 26
    assert cv2.PSNR(frame.pixels.copy(), portrait.copy()) > 29


def test_a_blink_hides_the_eye(avatar, rendering):
    renderer = rendering((512, 512))
    rows, columns = region(avatar, EYE, 512)
    opened = renderer.process(closed_mouth(avatar)).pixels[rows, columns].copy()
    closed = renderer.process(closed_mouth(avatar, eyeBlink=1)).pixels[rows, columns].copy()
    # Iris and white are gone: what is left is skin and a line of lashes.
    assert luma(closed).std() < 0.8 * luma(opened).std()
    assert np.percentile(luma(closed), 10) > np.percentile(luma(opened), 10)


def test_the_mouth_opens_in_step_with_the_jaw(avatar, rendering):
    renderer = rendering((512, 512))
    rows, columns = region(avatar, MOUTH, 512)
    rows = slice(rows.start, rows.stop + 30)
    dark = []
    for weight in (0, 0.2, 0.4, 0.6, 0.8):
        params = closed_mouth(avatar)
        params.expression.setflags(write=True)
        params.expression[INDEX["jawOpen"]] = weight
        dark.append(int((luma(renderer.process(params).pixels[rows, columns]) < 90).sum()))
    assert dark == sorted(dark)
    assert dark[0] < 0.1 * dark[-1]


def test_closed_lips_are_sealed(avatar, rendering):
    """No pixel of the mouth's inside shows, whatever the lips do otherwise."""
    renderer = rendering((512, 512))
    for weights in ({}, {"mouthSmile": 0.3}, {"mouthPress": 0.6}, {"mouthPucker": 0.6}, {"mouthRoll": 0.5}):
        params = closed_mouth(avatar)
        params.expression.setflags(write=True)
        for name, weight in weights.items():
            for key, place in INDEX.items():
                if key.startswith(name):
                    params.expression[place] = weight
        renderer.process(params)
        assert renderer._picture is not None
        inside = renderer._picture.windows[0].buffers(2)[1][..., 0]
        assert inside.max() == 0, weights


def test_the_eyes_turn_within_the_lids(avatar, rendering):
    renderer = rendering((512, 512))
    rows, columns = region(avatar, EYE, 512)
    centres = []
    for yaw in (-0.3, 0.0, 0.3):
        params = closed_mouth(avatar)
        params.gaze.setflags(write=True)
        params.gaze[:, 0] += yaw
        eye = luma(renderer.process(params).pixels[rows, columns])
        dark = np.maximum(np.percentile(eye, 35) - eye, 0)
        centres.append(float((dark.sum(axis=0) * np.arange(dark.shape[1])).sum() / dark.sum()))
    assert centres[0] + 1 < centres[1] < centres[2] - 1


def test_a_head_that_looks_up_is_not_seen_twice(avatar, rendering):
    renderer = rendering((256, 256))
    renderer.set_background(Background("transparent"))
    params = portrait_params(avatar)
    from mien.face.camera import axis_angle, rotation_matrix

    up = rotation_matrix(np.radians([-30.0, 0.0, 0.0])) @ rotation_matrix(params.rotation)
    alpha = renderer.process(replace(params, rotation=axis_angle(up))).alpha
    _, _, found, _ = cv2.connectedComponentsWithStats((alpha > 128).astype(np.uint8))
    areas = sorted(found[1:, cv2.CC_STAT_AREA])
    assert sum(areas[:-1]) < 0.005 * areas[-1]


def test_hair_keeps_its_outline_when_the_head_moves(avatar, rendering):
    """It goes round the skull: neither does the crown sink when the head looks up, nor hide hair behind a cheek."""
    renderer = rendering((256, 256))
    renderer.set_background(Background("transparent"))
    params = portrait_params(avatar)
    from mien.face.camera import axis_angle, rotation_matrix

    def outline(params):
        """Top, left and right of the hair, px."""
        person = renderer.process(params).alpha > 128
        across = np.flatnonzero(person[70:100].mean(axis=0) > 0.5)
        return np.array([person.any(axis=1).argmax(), across[0], across[-1]])

    top, left, right = outline(params)
    up = rotation_matrix(np.radians([-20.0, 0.0, 0.0])) @ rotation_matrix(params.rotation)
    assert outline(replace(params, rotation=axis_angle(up)))[0] < top + 21
    assert outline(turned(params, 20))[2] > right - 20
    assert outline(turned(params, -20))[1] < left + 20


def test_shoulders_stay_when_the_head_turns(avatar, rendering):
    renderer = rendering()
    still = renderer.process(closed_mouth(avatar)).pixels.copy()
    moved = renderer.process(turned(closed_mouth(avatar), 15)).pixels.copy()
    change = np.abs(luma(still) - luma(moved))
    assert change[:140].mean() > 8 * change[-10:].mean()
    assert change[-10:].mean() < 2


@pytest.mark.parametrize("size", [(256, 256), (512, 512), (640, 480), (96, 96)])
def test_nothing_breaks_far_beyond_the_limits(avatar, rendering, size):
    renderer = rendering(size)
    rng = np.random.default_rng(3)
    for index in range(6):
        params = FaceParams(
            0,
            rotation=rng.normal(0, 1.2, 3).astype(np.float32),
            translation=np.array([rng.normal(0, 20), rng.normal(0, 20), rng.uniform(-300, 30)], np.float32),
            expression=rng.uniform(-1, 2, 52).astype(np.float32),
            gaze=rng.normal(0, 2, (2, 2)).astype(np.float32),
            index=index,
        )
        frame = renderer.process(params)
        assert frame.pixels.shape == (size[1], size[0], 3)
        assert luma(frame.pixels).std() > 10


def test_values_that_are_no_numbers_give_a_picture(avatar, rendering):
    renderer = rendering()
    good = renderer.process(closed_mouth(avatar)).pixels.copy()
    params = FaceParams(
        0,
        rotation=np.full(3, np.nan, np.float32),
        translation=np.full(3, np.nan, np.float32),
        expression=np.full(52, np.nan, np.float32),
        gaze=np.full((2, 2), np.nan, np.float32),
    )
    frame = renderer.process(params)
    assert cv2.PSNR(frame.pixels.copy(), good) > 15


def test_backgrounds(avatar, rendering):
    renderer = rendering()
    params = closed_mouth(avatar)
    kept = renderer.process(params).pixels.copy()
    corner, face = (slice(2, 20), slice(2, 20)), region(avatar, (50, 280, 9, 13), 256)

    renderer.set_background(Background("colour", colour=(10, 200, 30)))
    coloured = renderer.process(params).pixels.copy()
    assert (coloured[corner] == (10, 200, 30)).all()
    np.testing.assert_array_equal(coloured[face], kept[face])

    image = np.zeros((90, 200, 3), np.uint8)
    image[..., 2] = 180
    renderer.set_background(Background("image", image=image))
    assert (renderer.process(params).pixels[corner] == (0, 0, 180)).all()

    renderer.set_background(Background("blur"))
    blurred = renderer.process(params).pixels.copy()
    assert luma(blurred[corner]).std() <= luma(kept[corner]).std()

    renderer.set_background(Background())
    np.testing.assert_array_equal(renderer.process(params).pixels, kept)


@pytest.mark.parametrize("size", [(256, 256), (456, 256)])
def test_a_transparent_background_is_alpha(avatar, rendering, size):
    """Colour and alpha together are the person over anything, as if it had been drawn over it."""
    renderer = rendering(size)
    params = turned(closed_mouth(avatar), 12)
    renderer.set_background(Background("transparent", colour=(10, 200, 30)))
    frame = renderer.process(params)
    assert frame.alpha is not None
    assert frame.alpha.shape == frame.pixels.shape[:2]
    assert (frame.alpha[2:20, 2:20] == 0).all()
    middle = size[0] // 2
    assert (frame.alpha[100:140, middle - 20 : middle + 20] == 255).all()

    renderer.set_background(Background("colour", colour=(10, 200, 30)))
    drawn = renderer.process(params)
    assert drawn.alpha is None
    flat = flattened(frame)
    assert cv2.PSNR(np.array(flat.pixels), np.array(drawn.pixels)) > 45
    assert (flat.pixels[2:20, 2:20] == (10, 200, 30)).all()


@pytest.mark.parametrize("yaw", [-30, 30])
def test_a_background_stays_what_it_is_beside_a_head_that_turns(avatar, rendering, yaw):
    """Light that changes with the turn, and the windows of eyes and mouth, keep to the person."""
    renderer = rendering((512, 512))
    params = turned(closed_mouth(avatar), yaw)
    renderer.set_background(Background("transparent", colour=(200, 200, 200)))
    frame = renderer.process(params)
    renderer.set_background(Background("colour", colour=(200, 200, 200)))
    drawn = np.array(renderer.process(params).pixels, np.int16)
    assert np.abs(drawn - 200)[frame.alpha == 0].max() <= 1
    assert np.abs(drawn - flattened(frame).pixels).max() <= 10


@pytest.mark.parametrize("jaw", [0.02, 0.05, 0.1])
def test_a_mouth_that_hardly_opens_shows_nothing_of_earlier_pictures(avatar, rendering, jaw):
    renderer = rendering((512, 512))
    params = replace(
        closed_mouth(avatar), expression=np.eye(52, dtype=np.float32)[INDEX["jawOpen"]] * np.float32(jaw)
    )
    renderer.process(params)
    seen = []
    for left_over in (0, 255):
        for opening in renderer._picture.windows:
            opening._inside[:] = left_over
        seen.append(renderer.process(params).pixels.copy())
    np.testing.assert_array_equal(*seen)


@pytest.mark.parametrize("height", [256, 384, 768, 1024])
@pytest.mark.parametrize("wide", [False, True])
def test_every_size_shows_the_same(avatar, rendering, height, wide):
    width = round(height * 8 / 9) * 2 if wide else height
    frame = rendering((width, height)).process(turned(closed_mouth(avatar), 8))
    assert frame.pixels.shape == (height, width, 3)
    left = (width - height) // 2
    square = np.array(frame.pixels[:, left : left + height])
    small = cv2.resize(square, (256, 256), interpolation=cv2.INTER_AREA)
    reference = rendering((256, 256)).process(turned(closed_mouth(avatar), 8)).pixels
    assert cv2.PSNR(small, np.array(reference)) > 27
    # Larger is sharper: there is more in it than in the smaller one enlarged.
    enlarged = cv2.resize(np.array(reference), (height, height), interpolation=cv2.INTER_CUBIC)
    rows, columns = region(avatar, FACE, height)
    detail = [cv2.Laplacian(luma(p[rows, columns]), cv2.CV_32F).std() for p in (square, enlarged)]
    assert height == 256 or detail[0] > 1.05 * detail[1]


def test_a_wide_picture_has_the_square_one_in_its_middle(avatar, rendering):
    params = closed_mouth(avatar)
    square = rendering((256, 256)).process(params).pixels
    wide = rendering((456, 256)).process(params).pixels
    assert cv2.PSNR(np.array(wide[:, 100:356]), np.array(square)) > 32


def test_alpha_comes_from_a_pool_as_well(avatar, rendering):
    renderer = rendering()
    renderer.set_background(Background("transparent"))
    first = renderer.process(closed_mouth(avatar))
    copy = first.alpha.copy()
    second = renderer.process(turned(closed_mouth(avatar), 20))
    np.testing.assert_array_equal(first.alpha, copy)
    assert renderer._picture.alpha_pool.in_use == 2
    del first, second
    assert renderer._picture.alpha_pool.in_use == 0


class Counting:
    """A rasterizer that counts the pixels it was asked for."""

    def __init__(self, rasterizer):
        self._rasterizer = rasterizer
        self.pixels = 0

    def rasterize(self, positions, triangles, height, width, **options):
        self.pixels += height * width
        return self._rasterizer.rasterize(positions, triangles, height, width, **options)


def test_levels_change_the_cost_not_the_picture(avatar, rendering):
    renderer = rendering((512, 512))
    assert renderer._picture is not None
    counting = renderer._picture.rasterizer = Counting(renderer._picture.rasterizer)
    best = renderer.process(closed_mouth(avatar)).pixels.copy()
    costs = []
    for level in (*range(renderer.levels), 99, 0):
        renderer.set_level(level)
        counting.pixels = 0
        assert cv2.PSNR(renderer.process(closed_mouth(avatar)).pixels.copy(), best) > 24
        costs.append(counting.pixels)
    *levels, beyond, again = costs
    assert all(dear > 1.4 * cheap for dear, cheap in pairwise(levels))
    assert (beyond, again) == (levels[-1], levels[0])
    np.testing.assert_array_equal(renderer.process(closed_mouth(avatar)).pixels, best)


def test_frames_come_from_a_pool_and_are_never_overwritten(avatar, rendering):
    renderer = rendering()
    first = renderer.process(closed_mouth(avatar))
    copy = first.pixels.copy()
    held = [renderer.process(closed_mouth(avatar, index=k, eyeBlink=1)) for k in range(3)]
    np.testing.assert_array_equal(first.pixels, copy)
    assert not first.pixels.flags.writeable
    assert renderer._picture is not None
    assert renderer._picture.pool.in_use == 4
    del first, held
    assert renderer._picture.pool.in_use == 0


def test_the_same_frame_twice_is_the_same_picture(avatar, rendering):
    renderer = rendering()
    once = renderer.process(closed_mouth(avatar)).pixels.copy()
    renderer.process(turned(portrait_params(avatar, eyeBlink=1), 20))
    np.testing.assert_array_equal(renderer.process(closed_mouth(avatar)).pixels, once)


def test_an_avatar_of_another_renderer_is_refused(avatar):
    content = replace(avatar.content, renderer="neural")
    context = FakeContext(avatar=replace(avatar, content=content))
    with pytest.raises(PackageError, match="photo"):
        PhotoRenderer().open(context)
    with pytest.raises(PackageError):
        PhotoRenderer().open(FakeContext())


def test_an_incomplete_avatar_is_refused(avatar):
    images = {name: image for name, image in avatar.content.images.items() if name != "iris_left"}
    context = FakeContext(avatar=replace(avatar, content=replace(avatar.content, images=images)))
    with pytest.raises(PackageError, match="iris_left"):
        PhotoRenderer().open(context)


def kernels():
    """All that numba compiles for a frame, by name."""
    import mien.render
    import mien_photo

    found = {}
    for package in (mien_photo, mien.render):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, CPUDispatcher) and value.py_func.__module__ == module.name:
                    found[f"{module.name}.{name}"] = value
    return found


def test_one_signature_for_each_kernel(avatar, rendering):
    """A second one would be compiled in the middle of a call, seconds long."""
    from mien.face.light import ambient
    from mien_photo import warming

    warming.warm()
    found = kernels()
    # What only other kernels call is part of them, in the cache as well.
    inner = {name for kernel in found.values() for name in kernel.py_func.__code__.co_names}
    own = {name: kernel for name, kernel in found.items() if name.startswith("mien_photo.")}
    lacking = [name for name, kernel in own.items() if not kernel.signatures]
    assert {name.rpartition(".")[2] for name in lacking} <= inner, "not warmed at install"
    before = {name: set(kernel.signatures) for name, kernel in found.items()}
    renderer = rendering((320, 256))
    light = ambient(0.8)
    light[3] = 0.4
    lit = replace(turned(closed_mouth(avatar), 12), light=light, detail=np.zeros(DETAIL, np.float32))
    for mode in ("keep", "transparent", "colour"):
        renderer.set_background(Background(mode))
        for level in range(renderer.levels):
            renderer.set_level(level)
            flattened(renderer.process(closed_mouth(avatar)))
            flattened(renderer.process(lit))
            flattened(renderer.process(replace(lit, detail_around=1.0)))
    assert len(found) > 25
    # Other tests call some of them otherwise; drawing must add none to what `warm` compiled.
    added = {name: set(kernel.signatures) - before[name] for name, kernel in found.items()}
    assert {name: new for name, new in added.items() if new and before[name]} == {}


def test_a_colour_picker_makes_nothing_anew(avatar, rendering, monkeypatch):
    """Blurring and framing take as long as several frames: once for each mode and picture."""
    renderer, made = rendering(), []
    behind = backdrop.behind
    monkeypatch.setattr(
        backdrop, "behind", lambda chosen, plate: made.append(chosen.mode) or behind(chosen, plate)
    )
    for colour in ((1, 2, 3), (4, 5, 6)):
        renderer.prepare_background(Background("transparent", colour=colour))()
    assert renderer.process(closed_mouth(avatar)).backdrop == (4, 5, 6)
    first, second = (np.full((8, 8, 3), grey, np.uint8) for grey in (10, 200))
    for image in (first, first, second):
        renderer.prepare_background(Background("image", image=image))()
    assert made == ["transparent", "image", "image"]
    assert renderer.process(closed_mouth(avatar)).pixels[5, 5].tolist() == [200, 200, 200]


def test_what_is_prepared_shows_only_once_it_is_wanted(avatar, rendering):
    renderer = rendering()
    before = renderer.process(closed_mouth(avatar)).pixels.copy()
    change = renderer.prepare_background(Background("transparent", colour=(4, 5, 6)))
    frame = renderer.process(closed_mouth(avatar))
    assert frame.alpha is None
    np.testing.assert_array_equal(frame.pixels, before)
    change()
    assert renderer.process(closed_mouth(avatar)).alpha is not None
