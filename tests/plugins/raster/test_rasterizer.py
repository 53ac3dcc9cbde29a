"""The numba rasterizer against a slow oracle, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from raster_oracle import oracle

from mien.errors import ConfigError
from mien.face.camera import Camera
from mien.render.fragments import empty_fragments
from mien.testing.context import FakeContext
from mien_raster.rasterizer import NumbaRasterizer, warm

pytestmark = pytest.mark.plugin


def camera_points(seed, count=60):
    rng = np.random.default_rng(seed)
    points = rng.uniform([-20, -20, -80], [20, 20, -30], (count, 3))
    triangles = rng.integers(0, count, (count, 3)).astype(np.int32)
    return points, triangles[(triangles[:, 0] != triangles[:, 1]) & (triangles[:, 1] != triangles[:, 2])]


def clip_of(points, width, height):
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    return (homogeneous @ Camera.guess(width, height).clip_matrix().T.astype(np.float64)).astype(np.float32)


def same(fragments, expected, near_edge):
    sure = near_edge > 1e-4  # on an edge either of two triangles may own the pixel
    assert sure.mean() > 0.9
    np.testing.assert_array_equal(fragments.triangle[0][sure], expected.triangle[0][sure])
    covered = sure & (expected.triangle[0] >= 0)
    np.testing.assert_allclose(fragments.barycentric[0][covered], expected.barycentric[0][covered], atol=2e-3)
    np.testing.assert_allclose(fragments.depth[0][covered], expected.depth[0][covered], atol=1e-4)
    assert np.isinf(fragments.depth[0][fragments.triangle[0] < 0]).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("cull", [True, False])
def test_random_triangles_match_the_oracle(seed, cull):
    points, triangles = camera_points(seed)
    clip = clip_of(points, 48, 40)
    fragments = NumbaRasterizer().rasterize(clip[None], triangles, 40, 48, cull=cull)
    same(fragments, *oracle(clip, triangles, 40, 48, cull=cull))


@pytest.mark.parametrize("seed", range(4))
def test_triangles_through_the_near_plane_and_behind_the_eye(seed):
    rng = np.random.default_rng(100 + seed)
    points = rng.uniform([-30, -30, -60], [30, 30, 20], (24, 3))
    triangles = rng.permutation(24).reshape(8, 3).astype(np.int32)
    clip = clip_of(points, 32, 32)
    fragments = NumbaRasterizer().rasterize(clip[None], triangles, 32, 32, cull=False)
    same(fragments, *oracle(clip, triangles, 32, 32, cull=False))


def grid_mesh(n=12):
    axis = np.linspace(-14, 14, n)
    x, y = np.meshgrid(axis, axis)
    points = np.stack([x.ravel(), y.ravel(), -60 + 8 * np.sin(x / 5).ravel()], axis=1)
    i = np.arange(n * n).reshape(n, n)
    a, b, c, d = (k.ravel() for k in (i[:-1, :-1], i[:-1, 1:], i[1:, :-1], i[1:, 1:]))
    return points, np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)]).astype(np.int32)


def test_a_closed_surface_has_no_cracks():
    points, triangles = grid_mesh()
    clip = clip_of(points, 128, 128)
    fragments = NumbaRasterizer().rasterize(clip[None], triangles, 128, 128, cull=False)
    inside = fragments.triangle[0][12:-12, 12:-12]
    assert (inside >= 0).all()


def test_interpolation_is_perspective_correct():
    points, triangles = grid_mesh()
    width = height = 96
    clip = clip_of(points, width, height)
    rasterizer = NumbaRasterizer()
    fragments = rasterizer.rasterize(clip[None], triangles, height, width, cull=False)
    drawn = rasterizer.interpolate(points[None].astype(np.float32), fragments, triangles)[0]
    covered = fragments.triangle[0] >= 0
    camera = Camera.guess(width, height)
    pixels = camera.project(drawn[covered])
    rows, columns = np.nonzero(covered)
    np.testing.assert_allclose(pixels, np.stack([columns, rows], 1) + 0.5, atol=2e-2)
    assert (drawn[~covered] == 0).all()


def test_counter_clockwise_faces_the_camera():
    clip = np.array([[[-1, -1, 0, 1], [1, -1, 0, 1], [0, 1, 0, 1]]], np.float32)
    rasterizer = NumbaRasterizer()
    towards, away = np.array([[0, 1, 2]], np.int32), np.array([[0, 2, 1]], np.int32)
    assert (rasterizer.rasterize(clip, towards, 8, 8).triangle >= 0).any()
    assert not (rasterizer.rasterize(clip, away, 8, 8).triangle >= 0).any()
    assert (rasterizer.rasterize(clip, away, 8, 8, cull=False).triangle >= 0).any()


def test_a_batch_is_drawn_picture_by_picture_and_out_is_reused():
    points, triangles = camera_points(7)
    clips = np.stack([clip_of(points, 32, 32), clip_of(points + np.array([1, 0, -5]), 32, 32)])
    rasterizer = NumbaRasterizer()
    out = empty_fragments(2, 32, 32)
    assert rasterizer.rasterize(clips, triangles, 32, 32, out=out) is out
    for k in range(2):
        alone = rasterizer.rasterize(clips[k : k + 1], triangles, 32, 32)
        np.testing.assert_array_equal(out.triangle[k], alone.triangle[0])
    again = rasterizer.rasterize(clips[::-1], triangles, 32, 32, out=out)
    alone = rasterizer.rasterize(clips[1:], triangles, 32, 32)
    np.testing.assert_array_equal(again.triangle[0], alone.triangle[0])


def test_threads_draw_the_same():
    points, triangles = grid_mesh(30)
    clip = clip_of(points, 90, 70)[None]
    expected = NumbaRasterizer().rasterize(clip, triangles, 70, 90, cull=False)
    threaded = NumbaRasterizer()
    threaded.open(FakeContext(settings={"threads": 3}))
    try:
        drawn = threaded.rasterize(clip, triangles, 70, 90, cull=False)
    finally:
        threaded.close()
    np.testing.assert_array_equal(drawn.triangle, expected.triangle)
    np.testing.assert_array_equal(drawn.depth, expected.depth)


@pytest.mark.parametrize("threads", [0, "two", 1.5, True, 1000])
def test_bad_thread_counts_are_named(threads):
    with pytest.raises(ConfigError, match="threads"):
        NumbaRasterizer().open(FakeContext(settings={"threads": threads}))


def test_corners_that_are_no_numbers_draw_nothing():
    clip = np.array([[[np.nan, -1, 0, 1], [1, -1, 0, 1], [0, 1, 0, 1]]], np.float32)
    fragments = NumbaRasterizer().rasterize(clip, np.array([[0, 1, 2]], np.int32), 8, 8, cull=False)
    assert (fragments.triangle == -1).all()


def test_shapes_are_checked():
    rasterizer = NumbaRasterizer()
    with pytest.raises(ValueError, match="positions"):
        rasterizer.rasterize(np.zeros((3, 4), np.float32), np.zeros((1, 3), np.int32), 4, 4)
    with pytest.raises(ValueError, match="out"):
        rasterizer.rasterize(
            np.zeros((1, 3, 4), np.float32), np.zeros((1, 3), np.int32), 4, 4, out=empty_fragments(1, 8, 8)
        )


def test_warming_up_leaves_one_signature_for_each_kernel():
    from mien_raster import antialiasing, kernels, sampling

    warm()
    compiled = kernels.to_screen, kernels.rasterize_band, kernels.row_costs, sampling.interpolate
    for kernel in (*compiled, sampling.lookup, antialiasing.antialias):
        assert len(kernel.signatures) == 1
