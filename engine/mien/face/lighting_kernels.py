"""Numba kernels of live light: read the colours of a few hundred points of the skin, solve for what lights them."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator"
# Kernels are typed by their numba signatures.

from __future__ import annotations

import numpy as np
from numba import njit

from mien.face.light import HARMONIC_SCALE

_FAST = {"cache": True, "nogil": True, "fastmath": True, "error_model": "numpy"}
_F1, _F2 = "f4[::1]", "f4[:,::1]"
_R1, _R2 = "Array(f4,1,'C',readonly=True)", "Array(f4,2,'C',readonly=True)"
_I1 = "Array(i4,1,'C',readonly=True)"
_PICTURE = "Array(u1,3,'C',readonly=True)"

_GRAZING, _FACING = np.float32(0.25), np.float32(0.6)
"""Cosine to the line of sight up to which a point is not looked at, and from which on it counts fully."""
_DARK, _BURNT = np.float32(0.02), np.float32(0.98)
"""Beyond these the camera has cut the colour off: it says less about light than about exposure."""
_NOISE = np.float32(0.05)
"""Difference in colour at which a point counts half: shadows, highlights, hair, a hand."""
_ROUNDS = 2
_SCALE = tuple(HARMONIC_SCALE.tolist())


@njit(f"void({_PICTURE},{_R2},{_R2},{_R2},{_I1},{_R1},{_R2},{_R1},f4,{_F2},{_F2},{_F1})", **_FAST)
def observe(
    pixels, seen, posed, normals, chosen, weight, rotation, translation, reach, basis, colours, share
):  # fmt: skip  # pragma: no cover - compiled
    """What the picture shows of the skin: colours (P, 3) in [0, 1], basis (P, 9), the harmonics of the normals in
    camera space, and share (P,), how much each point is to be believed: 0 where it is turned away or outside.

    seen: (L, 2) px; posed: (L, 3) cm and normals: (L, 3) of any length, head space; chosen: (P,) which of the L are
    looked at; weight: (P,); reach: px, the arm of the cross of five places that a colour is the mean of.
    """
    height, width = pixels.shape[0], pixels.shape[1]
    for p in range(chosen.shape[0]):
        v = chosen[p]
        x, y, z = normals[v, 0], normals[v, 1], normals[v, 2]
        short = 1 / np.sqrt(max(x * x + y * y + z * z, np.float32(1e-12)))
        nx = (rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * z) * short
        ny = (rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * z) * short
        nz = (rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2] * z) * short
        x, y, z = posed[v, 0], posed[v, 1], posed[v, 2]
        px = rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * z + translation[0]
        py = rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * z + translation[1]
        pz = rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2] * z + translation[2]
        facing = -(nx * px + ny * py + nz * pz) / np.sqrt(max(px * px + py * py + pz * pz, np.float32(1e-12)))
        share[p] = weight[p] * min(
            max((facing - _GRAZING) / (_FACING - _GRAZING), np.float32(0)), np.float32(1)
        )
        basis[p, 0] = np.float32(_SCALE[0])
        basis[p, 1] = np.float32(_SCALE[1]) * ny
        basis[p, 2] = np.float32(_SCALE[2]) * nz
        basis[p, 3] = np.float32(_SCALE[3]) * nx
        basis[p, 4] = np.float32(_SCALE[4]) * nx * ny
        basis[p, 5] = np.float32(_SCALE[5]) * ny * nz
        basis[p, 6] = np.float32(_SCALE[6]) * (3 * nz * nz - 1)
        basis[p, 7] = np.float32(_SCALE[7]) * nx * nz
        basis[p, 8] = np.float32(_SCALE[8]) * (nx * nx - ny * ny)
        # Pixel centres are at .5.
        x0, y0 = seen[v, 0] - np.float32(0.5), seen[v, 1] - np.float32(0.5)
        colours[p, 0] = colours[p, 1] = colours[p, 2] = 0
        inside = x0 >= reach and y0 >= reach and x0 < width - 1 - reach and y0 < height - 1 - reach
        if not inside or share[p] <= 0:
            share[p] = 0
            continue
        for tap in range(5):
            x = x0 + (reach if tap == 1 else (-reach if tap == 2 else np.float32(0)))
            y = y0 + (reach if tap == 3 else (-reach if tap == 4 else np.float32(0)))
            i, j = int(x), int(y)
            u, w = x - np.float32(i), y - np.float32(j)
            for k in range(3):
                above = pixels[j, i, k] * (1 - u) + pixels[j, i + 1, k] * u
                below = pixels[j + 1, i, k] * (1 - u) + pixels[j + 1, i + 1, k] * u
                colours[p, k] += above * (1 - w) + below * w
        for k in range(3):
            colours[p, k] /= np.float32(5 * 255)
        least = min(colours[p, 0], colours[p, 1], colours[p, 2])
        most = max(colours[p, 0], colours[p, 1], colours[p, 2])
        if most > _BURNT or least < _DARK:
            share[p] *= np.float32(0.1)


@njit(f"void({_R2},{_R2},{_R1},{_R2},{_R2},f4,{_F2},{_F1})", **_FAST)
def solve(basis, colours, share, albedo, rest, firmness, light, trusted):  # pragma: no cover - compiled
    """light (9, 3): what makes `albedo` (P, 3) look like `colours`, starting from itself, from `rest` where it is
    zero. trusted: (P,) gets each point's weight in the end.

    Iteratively reweighted least squares (Cauchy). What the points don't determine is drawn to `rest` (9, 3), as
    bright as the picture is, by `firmness`, a share of the points' own weight.
    """
    count = basis.shape[0]
    gain = np.empty(3, np.float32)
    for k in range(3):
        over, under = np.float32(0), np.float32(1e-9)
        for p in range(count):
            s = np.float32(0)
            for i in range(9):
                s += basis[p, i] * rest[i, k]
            s *= albedo[p, k]
            over += share[p] * s * colours[p, k]
            under += share[p] * s * s
        gain[k] = over / under
    if light[0, 0] == 0:
        for k in range(3):
            for i in range(9):
                light[i, k] = gain[k] * rest[i, k]
    matrix, right, row = np.empty((9, 9), np.float64), np.empty((9, 3), np.float64), np.empty(9, np.float64)
    for _ in range(_ROUNDS):
        matrix[:] = 0
        right[:] = 0
        for p in range(count):
            trusted[p] = 0
            if share[p] <= 0:
                continue
            off, bright = np.float32(0), np.float32(0)
            for k in range(3):
                s = np.float32(0)
                for i in range(9):
                    s += basis[p, i] * light[i, k]
                off += abs(colours[p, k] - albedo[p, k] * s)
                bright += albedo[p, k]
            off /= 3 * _NOISE
            trusted[p] = share[p] / (1 + off * off)
            # Weighted by the mean of the albedo's channels, not by each its own, the three share one matrix.
            bright /= 3
            w = trusted[p] * bright * bright
            for i in range(9):
                row[i] = w * basis[p, i]
                for j in range(i + 1):
                    matrix[i, j] += row[i] * basis[p, j]
            for k in range(3):
                lit = colours[p, k] / albedo[p, k]
                for i in range(9):
                    right[i, k] += row[i] * lit
        ridge = 1e-9
        for i in range(9):
            ridge += firmness * matrix[i, i]
        for i in range(9):
            matrix[i, i] += ridge
            for k in range(3):
                right[i, k] += ridge * gain[k] * rest[i, k]
        # Cholesky, then forwards and backwards.
        for i in range(9):
            for j in range(i + 1):
                v = matrix[i, j]
                for q in range(j):
                    v -= matrix[i, q] * matrix[j, q]
                matrix[i, j] = np.sqrt(max(v, 1e-15)) if i == j else v / matrix[j, j]
        for k in range(3):
            for i in range(9):
                v = right[i, k]
                for q in range(i):
                    v -= matrix[i, q] * right[q, k]
                right[i, k] = v / matrix[i, i]
            for i in range(8, -1, -1):
                v = right[i, k]
                for q in range(i + 1, 9):
                    v -= matrix[q, i] * right[q, k]
                right[i, k] = v / matrix[i, i]
                light[i, k] = right[i, k]
