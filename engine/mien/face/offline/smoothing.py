"""The temporal term, over the whole clip at once: every frame knows what comes after it, so smoothing adds no lag.

Each solved frame brings its normal equations, which say how well which combination of its unknowns is known. Together
with "little changes from frame to frame" they make one block-tridiagonal system (a Gauss-Markov smoother), solved
exactly; what really moves is let through by iteratively reweighting the differences (Cauchy).

A long clip is worked on in windows that overlap: what lies a few seconds off has no say, and an hour's matrices would
fill the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from mien.face.camera import axis_angle
from mien.face.landmark_term import FRAME, Double
from mien.face.offline.frame import follow_gaze, hold, look, move
from mien.face.offline.picture import FrameState
from mien.frames import EXPRESSIONS, Float

NOISE = 0.1
"""Value of the fit's energy that corresponds to one standard deviation of its noise, squared."""
_STEP = np.concatenate([np.full(EXPRESSIONS, 0.03), np.full(3, 0.006), (0.06, 0.06, 0.25)])
"""How far an unknown usually goes within a frame interval: weights, radians, cm."""
_GATE = 3.0
_ROUNDS = 3
_GAZE_NOISE, _GAZE_STEP = 0.02, 0.01
_LID_NOISE, _LID_STEP = 0.02, 0.015
_WINDOW, _OVERLAP = 512, 96
"""Frames. The least known unknown forgets a frame within some 13 others (the root of stiffness by information)."""
_TRIANGLE = np.tril_indices(FRAME)


def packed(information: Double) -> Float:
    """The lower triangle (1711,) of a symmetric matrix (58, 58)."""
    return information[_TRIANGLE].astype(np.float32)


def smoothed(states: Sequence[FrameState], information: Sequence[Float]) -> list[FrameState]:
    """The frames of one uninterrupted stretch, smoothed. information: of each, as `Solved` has it, `packed`."""
    result = [state.copy() for state in states]
    if len(states) < 2:
        return result

    def unpacked(begin: int, end: int) -> Double:
        return np.stack([_unpacked(triangle) for triangle in information[begin:end]])

    steps = np.stack([_difference(b, a) for a, b in pairwise(states)])
    for state, before, change in zip(
        result, states, _in_windows(unpacked, steps, NOISE / _STEP**2, _STEP), strict=True
    ):
        move(state, change)
        look(state, before)
    gaze = _calmed(np.stack([state.gaze.reshape(4) for state in result]), _GAZE_NOISE, _GAZE_STEP)
    for state, angles in zip(result, gaze, strict=True):
        state.gaze = angles.reshape(2, 2)
        follow_gaze(state)
        hold(state)
    return result


def smoothed_lids(closed: Float) -> Float:
    """closed: (T, 2), how far the lids are closed in the frames of one uninterrupted stretch -> the same, smoothed."""
    return np.clip(_calmed(closed, _LID_NOISE, _LID_STEP), 0, 1) if len(closed) > 1 else closed.copy()


def _calmed(values: Float, noise: float, step: float) -> Float:
    """values: (T, N), each known to within `noise` by itself; `step` is what it usually goes within a frame."""
    size = values.shape[1]
    known = np.eye(size) / noise**2
    change = _in_windows(
        lambda begin, end: np.broadcast_to(known, (end - begin, size, size)),
        np.diff(values.astype(np.float64), axis=0),
        np.full(size, 1 / step**2),
        np.full(size, step),
    )
    return np.asarray(values + change, np.float32)


def _in_windows(
    information: Callable[[int, int], Double], steps: Double, stiffness: Double, usual: Double
) -> Double:
    """`smooth_changes` of any number of frames: information(begin, end) is that of a window's frames. Where two windows
    overlap the one fades into the other.
    """
    count = len(steps) + 1
    change = np.zeros((count, steps.shape[1]))
    fading = np.linspace(0, 1, _OVERLAP + 2)[1:-1]
    end = 0
    while end < count:
        begin = max(end - _OVERLAP, 0)
        share = np.ones((min(begin + _WINDOW, count) - begin, 1))
        share[: end - begin, 0] = fading[: end - begin]
        end = begin + len(share)
        here = smooth_changes(information(begin, end), steps[begin : end - 1], stiffness, usual)
        change[begin:end] += share * (here - change[begin:end])
    return change


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


def _unpacked(triangle: Float) -> Double:
    """The symmetric matrix (58, 58) of which that is the lower triangle."""
    matrix = np.zeros((FRAME, FRAME))
    matrix[_TRIANGLE] = triangle
    return matrix + np.tril(matrix, -1).T


def _difference(after: FrameState, before: FrameState) -> Double:
    """(58,) what took `before` to `after`, in the chart that `move` uses."""
    change = np.empty(FRAME)
    change[:EXPRESSIONS] = after.expression - before.expression
    change[EXPRESSIONS : EXPRESSIONS + 3] = axis_angle(after.rotation @ before.rotation.T)
    change[EXPRESSIONS + 3 :] = after.translation - before.translation
    return change
