"""The folds of a portrait's smile, softened: the same pixels also have to show the face at rest."""

from __future__ import annotations

import cv2
import numpy as np

from mien.frames import Bytes, Float
from mien_photo.anatomy import LIP_LOWER, LIP_UPPER

_FOLDS = ((203, 206, 216, 212), (423, 426, 436, 432))
"""MediaPipe's points along the nasolabial folds, from beside the nose to beside the corners of the mouth."""
_WIDTH, _VALLEY, _FADE, _LIPS = 0.10, 0.055, 0.022, 0.03
"""In face heights: the band looked at, the widest valley filled, the fading of both, what is left around lips."""
_FILLED = 0.6
"""Of a fold's depth under a full smile: a face without any lines looks ironed."""


def softened(portrait: Bytes, points: Float, smile: float) -> Bytes:
    """portrait: (H, W, 3) uint8; points: (478, 2+) px -> the portrait with shallower folds beside nose and mouth.

    smile: 0 to 1, how much the portrait smiles; without any smile nothing changes. What is filled are valleys
    of brightness (morphological closing); what is finer than their depth varies, the skin's grain, stays.
    """
    if smile <= 0:
        return portrait
    height = float(np.linalg.norm(points[10, :2] - points[152, :2]))
    mask = np.zeros(portrait.shape[:2], np.uint8)
    for fold in _FOLDS:
        _line(mask, points[list(fold), :2], _WIDTH * height, 255)
    lips = np.round(points[[*LIP_UPPER, *LIP_LOWER[-2:0:-1]], :2]).astype(np.int32)
    cv2.fillPoly(mask, [lips], 0)
    cv2.polylines(mask, [lips], True, 0, max(round(2 * _LIPS * height), 1))
    weight = cv2.GaussianBlur(mask, (0, 0), max(_FADE * height, 0.5)).astype(np.float32) / 255

    grain = max(0.006 * height, 0.6)
    smooth = cv2.GaussianBlur(portrait, (0, 0), grain)
    side = max(round(_VALLEY * height), 3)
    filled = cv2.morphologyEx(
        smooth, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    )
    depth = cv2.GaussianBlur(filled.astype(np.float32) - smooth, (0, 0), grain)
    lifted = portrait + depth * (weight * np.float32(_FILLED * min(smile, 1.0)))[..., None]
    return np.asarray(np.clip(lifted + 0.5, 0, 255), np.uint8)


def _line(mask: Bytes, points: Float, width: float, value: int) -> None:
    cv2.polylines(mask, [np.round(points).astype(np.int32)], False, value, max(round(width), 1))
