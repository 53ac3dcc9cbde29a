"""The temporal term, over the whole clip at once: every frame knows what comes after it, so smoothing adds no lag.

Each solved frame brings its normal equations, which say how well which combination of its unknowns is known. Together
with "little changes from frame to frame" they make one block-tridiagonal system (a Gauss-Markov smoother), solved
exactly; what really moves is let through by iteratively reweighting the differences (Cauchy).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from mien.face.camera import axis_angle
from mien.face.landmark_term import FRAME, Double
from mien.face.offline.frame import move
from mien.face.offline.picture import FrameState
from mien.frames import EXPRESSIONS

NOISE = 0.1
"""Value of the fit's energy that corresponds to one standard deviation of its noise, squared."""
_STEP = np.concatenate([np.full(EXPRESSIONS, 0.03), np.full(3, 0.006), (0.06, 0.06, 0.25)])
"""How far an unknown usually goes within a frame interval: weights, radians, cm."""
_GATE = 3.0
_ROUNDS = 3
_GAZE_NOISE, _GAZE_STEP = 0.02, 0.01


def smoothed(states: Sequence[FrameState], information: Sequence[Double]) -> list[FrameState]:
    """The frames of one uninterrupted stretch, smoothed. information: (58, 58) of each, as `Solved` has it."""
    if len(states) < 2:
        return [state.copy() for state in states]
    steps = np.stack([_difference(b, a) for a, b in pairwise(states)])
    change = smooth_changes(np.asarray(information), steps, NOISE / _STEP**2, _STEP)
    result = []
    for state, moved in zip(states, change, strict=True):
        after = state.copy()
        move(after, moved)
        after.expression = np.clip(after.expression, 0, 1)
        result.append(after)
    gaze = np.stack([state.gaze.reshape(4) for state in states]).astype(np.float64)
    known = np.broadcast_to(np.eye(4) / _GAZE_NOISE**2, (len(gaze), 4, 4))
    stiff = np.full(4, 1 / _GAZE_STEP**2)
    gaze += smooth_changes(known, np.diff(gaze, axis=0), stiff, np.full(4, _GAZE_STEP))
    for state, angles in zip(result, gaze, strict=True):
        state.gaze = angles.reshape(2, 2).astype(np.float32)
    return result


def smooth_changes(information: Double, steps: Double, stiffness: Double, usual: Double) -> Double:
    """Changes (T, N) of the values of T frames that minimise

        sum_t c_t' information_t c_t + sum_t (steps_t + c_t+1 - c_t)' diag(stiffness) (steps_t + c_t+1 - c_t),

    with the second sum's terms losing weight where a step is several times what is `usual` (N,).
    information: (T, N, N); steps: (T - 1, N), of the values as they are.
    """
    count, size = information.shape[:2]
    change = np.zeros((count, size))
    for _ in range(_ROUNDS):
        gone = steps + np.diff(change, axis=0)
        ties = stiffness / (1 + (gone / (_GATE * usual)) ** 2)
        factors: list[tuple[Double, bool]] = []
        right = np.zeros((count, size))
        right[:-1] += ties * steps
        right[1:] -= ties * steps
        for t in range(count):
            diagonal = information[t].astype(np.float64)
            if t < count - 1:
                diagonal[np.diag_indices(size)] += ties[t]
            if t:
                diagonal[np.diag_indices(size)] += ties[t - 1]
                # Off the diagonal stands -diag(ties): eliminate the frame before.
                inverse = cho_solve(factors[-1], np.diag(ties[t - 1]))
                diagonal -= ties[t - 1][:, None] * inverse
                right[t] += ties[t - 1] * cho_solve(factors[-1], right[t - 1])
            factors.append(cho_factor(diagonal, lower=True, check_finite=False))
        change[-1] = cho_solve(factors[-1], right[-1])
        for t in range(count - 2, -1, -1):
            change[t] = cho_solve(factors[t], right[t] + ties[t] * change[t + 1])
    return change


def _difference(after: FrameState, before: FrameState) -> Double:
    """(58,) what took `before` to `after`, in the chart that `move` uses."""
    change = np.empty(FRAME)
    change[:EXPRESSIONS] = after.expression - before.expression
    change[EXPRESSIONS : EXPRESSIONS + 3] = axis_angle(after.rotation @ before.rotation.T)
    change[EXPRESSIONS + 3 :] = after.translation - before.translation
    return change
