"""The idle face: alive, calm, seamless; and the parts that it shares with the demo."""

import numpy as np
import pytest

from mien.controls import Alive
from mien.drive.eyes import blink_shape, blink_times, blinks, eyes_in_head, saccade_s
from mien.drive.idle import IDLE_S
from mien.drive.liveliness import Liveliness
from mien.drive.loop import TICKS_PER_S, Loop, Move, minimum_jerk
from mien.face.retargeting import EXPRESSION, GAZE, HEAD, SHIFT
from mien.face.rig import INDEX
from mien.frames import Float

pytestmark = pytest.mark.unit

RATE = 200


def sampled(seed: int, **amounts: float) -> Float:
    face, alive = Liveliness(seed), Alive(**amounts)
    steps = range(round(IDLE_S * RATE) + RATE)
    return np.stack([face.at(i * 1_000_000_000 // RATE, alive, None, 1 / RATE) for i in steps])


@pytest.fixture(scope="module")
def idle() -> Float:
    return sampled(0)


def test_minimum_jerk_starts_and_ends_at_rest() -> None:
    phase = np.linspace(-0.5, 1.5, 2001)
    progress = minimum_jerk(phase)
    assert progress[0] == 0
    assert progress[-1] == 1
    assert (np.diff(progress) >= 0).all()
    assert np.abs(np.diff(progress, 2)).max() < 1e-5


def test_moves_join_over_the_end_of_the_loop() -> None:
    loop = Loop(4.0)
    track = loop.moves([Move(1.0, 5.0, 0.5), Move(3.8, -2.0, 0.6)])
    circle = np.concatenate([track, track])
    assert track[2 * TICKS_PER_S] == pytest.approx(5.0)
    assert track[round(0.6 * TICKS_PER_S)] == pytest.approx(-2.0)
    fastest = 7 / 0.5 * 1.875  # of a minimum-jerk move of 7 in half a second
    assert np.abs(np.diff(circle)).max() <= fastest / TICKS_PER_S


def test_noise_has_its_strength_and_no_seam() -> None:
    loop = Loop(20.0)
    track = loop.noise(np.random.default_rng(0), 0.1, 2.0, 0.5)
    assert track.std() == pytest.approx(0.5, rel=1e-3)
    assert abs(track[0] - track[-1]) < 3 * np.abs(np.diff(track)).max()


def test_playing_goes_round_without_a_seam(idle: Float) -> None:
    steps = np.abs(np.diff(idle, axis=0))
    seam = round(IDLE_S * RATE)
    assert (steps[seam - 1] <= np.percentile(steps, 100, axis=0) + 1e-6).all()
    np.testing.assert_allclose(idle[seam : seam + RATE], idle[:RATE], atol=1e-5)


def test_the_same_under_a_seed_and_another_under_another() -> None:
    one, again, other = (Liveliness(seed).at(7_000_000_000, Alive(), None, 0.04) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3


def test_it_is_calm_but_never_frozen(idle: Float) -> None:
    head = np.degrees(idle[:, HEAD])
    assert np.abs(head).max() < 9
    assert (head.std(axis=0) > 0.4).all()
    assert np.abs(np.diff(head, axis=0)).max() * RATE < 40
    assert np.abs(idle[:, SHIFT]).max() < 1
    assert np.abs(np.degrees(idle[:, GAZE])).max() < 30
    still_for = np.abs(head[RATE // 2 :] - head[: -RATE // 2]).max(axis=1)
    assert np.percentile(still_for, 5) > 0.03
    mouth = idle[:, EXPRESSION][:, INDEX["jawOpen"]]
    assert not mouth.any()


def test_it_blinks_like_a_person_at_rest(idle: Float) -> None:
    lids = idle[: round(IDLE_S * RATE), EXPRESSION.start + INDEX["eyeBlinkLeft"]]
    onsets = np.flatnonzero((lids[1:] > 0.5) & (lids[:-1] <= 0.5)) / RATE
    assert 10 <= len(onsets) * 60 / IDLE_S <= 24
    intervals = np.diff(onsets)
    assert intervals.min() > 0.3
    assert intervals.max() < 15
    assert intervals.std() > 0.8, "not like clockwork"
    assert lids.max() == 1.0


def test_a_blink_closes_fast_and_opens_slowly() -> None:
    for seed in range(20):
        shape = blink_shape(np.random.default_rng(seed))
        closed = np.flatnonzero(shape > 0.99)
        opening = np.flatnonzero(shape > 0.02)[-1] - closed[-1]
        closing = closed[0] - np.flatnonzero(shape > 0.02)[0]
        assert shape.max() > 0.999
        assert 0.04 <= closing / TICKS_PER_S <= 0.1
        assert 0.1 <= opening / TICKS_PER_S <= 0.21
        assert opening > 1.3 * closing


def test_blink_rate_is_what_was_asked_for() -> None:
    loop = Loop(600.0)
    for rate in (12.0, 26.0):
        times = blink_times(loop, np.random.default_rng(5), np.full(loop.ticks, rate, np.float32))
        assert len(times) / 10 == pytest.approx(rate, rel=0.25)
        assert np.diff(times).min() > 0.3


def test_wanted_blinks_happen() -> None:
    loop = Loop(30.0)
    times = blink_times(loop, np.random.default_rng(0), np.full(loop.ticks, 15.0, np.float32), [4.0, 20.0])
    assert {4.0, 20.0} <= set(times)
    assert blinks(loop, np.random.default_rng(0), times).max() <= 1.0


def test_saccades_follow_the_main_sequence() -> None:
    assert saccade_s(10) == pytest.approx(0.043)
    assert saccade_s(-20) > saccade_s(5)


def test_eyes_stay_on_target_while_the_head_turns() -> None:
    head = np.linspace(-10, 10, 50).astype(np.float32)
    zero = np.zeros_like(head)
    gaze = np.degrees(eyes_in_head(zero, zero, head, zero, zero))
    np.testing.assert_allclose(gaze[:, 0] + head, 0, atol=1e-4)
    np.testing.assert_allclose(gaze[:, 2] + head, 0, atol=1e-4)


def test_eyes_part_when_they_look_away() -> None:
    far, zero = np.full(3, 20, np.float32), np.zeros(3, np.float32)
    gaze = eyes_in_head(far, zero, zero, zero, zero)
    assert (gaze[:, 0] > gaze[:, 2]).all(), "left eye further to the left than the right one"
