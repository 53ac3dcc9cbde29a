"""Numba kernels of the landmark fit: Gauss-Newton over pose and expression in a box.

Unknowns, in this order: the expression weights (E of them), then the left-multiplied rotation
increment (3, radians) and the translation increment (3, cm). Residuals are in cm in the plane of the
face, so that weights and priors mean the same for a large and for a small picture.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator"
# Kernels are typed by their numba signatures.

from __future__ import annotations

import numpy as np
from numba import njit

POSE = 6

_FAST = {"cache": True, "nogil": True, "fastmath": True, "error_model": "numpy"}

_F1, _F2, _F3 = "f4[::1]", "f4[:,::1]", "f4[:,:,::1]"
_R1, _R2 = "Array(f4,1,'C',readonly=True)", "Array(f4,2,'C',readonly=True)"
_R3 = "Array(f4,3,'C',readonly=True)"
_I1, _I2 = "Array(i4,1,'C',readonly=True)", "Array(i4,2,'C',readonly=True)"


@njit(f"void({_F2},{_F1})", **_FAST)
def rotate_left(rotation, increment):  # pragma: no cover - compiled
    """rotation <- exp(increment) rotation, in place (Rodrigues), then made orthonormal again."""
    x, y, z = increment[0], increment[1], increment[2]
    angle = np.sqrt(x * x + y * y + z * z)
    if angle > np.float32(1e-9):
        a = np.sin(angle) / angle
        b = (1 - np.cos(angle)) / (angle * angle)
    else:
        a, b = np.float32(1.0), np.float32(0.5)
    for c in range(3):
        p, q, r = rotation[0, c], rotation[1, c], rotation[2, c]
        # w x v, and w x (w x v)
        u0, u1, u2 = y * r - z * q, z * p - x * r, x * q - y * p
        rotation[0, c] = p + a * u0 + b * (y * u2 - z * u1)
        rotation[1, c] = q + a * u1 + b * (z * u0 - x * u2)
        rotation[2, c] = r + a * u2 + b * (x * u1 - y * u0)
    # Gram-Schmidt over the rows: float32 drifts over hours of increments.
    for i in range(3):
        for j in range(i):
            d = np.float32(0)
            for c in range(3):
                d += rotation[i, c] * rotation[j, c]
            for c in range(3):
                rotation[i, c] -= d * rotation[j, c]
        n = np.float32(0)
        for c in range(3):
            n += rotation[i, c] * rotation[i, c]
        n = 1 / np.sqrt(n)
        for c in range(3):
            rotation[i, c] *= n


@njit(
    f"void({_R2},{_R2},{_R3},{_R1},{_R2},{_I2},{_R1},f4,f4,f4,{_R2},{_R1},{_R1},{_F2},{_F1},{_F2},{_F1},{_F2})",
    **_FAST,
)
def normal_equations(
    points, base, basis, weights, normals, pairs, pair_weights,
    focal, cx, cy, rotation, translation, expression,
    matrix, right, jacobian, residual, reach,
):  # fmt: skip  # pragma: no cover - compiled
    """Linearise at the present state and write matrix (E + 6, E + 6) and right side (E + 6,).

    points: (L, 2) px. base: (3, L) neutral landmarks, cm. basis: (E, 3, L). weights: (L,).
    normals: (3, L). pairs: (P, 2) landmarks whose difference counts with pair_weights: (P,).
    Scratch: jacobian (E + 6, 2L + 2P), residual (2L + 2P,), reach (12, L). Everything runs along the
    landmarks, so that loops become vector instructions.
    """
    shapes, count = basis.shape[0], basis.shape[2]
    size = shapes + POSE
    scale = -translation[2] / focal

    px, py, pz = reach[9], reach[10], reach[11]
    for l in range(count):
        px[l], py[l], pz[l] = base[0, l], base[1, l], base[2, l]
    for e in range(shapes):
        w = expression[e]
        if w != 0:
            for l in range(count):
                px[l] += w * basis[e, 0, l]
                py[l] += w * basis[e, 1, l]
                pz[l] += w * basis[e, 2, l]

    r00, r01, r02 = rotation[0, 0], rotation[0, 1], rotation[0, 2]
    r10, r11, r12 = rotation[1, 0], rotation[1, 1], rotation[1, 2]
    r20, r21, r22 = rotation[2, 0], rotation[2, 1], rotation[2, 2]
    tx, ty, tz = translation[0], translation[1], translation[2]
    for l in range(count):
        yx = r00 * px[l] + r01 * py[l] + r02 * pz[l]
        yy = r10 * px[l] + r11 * py[l] + r12 * pz[l]
        yz = r20 * px[l] + r21 * py[l] + r22 * pz[l]
        x, y, z = yx + tx, yy + ty, -(yz + tz)
        k = focal * scale / z
        kx, ky = k * x / z, k * y / z
        # What turns away from the camera is guessed by the landmark network.
        nx = r00 * normals[0, l] + r01 * normals[1, l] + r02 * normals[2, l]
        ny = r10 * normals[0, l] + r11 * normals[1, l] + r12 * normals[2, l]
        nz = r20 * normals[0, l] + r21 * normals[1, l] + r22 * normals[2, l]
        facing = (nz * z - nx * x - ny * y) / np.sqrt(x * x + y * y + z * z)
        share = min(max(np.float32(0.4) + facing * np.float32(1.5), np.float32(0.15)), np.float32(1))
        reach[8, l] = np.sqrt(weights[l] * share)
        residual[l] = (points[l, 0] - cx) * scale - k * x
        residual[count + l] = (cy - points[l, 1]) * scale - k * y
        # How the two image coordinates move with a point of the head, in head space.
        reach[0, l] = k * r00 + kx * r20
        reach[1, l] = k * r01 + kx * r21
        reach[2, l] = k * r02 + kx * r22
        reach[3, l] = k * r10 + ky * r20
        reach[4, l] = k * r11 + ky * r21
        reach[5, l] = k * r12 + ky * r22
        jacobian[shapes, l] = yy * kx
        jacobian[shapes + 1, l] = yz * k - yx * kx
        jacobian[shapes + 2, l] = -yy * k
        jacobian[shapes + 3, l] = k
        jacobian[shapes + 4, l] = 0
        jacobian[shapes + 5, l] = kx
        jacobian[shapes, count + l] = yy * ky - yz * k
        jacobian[shapes + 1, count + l] = -yx * ky
        jacobian[shapes + 2, count + l] = yx * k
        jacobian[shapes + 3, count + l] = 0
        jacobian[shapes + 4, count + l] = k
        jacobian[shapes + 5, count + l] = ky
    for e in range(shapes):
        for l in range(count):
            bx, by, bz = basis[e, 0, l], basis[e, 1, l], basis[e, 2, l]
            jacobian[e, l] = reach[0, l] * bx + reach[1, l] * by + reach[2, l] * bz
            jacobian[e, count + l] = reach[3, l] * bx + reach[4, l] * by + reach[5, l] * bz

    # Rows of differences, then every row times the root of its weight.
    for p in range(pairs.shape[0]):
        upper, lower = pairs[p, 0], pairs[p, 1]
        w = np.sqrt(pair_weights[p])
        for axis in range(2):
            column, shift = 2 * count + 2 * p + axis, axis * count
            residual[column] = w * (residual[shift + upper] - residual[shift + lower])
            for a in range(size):
                jacobian[a, column] = w * (jacobian[a, shift + upper] - jacobian[a, shift + lower])
    for l in range(count):
        residual[l] *= reach[8, l]
        residual[count + l] *= reach[8, l]
    for a in range(size):
        for l in range(count):
            jacobian[a, l] *= reach[8, l]
            jacobian[a, count + l] *= reach[8, l]

    rows = residual.shape[0]
    for a in range(size):
        s = np.float32(0)
        for r in range(rows):
            s += jacobian[a, r] * residual[r]
        right[a] = s
        # Four at a time, so that what is read of the one counts for all.
        for b in range(0, a - 2, 4):
            s0, s1, s2, s3 = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            for r in range(rows):
                j = jacobian[a, r]
                s0 += j * jacobian[b, r]
                s1 += j * jacobian[b + 1, r]
                s2 += j * jacobian[b + 2, r]
                s3 += j * jacobian[b + 3, r]
            matrix[a, b], matrix[a, b + 1], matrix[a, b + 2], matrix[a, b + 3] = s0, s1, s2, s3
            matrix[b, a], matrix[b + 1, a], matrix[b + 2, a], matrix[b + 3, a] = s0, s1, s2, s3
        for b in range((a + 1) // 4 * 4, a + 1):
            s = np.float32(0)
            for r in range(rows):
                s += jacobian[a, r] * jacobian[b, r]
            matrix[a, b] = s
            matrix[b, a] = s


@njit(f"void({_F2},{_F1},{_R1},{_R1},{_R1},f4,f4)", **_FAST)
def add_priors(matrix, right, expression, before, ridge, steadiness, damping):  # pragma: no cover - compiled
    """Turn the increments of `normal_equations` into weights, from `expression` (E,), and draw these to zero by `ridge`
    (E,) and to those of the frame `before` (E,) by `steadiness`; the increments of the pose to zero by `damping`.
    """
    shapes = expression.shape[0]
    for a in range(right.shape[0]):
        for b in range(shapes):
            right[a] += matrix[a, b] * expression[b]
    for a in range(right.shape[0]):
        if a < shapes:
            right[a] += steadiness * before[a]
            matrix[a, a] += ridge[a] + steadiness
        else:
            matrix[a, a] += damping


@njit(f"f4({_R2},{_R2},{_R3},{_R1},f4,f4,f4,{_R2},{_R1},{_R1},{_F2})", **_FAST)
def project(
    points, base, basis, weights, focal, cx, cy, rotation, translation, expression, out
):  # pragma: no cover - compiled
    """Project the posed landmarks into out (L, 2) px; return the mean distance in px from `points`.

    Arguments as in `normal_equations`; the mean is over the landmarks with a weight.
    """
    shapes, count = basis.shape[0], basis.shape[2]
    total, firm = np.float32(0), 0
    for l in range(count):
        px, py, pz = base[0, l], base[1, l], base[2, l]
        for e in range(shapes):
            w = expression[e]
            if w != 0:
                px += w * basis[e, 0, l]
                py += w * basis[e, 1, l]
                pz += w * basis[e, 2, l]
        x = rotation[0, 0] * px + rotation[0, 1] * py + rotation[0, 2] * pz + translation[0]
        y = rotation[1, 0] * px + rotation[1, 1] * py + rotation[1, 2] * pz + translation[1]
        z = -(rotation[2, 0] * px + rotation[2, 1] * py + rotation[2, 2] * pz + translation[2])
        out[l, 0] = cx + focal * x / z
        out[l, 1] = cy - focal * y / z
        if weights[l] > 0:
            dx, dy = out[l, 0] - points[l, 0], out[l, 1] - points[l, 1]
            total += np.sqrt(dx * dx + dy * dy)
            firm += 1
    return total / max(firm, 1)


@njit(f"i8({_R2},{_R1},{_F1},{_R1},{_R1},{_F2},{_F1},i8[::1])", **_FAST)
def solve_boxed(matrix, right, x, low, high, factor, work, active):  # pragma: no cover - compiled
    """Minimise 1/2 x' matrix x - right' x subject to low <= x <= high, from x, in place.

    A primal active-set method with Cholesky factors of the free part: warm-started from the frame
    before, it needs two or three factorisations. matrix: (N, N) symmetric positive definite. factor:
    (N, N), work: (N,), active: (N,) are scratch. Returns the number of factorisations.
    """
    n = x.shape[0]
    for i in range(n):
        x[i] = min(max(x[i], low[i]), high[i])
        active[i] = 1 if low[i] == high[i] else 0
    # At a bound with the gradient pushing outwards: held there.
    for i in range(n):
        if active[i] == 0 and (x[i] == low[i] or x[i] == high[i]):
            g = -right[i]
            for j in range(n):
                g += matrix[i, j] * x[j]
            if (x[i] == low[i] and g > 0) or (x[i] == high[i] and g < 0):
                active[i] = 2
    rounds = 0
    while rounds < 30:
        rounds += 1
        # Cholesky of the free block, in place of rows and columns of the free variables.
        m = 0
        for i in range(n):
            if active[i] == 0:
                s = right[i]
                for j in range(n):
                    if active[j] != 0:
                        s -= matrix[i, j] * x[j]
                c = 0
                for j in range(i + 1):
                    if active[j] == 0:
                        v = matrix[i, j]
                        for q in range(c):
                            v -= factor[m, q] * factor[c, q]
                        if c == m:
                            factor[m, m] = np.sqrt(max(v, np.float32(1e-12)))
                        else:
                            factor[m, c] = v / factor[c, c]
                        c += 1
                for q in range(m):
                    s -= factor[m, q] * work[q]
                work[m] = s / factor[m, m]
                m += 1
        for a in range(m - 1, -1, -1):
            s = work[a]
            for q in range(a + 1, m):
                s -= factor[q, a] * work[q]
            work[a] = s / factor[a, a]
        # Everything that wants past a bound is held there at once: fewer rounds, same end.
        held = 0
        a = 0
        for i in range(n):
            if active[i] == 0:
                x[i] = min(max(work[a], low[i]), high[i])
                if x[i] != work[a]:
                    active[i] = 2
                    held += 1
                a += 1
        if held > 0:
            continue
        # Optimal among the free: let go of the bound that pulls hardest inwards, if any does.
        worst, which = np.float32(1e-6), -1
        for i in range(n):
            if active[i] == 2:
                g = -right[i]
                for j in range(n):
                    g += matrix[i, j] * x[j]
                inwards = -g if x[i] == low[i] else g
                if inwards > worst:
                    worst, which = inwards, i
        if which < 0:
            break
        active[which] = 0
    return rounds


@njit(
    f"void({_R2},{_R2},{_R1},f4,f4,f4,{_R3},{_R2},{_R1},{_F2},{_F1},{_F3},{_F2},{_F1},{_F2})",
    **_FAST,
)
def shape_equations(
    points, posed, weights, focal, cx, cy, identity, rotation, translation,
    matrix, right, offset_matrix, offset_right, row, reach,
):  # fmt: skip  # pragma: no cover - compiled
    """Add one frame's share to the normal equations of identity and offsets, as increments.

    points: (L, 2) px. posed: (L, 3) landmarks as they are posed now, cm, head space. identity:
    (L, I, 3). matrix: (I, I) lower triangle, right: (I,). offset_matrix: (L, 3, 3), offset_right:
    (L, 3). row: (I,) and reach: (2, 3) are scratch.
    """
    modes = identity.shape[1]
    scale = -translation[2] / focal
    for l in range(points.shape[0]):
        w = weights[l]
        if w <= 0:
            continue
        px, py, pz = posed[l, 0], posed[l, 1], posed[l, 2]
        x = rotation[0, 0] * px + rotation[0, 1] * py + rotation[0, 2] * pz + translation[0]
        y = rotation[1, 0] * px + rotation[1, 1] * py + rotation[1, 2] * pz + translation[1]
        z = -(rotation[2, 0] * px + rotation[2, 1] * py + rotation[2, 2] * pz + translation[2])
        k = focal * scale / z
        for axis in range(2):
            gz = k * (x if axis == 0 else y) / z
            for c in range(3):
                reach[axis, c] = k * rotation[axis, c] + gz * rotation[2, c]
            off = points[l, 0] - cx if axis == 0 else cy - points[l, 1]
            r = off * scale - k * (x if axis == 0 else y)
            h0, h1, h2 = reach[axis, 0], reach[axis, 1], reach[axis, 2]
            for i in range(modes):
                row[i] = h0 * identity[l, i, 0] + h1 * identity[l, i, 1] + h2 * identity[l, i, 2]
            for i in range(modes):
                right[i] += w * r * row[i]
                f = w * row[i]
                m = matrix[i]
                for j in range(i + 1):
                    m[j] += f * row[j]
            for a in range(3):
                offset_right[l, a] += r * reach[axis, a]
                for b in range(3):
                    offset_matrix[l, a, b] += reach[axis, a] * reach[axis, b]


@njit(f"void({_R1},f4,f4,f4,{_R2},{_R1},{_R1},f4,{_F1})", **_FAST)
def iris_direction(
    iris, focal, cx, cy, rotation, translation, centre, reach, out
):  # pragma: no cover - compiled
    """Yaw and pitch, head space, of the ray from the eyeball's centre to the iris centre seen at `iris`.

    iris: (2,) px. centre: (3,) cm, head space. reach: distance of the iris centre from it, cm. The line
    of sight through the pixel is cut with the sphere that the iris centre moves on; past its rim, the
    nearest point of the rim counts. out: (2,) radians.
    """
    sx, sy, sz = (iris[0] - cx) / focal, (cy - iris[1]) / focal, np.float32(-1)
    length = np.sqrt(sx * sx + sy * sy + 1)
    sx, sy, sz = sx / length, sy / length, sz / length
    bx = rotation[0, 0] * centre[0] + rotation[0, 1] * centre[1] + rotation[0, 2] * centre[2] + translation[0]
    by = rotation[1, 0] * centre[0] + rotation[1, 1] * centre[1] + rotation[1, 2] * centre[2] + translation[1]
    bz = rotation[2, 0] * centre[0] + rotation[2, 1] * centre[1] + rotation[2, 2] * centre[2] + translation[2]
    along = sx * bx + sy * by + sz * bz
    mx, my, mz = sx * along - bx, sy * along - by, sz * along - bz
    rest = reach * reach - (mx * mx + my * my + mz * mz)
    if rest > 0:
        back = np.sqrt(rest)
        mx, my, mz = mx - sx * back, my - sy * back, mz - sz * back
    x = rotation[0, 0] * mx + rotation[1, 0] * my + rotation[2, 0] * mz
    y = rotation[0, 1] * mx + rotation[1, 1] * my + rotation[2, 1] * mz
    z = rotation[0, 2] * mx + rotation[1, 2] * my + rotation[2, 2] * mz
    out[0] = np.arctan2(x, z)
    out[1] = np.arctan2(y, np.sqrt(x * x + z * z))


@njit(f"void({_R2},{_R2},{_I1},f4,f4,f4,{_R2},{_R1},{_R1},{_F2})", **_FAST)
def follow_corners(
    points, base, corners, focal, cx, cy, rotation, translation, share, centres
):  # pragma: no cover - compiled
    """Move `centres` (N, 3) cm, head space, by a `share` (2,), across and up in the picture, of how far the corners are
    seen from where the pose has them. points: (L, 2) px; base: (L, 3) cm; corners: which of these.
    """
    across, up = np.float32(0), np.float32(0)
    for c in range(corners.shape[0]):
        p = corners[c]
        px, py, pz = base[p, 0], base[p, 1], base[p, 2]
        x = rotation[0, 0] * px + rotation[0, 1] * py + rotation[0, 2] * pz + translation[0]
        y = rotation[1, 0] * px + rotation[1, 1] * py + rotation[1, 2] * pz + translation[1]
        z = rotation[2, 0] * px + rotation[2, 1] * py + rotation[2, 2] * pz + translation[2]
        cm_per_px = -z / focal
        across += (points[p, 0] - cx) * cm_per_px - x
        up += (cy - points[p, 1]) * cm_per_px - y
    across *= share[0] / corners.shape[0]
    up *= share[1] / corners.shape[0]
    for n in range(centres.shape[0]):
        for k in range(3):
            centres[n, k] += across * rotation[0, k] + up * rotation[1, k]
