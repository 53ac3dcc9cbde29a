"""Where each point of a person's skin takes its colour in the portrait, also where the portrait hides it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.face.normals import vertex_normals
from mien.face.rig import BLINKS, INDEX
from mien.frames import Float
from mien_photo.anatomy import (
    BROWS,
    LIP_LOWER,
    LIP_UPPER,
    MOUTH_LOWER,
    MOUTH_UPPER,
    OUTSIDE,
    Opening,
    Skin,
)
from mien_photo.apertures import model_aperture, open_share
from mien_photo.eyes import View
from mien_photo.fading import fade
from mien_photo.posing import Edges, Likeness

_SMILES = (INDEX["mouthSmileLeft"], INDEX["mouthSmileRight"])
_INNER_SHARE = 0.28
"""Of a lip's height: the part next to the mouth line is dark and shared with the other lip or the teeth."""
_FULLER_TO = 1.35
"""In heights of the lip: from here outwards skin stays where it is."""
_FULLER_POWER = 1.7
_STRETCHING_SMILE = 0.5
"""Weight of a smile from which on lips count as stretched wholly."""
_LASH_CM = 0.30
_LID_CM = 0.85
_SHUT_CM, _OPEN_CM = 0.1, 0.3
"""Lids no further apart than this in the portrait show lashes between them; from the second on, an eye."""
_BROW_SHARE = 0.5
"""Of the way from the brow down to the lid: hairs and their shadow reach so far."""


def smile_of(expression: Float) -> float:
    """(52,) weights -> 0 to 1, how much the face is drawn by a smile."""
    return float(np.clip(expression[list(_SMILES)].mean() / _STRETCHING_SMILE, 0, 1))


def is_shut(gap: Float) -> bool:
    """Whether an eye of the portrait is shut, or all but shut. gap: (P,) cm, see `Edges`."""
    return float(gap.max()) < _OPEN_CM


def likeness_of(
    skin: Skin, neutral: Float, expressed: Float, expression: Float, points: Float, view: View
) -> Likeness:
    """neutral, expressed: (K, 3) the skin at rest and as in the portrait; points: (478, 2+) px there."""
    source_xy = view.project(expressed)
    mouth, left, right = skin.openings
    outside = vertex_normals(expressed, skin.triangles)[mouth.rows, 2] > OUTSIDE
    hidden_xy, is_inner = _inner_lips(mouth, expressed, source_xy, points, smile_of(expression), outside)
    source_xy[mouth.rows[is_inner]] = hidden_xy[is_inner]
    return Likeness(
        neutral=np.ascontiguousarray(neutral, np.float32),
        source_xy=source_xy,
        edges=(
            Edges(
                gap=np.maximum(mouth.gaps(expressed), 0),
                model_gap=model_aperture(mouth, expression),
                hidden_xy=hidden_xy,
            ),
            _eye(left, expressed, expression, BLINKS[0], source_xy, points[list(BROWS[0]), :2], view),
            _eye(right, expressed, expression, BLINKS[1], source_xy, points[list(BROWS[1]), :2], view),
        ),
    )


def _inner_lips(
    mouth: Opening,
    expressed: Float,
    source_xy: Float,
    points: Float,
    stretched: float,
    outside: NDArray[np.bool_],
) -> tuple[Float, NDArray[np.bool_]]:
    """Where inside and edge of the lips find the colour of their visible red, and which are the inside.

    outside: (A,) which of the mouth's rows look to the front.
    """
    upper = mouth.pull > 0
    column = mouth.column

    def along(landmarks: Float) -> Float:
        places = np.arange(len(landmarks))
        return np.stack([np.interp(column, places, landmarks[:, axis]) for axis in (0, 1)], axis=1)

    inner = np.where(
        upper[:, None],
        along(points[list(MOUTH_UPPER), :2]),
        along(points[list(MOUTH_LOWER), :2]),
    )
    outer = np.where(upper[:, None], along(points[list(LIP_UPPER), :2]), along(points[list(LIP_LOWER), :2]))
    own = source_xy[mouth.rows]
    lip = outer - inner
    height = np.maximum((lip**2).sum(axis=1), 1.0)
    share = ((own - inner) * lip).sum(axis=1) / height
    edge = np.where(
        upper[:, None],
        mouth.upper.apply(expressed)[_nearest(column)],
        mouth.lower.apply(expressed)[_nearest(column)],
    )
    between = (column > 0.3) & (column < len(MOUTH_UPPER) - 1.3)
    is_inner = between & ~outside & (edge[:, 2] - expressed[mouth.rows, 2] > 0.06)
    wanted = np.where(
        is_inner,
        _INNER_SHARE + 0.5 * np.clip(mouth.reach / 1.2, 0, 1),
        _fuller(share, stretched),
    )
    on_lip = inner + lip * wanted[:, None]
    # Sideways a point stays where it is: only its height on the lip changes.
    across = own - inner - lip * share[:, None]
    across = np.where(is_inner[:, None], 0, across)
    return np.asarray(on_lip + across, np.float32), is_inner


def _fuller(share: Float, stretched: float) -> Float:
    """Where on a lip, 0 at the mouth line to 1 at its outer contour, lips find their colour whose inner part
    is hidden. stretched: 0 to 1, how much a smile draws the lips: such lips are thin, pale towards their
    contour, and fuller at rest.
    """
    plain = np.where(share > 1, share, np.clip(share, 0, 1) * (1 - _INNER_SHARE) + _INNER_SHARE)
    at = np.clip(share, 0, _FULLER_TO) / _FULLER_TO
    curve = _INNER_SHARE + (_FULLER_TO - _INNER_SHARE) * at**_FULLER_POWER
    full = np.where(share > _FULLER_TO, share, curve)
    return np.asarray(plain + (full - plain) * stretched, np.float32)


def _nearest(column: Float) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.asarray(np.round(column), np.int64)


def _eye(
    opening: Opening,
    expressed: Float,
    expression: Float,
    blink: int,
    source_xy: Float,
    brow: Float,
    view: View,
) -> Edges:
    """A closing upper lid shows skin from above its lashes, and none of the brow.

    brow: (B, 2) px, its lower edge in order of x.
    """
    own = source_xy[opening.rows]
    seen = expressed[opening.rows]
    climb = np.where(opening.pull > 0, _LASH_CM * np.clip(1 - opening.reach / _LID_CM, 0, 1), 0).astype(
        np.float32
    )
    raised = seen + climb[:, None] * np.array([0, 1, 0], np.float32)
    hidden = own + view.project(raised) - view.project(seen)
    edge = view.project(opening.upper.apply(expressed))
    above = np.interp(hidden[:, 0], brow[:, 0], brow[:, 1])
    lid = np.interp(hidden[:, 0], edge[:, 0], edge[:, 1])
    bare = above + _BROW_SHARE * np.maximum(lid - above, 0)
    hidden[:, 1] = np.maximum(hidden[:, 1], np.minimum(own[:, 1], bare))
    gap = np.maximum(opening.gaps(expressed), 0)
    return Edges(
        gap=gap * fade((gap.max() - _SHUT_CM) / (_OPEN_CM - _SHUT_CM)),
        model_gap=open_share(opening, expression, blink),
        hidden_xy=np.asarray(hidden, np.float32),
    )
