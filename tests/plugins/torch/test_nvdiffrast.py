"""nvdiffrast behind the rasterizer's contract: spoken to rightly here, held to the oracle where there is CUDA."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import nvdiffrast_fake
import pytest
import torch

from mien.errors import DeviceError
from mien.face.camera import Camera
from mien.render.fragments import empty_fragments
from mien.testing.context import FakeContext
from mien_nvdiffrast.rasterizer import NvdiffrastRasterizer
from mien_raster.rasterizer import NumbaRasterizer

pytestmark = [pytest.mark.plugin, pytest.mark.torch]


@pytest.fixture
def rasterizer(monkeypatch):
    package = ModuleType("nvdiffrast")
    package.torch = nvdiffrast_fake
    monkeypatch.setitem(sys.modules, "nvdiffrast", package)
    monkeypatch.setitem(sys.modules, "nvdiffrast.torch", nvdiffrast_fake)
    made = NvdiffrastRasterizer("cpu")
    made.open(FakeContext())
    yield made
    made.close()


def scene(seed, pictures=2):
    """Triangles of both windings, some of them cut by the camera's plane."""
    rng = np.random.default_rng(seed)
    points = rng.uniform([-20, -20, -60, 1], [20, 20, 3, 1], (pictures, 60, 4))
    clip = points @ Camera.guess(48, 48).clip_matrix().T.astype(np.float64)
    return clip.astype(np.float32), rng.permutation(60).reshape(20, 3).astype(np.int32), rng


@pytest.mark.parametrize("cull", [True, False])
def test_it_draws_what_the_cpu_draws(rasterizer, cull):
    clip, triangles, rng = scene(1)
    truth = NumbaRasterizer().rasterize(clip, triangles, 40, 48, cull=cull)
    hits = rasterizer.rasterize(clip, triangles, 40, 48, cull=cull)
    assert (truth.triangle >= 0).any()
    np.testing.assert_array_equal(hits.triangle, truth.triangle)
    np.testing.assert_array_equal(hits.depth, truth.depth)
    shown = truth.triangle >= 0
    np.testing.assert_array_equal(hits.barycentric[shown], truth.barycentric[shown])
    values = rng.random((1, 60, 3)).astype(np.float32)
    drawn = rasterizer.interpolate(values, hits, triangles)
    np.testing.assert_array_equal(drawn, NumbaRasterizer().interpolate(values, truth, triangles))
    smooth = rasterizer.antialias(drawn, hits, clip, triangles)
    np.testing.assert_array_equal(smooth, NumbaRasterizer().antialias(drawn, truth, clip, triangles))


def first_in(points, side):
    """points: (T, 3, 2) px from the middle of a picture of `side` px, x right and y up, none overlapping.

    Which triangle covers the centre of each pixel, (side, side), rows from the top, and its barycentrics, (..., 3).
    """
    x, y = np.meshgrid(np.arange(side) + 0.5 - side / 2, side / 2 - np.arange(side) - 0.5)
    which, weights = np.full((side, side), -1), np.zeros((side, side, 3))
    for k, (a, b, c) in enumerate(points):
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        u = ((b[0] - x) * (c[1] - y) - (b[1] - y) * (c[0] - x)) / area
        v = ((c[0] - x) * (a[1] - y) - (c[1] - y) * (a[0] - x)) / area
        inside = (u > 0) & (v > 0) & (u + v < 1)
        which[inside] = k
        weights[inside] = np.stack([u, v, 1 - u - v], axis=-1)[inside]
    return which, weights


