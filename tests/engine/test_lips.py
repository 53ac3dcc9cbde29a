"""The opening of the mouth is measured and set as a whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.face.lips import PARTING, opening, parted, set_opening
from mien.face.model import load_model
from mien.face.rig import INDEX

pytestmark = pytest.mark.unit


@given(st.integers(0, 10_000), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_lips_part_as_far_as_wanted_whatever_else_the_mouth_does(seed: int, wanted: float) -> None:
    weights = np.random.default_rng(seed).uniform(-0.3, 0.8, 52).astype(np.float32)
    set_opening(weights, wanted)
    shown = np.maximum(weights, 0)
    assert parted(shown) == pytest.approx(wanted, abs=1e-5)
    assert weights[INDEX["mouthClose"]] <= weights[INDEX["jawOpen"]]


def test_the_jaw_stays_down_behind_closed_lips() -> None:
    weights = np.zeros(52, np.float32)
    weights[INDEX["jawOpen"]] = 0.3
    set_opening(weights, 0.0)
    assert weights[INDEX["jawOpen"]] == pytest.approx(0.3)
    assert weights[INDEX["mouthClose"]] == pytest.approx(0.3)


def test_lips_that_all_but_touch_are_closed_and_small_openings_are_not_taken_off() -> None:
    assert opening(-0.1) == opening(0.0) == 0
    assert opening(0.006) < 0.001
    for apart in (0.03, 0.06, 0.12, 0.5):
        assert opening(apart) == pytest.approx(apart)
    assert (np.diff([opening(x) for x in np.linspace(0, 0.1, 200)]) >= 0).all()


def test_the_shares_are_those_of_the_built_in_head() -> None:
    model = load_model("mien-head")
    lips = model.landmarks.apply(model.expression)[:, (13, 14), 1]
    gap = lips[:, 0] - lips[:, 1]
    known = PARTING != 0
    np.testing.assert_allclose(PARTING[known], (gap / gap[INDEX["jawOpen"]])[known], atol=0.03)
