"""A slow rasterizer to hold others against: every candidate pixel of every triangle in double precision, then sorted.

Shares nothing with the kernels: no edge stepping, no depth buffer, no spans.
"""

from __future__ import annotations

import numpy as np

from mien.stage import Fragments


def oracle(clip, triangles, height, width, *, cull=True):
    """clip: (V, 4) -> `Fragments` of one picture, and (H, W) how near the closest edge is, in barycentric units."""
    points = clip.astype(np.float64)[triangles]  # (T, 3, 4)
    matrix = points[:, :, [0, 1, 3]]
    determinant = np.linalg.det(matrix)
    kept = (determinant > 0) | ((determinant < 0) & (not cull))
    index = np.flatnonzero(kept)
    points, inverse = points[kept], np.linalg.inv(matrix[kept])
    low, high = _boxes(points, height, width)
    size = np.maximum(high - low, 0)
    counts = size[:, 0] * size[:, 1]
    owner = np.repeat(np.arange(len(index)), counts)
    nth = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    column = low[owner, 0] + nth % size[owner, 0]
    row = low[owner, 1] + nth // size[owner, 0]
    at = np.stack([(column + 0.5) * 2 / width - 1, 1 - (row + 0.5) * 2 / height, np.ones(len(row))], axis=1)
    weights = np.einsum("pi,pij->pj", at, inverse[owner])
    with np.errstate(divide="ignore", invalid="ignore"):
        weights /= weights.sum(axis=1, keepdims=True)
        w = (weights * points[owner, :, 3]).sum(axis=1)
        z = (weights * points[owner, :, 2]).sum(axis=1) / w
        least = weights.min(axis=1)
        inside = (least >= 0) & (w > 0) & (z >= -1) & (z <= 1)
    pixel = row * width + column
    near_edge = np.full(height * width, np.inf)
    sure = np.isfinite(least)
    np.minimum.at(near_edge, pixel[sure], np.abs(least[sure]))

    order = np.lexsort((z[inside], pixel[inside]))
    shown, first = np.unique(pixel[inside][order], return_index=True)
    best = np.flatnonzero(inside)[order][first]
    triangle = np.full(height * width, -1, np.int32)
    barycentric = np.zeros((height * width, 2), np.float32)
    depth = np.full(height * width, np.inf, np.float32)
    triangle[shown] = index[owner[best]]
    barycentric[shown] = weights[best, :2]
    depth[shown] = z[best]
    shape = (1, height, width)
    fragments = Fragments(triangle.reshape(shape), barycentric.reshape(*shape, 2), depth.reshape(shape))
    return fragments, near_edge.reshape(height, width)


def _boxes(points, height, width):
    """(T, 2) first and (T, 2) last column and row (excluded) that a triangle may touch; all where one is behind."""
    behind = (points[:, :, 3] <= 1e-6).any(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        x = (1 + points[:, :, 0] / points[:, :, 3]) * width / 2
        y = (1 - points[:, :, 1] / points[:, :, 3]) * height / 2
    corners = np.stack([x, y], axis=2)
    corners[behind] = 0
    ends = np.array([width, height])
    low = np.clip(np.floor(corners.min(axis=1)) - 1, 0, ends).astype(np.int64)
    high = np.clip(np.ceil(corners.max(axis=1)) + 1, 0, ends).astype(np.int64)
    low[behind], high[behind] = 0, ends
    return low, high


def looked_up(attributes, fragments, triangles):
    """attributes: (V, C) -> (H, W, C) in double precision; zero where nothing is."""
    triangle, (l0, l1) = fragments.triangle[0], np.moveaxis(fragments.barycentric[0].astype(np.float64), 2, 0)
    weights = np.stack([l0, l1, 1 - l0 - l1], axis=2)
    values = (attributes.astype(np.float64)[triangles[triangle]] * weights[..., None]).sum(axis=2)
    return np.where(triangle[..., None] >= 0, values, 0)


def coverage_difference(one, other):
    """Share of the pixels that only one of two `Fragments` covers."""
    return float(((one.triangle >= 0) != (other.triangle >= 0)).mean())


def smooth_places(image, covered, most):
    """(H, W): where neither the outline nor a jump of `image` (H, W, C) by more than `most` is next door."""
    inner = np.ones(covered.shape, bool)
    for axis in (0, 1):
        jump = np.abs(np.diff(image, axis=axis)).max(axis=2) > most
        jump |= np.diff(covered, axis=axis)
        for side in (slice(1, None), slice(None, -1)):
            where = (side, slice(None)) if axis == 0 else (slice(None), side)
            inner[where] &= ~jump
    return inner & covered
