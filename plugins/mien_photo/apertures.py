"""How far lips and lids are apart. It does not come out of the expression basis but is prescribed: the model's own
opening, plus the person's deviation from it.

Along an opening P pairs of points lie opposite each other, see `mien_photo.anatomy.Opening`; all lengths are in cm.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mien.face.rig import INDEX
from mien.frames import Float
from mien_photo.anatomy import Opening

Ints = NDArray[np.int32]

_F = np.float32
_OVERLAP_CM = _F(0.06)
"""How far edges that touch are pushed past each other, so that no gap is left between the triangles."""
_PARTED_CM = _F(0.04)
"""Edges this far apart are not pushed any more: a mouth that speaks softly must be seen to open."""
_SLACK_CM = _F(0.05)
"""What trackers report for closed lips is rarely exactly closed."""
_LEAST_CM = _F(0.15)
_PUCKER, _FUNNEL = INDEX["mouthPucker"], INDEX["mouthFunnel"]
_ROUND_BY_FUNNEL = _F(0.55)
_WHOLLY_ROUND = _F(0.9)
"""A little pucker is in most speech, and rounds nothing."""
_ROUNDS_FROM, _ROUNDS_OVER = _F(0.3), _F(0.55)
"""Rounded lips meet towards the corners: from here on, in halves of the mouth's width, and over so much of it."""
_ROUNDED_LEAVES = _F(0.01)
"""Of an opening's height, where lips that are wholly round meet: what they had can be told from it again."""
_MOST_UNROUNDED = _F(2.0)
"""Times the portrait's own opening: where its round lips met, hardly anything tells how they part."""
_WIDE_FROM_CM, _WIDE_OVER_CM = _F(0.6), _F(1.2)
"""A mouth that is open this wide on average begins to be oval, ..."""
_OVAL = _F(0.35)
"""... and ends as so much of an ellipse: corners that the expressions draw stay sharp, however wide they are open."""
_MOST_OVAL = _F(1.6)
"""Times what the expressions say: a mouth that is open on one side stays so."""
_WIDEST_LIDS = _F(1.7)
"""In openings of the portrait: eyes go no wider."""


def model_aperture(opening: Opening, expression: Float) -> Float:
    """(P,) cm: how wide the mouth of the model alone is open."""
    out = np.empty(opening.gap_basis.shape[1], np.float32)
    _model_aperture(opening.gap_basis, np.asarray(expression, np.float32), out)
    return out


def open_share(opening: Opening, expression: Float, blink: int) -> Float:
    """(P,) 1 for the lids of the model at rest, 0 when it blinks fully."""
    out = np.empty(opening.gap_basis.shape[1], np.float32)
    _open_share(opening.gap_basis, np.asarray(expression, np.float32), blink, out)
    return out


@njit(cache=True, nogil=True, fastmath=True)
def smooth(x: np.float32) -> np.float32:
    """0 up to 0, 1 from 1 on, without a corner."""
    t = min(max(x, _F(0)), _F(1))
    return _F(t * t * (_F(3) - _F(2) * t))


@njit(cache=True, nogil=True, fastmath=True)
def _model_aperture(gap_basis: Float, expression: Float, out: Float) -> None:
    out[:] = 0
    for k in range(expression.shape[0]):
        if expression[k] != 0:
            for i in range(out.shape[0]):
                out[i] += expression[k] * gap_basis[k, i]
    for i in range(out.shape[0]):
        out[i] = max(out[i], _F(0))


@njit(cache=True, nogil=True, fastmath=True)
def _open_share(gap_basis: Float, expression: Float, blink: int, out: Float) -> None:
    out[:] = 0
    for k in range(expression.shape[0]):
        if k != blink and expression[k] != 0:
            for i in range(out.shape[0]):
                out[i] += expression[k] * gap_basis[k, i]
    left = _F(1) - expression[blink]
    for i in range(out.shape[0]):
        way = -gap_basis[blink, i]
        share = left * (_F(1) + out[i] / way) if way > _F(0.1) else left
        out[i] = min(max(share, _F(0)), _F(1.8))


@njit(cache=True, nogil=True, fastmath=True)
def roundness(expression: Float) -> np.float32:
    """(52,) weights -> 0 to 1, how much the lips are rounded, and put forward with it."""
    return _F(smooth((expression[_PUCKER] + _ROUND_BY_FUNNEL * expression[_FUNNEL]) / _WHOLLY_ROUND))


@njit(cache=True, nogil=True, fastmath=True)
def _without_slack(aperture: np.float32) -> np.float32:
    """Closes what is all but closed; leaves the rest alone."""
    return _F(aperture * smooth(aperture / _SLACK_CM))


