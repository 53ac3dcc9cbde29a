"""The rest of the picture as a coarse surface in space: hair and neck go with the head, shoulders stay.

A grid over the source, regular but for a line around the face; each node with a depth, a share of the head's turning
and one of its shift, and bound to the face so that cheeks and chin pull their surroundings along.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.face.outline import doubled_areas
from mien.frames import Float
from mien.stage import Fragments
from mien_photo import hair
from mien_photo.eyes import View
from mien_photo.fading import fade

Ints = NDArray[np.int32]

_NODES = 50
_BEYOND = 2
_ROUND = 1.0
"""How much further away the surface is per cm beyond the head as the model has it: hair goes round the skull, and
its outline, like that of any ball, hardly moves when the head turns.
"""
_MOST_ROUND_CM = 6.0
_RIM = 0.3
"""How many nodes off the skin the line lies that nodes are moved onto: no jaw is quite where the model has it."""
_THINNEST = 0.1
"""Of a cell's usual area, the least that moving its nodes may leave of it."""
_EDGE, _JAW_EDGE, _JUMP_CM = 0.6, 0.9, 1.5
"""Where the surface drops by more, it drops so many nodes behind the edge: what is stretched there when the head turns
is what lies behind it, not the edge of ear or jaw. Ears go back themselves, so theirs is the nearer one.
"""
_JAW = 0.15
"""In face heights: from so far below the middle of the face on its outline is the jaw's."""
_PULLED = 0.13
"""In face heights: how far the skin pulls its surroundings along."""
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
        return halves(self.rows, len(self.still) // self.rows)


def halves(rows: int, columns: int) -> Ints:
    """(T, 3) triangles of a grid's nodes, two a cell; all the same way round."""
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    a, b, c, d = (part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]))
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
    off, nearest = _off_skin(face)
    regular = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    still = aligned(regular, halves(len(axis), len(axis)), off, scale, step)
    x, y = still.T

    outline = oval * np.float32(scale) - 0.5
    up = view.rotation[:2, 1] * np.array([1, -1], np.float32)
    bald = head.triangle[0] >= 0
    px_cm = float(np.median(depth_cm[bald])) / (view.camera.focal * scale)
    depth, known = hair.inflated(depth_cm, bald, person, outline, up, px_cm)
    low = _below(depth.shape, outline, up) > _JAW * face_height * scale
    of_jaw, of_ear = (_fronted(depth, known, edge * scale * step) for edge in (_JAW_EDGE, _EDGE))
    filled = _continued(np.where(low, of_jaw, of_ear), known, px_cm)
    column = np.clip((x * scale).astype(int), 0, depth_cm.shape[1] - 1)
    row = np.clip((y * scale).astype(int), 0, depth_cm.shape[0] - 1)
    depth = filled[row, column]
    camera = view.camera
    seen = np.stack(
        [(x - camera.cx) * depth / camera.focal, -(y - camera.cy) * depth / camera.focal, -depth], axis=1
    )
    in_head = np.asarray((seen - view.translation) @ view.rotation, np.float32)

    beyond = np.maximum(off[row, column], 0) / scale / face_height
    bound, weights = _bind(face, face_triangles, nearest[row, column], beyond / _PULLED)
    below = (y - chin[1]) / face_height
    beside = np.abs(x - chin[0]) / face_height
    # The neck goes with the head as far as it is bare; a collar doesn't, and shoulders never do.
    reach = float(np.clip(neck + 0.35, 0.42, 0.6))
    turn = fade(1 - (below + 0.15) / reach)
    turn *= 1 - fade((below + 0.45) / 0.6) * fade((beside - 0.2) / 0.6)
    border = np.minimum(x, side - x) / (0.10 * side)
    turn = np.maximum(turn, fade(1 - (beyond - _STIFF) / _SOFT))
    shift = fade(1 - (below - 0.05) / max((side - chin[1]) / face_height - 0.1, 0.5))
    shift *= np.where(below > 0, fade(border * 0.5 + 0.5 * fade(1 - below * 2)), 1)
    return Grid(len(axis), still, in_head, turn, np.maximum(shift, turn), bound, weights)


