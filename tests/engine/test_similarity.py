"""The similarity that lays points over others."""

from __future__ import annotations

import numpy as np
import pytest

from mien.face.camera import rotation_matrix
from mien.face.similarity import similarity

pytestmark = pytest.mark.unit

_RNG = np.random.default_rng(4)
_SOURCE = _RNG.normal(size=(40, 3))
_TURN = rotation_matrix(np.array([0.3, -0.8, 0.2])).astype(np.float64)
_TARGET = 1.7 * _SOURCE @ _TURN.T + (1.0, -2.0, 3.0)


def test_scale_turn_and_shift_are_found() -> None:
    scale, rotation, shift = similarity(_SOURCE, _TARGET)
    assert scale == pytest.approx(1.7, abs=1e-6)
    np.testing.assert_allclose(rotation, _TURN, atol=1e-6)
    np.testing.assert_allclose(shift, (1.0, -2.0, 3.0), atol=1e-6)


def test_what_has_no_weight_has_no_say() -> None:
    weights = np.ones(len(_SOURCE))
    weights[:5] = 0
    strayed = _TARGET.copy()
    strayed[:5] += 10
    scale, rotation, shift = similarity(_SOURCE, strayed, weights)
    np.testing.assert_allclose(scale * _SOURCE @ rotation.T + shift, _TARGET, atol=1e-5)
    assert similarity(_SOURCE, _TARGET, np.zeros(len(_SOURCE)))[0] == 0


def test_nothing_is_ever_mirrored() -> None:
    _, rotation, _ = similarity(_SOURCE, _TARGET * (-1, 1, 1))
    assert np.linalg.det(rotation) == pytest.approx(1)
