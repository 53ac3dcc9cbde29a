"""Edge-function rasterization of one row band.

Two ways through a triangle:

- *simple*, all corners inside the near and far planes: affine edge functions in screen space, stepped
  along each row (Pineda 1988), made perspective-correct once per visible pixel at the end;
- *homogeneous*, a corner is behind the near plane or beyond the far one: edge functions in clip space
  (Olano and Greer 1997, "Triangle scan conversion using 2D homogeneous coordinates"), which need no
  clipping and are right for points behind the eye. Slower, and rare.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mien.frames import Float

Ints = NDArray[np.int32]

# Without "ninf" and "nnan": depth is +inf where nothing is, and a NaN corner must drop its triangle.
_FLAGS = {"reassoc", "contract", "arcp", "nsz", "afn"}

# Declared signatures: read-only inputs (frozen models) must not lead to a second compilation.
_IN2 = "Array(f4, 2, 'C', readonly=True)"
_INDEX2 = "Array(i4, 2, 'C', readonly=True)"
_LEAST_W = np.float32(1e-6)


@njit(f"void({_IN2}, i8, i8, f4[:, ::1])", cache=True, nogil=True, fastmath=_FLAGS)
def to_screen(clip: Float, width: int, height: int, screen: Float) -> None:
    """clip: (V, 4) -> screen: (V, 4) float32: x and y in px (y down), z/w, 1/w.

    1/w is 0 for a corner outside the near or far plane or behind the eye: its triangles are not simple.
    """
    half_w, half_h = np.float32(0.5 * width), np.float32(0.5 * height)
    one = np.float32(1.0)
    for i in range(clip.shape[0]):
        w = clip[i, 3]
        if w > _LEAST_W:
            inverse = one / w
            z = clip[i, 2] * inverse
            screen[i, 0] = (one + clip[i, 0] * inverse) * half_w
            screen[i, 1] = (one - clip[i, 1] * inverse) * half_h
            screen[i, 2] = z
            screen[i, 3] = inverse if -one <= z <= one else np.float32(0.0)
        else:
            screen[i, 0] = screen[i, 1] = screen[i, 2] = screen[i, 3] = np.float32(0.0)


@njit(
    f"void({_IN2}, i8, i8, i8, i8, i8, i8, i8, b1, i4[:, ::1], f4[:, :, ::1], f4[:, ::1])",
    cache=True,
    nogil=True,
    fastmath=_FLAGS,
)
def _homogeneous(
    clip: Float,
    a: int,
    b: int,
    c: int,
    index: int,
    top: int,
    bottom: int,
    height: int,
    cull: bool,
    triangle: Ints,
    barycentric: Float,
    depth: Float,
) -> None:
    """One triangle with a corner outside the near or far plane; visits every pixel of the band."""
    width = triangle.shape[1]
    x0, y0, z0, w0 = clip[a, 0], clip[a, 1], clip[a, 2], clip[a, 3]
    x1, y1, z1, w1 = clip[b, 0], clip[b, 1], clip[b, 2], clip[b, 3]
    x2, y2, z2, w2 = clip[c, 0], clip[c, 1], clip[c, 2], clip[c, 3]
    if (z0 < -w0 and z1 < -w1 and z2 < -w2) or (z0 > w0 and z1 > w1 and z2 > w2):
        return
    determinant = x0 * (y1 * w2 - y2 * w1) - y0 * (x1 * w2 - x2 * w1) + w0 * (x1 * y2 - x2 * y1)
    if not (determinant > 0.0 or (determinant < 0.0 and not cull)):
        return
    for row in range(top, bottom):
        py = np.float32(1.0) - (row + np.float32(0.5)) * np.float32(2.0 / height)
        v0, v1, v2 = y0 - py * w0, y1 - py * w1, y2 - py * w2
        for column in range(width):
            px = (column + np.float32(0.5)) * np.float32(2.0 / width) - np.float32(1.0)
            u0, u1, u2 = x0 - px * w0, x1 - px * w1, x2 - px * w2
            e0, e1, e2 = u1 * v2 - u2 * v1, u2 * v0 - u0 * v2, u0 * v1 - u1 * v0
            total = e0 + e1 + e2
            if total == 0.0:
                continue
            inverse = np.float32(1.0) / total
            l0, l1, l2 = e0 * inverse, e1 * inverse, e2 * inverse
            if l0 < 0.0 or l1 < 0.0 or l2 < 0.0:
                continue
            w = l0 * w0 + l1 * w1 + l2 * w2
            if w <= _LEAST_W:
                continue
            z = (l0 * z0 + l1 * z1 + l2 * z2) / w
            if -1.0 <= z <= 1.0 and z < depth[row, column]:
                depth[row, column] = z
                triangle[row, column] = index
                barycentric[row, column, 0] = l0
                barycentric[row, column, 1] = l1


@njit(
    f"void({_IN2}, {_IN2}, {_INDEX2}, i8, i8, b1, i4[:, ::1], f4[:, :, ::1], f4[:, ::1])",
    cache=True,
    nogil=True,
    fastmath=_FLAGS,
)
def rasterize_band(
    clip: Float,
    screen: Float,
    triangles: Ints,
    top: int,
    bottom: int,
    cull: bool,
    triangle: Ints,
    barycentric: Float,
    depth: Float,
) -> None:
    """Fill rows `top` to `bottom` (excluded) of one picture.

    clip, screen: (V, 4), see `to_screen`; triangles: (T, 3). triangle (H, W), barycentric (H, W, 2) and
    depth (H, W) are the picture's planes; barycentric is left undefined where no triangle is.
    """
    height, width = triangle.shape
    half, zero, one = np.float32(0.5), np.float32(0.0), np.float32(1.0)
    for row in range(top, bottom):
        for column in range(width):
            depth[row, column] = np.inf
            triangle[row, column] = -1
    low_y, high_y = np.float32(top), np.float32(bottom)
    wide = np.float32(width)
    for index in range(triangles.shape[0]):
        a, b, c = triangles[index, 0], triangles[index, 1], triangles[index, 2]
        wa, wb, wc = screen[a, 3], screen[b, 3], screen[c, 3]
        if wa * wb * wc == zero:
            _homogeneous(clip, a, b, c, index, top, bottom, height, cull, triangle, barycentric, depth)
            continue
        # Other bands' triangles first: every band looks at all of them, so this is what must cost least.
        ay, by, cy = screen[a, 1], screen[b, 1], screen[c, 1]
        first = max(np.ceil(min(ay, by, cy) - half), low_y)
        last = min(np.ceil(max(ay, by, cy) - half), high_y)
        if not first < last:
            continue
        ax, bx, cx = screen[a, 0], screen[b, 0], screen[c, 0]
        # Rows go down, so a counter-clockwise triangle has a negative area here.
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if not (area < zero or (area > zero and not cull)):
            continue
        if max(ax, bx, cx) < half or min(ax, bx, cx) > wide:
            continue
        x0, y0, x1, y1, x2, y2 = ax, ay, bx, by, cx, cy
        if y1 < y0:
            x0, y0, x1, y1 = x1, y1, x0, y0
        if y2 < y0:
            x0, y0, x2, y2 = x2, y2, x0, y0
        if y2 < y1:
            x1, y1, x2, y2 = x2, y2, x1, y1
        # A shared edge gets the same ends in the same order in both of its triangles, and spans are
        # half open: no pixel is missed or drawn twice along it.
        slope_long = (x2 - x0) / (y2 - y0)
        slope_upper = (x1 - x0) / (y1 - y0) if y1 > y0 else zero
        slope_lower = (x2 - x1) / (y2 - y1) if y2 > y1 else zero
        # Linear over the screen: z/w, 1/w and the first two weights over w.
        inverse = one / area
        dx0, dx1 = (by - cy) * inverse, (cy - ay) * inverse
        dy0, dy1 = (cx - bx) * inverse, (ax - cx) * inverse
        za, zb, zc = screen[a, 2], screen[b, 2], screen[c, 2]
        z_step = dx0 * (za - zc) + dx1 * (zb - zc)
        w_step = dx0 * (wa - wc) + dx1 * (wb - wc)
        p0_step, p1_step = dx0 * wa, dx1 * wb
        for row in range(int(first), int(last)):
            py = np.float32(row) + half
            long = x0 + (py - y0) * slope_long
            short = x0 + (py - y0) * slope_upper if py < y1 else x1 + (py - y1) * slope_lower
            left = max(np.ceil(min(long, short) - half), zero)
            right = min(np.ceil(max(long, short) - half), wide)
            if not left < right:
                continue
            px = left + half
            l0 = (px - cx) * dx0 + (py - cy) * dy0
            l1 = (px - cx) * dx1 + (py - cy) * dy1
            z = zc + l0 * (za - zc) + l1 * (zb - zc)
            w = wc + l0 * (wa - wc) + l1 * (wb - wc)
            p0, p1 = l0 * wa, l1 * wb
            for column in range(int(left), int(right)):
                if z < depth[row, column]:
                    depth[row, column] = z
                    triangle[row, column] = index
                    # Rounding in slivers must not throw attributes off their range.
                    perspective = one / w
                    l0 = min(max(p0 * perspective, zero), one)
                    barycentric[row, column, 0] = l0
                    barycentric[row, column, 1] = min(max(p1 * perspective, zero), one - l0)
                z += z_step
                w += w_step
                p0 += p0_step
                p1 += p1_step


_SAMPLES = 2048
_PER_TRIANGLE, _PER_ROW, _PER_PIXEL = np.float32(60), np.float32(12), np.float32(4)
"""What drawing costs, about, in nanoseconds."""


@njit(f"void({_IN2}, {_INDEX2}, i8, b1, f4[::1])", cache=True, nogil=True, fastmath=_FLAGS)
def row_costs(screen: Float, triangles: Ints, rows: int, cull: bool, costs: Float) -> None:
    """costs: (rows,), about what each row of the picture takes to draw, relative to the others; from a sample of
    the triangles, each charged to the row of its middle.
    """
    half, zero = np.float32(0.5), np.float32(0.0)
    costs[:] = np.float32(1)
    for index in range(0, triangles.shape[0], triangles.shape[0] // _SAMPLES + 1):
        a, b, c = triangles[index, 0], triangles[index, 1], triangles[index, 2]
        ax, bx, cx = screen[a, 0], screen[b, 0], screen[c, 0]
        ay, by, cy = screen[a, 1], screen[b, 1], screen[c, 1]
        area = (by - ay) * (cx - ax) - (bx - ax) * (cy - ay)
        if area < zero and not cull:
            area = -area
        low, high = max(min(ay, by, cy), zero), min(max(ay, by, cy), np.float32(rows - 1))
        if area > zero and low <= high:
            costs[int((low + high) * half)] += (
                _PER_TRIANGLE + _PER_ROW * (high - low) + _PER_PIXEL * half * area
            )
