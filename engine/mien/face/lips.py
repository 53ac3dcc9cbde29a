"""How far the lips are apart, as expressions have it, and expressions that part them so far and no further.

Many expressions part the lips a little, and a fit shares an opening out among them differently for every
face. A reader of lips sees the opening alone; so it is measured as a whole, and set as a whole.
"""

from __future__ import annotations

import numpy as np

from mien.face.rig import INDEX
from mien.frames import EXPRESSIONS, Float

PARTING: Float = np.zeros(EXPRESSIONS, np.float32)
"""(52,) how far each weight parts the middle of the lips, in units of what `jawOpen` does (in `mien-head`)."""
for _name, _share in (
    ("jawOpen", 1.0),
    ("mouthClose", -1.0),
    ("mouthFunnel", 0.36),
    ("mouthRollLower", -0.08),
    ("mouthRollUpper", -0.11),
    ("mouthLowerDownLeft", 0.17),
    ("mouthLowerDownRight", 0.17),
    ("mouthUpperUpLeft", 0.14),
    ("mouthUpperUpRight", 0.14),
):
    PARTING[INDEX[_name]] = _share
PARTING.setflags(write=False)

FACE_HEIGHTS = 0.17
"""One unit of `jawOpen` parts the lips by this share of the face's height, from the hairline to the chin."""

_JAW, _CLOSE = INDEX["jawOpen"], INDEX["mouthClose"]
_APART = np.flatnonzero((PARTING > 0) & (np.arange(EXPRESSIONS) != _JAW))
_TOGETHER = np.flatnonzero((PARTING < 0) & (np.arange(EXPRESSIONS) != _CLOSE))
_TOUCH = 0.03
"""Of jawOpen: lips nearer than this all but touch, and touch. A third of it is a tracker's noise."""


def parted(expression: Float) -> float:
    """(52,) weights -> how far the lips are apart, in units of jawOpen; may be below 0 by a fit's error."""
    return float(expression @ PARTING)


def opening(apart: float) -> float:
    """How far open a mouth is to be shown that is measured `apart` wider than closed: lips that all but
    touch are closed, and from `_TOUCH` on nothing is taken off.
    """
    apart = max(apart, 0.0)
    sliver = min(apart / _TOUCH, 1.0)
    return apart * sliver * sliver * (3 - 2 * sliver)


def set_opening(weights: Float, wanted: float) -> None:
    """Change `weights` (52,) in place such that they part the lips by `wanted`, in units of jawOpen, >= 0.

    The jaw stays where it is as long as `mouthClose` can do it; it opens further where that isn't enough,
    and what else parts the lips gives way where they are to be closer than that.
    """
    parting = np.maximum(weights[_APART], 0)
    apart = float(parting @ PARTING[_APART])
    together = float(np.maximum(weights[_TOGETHER], 0) @ PARTING[_TOGETHER])
    if apart + together > wanted:
        keep = max(wanted - together, 0.0) / max(apart, 1e-6)
        weights[_APART] += np.float32(keep - 1) * parting
        apart *= keep
    needed = max(wanted - apart - together, 0.0)
    weights[_JAW] = max(float(weights[_JAW]), needed)
    weights[_CLOSE] = weights[_JAW] - needed
