"""Textures and smooth silhouettes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from mien.stage import Rasterizer
from mien.testing.context import FakeContext
from mien_raster.antialiasing import opposite_corners
from mien_raster.bands import Bands, balanced, even
from mien_raster.rasterizer import NumbaRasterizer

pytestmark = pytest.mark.plugin


@pytest.mark.parametrize(
    ("boundary", "mode"), [("wrap", "grid-wrap"), ("clamp", "nearest"), ("zero", "grid-constant")]
)
def test_a_texture_is_looked_up_between_its_texels(boundary, mode):
    rng = np.random.default_rng(0)
    texture = rng.random((1, 7, 5, 2)).astype(np.float32)
    uv = rng.uniform(-0.6, 1.6, (2, 9, 8, 2)).astype(np.float32)
    found = NumbaRasterizer().texture(texture, uv, boundary=boundary)
    places = np.moveaxis(uv[..., ::-1] * [7, 5] - 0.5, -1, 0)
    for channel in range(2):
        truth = map_coordinates(texture[0, :, :, channel].astype(float), places, order=1, mode=mode)
        np.testing.assert_allclose(found[..., channel], truth, atol=1e-4)


def test_texture_coordinates_that_are_no_numbers_show_nothing():
    uv = np.full((1, 2, 2, 2), np.nan, np.float32)
    assert (NumbaRasterizer().texture(np.ones((1, 2, 2, 3), np.float32), uv) == 0).all()


def test_what_does_not_fit_is_named():
    rasterizer = NumbaRasterizer()
    uv, texture = np.zeros((2, 4, 4, 2), np.float32), np.zeros((3, 4, 4, 1), np.float32)
    with pytest.raises(ValueError, match="mirror"):
        rasterizer.texture(texture[:1], uv, boundary="mirror")
    with pytest.raises(ValueError, match="texture"):
        rasterizer.texture(texture, uv)
    with pytest.raises(ValueError, match="uv"):
        rasterizer.texture(texture, uv[0])
    hits = rasterizer.rasterize(np.zeros((2, 3, 4), np.float32), np.array([[0, 1, 2]], np.int32), 4, 4)
    with pytest.raises(ValueError, match="attributes"):
        rasterizer.interpolate(np.zeros((3, 3, 1), np.float32), hits, np.array([[0, 1, 2]], np.int32))


def test_operations_beyond_the_least_are_optional():
    class Bare(Rasterizer):
        """Only what must be."""

        def rasterize(self, positions, triangles, height, width, *, cull=True, out=None):
            raise AssertionError

        def interpolate(self, attributes, fragments, triangles, *, out=None):
            raise AssertionError

    assert Bare().supports == frozenset()
    assert NumbaRasterizer().supports == {"texture", "antialias"}
    with pytest.raises(NotImplementedError, match="Bare"):
        Bare().texture(np.zeros((1, 1, 1, 1)), np.zeros((1, 1, 1, 2)))
    with pytest.raises(NotImplementedError, match="Bare"):
        Bare().antialias(None, None, None, None)


def quad(offset):
    """A slanted square of two triangles; its true cover of each pixel comes from many samples."""
    corners = np.array([[-0.61, -0.55], [0.57, -0.5], [0.62, 0.58], [-0.53, 0.6]]) + offset
    clip = np.concatenate([corners, np.zeros((4, 1)), np.ones((4, 1))], axis=1).astype(np.float32)
    return clip, np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def test_smooth_silhouettes_come_near_the_true_cover():
    rasterizer, side = NumbaRasterizer(), 24
    for offset in (0.0, 0.013, 0.029):
        clip, triangles = quad(offset)
        hits = rasterizer.rasterize(clip[None], triangles, side, side)
        hard = (hits.triangle >= 0).astype(np.float32)[..., None]
        smooth = rasterizer.antialias(hard, hits, clip[None], triangles)
        fine = rasterizer.rasterize(clip[None], triangles, side * 16, side * 16).triangle[0] >= 0
        cover = fine.reshape(side, 16, side, 16).mean(axis=(1, 3))
        assert np.abs(smooth[0, :, :, 0] - cover).sum() < 0.35 * np.abs(hard[0, :, :, 0] - cover).sum()
        # The diagonal is no silhouette: the surface goes on.
        assert (smooth[0, 8:16, 8:16] == 1).all()


def test_neighbours_across_each_edge():
    across = opposite_corners(np.array([[0, 1, 2], [0, 2, 3]], np.int32))
    np.testing.assert_array_equal(across, [[-1, -1, 3], [1, -1, -1]])


def test_bands_cover_all_rows_once():
    costs = np.array([1, 1, 1, 1, 4, 4, 1, 1], np.float32)
    assert balanced(costs, 2) == [(0, 5), (5, 8)]
    assert even(7, 3) == [(0, 2), (2, 4), (4, 7)]
    for bands in (2, 3, 12):
        cuts = balanced(costs, bands)
        assert [row for top, bottom in cuts for row in range(top, bottom)] == list(range(8))


def test_a_job_that_fails_is_heard_of_when_all_have_ended():
    bands, done = Bands(2), []

    def fails():
        raise ZeroDivisionError

    try:
        with pytest.raises(ZeroDivisionError):
            bands.run([lambda: done.append(1), fails, lambda: done.append(2)])
    finally:
        bands.close()
    assert sorted(done) == [1, 2]


def test_threads_give_the_same_lookups():
    rng = np.random.default_rng(3)
    uv, texture = rng.random((1, 33, 20, 2)).astype(np.float32), rng.random((1, 8, 8, 3)).astype(np.float32)
    threaded = NumbaRasterizer()
    threaded.open(FakeContext(settings={"threads": 3}))
    try:
        np.testing.assert_array_equal(threaded.texture(texture, uv), NumbaRasterizer().texture(texture, uv))
    finally:
        threaded.close()