def test_rows_go_from_the_top_whatever_nvdiffrast_has(rasterizer):
    """Reckoned by hand: triangles above and below, to the left and to the right."""
    side = 16
    points = np.array(
        [[[-7, 1], [-1, 2], [-6, 7]], [[1.2, -7], [7, -6], [2, -1.3]], [[1, 2], [6, 1], [6.5, 6]]]
    ) + np.array([0.137, 0.071])  # no pixel's centre lies on an edge
    truth, weights = first_in(points, side)
    assert (np.bincount(truth[truth >= 0]) > 5).all()
    clip = np.concatenate([points.reshape(-1, 2) / (side / 2), np.tile([0.25, 1], (9, 1))], axis=1)
    clip, triangles = clip.astype(np.float32)[None], np.arange(9, dtype=np.int32).reshape(3, 3)
    hits = rasterizer.rasterize(clip, triangles, side, side)
    np.testing.assert_array_equal(hits.triangle[0], truth)
    shown = truth >= 0
    np.testing.assert_allclose(hits.barycentric[0][shown], weights[shown][:, :2], atol=1e-5)
    np.testing.assert_allclose(hits.depth[0][shown], 0.25, atol=1e-6)
    values = np.random.default_rng(0).random((1, 9, 2)).astype(np.float32)
    drawn = rasterizer.interpolate(values, hits, triangles)
    reckoned = np.einsum("nk,nkc->nc", weights[shown], values[0][triangles[truth[shown]]])
    np.testing.assert_allclose(drawn[0][shown], reckoned, atol=1e-5)
    white = (truth >= 0).astype(np.float32)[None, ..., None]
    smooth = rasterizer.antialias(white, hits, clip, triangles)[0, ..., 0]
    touched = np.argwhere(smooth != white[0, ..., 0])
    assert len(touched) > 10
    near = np.pad(shown, 1)
    for row, column in touched:  # at outlines only, where something is on one side and nothing on the other
        around = near[row : row + 3, column : column + 3]
        assert around.any()
        assert not around.all()


@pytest.mark.parametrize("boundary", ["wrap", "clamp", "zero"])
def test_textures_begin_at_their_first_texels_corner(rasterizer, boundary):
    texture = np.array([[[1], [2]], [[4], [8]]], np.float32)[None]
    middles = np.array([[[0.25, 0.25], [0.75, 0.25]], [[0.25, 0.75], [0.75, 0.75]]], np.float32)
    corner = np.array([[[0.0, 0.0], [0.5, 0.5]]], np.float32)
    np.testing.assert_allclose(rasterizer.texture(texture, middles[None], boundary=boundary), texture)
    at_corner = {"wrap": 3.75, "clamp": 1.0, "zero": 0.25}[boundary]
    found = rasterizer.texture(texture, corner[None], boundary=boundary)
    np.testing.assert_allclose(found.ravel(), [at_corner, 3.75], atol=1e-6)


def test_given_buffers_are_written_to(rasterizer):
    clip, triangles, _ = scene(2)
    out = empty_fragments(2, 16, 16)
    assert rasterizer.rasterize(clip, triangles, 16, 16, out=out) is not None
    np.testing.assert_array_equal(out.triangle, NumbaRasterizer().rasterize(clip, triangles, 16, 16).triangle)


def test_nothing_to_draw_is_an_empty_picture(rasterizer):
    behind = np.ones((1, 3, 4), np.float32)
    hits = rasterizer.rasterize(behind, np.array([[0, 1, 2]], np.int32), 4, 4)
    assert (hits.triangle == -1).all()
    assert np.isinf(hits.depth).all()


def test_what_does_not_fit_is_named(rasterizer):
    clip, triangles, _ = scene(3)
    hits = rasterizer.rasterize(clip, triangles, 8, 8)
    with pytest.raises(ValueError, match="positions"):
        rasterizer.rasterize(clip[0], triangles, 8, 8)
    with pytest.raises(ValueError, match="triangles"):
        rasterizer.rasterize(clip, triangles.ravel(), 8, 8)
    with pytest.raises(ValueError, match="wanted"):
        rasterizer.rasterize(clip, triangles, 8, 8, out=empty_fragments(1, 8, 8))
    with pytest.raises(ValueError, match="attributes"):
        rasterizer.interpolate(np.zeros((3, 60, 1), np.float32), hits, triangles)
    with pytest.raises(ValueError, match="mirror"):
        rasterizer.texture(clip[:, None], np.zeros((2, 4, 4, 2), np.float32), boundary="mirror")
    with pytest.raises(ValueError, match="colours"):
        rasterizer.antialias(np.zeros((1, 8, 8, 3), np.float32), hits, clip, triangles)


def test_without_a_gpu_it_says_so(rasterizer, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match='rasterizer = "raster"'):
        NvdiffrastRasterizer().open(FakeContext())