def _off_skin(face: Fragments) -> tuple[Float, Ints]:
    """(h, w) px from the outer outline of the skin, negative within it (also in mouth and eyes), and the skin's pixel
    that is nearest to each.
    """
    skin = face.triangle[0] >= 0
    outside, label = cv2.distanceTransformWithLabels(
        (~skin).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros(int(label.max()) + 1, np.int32)
    table[label[skin]] = np.flatnonzero(skin)
    outlines, _ = cv2.findContours(skin.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    whole = cv2.drawContours(np.zeros(skin.shape, np.uint8), outlines, -1, 1, cv2.FILLED)
    inside = cv2.distanceTransform(whole, cv2.DIST_L2, 5)
    return np.asarray(np.where(whole > 0, -inside, outside), np.float32), table[label]


def aligned(still: Float, triangles: Ints, off: Float, scale: float, step: float) -> Float:
    """The nodes, (G, 2) px of the source, those next to the outline of the skin moved onto a line around it: what is
    stretched when the head turns begins along that line, and not with each cell somewhere else. Where a triangle,
    (T, 3), would turn over or all but vanish, one of its nodes stays.

    off: (h, w) px from the outline, `scale` px per px of the source; step: px of the source between nodes.
    """
    smooth = cv2.GaussianBlur(off, (0, 0), 0.3 * step * scale)
    down, across = np.gradient(smooth)
    at = np.ascontiguousarray((still * scale - 0.5)[None], np.float32)
    lacking, nx, ny = (
        cv2.remap(part, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
        for part in (smooth / (step * scale) - _RIM, across, down)
    )
    # So many that they are neighbours of each other, whichever way the line goes.
    near = np.abs(lacking) <= 0.5 * (np.abs(nx) + np.abs(ny))
    move = -np.where(near, lacking * step, 0)[:, None] * np.stack([nx, ny], axis=1)
    usual = doubled_areas(still, triangles)
    while (left := doubled_areas(still + move, triangles) / usual).min() <= _THINNEST:
        # Of three on the line the middle one: the line goes on along the side between the other two.
        nodes = triangles[left.argmin()]
        ends = (still + move)[np.stack([np.roll(nodes, 1), np.roll(nodes, 2)])]
        opposite = np.linalg.norm(ends[1] - ends[0], axis=1)
        move[nodes[np.where(move[nodes].any(axis=1), opposite, -1).argmax()]] = 0
    return np.asarray(still + move, np.float32)


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


def _below(shape: tuple[int, ...], oval: Float, up: Float) -> Float:
    """How far each pixel lies below the middle of the oval, (P, 2) px, if `up`, (2,) px, is upwards; px."""
    y, x = np.indices(shape, np.float32)
    middle, forward = oval.mean(axis=0), up / max(float(np.linalg.norm(up)), 1e-6)
    return np.asarray((middle[0] - x) * forward[0] + (middle[1] - y) * forward[1], np.float32)


def _fronted(depth: Float, known: NDArray[np.bool_], reach: float) -> Float:
    """The surface with what is in front reaching `reach` px further over what is far behind it."""
    size = 2 * round(reach) + 1
    near = cv2.erode(
        np.where(known, depth, np.float32(np.inf)), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    )
    return np.asarray(np.where(depth - near > _JUMP_CM, near, depth), np.float32)


def _bind(face: Fragments, triangles: Ints, nearest: Ints, away: Float) -> tuple[Ints, Float]:
    """nearest: (G,) pixels of `face`, where each node hangs on the skin; away: (G,) how far from it, in its reach."""
    triangle = face.triangle[0].ravel()[nearest]
    first = face.barycentric[0].reshape(-1, 2)[nearest]
    weights = np.concatenate([first, 1 - first.sum(axis=1, keepdims=True)], axis=1)
    pull = np.exp(-(away**2))
    return triangles[triangle].astype(np.int32), np.asarray(weights * pull[:, None], np.float32)