@njit(cache=True, nogil=True, fastmath=True)
def lips(
    gap_basis: Float,
    gap: Float,
    model_gap: Float,
    rounded_then: np.float32,
    expression: Float,
    wanted: Float,
    reveal: Float,
    line: Float,
) -> np.float32:
    """wanted: (P,) cm, how far they are to be apart; reveal: (P,) 0 to 1, how much of the inner lips is seen;
    line: (P,) how dark the line of closed lips is. gap, model_gap: see `mien_photo.posing.Edges`;
    rounded_then: the `roundness` of the portrait's own expression, which `gap` has already.

    Returns 0 to 1, how oval the mouth is, see `_oval`.
    """
    _model_aperture(gap_basis, expression, wanted)
    count = wanted.shape[0]
    mean = reference = _F(0)
    for i in range(count):
        wanted[i] = _without_slack(wanted[i])
        mean += wanted[i] / _F(count)
        reference += _without_slack(model_gap[i]) / _F(count)
    # The person's own deviation from the model belongs to the opening of the portrait and vanishes with it.
    share = min(max(mean / max(reference, _LEAST_CM), _F(0)), _F(1))
    rounded = roundness(expression)
    for i in range(count):
        wanted[i] = max(wanted[i] + (gap[i] - _without_slack(model_gap[i])) * share, _F(0))
        aside = abs(_F(2 * i - (count - 1))) / _F(count - 1)
        meeting = smooth((aside - _ROUNDS_FROM) / _ROUNDS_OVER)
        left = _F(1) + _ROUNDED_LEAVES - rounded * meeting
        left_then = _F(1) + _ROUNDED_LEAVES - rounded_then * meeting
        wanted[i] *= min(left / left_then, _MOST_UNROUNDED)
    oval = _oval(wanted, mean, reference)
    for i in range(count):
        was_open = smooth(gap[i] / _F(0.2))
        closing = was_open * (_F(1) - smooth(wanted[i] / max(gap[i], _F(0.05))))
        reveal[i] = max(smooth((wanted[i] - gap[i]) / _F(0.35)), closing)
        line[i] = _F(0.5) * was_open * (_F(1) - smooth(wanted[i] / _F(0.25)))
    return _F(oval)


@njit(cache=True, nogil=True, fastmath=True)
def _oval(wanted: Float, mean: np.float32, reference: np.float32) -> np.float32:
    """Open a mouth more towards its corners, the wider it is open, as an ellipse is; returns how much, 0 to 1.

    wanted: (P,) cm; mean, reference: of what the expressions open, now and in the portrait, whose own wide mouth has
    its own shape, cm.
    """
    oval = smooth((mean - _WIDE_FROM_CM) / _WIDE_OVER_CM)
    oval = max(oval - smooth((reference - _WIDE_FROM_CM) / _WIDE_OVER_CM), _F(0))
    if oval > 0:
        last = wanted.shape[0] - 1
        widest = _F(wanted.max())
        for i in range(1, last):
            aside = _F(2 * i - last) / _F(last)
            ellipse = min(widest * np.sqrt(_F(1) - aside * aside), _MOST_OVAL * wanted[i])
            wanted[i] += oval * _OVAL * max(ellipse - wanted[i], _F(0))
    return _F(oval)


@njit(cache=True, nogil=True, fastmath=True)
def lids(
    gap_basis: Float, gap: Float, model_gap: Float, expression: Float, blink: int, wanted: Float, reveal: Float
) -> np.float32:  # fmt: skip
    """As `lips`; reveal: how much of the lid's clean skin is seen; blink: the expression that closes them.

    Returns how far they are closed: 1 wholly, 0 as at rest, less where they are wider open.
    """
    _open_share(gap_basis, expression, blink, wanted)
    for i in range(wanted.shape[0]):
        wanted[i] /= max(model_gap[i], _F(0.25))
    closed = _F(1) - _F(np.median(wanted))
    for i in range(wanted.shape[0]):
        wanted[i] = gap[i] * min(wanted[i], _WIDEST_LIDS)
        reveal[i] = smooth((closed - _F(0.1)) / _F(0.6))
    return closed


@njit(cache=True, nogil=True, fastmath=True)
def widening(
    wanted: Float,
    upper: Ints,
    upper_weights: Float,
    lower: Ints,
    lower_weights: Float,
    vertices: Float,
    out: Float,
) -> np.float32:
    """out: (P,) cm, by how much the edges are to be moved apart. Returns the widest gap that is wanted.

    upper, lower: (P, 3) vertices and their weights; vertices: (K, 3) as they are now.
    """
    widest = _F(0)
    for i in range(wanted.shape[0]):
        now = _F(0)
        for k in range(3):
            now += (
                upper_weights[i, k] * vertices[upper[i, k], 1]
                - lower_weights[i, k] * vertices[lower[i, k], 1]
            )
        out[i] = wanted[i] - _OVERLAP_CM * (_F(1) - smooth(wanted[i] / _PARTED_CM)) - now
        widest = max(widest, wanted[i])
    return widest
