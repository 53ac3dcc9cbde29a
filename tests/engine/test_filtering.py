"""Less jitter, no lag."""

from __future__ import annotations

import numpy as np
import pytest

from mien.face.filtering import FaceFilter, GatedFilter, Smoothing
from mien.frames import EXPRESSIONS, FaceParams

pytestmark = pytest.mark.unit

_STEP_S = 0.04
_STEP_NS = 40_000_000


def _run(filtered: GatedFilter, values: np.ndarray) -> np.ndarray:
    return np.array([filtered(np.atleast_1d(value).astype(np.float32), _STEP_S) for value in values])


def test_jitter_of_a_still_value_is_at_most_half() -> None:
    noise = 0.01 * np.random.default_rng(1).standard_normal((400, 1))
    smooth = _run(GatedFilter(1, Smoothing(noise=0.01)), noise)
    assert np.abs(np.diff(smooth[50:], axis=0)).mean() < 0.5 * np.abs(np.diff(noise[50:], axis=0)).mean()
    assert smooth[50:].std() < 0.6 * noise[50:].std()


def test_noise_is_learnt_when_the_guess_was_too_low() -> None:
    noise = 0.02 * np.random.default_rng(2).standard_normal((600, 1))
    learnt = GatedFilter(1, Smoothing(noise=0.008))
    smooth = _run(learnt, noise)
    assert learnt.noise[0] == pytest.approx(0.02, rel=0.35)
    assert np.abs(np.diff(smooth[300:], axis=0)).mean() < 0.5 * np.abs(np.diff(noise[300:], axis=0)).mean()


def test_a_fast_motion_is_late_by_less_than_half_a_frame() -> None:
    times = np.arange(200) * _STEP_S
    motion = 0.3 * np.sin(2 * np.pi * 1.5 * times)
    smooth = _run(GatedFilter(1, Smoothing(noise=0.004)), motion)[:, 0]
    shifts = np.linspace(0, 1, 101)
    errors = [np.abs(np.interp(times[10:] - s * _STEP_S, times, motion) - smooth[10:]).mean() for s in shifts]
    assert shifts[int(np.argmin(errors))] < 0.5


def test_a_jump_is_there_at_once() -> None:
    values = np.r_[np.zeros(50), np.full(5, 0.8)]
    smooth = _run(GatedFilter(1, Smoothing(noise=0.01)), values)
    assert smooth[50, 0] > 0.78


def test_the_error_never_exceeds_a_few_deviations() -> None:
    slow = np.cumsum(np.full(300, 0.002))
    smooth = _run(GatedFilter(1, Smoothing(noise=0.01)), slow)[:, 0]
    assert np.abs(smooth - slow).max() < 0.03


def _params(index: int, **changes: object) -> FaceParams:
    return FaceParams(capture_ns=index * _STEP_NS, index=index, **changes)  # type: ignore[arg-type]


def test_what_is_not_smoothed_passes_through() -> None:
    smooth = FaceFilter()(_params(7, confidence=0.4, epoch=3))
    assert (smooth.index, smooth.capture_ns, smooth.confidence, smooth.epoch) == (7, 7 * _STEP_NS, 0.4, 3)


def test_a_constant_face_stays_as_it_is() -> None:
    filtered = FaceFilter()
    rotation = np.array([0.2, -1.2, 0.4], np.float32)
    translation = np.array([4, -3, -70], np.float32)
    for i in range(20):
        smooth = filtered(_params(i, rotation=rotation.copy(), translation=translation.copy()))
    np.testing.assert_allclose(smooth.rotation, rotation, atol=1e-4)
    np.testing.assert_allclose(smooth.translation, translation, atol=1e-2)


def test_large_turns_do_not_wrap() -> None:
    filtered = FaceFilter()
    for i, yaw in enumerate(np.linspace(-1.4, 1.4, 60)):
        rotation = np.array([0, yaw, 0], np.float32)
        smooth = filtered(_params(i, rotation=rotation.copy()))
        assert smooth.rotation[1] == pytest.approx(yaw, abs=0.03)


def test_a_gap_or_a_step_back_in_time_starts_anew() -> None:
    for later in (100, -5):
        filtered = FaceFilter()
        for i in range(10):
            filtered(_params(i))
        weights = np.full(EXPRESSIONS, 0.01, np.float32)
        smooth = filtered(_params(later, expression=weights.copy()))
        np.testing.assert_allclose(smooth.expression, weights)


def test_the_same_input_gives_the_same_output() -> None:
    rng = np.random.default_rng(3)
    weights = np.clip(rng.standard_normal((30, EXPRESSIONS)) * 0.1, 0, 1).astype(np.float32)
    runs = []
    for _ in range(2):
        filtered = FaceFilter()
        runs.append([filtered(_params(i, expression=w.copy())).expression for i, w in enumerate(weights)])
    np.testing.assert_array_equal(runs[0], runs[1])
