"""Gradients through a rasterizer: the same pictures, true derivatives, and what they are for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from drawn_person import CAMERA, SIDE, Scene, state
from mien.face.offline.crop import Crop
from mien.render.projection import lens_of, pose_matrix, to_clip
from mien_raster.rasterizer import NumbaRasterizer
from mien_torch.rendering import DifferentiableRasterizer

pytestmark = [pytest.mark.plugin, pytest.mark.torch]

TRIANGLES = torch.tensor([[0, 1, 2], [2, 1, 3]])
CORNERS = [[-1.1, -1.2, 0.3, 1.5], [1.3, -1.0, 0.1, 1.0], [-0.9, 1.4, -0.2, 1.2], [1.2, 1.1, 0.5, 2.0]]
"""A bent square in perspective that leaves some of the picture empty."""


@pytest.fixture
def rasterizer():
    return DifferentiableRasterizer(NumbaRasterizer())


def test_pictures_are_those_of_the_service(rasterizer):
    scene = Scene()
    clip = np.empty((len(scene.model.mean), 4), np.float32)
    seen = state(jawOpen=0.4)
    points = scene.person.face.vertices(seen.expression, seen.gaze)
    to_clip(points, pose_matrix(seen.rotation, seen.translation), lens_of(CAMERA), clip)
    triangles = scene.model.triangles
    truth = scene.rasterizer.rasterize(clip[None], triangles, SIDE, SIDE)
    drawn = scene.rasterizer.interpolate(scene.model.uv[None], truth, triangles)

    clip_tensor, corners = torch.from_numpy(clip[None]), torch.from_numpy(np.array(triangles))
    hits = rasterizer.rasterize(clip_tensor, corners, SIDE, SIDE)
    values = rasterizer.interpolate(torch.from_numpy(np.array(scene.model.uv))[None], hits, corners)
    np.testing.assert_array_equal(hits.triangle.numpy(), truth.triangle)
    np.testing.assert_array_equal(hits.covered.numpy(), truth.triangle >= 0)
    np.testing.assert_allclose(hits.depth.numpy(), truth.depth, atol=1e-5)
    np.testing.assert_allclose(values.numpy(), drawn, atol=2e-3)
    assert np.median(np.abs(values.numpy() - drawn)[truth.triangle >= 0]) < 1e-6


@pytest.mark.parametrize("boundary", ["wrap", "clamp", "zero"])
def test_textures_are_those_of_the_service(rasterizer, boundary):
    rng = np.random.default_rng(0)
    texture = rng.random((1, 7, 5, 2)).astype(np.float32)
    uv = rng.uniform(-0.6, 1.6, (2, 9, 8, 2)).astype(np.float32)
    truth = NumbaRasterizer().texture(texture, uv, boundary=boundary)
    found = rasterizer.texture(torch.from_numpy(texture), torch.from_numpy(uv), boundary=boundary)
    np.testing.assert_allclose(found.numpy(), truth, atol=1e-5)


def test_derivatives_are_those_of_differences(rasterizer):
    positions = torch.tensor([CORNERS], dtype=torch.float64, requires_grad=True)
    colours = torch.rand((1, 4, 2), generator=torch.Generator().manual_seed(1)).double().requires_grad_()
    texels = torch.rand((1, 4, 4, 2), generator=torch.Generator().manual_seed(2)).double().requires_grad_()

    def drawn(positions, colours, texels):
        hits = rasterizer.rasterize(positions, TRIANGLES, 6, 7)
        values = rasterizer.interpolate(colours, hits, TRIANGLES)
        return values, hits.depth[hits.covered], rasterizer.texture(texels, values)

    assert torch.autograd.gradcheck(drawn, (positions, colours, texels), eps=1e-7, atol=1e-5)


def test_the_hand_made_gradient_of_offline_tracking_points_the_same_way(rasterizer):
    """`photometric_rows` writes normal equations without torch; its right side is minus the gradient."""
    scene = Scene()
    true, moved = state(), state()
    moved.translation = moved.translation + np.array([0.03, -0.02, 0.0], np.float32)
    crop = Crop(scene.picture(true), CAMERA)
    drawn = scene.photometry.draw(scene.person, moved, crop, relight=False)
    _, right, _ = scene.photometry.equations(drawn, moved, crop)

    skin = scene.photometry.skin
    nodes, turn = torch.from_numpy(skin.spread(drawn.points)), torch.from_numpy(moved.rotation)
    place = torch.from_numpy(moved.translation).requires_grad_()
    matrix = torch.from_numpy(CAMERA.clip_matrix())
    clip = torch.nn.functional.pad(nodes @ turn.T + place, (0, 1), value=1.0) @ matrix.T
    corners = torch.from_numpy(np.array(skin.triangles))
    hits = rasterizer.rasterize(clip[None], corners, SIDE, SIDE)
    lit = (scene.person.albedo * drawn.shading).astype(np.float32)
    colours = rasterizer.interpolate(torch.from_numpy(lit)[None], hits, corners)[0]
    off = (colours - torch.from_numpy(crop.colours)) ** 2
    (torch.from_numpy(drawn.weight)[..., None] * off).sum().backward()
    gradient = place.grad.numpy()
    step = right[-3:]
    cosine = -(gradient @ step) / (np.linalg.norm(gradient) * np.linalg.norm(step))
    assert cosine > 0.95


def test_a_shifted_square_finds_back_by_descent(rasterizer):
    positions = torch.tensor([CORNERS])
    pattern = torch.rand((1, 8, 8, 3), generator=torch.Generator().manual_seed(3))
    uv = torch.tensor([[[0.1, 0.9], [0.9, 0.9], [0.1, 0.1], [0.9, 0.1]]])

    def drawn(shift):
        moved = positions + torch.nn.functional.pad(shift, (0, 2)) * positions[..., 3:]
        hits = rasterizer.rasterize(moved, TRIANGLES, 32, 32)
        return rasterizer.texture(pattern, rasterizer.interpolate(uv, hits, TRIANGLES)), hits.covered

    target, there = drawn(torch.tensor([0.06, -0.04]))
    shift = torch.zeros(2, requires_grad=True)
    descent = torch.optim.Adam([shift], lr=0.01)
    for _ in range(60):
        picture, here = drawn(shift)
        loss = ((picture - target)[here & there] ** 2).mean()
        descent.zero_grad()
        loss.backward()
        descent.step()
    np.testing.assert_allclose(shift.detach().numpy(), [0.06, -0.04], atol=5e-3)


def test_what_does_not_fit_is_named(rasterizer):
    hits = rasterizer.rasterize(torch.tensor([CORNERS, CORNERS]), TRIANGLES, 4, 4)
    with pytest.raises(ValueError, match="attributes"):
        rasterizer.interpolate(torch.zeros((3, 4, 1)), hits, TRIANGLES)
    with pytest.raises(ValueError, match="mirror"):
        rasterizer.texture(torch.zeros((1, 2, 2, 1)), torch.zeros((1, 2, 2, 2)), boundary="mirror")
    with pytest.raises(ValueError, match="uv"):
        rasterizer.texture(torch.zeros((1, 2, 2, 1)), torch.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match="texture"):
        rasterizer.texture(torch.zeros((3, 2, 2, 1)), torch.zeros((2, 2, 2, 2)))
