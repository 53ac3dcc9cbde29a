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
from mien.testing.context import FakeContext
from mien_nvdiffrast.rasterizer import NvdiffrastRasterizer
from mien_raster.rasterizer import NumbaRasterizer, empty_fragments

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
    uv = rng.random((2, 5, 5, 2)).astype(np.float32)
    assert rasterizer.texture(values.reshape(1, 10, 6, 3), uv, boundary="clamp").shape == (2, 5, 5, 3)


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
