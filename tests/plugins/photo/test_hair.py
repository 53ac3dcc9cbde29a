"""Hair as a part of the head's surface."""

from __future__ import annotations

import numpy as np
import pytest

from mien_photo import hair

pytestmark = pytest.mark.unit

SIDE = 128
MIDDLE = np.array([64.0, 70.0])
UP = np.array([0.0, -1.0])


def ball(radius: float) -> tuple[np.ndarray, np.ndarray]:
    """A bald skull 100 cm away: depths and where it is; 1 px is 1 cm."""
    x, y = np.meshgrid(np.arange(SIDE) - MIDDLE[0], np.arange(SIDE) - MIDDLE[1])
    bulge = radius**2 - x**2 - y**2
    return np.where(bulge > 0, 100 - np.sqrt(np.maximum(bulge, 0)), 0).astype(np.float32), bulge > 0


def circle(radius: float, count: int = 36) -> np.ndarray:
    angles = np.arange(count) * 2 * np.pi / count
    return MIDDLE + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def grown(radius: float, up: np.ndarray = UP):
    depth, head = ball(30)
    person = ball(radius)[1]
    return depth, head, *hair.inflated(depth, head, person, circle(18), up, px_cm=1.0)


def test_a_bald_head_stays_as_it_is():
    depth, head, found, known = grown(30)
    assert (known ^ head).sum() < 0.03 * head.sum()
    changed = (found - depth)[known & head]
    assert abs(np.median(changed)) < 0.1
    # Its rim bends backwards, for the back of the head that comes into sight.
    assert changed.max() < 3.5


def test_hair_reaches_as_far_as_the_person_does():
    _, _, _, known = grown(42)
    crown = known[:, 64].argmax()
    assert abs(70 - crown - 42) <= 2
    # Below the ears the neck begins: what the person is there is none of the head's.
    assert abs(known[::-1, 64].argmax() - (SIDE - 1 - 100)) <= 2


def test_hair_is_round():
    """It goes on from the forehead and comes to the depth of the skull's outline where it ends, never in steps."""
    depth, _, found, known = grown(42)
    profile = found[29:71, 64][::-1]
    assert known[29:71, 64].all()
    np.testing.assert_allclose(profile[:16], depth[55:71, 64][::-1], atol=0.1)
    # It stands out further than the bald skull, and goes back from there.
    assert profile[30] < 100 - 20
    assert (np.diff(profile[26:]) > -0.2).all()
    assert profile[-1] > 100 - 12


def test_up_is_where_the_head_says():
    _, _, _, known = grown(42, up=np.array([1.0, 0.0]))
    row = known[70]
    assert abs(int(np.flatnonzero(row).max()) - 64 - 42) <= 2
    assert abs(64 - int(row.argmax()) - 30) <= 2


def test_what_goes_on_and_on_is_not_hair():
    depth, head = ball(30)
    _, known = hair.inflated(depth, head, np.ones_like(head), circle(18), UP, px_cm=1.0)
    assert known[0].sum() < known[40].sum()
    assert not known[: 70 - 50, 64].any()
