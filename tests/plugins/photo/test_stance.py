"""How far the avatar's eyes turn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mien.face.camera import Camera
from mien.face.subject import Subject
from mien.frames import FaceParams
from mien_photo.stance import Limits

pytestmark = pytest.mark.unit

ASIDE = np.radians(np.array([[6.0, -4.0], [6.0, -4.0]], np.float32))
"""Where the portrait looks."""


@pytest.fixture
def limits() -> Limits:
    subject = Subject("mien-head", np.zeros(1, np.float32), Camera.guess(256, 256), rest_gaze=ASIDE)
    return Limits(subject, np.array([0, -8, -2], np.float32))


def gaze(limits: Limits, yaw: float, pitch: float) -> np.ndarray:
    """(2, 2) degrees, where the eyes look."""
    wish = np.radians(np.tile(np.array([yaw, pitch], np.float32), (2, 1)))
    return np.degrees(limits.stance(replace(FaceParams(0), gaze=wish)).gaze + ASIDE)


@pytest.mark.parametrize("where", [(30, 0), (-30, 0), (0, 30), (0, -30), (21, 21), (0, 0)])
def test_eyes_turn_by_thirty_degrees_whichever_way(limits, where):
    np.testing.assert_allclose(gaze(limits, *where), [where, where], atol=0.05)


def test_further_they_bend_towards_an_end(limits):
    found = [gaze(limits, 0, pitch)[0, 1] for pitch in (30, 35, 45, 60, 90)]
    assert found == sorted(found)
    assert found[-1] < 40.5


def test_looking_where_the_portrait_does_turns_nothing(limits):
    found = limits.stance(replace(FaceParams(0), gaze=ASIDE)).gaze
    np.testing.assert_allclose(found, 0, atol=1e-7)


@pytest.mark.parametrize("nowhere", [np.nan, np.inf, -np.inf])
def test_a_gaze_that_is_no_number_is_the_portraits(limits, nowhere):
    wish = np.array([[nowhere, 0.1], [0.1, nowhere]], np.float32)
    found = limits.stance(replace(FaceParams(0), gaze=wish)).gaze
    np.testing.assert_allclose(found[[0, 1], [0, 1]], 0, atol=1e-7)
    np.testing.assert_allclose((found + ASIDE)[[0, 1], [1, 0]], 0.1, atol=1e-6)
