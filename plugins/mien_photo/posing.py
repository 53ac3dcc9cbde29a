"""The skin of one person, posed: expression, openings that really close, and where its colour comes from."""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mien.frames import Float
from mien_photo.anatomy import BLINKS, Opening, Skin

Ints = NDArray[np.int32]

_OVERLAP_CM = 0.06
"""How far edges that touch are pushed past each other, so that no gap is left between the triangles."""
_PARTED_CM = 0.04
"""Edges this far apart are not pushed any more: a mouth that speaks softly must be seen to open."""
_SLACK_CM = 0.05
"""What trackers report for closed lips is rarely exactly closed."""
_LINE_CM = 0.09
_LASHES_CM = 0.2
"""How far the upper lashes lie over the lower lid when the eye is shut."""
_LASHES_SHADE = 0.7
"""Of the line at their roots: skin shows between them."""
_LASHES = np.array([0.35, 0.6, 0.8, 0.93, 1.0, 1.05, 1.05, 0.95, 0.7], np.float32)
"""How dense they are along an eye, from the inner corner to the outer; (P,) as the lids' landmarks."""
_LIFT_CM = 0.07
"""How far the upper edge comes to the front where edges meet, so that one of them hides the other."""
_FAR = 6.0
_LEAST_APERTURE_CM = 0.15


@dataclass(frozen=True, slots=True)
class Edges:
    """What one person's opening looks like in the portrait.

    gap: (P,) cm, how far the edges are apart there; model_gap: (P,) cm, what the model alone has for that
    expression (for eyes: the share of the lids' way that is open, 0 to 1). hidden_xy: (A, 2) px, where
    the vertices of `Opening.rows` take their colour once the opening is wider (mouth) or narrower (eye)
    than in the portrait: inner lips from the lips' red, the lid from skin without lashes.
    """

    gap: Float
    model_gap: Float
    hidden_xy: Float


@dataclass(frozen=True, slots=True)
class Likeness:
    """One person's skin as stored in the package.

    neutral: (K, 3) float32, cm, head space; source_xy: (K, 2) float32, px of the source picture; edges:
    of the mouth, the left and the right eye.
    """

    neutral: Float
    source_xy: Float
    edges: tuple[Edges, Edges, Edges]


class SkinPose:
    """Poses a `Likeness`. Holds its own buffers: one per thread.

    vertices: (K, 3) cm, head space; source_xy: (K, 2) px; line: (K, 3) how dark the line is
    that meeting edges draw, the distance from the edge in widths of the line, and how much of the skin's
    detail is smoothed away; all are overwritten by the next `update`. gaps: for each opening (P,) cm between its edges.
    """

    def __init__(self, skin: Skin, likeness: Likeness) -> None:
        self._skin = skin
        self._likeness = likeness
        self.vertices = likeness.neutral.copy()
        self.source_xy = likeness.source_xy.copy()
        self.line = np.zeros((len(likeness.neutral), 3), np.float32)
        self.line[:, 1] = _FAR
        for k, opening in enumerate(skin.openings):
            width = np.where((opening.pull < 0) & (k > 0), np.float32(_LASHES_CM), np.float32(_LINE_CM))
            self.line[opening.rows, 1] = np.minimum(opening.reach / width, _FAR)
        self.gaps = [edges.gap.copy() for edges in likeness.edges]

    def update(self, expression: Float) -> None:
        """expression: (52,) float32 absolute weights."""
        skin, likeness = self._skin, self._likeness
        _express(likeness.neutral, skin.starts, skin.rows, skin.deltas, expression, self.vertices)
        for k, (opening, edges) in enumerate(zip(skin.openings, likeness.edges, strict=True)):
            if k == 0:
                wanted, reveal, line = _mouth(opening, edges, expression)
            else:
                wanted, reveal, line = _lids(opening, edges, expression, BLINKS[k - 1])
                # Pairs are in order of x: the left eye's from the inner corner outwards.
                line = line * (_LASHES if k == 1 else _LASHES[::-1])
            self.gaps[k] = np.maximum(wanted, 0)
            meeting = wanted - _OVERLAP_CM * (1 - _smooth(wanted / _PARTED_CM))
            change = (meeting - opening.gaps(self.vertices)).astype(np.float32)
            shut = np.float32(1 - _smooth(wanted.max() / 0.4))
            share, lift = np.float32(0.5 if k == 0 else 0.85), np.float32(_LIFT_CM * shut)
            lower_line = np.float32(1.0 if k == 0 else _LASHES_SHADE * shut)
            smoothing = np.float32(0 if k == 0 else 0.85)
            _move_edges(
                opening.rows, opening.column, opening.pull, change, share, lift, lower_line, smoothing,
                reveal.astype(np.float32), line.astype(np.float32),
                edges.hidden_xy, likeness.source_xy, self.vertices, self.source_xy, self.line,
            )  # fmt: skip


