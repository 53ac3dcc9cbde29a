"""Normals of meshes."""

import numpy as np
import pytest

from mien.face.model import load_model
from mien.face.normals import area_normals, vertex_normals

pytestmark = pytest.mark.unit

SQUARE = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
PRECISIONS = (np.float32, np.float64)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_flat_square_and_a_lone_vertex(precision):
    points = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [5, 5, 5]], precision)
    normals = vertex_normals(points, SQUARE)
    assert normals.dtype == precision
    np.testing.assert_allclose(normals, [[0, 0, 1]] * 4 + [[0, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(area_normals(points, SQUARE)[:, 2], [2, 1, 2, 1, 0], atol=1e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_head_has_the_normals_that_plain_arithmetic_gives(precision):
    model = load_model()
    points = model.mean.astype(precision)
    corners = model.mean.astype(np.float64)[model.triangles]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    expected = np.zeros(model.mean.shape)
    for corner in range(3):
        np.add.at(expected, model.triangles[:, corner], facing)
    expected /= np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), 1e-12)
    off = np.abs(vertex_normals(points, model.triangles) - expected).max(axis=1)
    # Where folded triangles all but cancel, single precision tells no direction.
    assert np.quantile(off, 0.99 if precision == np.float32 else 1) < 1e-4


def test_arrays_of_any_layout_are_taken():
    points = np.asfortranarray(load_model().mean[::2])
    assert vertex_normals(points, np.array([[0, 1, 2]], np.int64)).shape == points.shape
