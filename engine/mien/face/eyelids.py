"""How far the lids are closed, from their distance relative to that person's open eyes."""

from __future__ import annotations

import numpy as np

from mien.face.camera import Camera
from mien.face.landmark_basis import LID_PAIRS
from mien.face.rig import BLINKS, INDEX
from mien.frames import Float

_SIDES = ("Left", "Right")
_CLOSED_SHARE = 0.15
"""Distance that landmarks leave between closed lids, as a share of that between open ones."""
_QUIET, _FULL = 0.18, 0.84
"""Closure below which lids count as open, and from which on as shut: what lies beyond is noise."""
_BLINKS = list(BLINKS)


def with_lids(expression: Float, neutral: Float, closed: Float) -> Float:
    """The weights (52,) with lids closed as far as `closed` (2,) says: from where they rest in `neutral` (52,), 0, to
    where they meet, 1. So shut lids read 1, whoever it is.
    """
    result, rest = expression.copy(), neutral[_BLINKS]
    result[_BLINKS] = rest + (1 - rest) * closed
    return result


class Eyelids:
    """Measures closure against the person's own open eyes as the model would show them in this pose."""

    def __init__(self, base: Float, basis: Float) -> None:
        """base: (478, 3) neutral landmarks, cm; basis: (52, 3, 478) expression basis at the landmarks."""
        self._pairs = np.array([side[:3] for side in LID_PAIRS])
        self._upper, self._lower = self._pairs[:, :, 0], self._pairs[:, :, 1]
        looks = [INDEX[f"eyeLook{way}{side}"] for side in _SIDES for way in ("Down", "Up", "In", "Out")]
        self._looks = np.array(looks)
        self._open = base[self._pairs]
        self._moved = np.moveaxis(basis[self._looks][:, :, self._pairs], (0, 1), (4, 3))
        self.closed_share = np.full(2, _CLOSED_SHARE, np.float32)

    def closed(
        self, points: Float, camera: Camera, rotation: Float, translation: Float, expression: Float
    ) -> Float:
        """points: (478, 2) px -> (2,) float32, left and right, 0 open to 1 shut.

        Lids that follow the gaze down are not closing: the open eye is that of the same eyeLook weights.
        """
        open_lids = self._open + self._moved @ expression[self._looks]
        seen = camera.project(np.asarray(open_lids @ rotation.T + translation, np.float32))
        open_px = np.linalg.norm(seen[:, :, 0] - seen[:, :, 1], axis=-1).mean(axis=1)
        px = np.linalg.norm(points[self._upper] - points[self._lower], axis=-1).mean(axis=1)
        share = px / np.maximum(open_px, 1e-3)
        closure = (1 - share) / (1 - self.closed_share)
        return np.asarray(np.clip((closure - _QUIET) / (_FULL - _QUIET), 0, 1), np.float32)
