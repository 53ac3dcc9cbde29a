"""The surface of hair and neck around the face."""

from __future__ import annotations

import numpy as np
import pytest

from mien.face.outline import doubled_areas
from mien.render.fragments import empty_fragments
from mien_photo.grid import _off_skin, aligned, halves

pytestmark = pytest.mark.plugin

SIDE, STEP, SCALE = 400, 20.0, 0.5


def test_the_nodes_next_to_a_face_lie_on_an_unbroken_line_around_it():
    axis = np.arange(0, SIDE + 1, STEP, dtype=np.float32)
    still = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    y, x = (np.indices((round(SIDE * SCALE),) * 2, np.float32) + 0.5) / SCALE
    centre, radius = np.array([195, 207], np.float32), 120.0
    off = (np.hypot(x - centre[0], y - centre[1]) - radius) * SCALE
    found = aligned(still, halves(len(axis), len(axis)), off.astype(np.float32), SCALE, STEP)
    moved = (found != still).any(axis=1)
    away = np.linalg.norm(found[moved] - centre, axis=1)
    np.testing.assert_allclose(away, away.mean(), atol=0.05 * STEP)
    assert 0 < away.mean() - radius < 0.6 * STEP
    assert np.linalg.norm(found - still, axis=1).max() < 0.8 * STEP
    angles = np.sort(np.arctan2(*(found[moved] - centre).T))
    assert np.diff(angles, append=angles[0] + 2 * np.pi).max() * radius < 1.6 * STEP


def skin(shown: np.ndarray) -> np.ndarray:
    """(h, w) px off the outline of what is shown, (h, w) bool."""
    face = empty_fragments(1, *shown.shape)
    face.triangle[0] = np.where(shown, 0, -1)
    return _off_skin(face)[0]


def test_mouth_and_eyes_are_no_outline_of_the_face():
    y, x = np.indices((200, 200))
    disc = np.hypot(x - 100, y - 100) < 60
    holed = disc & (np.hypot(x - 100, y - 130) > 15)
    np.testing.assert_allclose(skin(holed), skin(disc), atol=1e-6)


@pytest.mark.parametrize("bay", [6, 20, 45])
def test_no_cell_turns_over(bay):
    """Whatever the outline: here a face with a hole and a narrow bay in its side."""
    axis = np.arange(0, SIDE + 1, STEP, dtype=np.float32)
    still = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    triangles = halves(len(axis), len(axis))
    y, x = np.indices((200, 200))
    shown = (np.hypot(x - 100, y - 103) < 70) & (np.hypot(x - 95, y - 130) > 11)
    shown &= (np.abs(y - 84) > bay / 2) | (x < 77)
    found = aligned(still, triangles, skin(shown), SCALE, STEP)
    assert (found != still).any()
    assert (doubled_areas(found, triangles) / doubled_areas(still, triangles)).min() > 0.09
