"""The rest of the picture as a coarse surface in space: hair and neck go with the head, shoulders stay.

A regular grid over the source, each node with a depth, a share of the head's turning and a share of its
shift, and bound to the face so that cheeks and chin pull their surroundings along.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.frames import Float
from mien.stage import Fragments
from mien_photo import hair
from mien_photo.eyes import View

Ints = NDArray[np.int32]

_NODES = 50
_BEYOND = 2
_ROUND = 1.0
"""How much further away the surface is per cm beyond the head as the model has it: hair goes round the skull, and
its outline, like that of any ball, hardly moves when the head turns.
"""
_MOST_ROUND_CM = 6.0
_EDGE, _JUMP_CM = 0.6, 1.5
"""Where the surface drops by more, it drops so many nodes behind the edge: what is stretched there when the head turns
is what lies behind it, not the edge of jaw or ear.
"""
_STIFF, _SOFT = 0.03, 0.08
"""In face heights: around the face all goes with it, then less and less. Less than that would show the jaw twice."""


@dataclass(frozen=True, slots=True)
class Grid:
    """G nodes in `rows` rows.

    still: (G, 2) px of the source. head: (G, 3) cm, head space. turn, shift: (G,) 0 to 1, how much of the
    head's turning and shift a node takes part in. bound: (G, 3) int32 vertices of the skin and weights:
    (G, 3), how their displacement moves it.
    """

    rows: int
    still: Float
    head: Float
    turn: Float
    shift: Float
    bound: Ints
    weights: Float

    @property
    def triangles(self) -> Ints:
        """(T, 3), both ways round irrelevant: drawn without culling."""
        columns = len(self.still) // self.rows
        index = np.arange(len(self.still), dtype=np.int32).reshape(self.rows, columns)
        a, b, c, d = (
            part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:])
        )
        return np.asarray(np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)]), np.int32)


def build(
    side: int,
    view: View,
    head: Fragments,
    depth_cm: Float,
    face: Fragments,
    face_triangles: Ints,
    person: NDArray[np.bool_],
    oval: Float,
    chin: Float,
    face_height: float,
    neck: float,
) -> Grid:
    """Lay the grid over a source of `side` px.

    head: the whole head drawn at the portrait's pose at any resolution, depth_cm: (h, w) its distance from the camera
    (0 where nothing is). face: only the skin; face_triangles: (T, 3). person: (h, w), where the portrait shows the
    person; oval: (P, 2) px of the source, the outline of the face. chin: (2,) px of it; face_height: from forehead to
    chin, px; neck: how much of it is bare below the chin, in face heights.
    """
    scale = depth_cm.shape[0] / side
    step = side / (_NODES - 1)
    axis = (np.arange(-_BEYOND, _NODES + _BEYOND) * step).astype(np.float32)
    x, y = (part.ravel() for part in np.meshgrid(axis, axis))
    still = np.stack([x, y], axis=1)

    outline = oval * np.float32(scale) - 0.5
    up = view.rotation[:2, 1] * np.array([1, -1], np.float32)
    bald = head.triangle[0] >= 0
    px_cm = float(np.median(depth_cm[bald])) / (view.camera.focal * scale)
    depth, known = hair.inflated(depth_cm, bald, person, outline, up, px_cm)
    filled = _continued(_fronted(depth, known, _EDGE * scale * step), known, px_cm)
    column = np.clip((x * scale).astype(int), 0, depth_cm.shape[1] - 1)
    row = np.clip((y * scale).astype(int), 0, depth_cm.shape[0] - 1)
    depth = filled[row, column]
    camera = view.camera
    seen = np.stack(
        [(x - camera.cx) * depth / camera.focal, -(y - camera.cy) * depth / camera.focal, -depth], axis=1
    )
    in_head = np.asarray((seen - view.translation) @ view.rotation, np.float32)

    bound, weights = _bind(face, face_triangles, row, column, reach=0.13 * face_height * scale)
    below = (y - chin[1]) / face_height
    beside = np.abs(x - chin[0]) / face_height
    # The neck goes with the head as far as it is bare; a collar doesn't, and shoulders never do.
    reach = float(np.clip(neck + 0.35, 0.42, 0.6))
    turn = _fade(1 - (below + 0.15) / reach)
    turn *= 1 - _fade((below + 0.45) / 0.6) * _fade((beside - 0.2) / 0.6)
    border = np.minimum(x, side - x) / (0.10 * side)
    turn = np.maximum(turn, _fade(1 - (_beyond(face, row, column) / scale / face_height - _STIFF) / _SOFT))
    shift = _fade(1 - (below - 0.05) / max((side - chin[1]) / face_height - 0.1, 0.5))
    shift *= np.where(below > 0, _fade(border * 0.5 + 0.5 * _fade(1 - below * 2)), 1)
    return Grid(len(axis), still, in_head, turn, np.maximum(shift, turn), bound, weights)


def _fade(x: Any) -> Float:
    t = np.clip(x, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _continued(depth: Float, known: NDArray[np.bool_], px_cm: float) -> Float:
    """Depth of the nearest known pixel and, beyond the known, further and further behind it; smoothed.

    depth: (h, w) cm; px_cm: cm per px at the head.
    """
    beyond, label = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros(int(label.max()) + 1, np.float32)
    table[label[known]] = depth[known]
    nearest = table[label]
    blur = 0.01 * depth.shape[0]
    far = cv2.GaussianBlur(nearest, (0, 0), 2 * blur)
    near = cv2.GaussianBlur(nearest, (0, 0), blur)
    inside = cv2.GaussianBlur(known.astype(np.float32), (0, 0), 2 * blur)
    beyond_cm = cv2.GaussianBlur(beyond, (0, 0), 1.2 * blur) * px_cm
    behind = np.minimum(_ROUND * beyond_cm, _MOST_ROUND_CM)
    return np.asarray(far + (near - far) * inside + behind, np.float32)


def _fronted(depth: Float, known: NDArray[np.bool_], reach: float) -> Float:
    """The surface with what is in front reaching `reach` px further over what is far behind it."""
    size = 2 * round(reach) + 1
    near = cv2.erode(
        np.where(known, depth, np.float32(np.inf)), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    )
    return np.asarray(np.where(depth - near > _JUMP_CM, near, depth), np.float32)


def _beyond(face: Fragments, row: Ints, column: Ints) -> Float:
    """How far each node lies off the skin, px of it."""
    known = face.triangle[0] >= 0
    return np.asarray(
        cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 5)[row, column], np.float32
    )


def _bind(face: Fragments, triangles: Ints, row: Ints, column: Ints, reach: float) -> tuple[Ints, Float]:
    """Nearest point of the skin for each node; weights fade with the distance from it (`reach` px)."""
    known = face.triangle[0] >= 0
    distance, label = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros(int(label.max()) + 1, np.int64)
    table[label[known]] = np.flatnonzero(known)
    at = table[label[row, column]]
    triangle = face.triangle[0].ravel()[at]
    first = face.barycentric[0].reshape(-1, 2)[at]
    weights = np.concatenate([first, 1 - first.sum(axis=1, keepdims=True)], axis=1)
    fade = np.exp(-((distance[row, column] / reach) ** 2))
    return triangles[triangle].astype(np.int32), np.asarray(weights * fade[:, None], np.float32)
