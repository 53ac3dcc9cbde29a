"""Kernels that turn posed surfaces into a picture: where every pixel of the output comes from."""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mien.frames import Bytes, Float
from mien.render.projection import FAR_CM, NEAR_CM

Ints = NDArray[np.int32]

_SHOULDER = np.float32(0.65)
"""The slope of a shoulder, and a little more."""


@njit(cache=True, nogil=True, fastmath=True)
def grid_to_clip(
    head: Float,
    still: Float,
    turn: Float,
    shift: Float,
    bound: Ints,
    weights: Float,
    moved: Float,
    pose: Float,
    resting: Float,
    lens: Float,
    frame: Float,
    out: Float,
) -> None:
    """The grid's nodes (see `mien_photo.grid.Grid`) in clip space.

    moved: (K, 3) displacement of the skin since the portrait; pose: (3, 4) now; resting: (3, 4) the
    portrait's rotation with the present position of the pivot; frame: (3,) where the source lies in the
    output: px of the output per px of it, left and top edge.
    """
    width, height, focal, cx, cy = lens[0], lens[1], lens[2], lens[3], lens[4]
    a = np.float32((FAR_CM + NEAR_CM) / (FAR_CM - NEAR_CM))
    b = np.float32(-2 * FAR_CM * NEAR_CM / (FAR_CM - NEAR_CM))
    for i in range(head.shape[0]):
        x, y, z = head[i, 0], head[i, 1], head[i, 2]
        rx, ry, rz = x, y, z
        for k in range(3):
            v, w = bound[i, k], weights[i, k]
            x += w * moved[v, 0]
            y += w * moved[v, 1]
            z += w * moved[v, 2]
        depth = -(pose[2, 0] * x + pose[2, 1] * y + pose[2, 2] * z + pose[2, 3])
        k = focal / depth
        turned_x = cx + k * (pose[0, 0] * x + pose[0, 1] * y + pose[0, 2] * z + pose[0, 3])
        turned_y = cy - k * (pose[1, 0] * x + pose[1, 1] * y + pose[1, 2] * z + pose[1, 3])
        far = -(resting[2, 0] * rx + resting[2, 1] * ry + resting[2, 2] * rz + resting[2, 3])
        k = focal / far
        shifted_x = cx + k * (resting[0, 0] * rx + resting[0, 1] * ry + resting[0, 2] * rz + resting[0, 3])
        shifted_y = cy - k * (resting[1, 0] * rx + resting[1, 1] * ry + resting[1, 2] * rz + resting[1, 3])
        sx, sy = still[i, 0] * frame[0] + frame[1], still[i, 1] * frame[0] + frame[2]
        px = sx + shift[i] * (shifted_x - sx) + turn[i] * (turned_x - shifted_x)
        py = sy + shift[i] * (shifted_y - sy) + turn[i] * (turned_y - shifted_y)
        w = max(far + turn[i] * (depth - far), np.float32(1.0))
        out[i, 0] = (2 * px / width - 1) * w
        out[i, 1] = (1 - 2 * py / height) * w
        out[i, 2] = a * w + b
        out[i, 3] = w


