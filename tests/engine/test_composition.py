"""Alpha where it is kept and where it can't be."""

from __future__ import annotations

import numpy as np
import pytest

from mien.frames import VideoFrame
from mien.render import composition
from mien.render.composition import apart, flattened, laid_out, of_shape, over

pytestmark = pytest.mark.unit

RNG = np.random.default_rng(5)


def frame(height=6, width=8, alpha=True):
    return VideoFrame(
        RNG.integers(0, 256, (height, width, 3), np.uint8),
        40_000_000,
        alpha=RNG.integers(0, 256, (height, width), np.uint8) if alpha else None,
        index=3,
        epoch=2,
        backdrop=(10, 200, 30),
    )


def test_flattened_is_over_the_backdrop():
    given = frame()
    share = given.alpha[..., None] / 255
    wanted = given.pixels * share + np.array(given.backdrop) * (1 - share)
    flat = flattened(given)
    assert flat.alpha is None
    assert (flat.capture_ns, flat.index, flat.epoch) == (40_000_000, 3, 2)
    np.testing.assert_allclose(flat.pixels, wanted, atol=1.6)


def test_a_picture_of_another_shape_loses_its_sides_or_stands_between_bars():
    given = frame(width=12)
    square = of_shape(given, 512, 512)
    np.testing.assert_array_equal(square.pixels, given.pixels[:, 3:9])
    np.testing.assert_array_equal(square.alpha, given.alpha[:, 3:9])
    wide = of_shape(square, 1280, 640)
    np.testing.assert_array_equal(wide.pixels[:, 3:9], square.pixels)
    np.testing.assert_array_equal(wide.alpha[:, 3:9], square.alpha)
    for bars in (wide.pixels[:, :3], wide.pixels[:, 9:], wide.alpha[:, :3], wide.alpha[:, 9:]):
        assert not bars.any()
    assert (wide.capture_ns, wide.index, wide.backdrop) == (given.capture_ns, 3, (10, 200, 30))
    assert of_shape(given, 910, 455) is given


def test_both_ends_of_alpha_are_exact():
    given = frame()
    for value, wanted in ((0, np.broadcast_to(np.array(given.backdrop), (6, 8, 3))), (255, given.pixels)):
        one = VideoFrame(given.pixels, 0, alpha=np.full((6, 8), value, np.uint8), backdrop=given.backdrop)
        np.testing.assert_array_equal(flattened(one).pixels, wanted)


def test_an_opaque_picture_is_left_alone():
    given = frame(alpha=False)
    assert flattened(given) is given


@pytest.mark.parametrize("place", ["below", "beside"])
def test_alpha_is_laid_out_as_grey(place):
    given = frame()
    out = laid_out(given, place)
    assert out.alpha is None
    colours, alpha = np.split(out.pixels, 2, axis=0 if place == "below" else 1)
    np.testing.assert_array_equal(colours, given.pixels)
    np.testing.assert_array_equal(alpha, np.repeat(given.alpha[..., None], 3, axis=2))


def test_an_opaque_picture_is_laid_out_with_full_alpha():
    out = laid_out(frame(alpha=False), "below")
    assert (out.pixels[6:] == 255).all()


def test_pixels_that_do_not_lie_in_one_piece():
    given = frame(12, 16)
    part = VideoFrame(given.pixels[::2, ::2], 0, alpha=given.alpha[::2, ::2])
    np.testing.assert_array_equal(laid_out(part, "beside").pixels[:, :8], part.pixels)


def test_taking_apart_and_laying_over_stay_within_their_bounds():
    front = RNG.integers(0, 256, (6, 8, 4), np.uint8)
    colours, alpha = np.zeros((6, 8, 3), np.uint8), np.zeros((6, 8), np.uint8)
    apart(front, 1, 5, 2, 7, colours, alpha)
    np.testing.assert_array_equal(colours[1:5, 2:7], front[1:5, 2:7, :3])
    np.testing.assert_array_equal(alpha[1:5, 2:7], front[1:5, 2:7, 3])
    alpha[1:5, 2:7] = colours[1:5, 2:7] = 0
    assert not colours.any()
    assert not alpha.any()

    out = np.zeros((6, 8, 3), np.uint8)
    over(front, np.full((6, 8, 3), 255, np.uint8), 1, 5, 2, 7, out)
    out[1:5, 2:7] = 0
    assert not out.any()


def test_one_signature_for_each_kernel():
    composition.warm()
    flattened(frame())
    laid_out(frame(alpha=False), "beside")
    laid_out(frame(), "below")
    kernels = (composition.over, composition.apart, composition._over_colour, composition._lay_out)
    assert [len(kernel.signatures) for kernel in kernels] == [1, 1, 1, 1]
