"""The skin of one person, posed: expression, openings that really close, and where its colour comes from."""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mien.face.chart import Lookup
from mien.face.rig import BLINKS
from mien.frames import Float
from mien_photo import apertures
from mien_photo.anatomy import Skin

Ints = NDArray[np.int32]

_LINE_CM = 0.09
_LIFT_CM = 0.07
"""How far the upper edge comes to the front where edges meet, so that one of them hides the other."""
_SMOOTH_LIDS = 0.93
"""How much of what lay above an open eye is left out on the closed lid: hairs of the brow would be streaks."""
_LID_ROOM_CM = 0.35
"""How far above a lid at rest the skin is drawn down with it, beyond the margin of every opening."""
_FAR = 6.0


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
    detail is smoothed away; all are overwritten by the next `update`. drawn_out_cm: of mouth and eyes, how much
    higher than at rest skin reaches that follows the upper edge; the mouth's is always 0, no lip goes up so far.
    shut: how far the eyes are, see `apertures.lids`; of the mouth always 0.
    """

    def __init__(self, skin: Skin, likeness: Likeness, chart: Lookup, expression: Float) -> None:
        """chart: where the model's skin lies on the lattice of `FaceParams.detail`; expression: (52,) the portrait's
        own.
        """
        self._skin = skin
        self._likeness = likeness
        self._chart = chart
        self._rounded = np.float32(apertures.roundness(np.array(expression, np.float32)))
        self.vertices = likeness.neutral.copy()
        self.source_xy = likeness.source_xy.copy()
        self.line = np.zeros((len(likeness.neutral), 3), np.float32)
        self.line[:, 1] = _FAR
        self.drawn_out_cm = [0.0, 0.0, 0.0]
        self.shut = [0.0, 0.0, 0.0]
        mouth = skin.openings[0]
        self.line[mouth.rows, 1] = np.minimum(mouth.reach / np.float32(_LINE_CM), _FAR)
        self._along = [np.zeros((4, len(edges.gap)), np.float32) for edges in likeness.edges]

    def update(self, expression: Float, detail: Float | None = None) -> None:
        """expression: (52,) float32 absolute weights; detail: see `FaceParams`."""
        skin, likeness = self._skin, self._likeness
        _express(likeness.neutral, skin.starts, skin.rows, skin.deltas, expression, self.vertices)
        if detail is not None:
            _slide(detail.reshape(-1, 2), self._chart.node, self._chart.weight, self.vertices)
        for k, (opening, edges) in enumerate(zip(skin.openings, likeness.edges, strict=True)):
            wanted, reveal, line, change = self._along[k]
            own = opening.gap_basis, edges.gap, edges.model_gap
            if k == 0:
                oval = apertures.lips(*own, self._rounded, expression, wanted, reveal, line)
            else:
                self.shut[k] = apertures.lids(*own, expression, BLINKS[k - 1], wanted, reveal)
                oval = 0.0
                way = _LID_ROOM_CM + max(float((edges.gap - wanted).max()), 0.0)
                self.drawn_out_cm[k] = way * float(reveal[0])
            widest = apertures.widening(
                wanted, opening.upper.vertices, opening.upper.weights, opening.lower.vertices,
                opening.lower.weights, self.vertices, change,
            )  # fmt: skip
            shut = np.float32(1 - apertures.smooth(np.float32(widest / 0.4)))
            share, lift = np.float32(0.5 if k == 0 else 0.85), np.float32(_LIFT_CM * shut)
            smoothing = np.float32(0 if k == 0 else _SMOOTH_LIDS)
            _move_edges(
                opening.rows, opening.column, opening.pull, change, np.float32(oval), share, lift, smoothing,
                reveal, line, edges.hidden_xy, likeness.source_xy, self.vertices, self.source_xy, self.line,
            )  # fmt: skip


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
def _slide(detail: Float, node: Ints, weight: Float, vertices: Float) -> None:
    """Move skin along x and y by what the four nodes around it say."""
    for v in range(vertices.shape[0]):
        for axis in range(2):
            moved = np.float32(0)
            for k in range(4):
                moved += weight[v, k] * detail[node[v, k], axis]
            vertices[v, axis] += moved


@njit(cache=True, nogil=True, fastmath=True)
def _move_edges(
    rows: Ints,
    column: Float,
    pull: Float,
    change: Float,
    oval: np.float32,
    share: np.float32,
    lift: np.float32,
    smoothing: np.float32,
    reveal: Float,
    darkness: Float,
    hidden_xy: Float,
    seen_xy: Float,
    vertices: Float,
    source_xy: Float,
    line: Float,
) -> None:
    """Widen the gap between two edges by `change`, the upper one taking `share` of it. oval: 0 to 1, how much more
    of it there is between a corner and the pair next to it than along a straight line.
    """
    last = change.shape[0] - 1
    for i in range(rows.shape[0]):
        v = rows[i]
        at = int(column[i])
        if at >= last:
            at = last - 1
        f = column[i] - at
        bulge = oval * f * (1 - f)
        moved = change[at] * (1 - f) + change[at + 1] * f
        if at == 0:
            moved += bulge * max(change[1] - change[0], np.float32(0))
        elif at == last - 1:
            moved += bulge * max(change[last - 1] - change[last], np.float32(0))
        p = pull[i]
        vertices[v, 1] += moved * p * (share if p > 0 else 1 - share)
        r = reveal[at] * (1 - f) + reveal[at + 1] * f
        source_xy[v, 0] = seen_xy[v, 0] + r * (hidden_xy[i, 0] - seen_xy[v, 0])
        source_xy[v, 1] = seen_xy[v, 1] + r * (hidden_xy[i, 1] - seen_xy[v, 1])
        line[v, 0] = darkness[at] * (1 - f) + darkness[at + 1] * f
        if p > 0:
            vertices[v, 2] += lift * p
        # Skin that is drawn out over the lid shows its grain as streaks, also further up than it is drawn.
        line[v, 2] = smoothing * r * min(np.float32(2.6) * max(p, np.float32(0)), np.float32(1))