@njit(cache=True, nogil=True, fastmath=True)
def compose_map(
    grid_triangle: Ints,
    grid_barycentric: Float,
    grid_triangles: Ints,
    grid_xy: Float,
    skin_triangle: Ints,
    skin_barycentric: Float,
    skin_triangles: Ints,
    skin_xy: Float,
    presence: Float,
    frame: Float,
    step: np.float32,
    scale: np.float32,
    side: np.float32,
    extent: Float,
    out: Float,
) -> None:
    """out: (h, w, 2): px of the source for each pixel, cv2's convention (centres at whole numbers).

    grid_xy, skin_xy: (*, 2) px of the portrait's source; scale: px of the source used per px of that;
    presence: (K,) how much of the skin is shown over the grid; frame: see `grid_to_clip`; step: px of
    the output per px of the map; side: of the portrait's source, px; extent: (3,) how far the source used goes on
    beyond it, left and right edge in px of the portrait's source, and where that begins in px of the one used.
    """
    height, width = grid_triangle.shape
    half, strip, above = np.float32(0.5), np.float32(0.06) * side, np.float32(0.4) * side
    low, high, origin = extent[0], extent[1], extent[2]
    for y in range(height):
        for x in range(width):
            t = grid_triangle[y, x]
            # Beyond the grid's edge, which only ever comes into the picture by a little, all stays.
            gx = ((np.float32(x) + half) * step - frame[1]) / frame[0]
            gy = ((np.float32(y) + half) * step - frame[2]) / frame[0]
            if t >= 0:
                a, b, c = grid_triangles[t, 0], grid_triangles[t, 1], grid_triangles[t, 2]
                l0, l1 = grid_barycentric[y, x, 0], grid_barycentric[y, x, 1]
                l2 = np.float32(1.0) - l0 - l1
                gx = l0 * grid_xy[a, 0] + l1 * grid_xy[b, 0] + l2 * grid_xy[c, 0]
                gy = l0 * grid_xy[a, 1] + l1 * grid_xy[b, 1] + l2 * grid_xy[c, 1]
            elif 0 <= gx <= side:
                # The head drew the grid away from the border: what was there is not shown a second time.
                if gy < above:
                    gy = -side
                else:
                    gx = max(low, np.float32(0)) if gx < half * side else min(high, side)
            t = skin_triangle[y, x]
            if t >= 0:
                a, b, c = skin_triangles[t, 0], skin_triangles[t, 1], skin_triangles[t, 2]
                l0, l1 = skin_barycentric[y, x, 0], skin_barycentric[y, x, 1]
                l2 = np.float32(1.0) - l0 - l1
                p = l0 * presence[a] + l1 * presence[b] + l2 * presence[c]
                sx = l0 * skin_xy[a, 0] + l1 * skin_xy[b, 0] + l2 * skin_xy[c, 0]
                sy = l0 * skin_xy[a, 1] + l1 * skin_xy[b, 1] + l2 * skin_xy[c, 1]
                gx += p * (sx - gx)
                gy += p * (sy - gy)
            # Beyond the portrait's sides a strip of it is mirrored and stretched, sheared such that
            # shoulders go on sloping down.
            beyond = max(low - gx, gx - high)
            if beyond > 0:
                inwards = strip * (np.float32(1.0) - np.exp(-beyond / strip))
                gx = low + inwards if gx < low else high - inwards
                gy -= _SHOULDER * (inwards + beyond)
            out[y, x, 0] = gx * scale + origin - half
            out[y, x, 1] = gy * scale - half


@njit(cache=True, nogil=True, fastmath=True)
def _shows(source_xy: Float, y: int, x: int, support: Bytes) -> bool:
    """Whether that place of the picture may show something of the person, see `spans`."""
    j = min(max(int(source_xy[y, x, 1] * np.float32(0.25)), 0), support.shape[0] - 1)
    i = min(max(int(source_xy[y, x, 0] * np.float32(0.25)), 0), support.shape[1] - 1)
    return bool(support[j, i] != 0)


@njit(cache=True, nogil=True, fastmath=True)
def spans(source_xy: Float, support: Bytes, out: Ints) -> None:
    """First and last (excluded) column in which each band of rows shows anything of the person.

    source_xy: (h, w, 2), see `compose_map`; support: a quarter of the source's size, not 0 where the person
    is or is near. out: (bands, 2), first >= last where a band is empty; which rows of a picture are a band's, `band_of`
    says.
    """
    height, width = source_xy.shape[0], source_xy.shape[1]
    bands = out.shape[0]
    for band in range(bands):
        first, last = width, 0
        for y in range(height * band // bands, min(height * (band + 1) // bands + 1, height)):
            # From both sides inwards, as far as it is not known yet: most of a person is never looked at.
            x = 0
            while x < first and not _shows(source_xy, y, x, support):
                x += 1
            first = x
            if first == width:
                continue
            x = width
            while x > last and not _shows(source_xy, y, x - 1, support):
                x -= 1
            last = x
        out[band, 0], out[band, 1] = first, last


@njit(cache=True, nogil=True, fastmath=True)
def band_of(row: int, height: int, bands: int) -> int:
    """The band of rows of a picture that a row of it is in: band k begins at row height * k // bands."""
    return ((row + 1) * bands - 1) // height
