"""Spherical-harmonics light: closed forms, and that what lit a face is found again."""

import numpy as np
import pytest

from mien.face.light import ambient, estimate_light, harmonics, shade
from mien.face.retargeting import mirrored

pytestmark = pytest.mark.unit

LIGHT = ambient(0.8) + np.outer([0, 0.3, 0.5, -0.4, 0.05, 0, 0.1, 0, -0.1], [1, 0.9, 0.7]).astype(np.float32)


def sphere(count=2000, seed=0):
    points = np.random.default_rng(seed).standard_normal((count, 3))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def test_ambient_light_shows_the_albedo():
    albedo = np.random.default_rng(1).random((50, 3)).astype(np.float32)
    assert np.allclose(shade(albedo, sphere(50), ambient()), albedo, atol=1e-5)


def test_the_harmonics_are_orthogonal_over_the_sphere():
    basis = harmonics(sphere(200_000)).astype(np.float64)
    gram = basis.T @ basis / len(basis) * 4 * np.pi
    attenuation = np.array([1, *3 * (2 / 3,), *5 * (1 / 4,)])
    assert np.allclose(gram, np.diag(attenuation**2), atol=0.01)


def test_the_brightest_side_faces_the_light():
    from_the_right = ambient(0.5)
    from_the_right[3] = 0.5
    right, left = np.array([[1, 0, 0]], np.float32), np.array([[-1, 0, 0]], np.float32)
    grey = np.full((1, 3), 0.5, np.float32)
    assert (shade(grey, right, from_the_right) > shade(grey, left, from_the_right)).all()


def test_light_is_found_again_among_shadows():
    rng = np.random.default_rng(2)
    normals = sphere(3000)
    normals = normals[normals[:, 2] > 0.1]
    albedo = rng.uniform(0.3, 0.8, (len(normals), 3)).astype(np.float32)
    colours = shade(albedo, normals, LIGHT) + 0.01 * rng.standard_normal(albedo.shape).astype(np.float32)
    colours[::10] = 0.02  # a cast shadow
    found = estimate_light(normals, albedo, colours)
    # On the visible side it lights alike; the coefficients themselves are only known as far as that side shows them.
    seen, true = harmonics(normals) @ found, harmonics(normals) @ LIGHT
    assert np.abs(seen - true).mean() < 0.02


def test_light_needs_points():
    nothing = np.zeros((0, 3), np.float32)
    with pytest.raises(ValueError, match="no points"):
        estimate_light(nothing, nothing, nothing)


def test_the_order_is_the_one_that_mirroring_assumes():
    from mien.frames import FaceParams

    normals = sphere(100)
    flipped = mirrored(FaceParams(0, light=LIGHT.copy())).light
    white = np.ones((100, 3), np.float32)
    assert np.allclose(
        shade(white, normals, flipped),
        shade(white, normals * np.array([-1, 1, 1], np.float32), LIGHT),
        atol=1e-5,
    )
