"""Numba kernels of `skin_motion`: a small, evenly lit picture of the face, and the lattice that is bent onto it."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator"
# Kernels are typed by their numba signatures.

from __future__ import annotations

import numpy as np
from numba import njit

_FAST = {"cache": True, "nogil": True, "fastmath": True, "error_model": "numpy"}
_F1, _F2, _F3 = "f4[::1]", "f4[:,::1]", "f4[:,:,::1]"
_R1, _R2 = "Array(f4,1,'C',readonly=True)", "Array(f4,2,'C',readonly=True)"
_R3 = "Array(f4,3,'C',readonly=True)"
_I1, _I2 = "Array(i4,1,'C',readonly=True)", "Array(i4,2,'C',readonly=True)"

SUMS = 7
"""Per node: the normal matrix (xx, xy, yy), its right side (x, y), squared differences, squared values."""


@njit(f"void(Array(u1,3,'C',readonly=True),i8,i8,i8,{_F2})", **_FAST)
def shrink(pixels, left, top, factor, out):  # pragma: no cover - compiled
    """out (h, w): brightness, 0 to 1, averaged over squares of `factor` px from (left, top) on; beyond the picture its
    border goes on. Of large squares every other px of every other row is read. pixels: (H, W, 3).
    """
    height, width = pixels.shape[0], pixels.shape[1]
    step = 2 if factor > 2 else 1
    count = (factor + step - 1) // step
    scale = np.float32(1.0 / (1020.0 * count * count))
    if factor == 1 and min(left, top) >= 0 and left + out.shape[1] <= width and top + out.shape[0] <= height:
        # The usual case; without the borders to look at, the compiler does several px at once.
        for y in range(out.shape[0]):
            line = pixels[top + y, left : left + out.shape[1]]
            for x in range(out.shape[1]):
                bright = np.int32(line[x, 0]) + 2 * np.int32(line[x, 1]) + np.int32(line[x, 2])
                out[y, x] = np.float32(bright) * scale
        return
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            total = 0
            for j in range(0, factor, step):
                row = min(max(top + y * factor + j, 0), height - 1)
                for i in range(0, factor, step):
                    column = min(max(left + x * factor + i, 0), width - 1)
                    total += pixels[row, column, 0] + 2 * pixels[row, column, 1] + pixels[row, column, 2]
            out[y, x] = np.float32(total) * scale


@njit(f"void({_F2},i8,f4,{_F2},{_F2})", **_FAST)
def even_out(grey, radius, dark, integral, out):  # pragma: no cover - compiled
    """out (h, w): contrast with the surroundings, (grey - mean) / (mean + dark): light that changes slowly over the
    face cancels. integral: (h + 1, w + 1) scratch.
    """
    height, width = grey.shape
    integral[0, :] = 0
    for y in range(height):
        total = np.float32(0)
        integral[y + 1, 0] = 0
        for x in range(width):
            total += grey[y, x]
            integral[y + 1, x + 1] = integral[y, x + 1] + total
    for y in range(height):
        top, bottom = max(y - radius, 0), min(y + radius + 1, height)
        for x in range(width):
            left, right = max(x - radius, 0), min(x + radius + 1, width)
            total = (
                integral[bottom, right] - integral[top, right] - integral[bottom, left] + integral[top, left]
            )
            mean = total / np.float32((bottom - top) * (right - left))
            out[y, x] = (grey[y, x] - mean) / (mean + dark)


@njit(f"void({_F2},{_F2})", **_FAST)
def halve(picture, out):  # pragma: no cover - compiled
    """out (h // 2, w // 2): means of four."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            above = picture[2 * y, 2 * x] + picture[2 * y, 2 * x + 1]
            below = picture[2 * y + 1, 2 * x] + picture[2 * y + 1, 2 * x + 1]
            out[y, x] = np.float32(0.25) * (above + below)


@njit(f"void({_F2},{_F3})", **_FAST)
def with_slopes(picture, out):  # pragma: no cover - compiled
    """out (h, w, 3): value, and its change per px across and down."""
    height, width = picture.shape
    half = np.float32(0.5)
    for y in range(height):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            out[y, x, 0] = picture[y, x]
            out[y, x, 1] = (picture[y, min(x + 1, width - 1)] - picture[y, max(x - 1, 0)]) * half
            out[y, x, 2] = (picture[below, x] - picture[above, x]) * half


@njit(f"void({_R2},{_I2},{_R2},{_F2})", **_FAST)
def weighted_sums(values, index, weight, out):  # pragma: no cover - compiled
    """out (M, C): of `values` (N, C) those of `index` (M, K), each times its `weight` (M, K)."""
    out[:] = 0
    for m in range(index.shape[0]):
        for k in range(index.shape[1]):
            for c in range(values.shape[1]):
                out[m, c] += weight[m, k] * values[index[m, k], c]


@njit(f"void({_F2},{_I2},{_R2},{_F2})", **_FAST)
def places(landmarks, corner, share, out):  # pragma: no cover - compiled
    """out (N, 2): where pixels of the chart lie in a picture whose landmarks (468, 2) are given."""
    for n in range(corner.shape[0]):
        a, b, c = corner[n, 0], corner[n, 1], corner[n, 2]
        for k in range(2):
            out[n, k] = (
                share[n, 0] * landmarks[a, k] + share[n, 1] * landmarks[b, k] + share[n, 2] * landmarks[c, k]
            )


@njit(f"void({_F3},f4,f4,{_F1})", **_FAST)
def _sample(picture, x, y, out):  # pragma: no cover - compiled
    """Bilinear, out (3,); x, y in px with centres at .5, held at the borders."""
    height, width = picture.shape[0], picture.shape[1]
    x = min(max(x - np.float32(0.5), np.float32(0)), np.float32(width - 1.001))
    y = min(max(y - np.float32(0.5), np.float32(0)), np.float32(height - 1.001))
    i, j = int(x), int(y)
    u, v = x - np.float32(i), y - np.float32(j)
    for k in range(3):
        above = picture[j, i, k] + u * (picture[j, i + 1, k] - picture[j, i, k])
        below = picture[j + 1, i, k] + u * (picture[j + 1, i + 1, k] - picture[j + 1, i, k])
        out[k] = above + v * (below - above)


@njit(f"void({_F3},{_F2},f4,{_F1})", **_FAST)
def read(picture, at, scale, out):  # pragma: no cover - compiled
    """out (N,): the picture at `at` (N, 2) * scale."""
    found = np.empty(3, np.float32)
    for n in range(at.shape[0]):
        _sample(picture, at[n, 0] * scale, at[n, 1] * scale, found)
        out[n] = found[0]


@njit(f"void({_F3},{_F2},f4,f4,i8,{_I1},{_R2},{_F1},{_F1},f4,{_F2},{_F2})", **_FAST)
def accumulate(
    picture, at, scale, unit, columns, cell, weight, trust, reference, tolerance, shift, out
):  # pragma: no cover - compiled
    """One round of Lucas and Kanade (1981) in a window around every node at once.

    Sums over the pixels n near a node, by their bilinear weight: how well `picture` at the shifted places shows what
    `reference` (N,) does, and which way it would do so better; see `SUMS`. at: (N, 2) px, times `scale` in `picture`;
    unit: px of `picture` per unit of shift; cell, weight: see `chart.Pixels`, by ascending cell; trust: (N,) of each
    pixel; tolerance: difference at which one begins to count less (Cauchy). shift: (nodes, 2); out: (nodes, SUMS).
    """
    found = np.empty(3, np.float32)
    sums = np.zeros((4, SUMS), np.float32)
    out[:] = 0
    less = np.float32(1) / (tolerance * tolerance)
    before = -1
    nodes = np.zeros(4, np.int64)
    for n in range(cell.shape[0]):
        if cell[n] != before:
            if before >= 0:
                for k in range(4):
                    for s in range(SUMS):
                        out[nodes[k], s] += sums[k, s]
                        sums[k, s] = 0
            before = cell[n]
            nodes[0], nodes[1], nodes[2], nodes[3] = (
                before,
                before + 1,
                before + columns,
                before + columns + 1,
            )
        if trust[n] <= 0:
            continue
        dx = np.float32(0)
        dy = np.float32(0)
        for k in range(4):
            dx += weight[n, k] * shift[nodes[k], 0]
            dy += weight[n, k] * shift[nodes[k], 1]
        _sample(picture, at[n, 0] * scale + dx * unit, at[n, 1] * scale + dy * unit, found)
        value, gx, gy = found[0], found[1] * unit, found[2] * unit
        off = value - reference[n]
        w = trust[n] / (1 + off * off * less)
        xx, xy, yy, bx, by = w * gx * gx, w * gx * gy, w * gy * gy, w * gx * off, w * gy * off
        wrong = trust[n] * off * off
        energy = trust[n] * (value * value + reference[n] * reference[n])
        for k in range(4):
            c = weight[n, k]
            sums[k, 0] += c * xx
            sums[k, 1] += c * xy
            sums[k, 2] += c * yy
            sums[k, 3] -= c * bx
            sums[k, 4] -= c * by
            sums[k, 5] += c * wrong
            sums[k, 6] += c * energy
    if before >= 0:
        for k in range(4):
            for s in range(SUMS):
                out[nodes[k], s] += sums[k, s]


@njit(f"void({_R2},f4,f4,f4,{_F1})", **_FAST)
def believe(sums, unlike, alike, least, trust):  # pragma: no cover - compiled
    """trust (nodes,): `least` where what `accumulate` compared differs by a share of `unlike`, 1 where by `alike`."""
    for n in range(sums.shape[0]):
        off = sums[n, 5] / max(sums[n, 6], np.float32(1e-6))
        trust[n] = min(max((unlike - off) / (unlike - alike), least), np.float32(1))


@njit(f"void({_F2},{_F1},i8,f4,f4,i8,{_F2},{_F2})", **_FAST)
def relax(sums, trust, columns, stiffness, pull, sweeps, before, shift):  # pragma: no cover - compiled
    """shift (nodes, 2): what `accumulate` asks for, under a membrane (`stiffness`) that is drawn to zero (`pull`);
    mirrored at its rim.

    trust: (nodes,) how much each node's own say counts; before: (nodes, 2) scratch. Gauss-Seidel.
    """
    rows = shift.shape[0] // columns
    for n in range(shift.shape[0]):
        before[n, 0], before[n, 1] = shift[n, 0], shift[n, 1]
    for _ in range(sweeps):
        for row in range(rows):
            for column in range(columns):
                n = row * columns + column
                t = trust[n]
                a, b, c = t * sums[n, 0], t * sums[n, 1], t * sums[n, 2]
                right = n + 1 if column < columns - 1 else n - 1
                left = n - 1 if column > 0 else n + 1
                below = n + columns if row < rows - 1 else n - columns
                above = n - columns if row > 0 else n + columns
                x = shift[left, 0] + shift[right, 0] + shift[above, 0] + shift[below, 0]
                y = shift[left, 1] + shift[right, 1] + shift[above, 1] + shift[below, 1]
                x = stiffness * x + t * sums[n, 3] + a * before[n, 0] + b * before[n, 1]
                y = stiffness * y + t * sums[n, 4] + b * before[n, 0] + c * before[n, 1]
                a += 4 * stiffness + pull
                c += 4 * stiffness + pull
                whole = 1 / (a * c - b * b)
                shift[n, 0] = (c * x - b * y) * whole
                shift[n, 1] = (a * y - b * x) * whole