def model_aperture(opening: Opening, expression: Float) -> Float:
    """(P,) cm: how wide the mouth of the model alone is open."""
    return np.asarray(np.maximum(expression @ opening.gap_basis, 0), np.float32)


def open_share(opening: Opening, expression: Float, blink: int) -> Float:
    """(P,) 1 for the lids of the model at rest, 0 when it blinks fully."""
    way = -opening.gap_basis[blink]
    others = expression @ opening.gap_basis - expression[blink] * opening.gap_basis[blink]
    share = 1 - expression[blink] + others / np.maximum(way, 0.1) * (way > 0.1) * (1 - expression[blink])
    return np.asarray(np.clip(share, 0, 1.8), np.float32)


def _smooth(x: Float) -> Float:
    t = np.clip(x, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _without_slack(aperture: Float) -> Float:
    """Closes what is all but closed; leaves the rest alone."""
    return np.asarray(aperture * _smooth(aperture / _SLACK_CM), np.float32)


def _mouth(opening: Opening, edges: Edges, expression: Float) -> tuple[Float, Float, Float]:
    """Wanted gap, how much of the inner lips is revealed, and how dark the line of closed lips is."""
    own = _without_slack(model_aperture(opening, expression))
    # The person's own deviation from the model belongs to the opening of the portrait and vanishes with it.
    reference = max(float(edges.model_gap.mean()), _LEAST_APERTURE_CM)
    share = np.clip(own.mean() / reference, 0, 1)
    wanted = np.maximum(own + (edges.gap - _without_slack(edges.model_gap)) * share, 0)
    was_open = _smooth(edges.gap / 0.2)
    closing = was_open * (1 - _smooth(wanted / np.maximum(edges.gap, 0.05)))
    reveal = np.maximum(_smooth((wanted - edges.gap) / 0.35), closing)
    line = 0.5 * was_open * (1 - _smooth(wanted / 0.25))
    return wanted, reveal, line


def _lids(opening: Opening, edges: Edges, expression: Float, blink: int) -> tuple[Float, Float, Float]:
    """Wanted gap, how much of the lid's clean skin is revealed, and how dark the lash line is."""
    share = open_share(opening, expression, blink)
    ratio = share / np.maximum(edges.model_gap, 0.25)
    wanted = edges.gap * np.minimum(ratio, 1.7)
    closed = 1 - np.median(ratio)
    reveal = np.full(len(wanted), _smooth((closed - 0.1) / 0.6))
    line = np.full(len(wanted), 0.7 * _smooth((closed - 0.1) / 0.5))
    return wanted, reveal, line


@njit(cache=True, nogil=True, fastmath=True)
def _express(neutral: Float, starts: Ints, rows: Ints, deltas: Float, weights: Float, out: Float) -> None:
    for v in range(neutral.shape[0]):
        out[v, 0], out[v, 1], out[v, 2] = neutral[v, 0], neutral[v, 1], neutral[v, 2]
    for k in range(weights.shape[0]):
        w = weights[k]
        if w == 0:
            continue
        for i in range(starts[k], starts[k + 1]):
            v = rows[i]
            out[v, 0] += w * deltas[i, 0]
            out[v, 1] += w * deltas[i, 1]
            out[v, 2] += w * deltas[i, 2]


@njit(cache=True, nogil=True, fastmath=True)
def _move_edges(
    rows: Ints,
    column: Float,
    pull: Float,
    change: Float,
    share: np.float32,
    lift: np.float32,
    lower_line: np.float32,
    smoothing: np.float32,
    reveal: Float,
    darkness: Float,
    hidden_xy: Float,
    seen_xy: Float,
    vertices: Float,
    source_xy: Float,
    line: Float,
) -> None:
    """Widen the gap between two edges by `change`, the upper one taking `share` of it."""
    last = change.shape[0] - 1
    for i in range(rows.shape[0]):
        v = rows[i]
        at = int(column[i])
        if at >= last:
            at = last - 1
        f = column[i] - at
        moved = change[at] * (1 - f) + change[at + 1] * f
        p = pull[i]
        vertices[v, 1] += moved * p * (share if p > 0 else 1 - share)
        r = reveal[at] * (1 - f) + reveal[at + 1] * f
        source_xy[v, 0] = seen_xy[v, 0] + r * (hidden_xy[i, 0] - seen_xy[v, 0])
        source_xy[v, 1] = seen_xy[v, 1] + r * (hidden_xy[i, 1] - seen_xy[v, 1])
        line[v, 0] = (darkness[at] * (1 - f) + darkness[at + 1] * f) * (1 if p > 0 else lower_line)
        if p > 0:
            vertices[v, 2] += lift * p
        line[v, 2] = smoothing * r * max(p, 0)
