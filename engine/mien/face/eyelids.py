"""How far the lids are closed, from their distance relative to that person's open eyes."""

# mypy: disable-error-code="no-untyped-def,untyped-decorator"
# The kernel is typed by its numba signature.

from __future__ import annotations

import numpy as np
from numba import njit

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
        self._pairs = np.array([side[:3] for side in LID_PAIRS], np.int32)
        looks = [INDEX[f"eyeLook{way}{side}"] for side in _SIDES for way in ("Down", "Up", "In", "Out")]
        self._looks = np.array(looks, np.int32)
        self._open = np.ascontiguousarray(base[self._pairs], np.float32)
        moved = np.moveaxis(basis[self._looks][:, :, self._pairs], (0, 1), (4, 3))
        self._moved = np.ascontiguousarray(moved, np.float32)
        self.closed_share = np.full(2, _CLOSED_SHARE, np.float32)

    def closed(
        self, points: Float, camera: Camera, rotation: Float, translation: Float, expression: Float
    ) -> Float:
        """points: (478, 2) px -> (2,) float32, left and right, 0 open to 1 shut.

        Lids that follow the gaze down are not closing: the open eye is that of the same eyeLook weights.
        """
        closed = np.empty(2, np.float32)
        _closure(
            points, self._pairs, self._open, self._moved, self._looks, expression, rotation, translation,
            np.float32(camera.focal), np.float32(camera.cx), np.float32(camera.cy), self.closed_share, closed,
        )  # fmt: skip
        return closed


_R1, _R2 = "Array(f4,1,'C',readonly=True)", "Array(f4,2,'C',readonly=True)"
_R4, _R5 = "Array(f4,4,'C',readonly=True)", "Array(f4,5,'C',readonly=True)"
_I1, _I3 = "Array(i4,1,'C',readonly=True)", "Array(i4,3,'C',readonly=True)"


@njit(
    f"void({_R2},{_I3},{_R4},{_R5},{_I1},{_R1},{_R2},{_R1},f4,f4,f4,{_R1},f4[::1])",
    cache=True, nogil=True, fastmath=True, error_model="numpy",
)  # fmt: skip
def _closure(
    points, pairs, opened, moved, looks, expression, rotation, translation, focal, cx, cy, closed_share, out
):  # pragma: no cover - compiled
    """out (2,): how far each eye is closed.

    points: (478, 2) px; pairs: (2, P, 2) an upper and a lower landmark each; opened: (2, P, 2, 3) where they lie in the
    open eye, cm, and moved: (2, P, 2, 3, looks) by how much the eyeLook shapes move them; looks: their indices.
    """
    at = np.empty((2, 2), np.float32)
    for eye in range(pairs.shape[0]):
        expected, found = np.float32(0), np.float32(0)
        for p in range(pairs.shape[1]):
            for k in range(2):
                x, y, z = opened[eye, p, k, 0], opened[eye, p, k, 1], opened[eye, p, k, 2]
                for i in range(looks.shape[0]):
                    w = expression[looks[i]]
                    x += w * moved[eye, p, k, 0, i]
                    y += w * moved[eye, p, k, 1, i]
                    z += w * moved[eye, p, k, 2, i]
                depth = -(rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2] * z + translation[2])
                scale = focal / depth
                at[k, 0] = cx + scale * (
                    rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * z + translation[0]
                )
                at[k, 1] = cy - scale * (
                    rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * z + translation[1]
                )
            expected += np.sqrt((at[0, 0] - at[1, 0]) ** 2 + (at[0, 1] - at[1, 1]) ** 2)
            upper, lower = pairs[eye, p, 0], pairs[eye, p, 1]
            dx, dy = points[upper, 0] - points[lower, 0], points[upper, 1] - points[lower, 1]
            found += np.sqrt(dx * dx + dy * dy)
        share = found / max(expected, np.float32(1e-3) * np.float32(pairs.shape[1]))
        closure = (1 - share) / (1 - closed_share[eye])
        out[eye] = min(
            max((closure - np.float32(_QUIET)) / np.float32(_FULL - _QUIET), np.float32(0)), np.float32(1)
        )
