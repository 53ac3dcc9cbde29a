"""What lies in an outline, and what does not."""

from __future__ import annotations

import numpy as np
import pytest

from mien.face.outline import doubled_areas, enclosed

pytestmark = pytest.mark.unit

NOTCHED = np.array([[0, 0], [4, 0], [4, 4], [2, 1], [0, 4]], np.float32)
"""A square with a notch from above."""


@pytest.mark.parametrize("turn", [1, -1])
def test_a_notch_is_outside(turn: int) -> None:
    points = np.array([[0.5, 2], [3.5, 2], [2, 2], [2, 0.5], [-1, 2], [5, 2], [2, -1], [2, 5]], np.float32)
    inside = enclosed(points, NOTCHED[::turn])
    assert inside.tolist() == [True, True, False, True, False, False, False, False]


def test_level_edges_divide_nothing_by_zero() -> None:
    with np.errstate(all="raise"):
        assert enclosed(np.array([[1.0, 0.5]]), np.array([[0.0, 0], [2, 0], [2, 1], [0, 1]])).all()


def test_areas_are_signed_by_which_way_round_a_triangle_runs() -> None:
    points = np.array([(0, 0), (3, 0), (0, 2), (3, 2)], np.float32)
    assert doubled_areas(points, np.array([(0, 1, 2), (0, 2, 1), (1, 3, 3)])).tolist() == [6, -6, 0]
