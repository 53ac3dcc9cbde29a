"""What lids are called that are closed by so much."""

from __future__ import annotations

import numpy as np
import pytest

from mien.face.eyelids import with_lids
from mien.face.rig import INDEX

pytestmark = pytest.mark.unit


def test_shut_lids_read_one_whoever_it_is() -> None:
    """Lids that hang at rest have less of a way to go."""
    left, right = INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]
    neutral, expression = np.zeros((2, 52), np.float32)
    neutral[[left, right]] = 0.2
    expression[[left, INDEX["jawOpen"]]] = 0.5
    told = with_lids(expression, neutral, np.array([1.0, 0.5], np.float32))
    assert (told[left], told[INDEX["jawOpen"]]) == (1.0, 0.5)
    assert told[right] == pytest.approx(0.6)
    assert with_lids(expression, neutral, np.zeros(2, np.float32))[left] == pytest.approx(0.2)
    assert expression[left] == 0.5, "not written to"
