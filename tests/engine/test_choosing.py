"""Which few of many are looked at."""

import numpy as np
import pytest

from mien.face.choosing import farthest_apart

pytestmark = pytest.mark.unit


def test_the_calmest_first_then_what_lies_farthest_from_all_chosen():
    places = np.array([[5.0], [0.5], [-3.0], [5.1], [1.0]])
    assert farthest_apart(places, 3) == [1, 3, 2]


def test_none_is_chosen_twice_even_where_all_are_the_same():
    assert sorted(farthest_apart(np.ones((4, 2)), 3)) == [0, 1, 2]
    assert sorted(farthest_apart(np.ones((2, 2)), 3)) == [0, 1]
