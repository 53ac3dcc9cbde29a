"""What every rasterizer must agree on with the oracle, whatever it runs on: add an implementation to `rasterizers`."""

from __future__ import annotations

import numpy as np
import pytest
from raster_oracle import coverage_difference, looked_up, oracle, smooth_places

from mien.face.camera import Camera, rotation_matrix
from mien.face.model import PosedFace, load_model
from mien.render.fragments import packed, unpacked
from mien.render.projection import lens_of, pose_matrix, to_clip
from mien.testing.context import FakeContext
from mien_raster.rasterizer import NumbaRasterizer

pytestmark = pytest.mark.plugin

SIDE = 160
MOST_COVERAGE, MOST_ATTRIBUTE = 1e-3, 1e-3


@pytest.fixture(params=["one thread", "two threads", pytest.param("nvdiffrast", marks=pytest.mark.gpu)])
def rasterizer(request):
    if request.param == "nvdiffrast":
        pytest.importorskip("nvdiffrast")
        from mien_nvdiffrast.rasterizer import NvdiffrastRasterizer

        made = NvdiffrastRasterizer()
    else:
        made = NumbaRasterizer()
    made.open(FakeContext(settings={"threads": 1 if request.param == "one thread" else 2}))
    yield made
    made.close()


def posed_heads(seeds):
    """Heads of random people with random faces and turns, as clip space (N, V, 4), and the model."""
    model = load_model()
    clips = np.empty((len(seeds), len(model.mean), 4), np.float32)
    for k, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        face = PosedFace(model, rng.normal(0, 0.7, len(model.identity)).astype(np.float32))
        expression = (rng.random(52) < 0.2) * rng.random(52)
        points = face.vertices(expression.astype(np.float32), rng.normal(0, 0.2, (2, 2)).astype(np.float32))
        rotation = rotation_matrix(rng.normal(0, [0.3, 0.6, 0.2]))
        translation = np.array([*rng.normal(0, 2, 2), rng.uniform(-70, -35)], np.float32)
        to_clip(points, pose_matrix(rotation, translation), lens_of(Camera.guess(SIDE, SIDE)), clips[k])
    return clips, model


def test_heads_in_random_poses(rasterizer):
    clips, model = posed_heads([1, 2, 3])
    low, high = model.mean.min(axis=0), model.mean.max(axis=0)
    attributes = np.concatenate([(model.mean - low) / (high - low), model.uv], axis=1).astype(np.float32)
    hits = rasterizer.rasterize(clips, model.triangles, SIDE, SIDE)
    drawn = rasterizer.interpolate(attributes[None], hits, model.triangles)
    for k, clip in enumerate(clips):
        expected, _ = oracle(clip, model.triangles, SIDE, SIDE)
        one = unpacked(packed(hits)[k : k + 1])
        assert coverage_difference(one, expected) <= MOST_COVERAGE
        truth = looked_up(attributes, expected, model.triangles)
        smooth = smooth_places(truth, expected.triangle[0] >= 0, 0.1)
        assert smooth.sum() > 0.5 * (expected.triangle >= 0).sum()
        # Along the inner outlines (lids, lips) either surface may own a pixel's centre.
        off = np.abs(drawn[k] - truth).max(axis=2)[smooth]
        assert np.quantile(off, 0.999) <= MOST_ATTRIBUTE
        both = smooth & (one.triangle[0] == expected.triangle[0])
        assert both.sum() > 0.99 * smooth.sum()
        assert np.abs(drawn[k] - truth).max(axis=2)[both].max() <= MOST_ATTRIBUTE


@pytest.mark.parametrize("seed", range(3))
def test_random_triangles(rasterizer, seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform([-20, -20, -80, 1], [20, 20, -20, 1], (90, 4))
    triangles = rng.permutation(90).reshape(30, 3).astype(np.int32)
    clip = (points @ Camera.guess(96, 96).clip_matrix().T.astype(np.float64)).astype(np.float32)
    values = rng.random((90, 3)).astype(np.float32)
    expected, near_edge = oracle(clip, triangles, 96, 96, cull=False)
    hits = rasterizer.rasterize(clip[None], triangles, 96, 96, cull=False)
    assert coverage_difference(hits, expected) <= MOST_COVERAGE
    drawn = rasterizer.interpolate(values[None], hits, triangles)[0]
    inner = near_edge > 1e-3
    np.testing.assert_allclose(
        drawn[inner], looked_up(values, expected, triangles)[inner], atol=MOST_ATTRIBUTE
    )


def test_packing_is_nvdiffrasts():
    clip = np.array([[[-1, -1, 0, 1], [1, -1, 0, 1], [0, 1, 0, 1]]], np.float32)
    hits = NumbaRasterizer().rasterize(clip, np.array([[0, 1, 2]], np.int32), 8, 8)
    pixels = packed(hits)
    assert pixels.shape == (1, 8, 8, 4)
    assert set(np.unique(pixels[..., 3])) == {0, 1}
    assert (pixels[hits.triangle < 0] == 0).all()
    again = unpacked(pixels)
    np.testing.assert_array_equal(again.triangle, hits.triangle)
    np.testing.assert_array_equal(again.depth, hits.depth)
