"""Counting blinks, and comparing them with marks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.frames import Float
from mien.testing.blinks import Marked, MarkedClip, agreement, blinks, marked_clips

pytestmark = pytest.mark.unit

_MARKS = Path(__file__).parents[1] / "marks" / "blinks.json"


def _both(*weights: float) -> Float:
    return np.repeat(np.array(weights, np.float32)[:, None], 2, axis=1)


def test_a_blink_lasts_until_the_eyes_are_open_again() -> None:
    assert blinks(_both(0, 0.7, 1, 0.5, 0.5, 1, 0.1, 0, 0.9)) == [range(1, 6), range(8, 9)]


def test_half_closed_eyes_and_a_wink_are_no_blink() -> None:
    wink = np.array([[0, 0], [1, 0.1], [0, 0]], np.float32)
    assert blinks(_both(0, 0.5, 0.6, 0.5)) == []
    assert blinks(wink) == []


def test_a_lost_face_does_not_blink() -> None:
    assert blinks(_both(0, np.nan, np.nan, 0)) == []


def test_what_was_missed_and_what_was_invented_is_named() -> None:
    marks = MarkedClip("clip", "", 20, (Marked(3, 3, 4), Marked(9, 10, 11)), (Marked(17, 17, 17),))
    weights = np.zeros((20, 2), np.float32)
    weights[[5, 14, 17]] = 0.9  # a frame beside the first mark, nowhere, and where it is doubtful
    found = agreement(weights, marks)
    assert (found.hits, found.missed, found.invented) == (1, (10,), (14,))
    assert found.closed == (0.0, 0.0)
    assert found.f1 == pytest.approx(0.5)


def test_the_marks_of_this_project_are_in_order() -> None:
    clips = marked_clips(_MARKS)
    assert len(clips) >= 2
    for clip in clips:
        ends = [frame for mark in clip.blinks for frame in (mark.first, mark.last)]
        assert ends == sorted(ends)
        assert ends[-1] < clip.frames
        assert all(mark.first <= mark.peak <= mark.last for mark in clip.blinks)
