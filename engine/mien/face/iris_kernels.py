"""Numba kernels of `iris`: an eye laid flat, and the circle in it that is darker within than without."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator"
# Kernels are typed by their numba signatures.

from __future__ import annotations

import numpy as np
from numba import njit

from mien.face.skin_kernels import shrink

_FAST = {"cache": True, "nogil": True, "fastmath": True, "error_model": "numpy"}
_F1, _F2, _F3 = "f4[::1]", "f4[:,::1]", "f4[:,:,::1]"
_PICTURE, _ANY, _I1 = "Array(u1,3,'C',readonly=True)", "f4[:]", "i4[::1]"


@njit(f"void({_F2},f4,f4,{_F2},f4,{_F2})", **_FAST)
def _flatten(grey, x, y, axes, scale, out):  # pragma: no cover - compiled
    """out (n, n): what lies around (x, y) of `grey`; axes * scale: (2, 2) px of it, x and y, per px across and down."""
    height, width = grey.shape
    side = out.shape[0]
    middle = np.float32(side // 2)
    for j in range(side):
        for i in range(side):
            u, v = np.float32(i) - middle, np.float32(j) - middle
            px = x + scale * (axes[0, 0] * u + axes[1, 0] * v) - np.float32(0.5)
            py = y + scale * (axes[0, 1] * u + axes[1, 1] * v) - np.float32(0.5)
            px = min(max(px, np.float32(0)), np.float32(width - 1.001))
            py = min(max(py, np.float32(0)), np.float32(height - 1.001))
            column, row = int(px), int(py)
            s, t = px - np.float32(column), py - np.float32(row)
            above = grey[row, column] + s * (grey[row, column + 1] - grey[row, column])
            below = grey[row + 1, column] + s * (grey[row + 1, column + 1] - grey[row + 1, column])
            out[j, i] = above + t * (below - above)


@njit(f"f4({_F2},f4,f4)", **_FAST)
def _height(chain, u, sign):  # pragma: no cover - compiled
    """v of a line of points (N, 2) at u: where it crosses there several times, the one furthest along `sign`;
    beyond its ends, as far as can be.
    """
    best = np.float32(-1e6)
    for k in range(chain.shape[0] - 1):
        a, b = chain[k, 0], chain[k + 1, 0]
        if min(a, b) <= u <= max(a, b):
            share = (u - a) / (b - a) if b != a else np.float32(0)
            best = max(best, sign * (chain[k, 1] + share * (chain[k + 1, 1] - chain[k, 1])))
    return sign * best if best > np.float32(-1e6) else sign * np.float32(1e6)


@njit(f"void({_F2},{_F2},f4,f4,{_F2})", **_FAST)
def _opening(upper, lower, margin, soft, out):  # pragma: no cover - compiled
    """out (n, n): 0 on the lids and as near to them as `margin`, 1 from `margin + soft` on. upper, lower: (N, 2), the
    lids' edges, px of `out` from its middle.
    """
    side = out.shape[0]
    middle = np.float32(side // 2)
    for i in range(side):
        u = np.float32(i) - middle
        top = _height(upper, u, np.float32(1))
        bottom = _height(lower, u, np.float32(-1))
        for j in range(side):
            v = np.float32(j) - middle
            within = (min(v - top, bottom - v) - margin) / soft
            out[j, i] = min(max(within, np.float32(0)), np.float32(1))


@njit(f"f4({_F2},{_F2},f4,{_F3})", **_FAST)
def _slopes(flat, mask, faint, out):  # pragma: no cover - compiled
    """Contrast of what `mask` leaves of `flat` (both (n, n)), and out (n, n, 3): its slopes across and down, in units
    of that, times the mask; and the mask. A contrast below `faint` counts as that.
    """
    side = flat.shape[0]
    count, total, squares = np.float32(1e-6), np.float32(0), np.float32(0)
    for j in range(side):
        for i in range(side):
            count += mask[j, i]
            total += mask[j, i] * flat[j, i]
    mean = total / count
    for j in range(side):
        for i in range(side):
            off = flat[j, i] - mean
            squares += mask[j, i] * off * off
    spread = np.sqrt(squares / count)
    # Twice the deviation is the step between two equal parts.
    scale = np.float32(1) / max(np.float32(2) * spread, faint)
    out[:] = 0
    eighth = np.float32(0.125) * scale
    two = np.float32(2)
    for j in range(1, side - 1):
        for i in range(1, side - 1):
            if mask[j, i] <= 0:
                continue
            across = (
                flat[j - 1, i + 1] + two * flat[j, i + 1] + flat[j + 1, i + 1]
                - flat[j - 1, i - 1] - two * flat[j, i - 1] - flat[j + 1, i - 1]
            )  # fmt: skip
            down = (
                flat[j + 1, i - 1] + two * flat[j + 1, i] + flat[j + 1, i + 1]
                - flat[j - 1, i - 1] - two * flat[j - 1, i] - flat[j - 1, i + 1]
            )  # fmt: skip
            out[j, i, 0] = across * eighth * mask[j, i]
            out[j, i, 1] = down * eighth * mask[j, i]
            out[j, i, 2] = mask[j, i]
    return two * spread


@njit(f"void({_F3},{_F2},f4,f4,f4,f4,{_F1})", **_FAST)
def _edge(field, rim, u, v, r, most, out):  # pragma: no cover - compiled
    """out (5,): how well a circle runs along an edge, on its left and right side; how much of either is seen, and of
    what tells its height, 0 to 1.

    field: (n, n, 3) as `_slopes` gives it; rim: (N, 3) unit vectors and their weights; u, v, r: px from the middle.
    """
    side = field.shape[0]
    middle = np.float32(side // 2)
    last = np.float32(side - 1.001)
    out[:] = 0
    level = np.float32(1e-6)
    for k in range(rim.shape[0]):
        c, s = rim[k, 0], rim[k, 1]
        x = min(max(middle + u + r * c, np.float32(0)), last)
        y = min(max(middle + v + r * s, np.float32(0)), last)
        i, j = int(x), int(y)
        a, b = x - np.float32(i), y - np.float32(j)
        nw, ne = (np.float32(1) - a) * (np.float32(1) - b), a * (np.float32(1) - b)
        sw, se = (np.float32(1) - a) * b, a * b
        gx = (
            nw * field[j, i, 0]
            + ne * field[j, i + 1, 0]
            + sw * field[j + 1, i, 0]
            + se * field[j + 1, i + 1, 0]
        )
        gy = (
            nw * field[j, i, 1]
            + ne * field[j, i + 1, 1]
            + sw * field[j + 1, i, 1]
            + se * field[j + 1, i + 1, 1]
        )
        m = (
            nw * field[j, i, 2]
            + ne * field[j, i + 1, 2]
            + sw * field[j + 1, i, 2]
            + se * field[j + 1, i + 1, 2]
        )
        steep = min(max(gx * c + gy * s, -most), most * m)
        which = 0 if c < 0 else 1
        out[which] += rim[k, 2] * steep
        out[2 + which] += rim[k, 2] * m
        tells = rim[k, 2] * s * s
        level += tells
        out[4] += tells * m
    out[4] /= level


@njit(f"f4({_F3},{_F2},f4,f4,f4,{_F1},{_F1},{_F1})", **_FAST)
def _score(field, rim, u, v, r, sure, tuning, out):  # pragma: no cover - compiled
    """Logarithm of how likely the limbus is there, but for a constant. sure: (3,) 1 / deviations, px, of u, v, r from 0
    and the expected radius `tuning[3]`; tuning: most slope; how much must be seen; what an edge counts for.
    """
    _edge(field, rim, u, v, r, tuning[0], out)
    du, dv, dr = u * sure[0], v * sure[1], (r - tuning[3]) * sure[2]
    # The mean slope, not the sum: a circle is none the likelier where lids show more of it.
    steep = (out[0] + out[1]) / max(out[2] + out[3], tuning[1])
    return tuning[2] * steep - np.float32(0.5) * (du * du + dv * dv + dr * dr)


@njit(f"void({_F3},{_F2},{_F1},{_F1},{_F1},{_F1},i8,{_F1},{_F1})", **_FAST)
def _search(field, rim, sure, tuning, reach, steps, rounds, sides, out):  # pragma: no cover - compiled
    """out (8,): u, v, r of the likeliest circle, px; then what `_edge` says of it. sides: (5,) scratch.

    reach: (3,) px, how far u, v go from 0 and r from the expected radius, on a lattice of `steps` px; from its best
    place, parabolas along each axis in turn, `rounds` times, lead to the peak.
    """
    best = np.float32(-1e9)
    u, v, r = np.float32(0), np.float32(0), tuning[3]
    nu, nv, nr = int(reach[0] / steps[0]), int(reach[1] / steps[1]), int(reach[2] / steps[2])
    for a in range(-nu, nu + 1):
        for b in range(-nv, nv + 1):
            for c in range(-nr, nr + 1):
                at_u, at_v = np.float32(a) * steps[0], np.float32(b) * steps[1]
                at_r = tuning[3] + np.float32(c) * steps[2]
                score = _score(field, rim, at_u, at_v, at_r, sure, tuning, sides)
                if score > best:
                    best = score
                    u, v, r = at_u, at_v, at_r
    half = np.float32(0.5) * steps[0]
    zero = np.float32(0)
    for _ in range(rounds):
        for k in range(3):
            du, dv, dr = half if k == 0 else zero, half if k == 1 else zero, half if k == 2 else zero
            low = _score(field, rim, u - du, v - dv, r - dr, sure, tuning, sides)
            high = _score(field, rim, u + du, v + dv, r + dr, sure, tuning, sides)
            mid = _score(field, rim, u, v, r, sure, tuning, sides)
            bend = low - np.float32(2) * mid + high
            shift = zero
            if bend < np.float32(-1e-6):
                shift = min(max(np.float32(0.5) * (low - high) / bend, np.float32(-1)), np.float32(1))
            u, v, r = u + shift * du, v + shift * dv, r + shift * dr
        half *= np.float32(0.7)
    _edge(field, rim, u, v, r, tuning[0], sides)
    out[0], out[1], out[2] = u, v, r
    out[3:8] = sides


@njit(f"void({_ANY},{_ANY},f4,{_F2})", **_FAST)
def _lay_axes(across, gaze, size, out):  # pragma: no cover - compiled
    """out (2, 2): what steps of `size` to the right and down on a disc that faces `gaze` look like, x and y, y down.
    across, gaze: (3,) unit, camera space.
    """
    turned = across[0] * gaze[0] + across[1] * gaze[1] + across[2] * gaze[2]
    x, y, z = across[0] - turned * gaze[0], across[1] - turned * gaze[1], across[2] - turned * gaze[2]
    unit = size / max(np.sqrt(x * x + y * y + z * z), np.float32(1e-6))
    x, y, z = x * unit, y * unit, z * unit
    out[0, 0], out[0, 1] = x, -y
    out[1, 0], out[1, 1] = y * gaze[2] - z * gaze[1], x * gaze[2] - z * gaze[0]


@njit(f"void({_F2},{_I1},f4,f4,{_F2},{_F2})", **_FAST)
def _lid(points, which, x, y, axes, out):  # pragma: no cover - compiled
    """out (N, 2): `which` of the points from (x, y), in `axes`."""
    area = axes[0, 0] * axes[1, 1] - axes[0, 1] * axes[1, 0]
    over = np.float32(1) / (area if abs(area) > np.float32(1e-9) else np.float32(1e-9))
    for k in range(which.shape[0]):
        dx, dy = points[which[k], 0] - x, points[which[k], 1] - y
        out[k, 0] = (dx * axes[1, 1] - dy * axes[1, 0]) * over
        out[k, 1] = (dy * axes[0, 0] - dx * axes[0, 1]) * over


@njit(
    f"void({_PICTURE},{_F2},i8,{_I1},{_I1},{_ANY},{_ANY},f4,{_F1},{_F2},{_F1},{_F1},{_F1},{_F1},i8"
    f",{_F1},{_F2},{_F2},{_F3},{_F2},{_F2},{_F2},{_F1},{_F1})",
    **_FAST,
)
def find(
    pixels,
    points,
    iris,
    upper,
    lower,
    across,
    gaze,
    px,
    lids,
    rim,
    sure,
    tuning,
    reach,
    steps,
    rounds,
    grey,
    flat,
    mask,
    field,
    axes,
    above,
    below,
    sides,
    out,
):  # pragma: no cover - compiled
    """Look for the limbus around `points[iris]`. out (11,): x, y px of its middle; contrast, 0 where nothing is to be
    seen; then what `_search` finds.

    pixels: (H, W, 3); points: (478, 2) px; upper, lower: (N,) points on the lids' edges; across, gaze: (3,) unit, the
    head's x axis and where the eye looks, camera space; px: the expected radius; lids: margin and softness as
    `_opening` takes them, and the faintest contrast; rim to rounds: as in `_search`. The rest is scratch: grey holds
    the surroundings, flat and mask are (n, n), field (n, n, 3), axes (2, 2), above and below (N, 2), sides (5,).
    """
    x, y = points[iris, 0], points[iris, 1]
    _lay_axes(across, gaze, px / tuning[3], axes)
    factor = max(int(px / tuning[3]), 1)
    far = np.float32(flat.shape[0] // 2 + 1)
    wide = far * (abs(axes[0, 0]) + abs(axes[1, 0]))
    high = far * (abs(axes[0, 1]) + abs(axes[1, 1]))
    left, top = int(np.floor(x - wide)), int(np.floor(y - high))
    columns, rows = int(np.float32(2) * wide / factor) + 3, int(np.float32(2) * high / factor) + 3
    out[:] = 0
    out[0], out[1] = x, y
    # Nothing is seen where numbers aren't numbers: then these are anything.
    if min(rows, columns) < 1 or max(rows, columns) > grey.shape[0] // max(rows, columns):
        return
    part = grey[: rows * columns].reshape(rows, columns)
    shrink(pixels, left, top, factor, part)
    _lid(points, upper, x, y, axes, above)
    _lid(points, lower, x, y, axes, below)
    _opening(above, below, lids[0], lids[1], mask)
    scale = np.float32(1) / np.float32(factor)
    _flatten(part, (x - np.float32(left)) * scale, (y - np.float32(top)) * scale, axes, scale, flat)
    out[2] = _slopes(flat, mask, lids[2], field)
    _search(field, rim, sure, tuning, reach, steps, rounds, sides, out[3:])
    out[0] = x + axes[0, 0] * out[3] + axes[1, 0] * out[4]
    out[1] = y + axes[0, 1] * out[3] + axes[1, 1] * out[4]
