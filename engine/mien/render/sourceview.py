"""Where a face's surface lies in a source picture: what a warp map is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.frames import Float

_BEHIND_CM = 0.35
"""A vertex that lies further than this behind what the source shows there is hidden."""
_GRAZING = 0.1
"""Cosine of the angle to the line of sight below which a surface is too slanted to have been seen."""


@dataclass(frozen=True, slots=True)
class SourceView:
    """points: (V, 2) float32, px of the source picture (pixel centres at .5). visible: (V,) float32, 0 or 1: whether
    the source shows the vertex. width, height: of the picture, px.
    """

    points: Float
    visible: Float
    width: int
    height: int

    def __post_init__(self) -> None:
        self.points.setflags(write=False)
        self.visible.setflags(write=False)

    @property
    def attributes(self) -> Float:
        """(V, 3) float32: x, y, visible."""
        return np.concatenate([self.points, self.visible[:, None]], axis=1)


def see(seen: Float, normals: Float, points: Float, depth: Float) -> SourceView:
    """seen: (V, 3) camera space, cm; normals: (V, 3) camera space; points: (V, 2) px; depth: (H, W) cm, 0: nothing."""
    height, width = depth.shape
    column, row = np.floor(points).astype(np.intp).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    there = depth[row.clip(0, height - 1), column.clip(0, width - 1)]
    sight = seen / np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-6)
    faces = -(normals * sight).sum(axis=1) > _GRAZING
    visible = inside & faces & (-seen[:, 2] < there + _BEHIND_CM)
    return SourceView(np.asarray(points, np.float32), visible.astype(np.float32), width, height)
