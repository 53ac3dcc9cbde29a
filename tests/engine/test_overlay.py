"""The mesh over a picture."""

from dataclasses import replace

import numpy as np
import pytest

from drawn_person import CAMERA, SIDE, Scene, state
from mien.face.camera import axis_angle
from mien.face.offline.overlay import Overlay
from mien.frames import FaceParams

pytestmark = [pytest.mark.unit, pytest.mark.plugin]


@pytest.fixture(scope="module")
def scene():
    return Scene()


def params():
    seen = state(jawOpen=0.3)
    return FaceParams(0, axis_angle(seen.rotation), seen.translation, seen.expression, seen.gaze)


def test_the_mesh_covers_the_face_and_nothing_else(scene):
    grey = np.full((SIDE, SIDE, 3), 100, np.uint8)
    drawn = Overlay(scene.model, scene.rasterizer).draw(grey, scene.person.subject, params())
    changed = (drawn != grey).any(axis=2)
    assert 0.15 < changed.mean() < 0.6
    points = scene.landmarks(state(jawOpen=0.3))
    low, high = points.min(axis=0) - 4, points.max(axis=0) + 4
    rows, columns = np.nonzero(changed)
    assert low[0] < columns.min() < columns.max() < high[0]
    assert low[1] < rows.min() < rows.max() < high[1]
    assert (grey == 100).all(), "the picture itself is left as it was"
    assert drawn[changed].std() > 5, "shaded, with edges: one sees a mesh"
    assert 60 < drawn[changed].mean() < 200, "and the picture through it"


def test_a_picture_of_another_size_than_the_camera_s_is_refused(scene):
    overlay = Overlay(scene.model, scene.rasterizer)
    subject = scene.person.subject
    for shape in ((SIDE // 2, SIDE, 3), (SIDE, SIDE // 2, 3), (SIDE, SIDE, 4), (2 * SIDE, 2 * SIDE, 3)):
        with pytest.raises(ValueError, match="under a camera"):
            overlay.draw(np.zeros(shape, np.uint8), subject, params())
    wide = replace(subject, camera=replace(CAMERA, width=2 * SIDE))
    with pytest.raises(ValueError, match="under a camera"):
        overlay.draw(np.zeros((SIDE, SIDE, 3), np.uint8), wide, params())
