"""What of a face model is drawn as skin."""

from __future__ import annotations

import numpy as np
import pytest

from mien.face.model import FACE_OVAL, load_model
from mien.face.normals import vertex_normals
from mien.face.outline import enclosed
from mien_photo.anatomy import skin_of

pytestmark = pytest.mark.plugin


def test_the_underside_of_the_jaw_is_not_shown():
    """A portrait shows the neck there, shreds of which would go with the jaw."""
    model = load_model()
    skin = skin_of(model)
    points = model.mean[skin.vertices]
    oval = model.landmarks.apply(model.mean)[list(FACE_OVAL), :2]
    within = enclosed(points[:, :2], oval)
    line = np.concatenate([oval + (np.roll(oval, -1, axis=0) - oval) * step for step in np.arange(10) / 10])
    away = np.linalg.norm(points[:, None, :2] - line, axis=2).min(axis=1)
    down = vertex_normals(points, skin.triangles)[:, 1] < -0.51
    under = ~within & down & (away > 0.45)
    assert under.sum() > 20
    assert skin.presence[under].max() == 0
    assert (skin.presence[within & (away > 1)] == 1).mean() > 0.95
