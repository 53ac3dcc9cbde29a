"""Numba kernels of the photometric term: weights, Jacobian rows, and the equations of the albedo."""

# mypy: disable-error-code="no-untyped-def,untyped-decorator"
# Kernels are typed by their numba signatures.

from __future__ import annotations

import numpy as np
from numba import njit

_FAST = {"cache": True, "nogil": True, "fastmath": True, "error_model": "numpy"}
_R1, _R2 = "Array(f4,1,'C',readonly=True)", "Array(f4,2,'C',readonly=True)"
_R3 = "Array(f4,3,'C',readonly=True)"
_I2 = "Array(i4,2,'C',readonly=True)"
_EXPRESSIONS, _POSE = 52, 6


@njit(f"void({_R3},{_R3},f4,f4[:,::1])", **_FAST)
def weigh(colours, drawn, tolerance, weight):  # pragma: no cover - compiled
    """weight: (H, W): how much each pixel counts; 0 where no skin is drawn.

    colours: (H, W, 3) seen; drawn: (H, W, 4), colour and, last, how far the surface is to be trusted there. A pixel
    that is off by `tolerance` counts half (Cauchy's weight).
    """
    for row in range(weight.shape[0]):
        for column in range(weight.shape[1]):
            trust = drawn[row, column, 3]
            if trust <= 0:
                weight[row, column] = 0
                continue
            off = np.float32(0)
            for k in range(3):
                d = colours[row, column, k] - drawn[row, column, k]
                off += d * d
            weight[row, column] = trust / (1 + off / (3 * tolerance * tolerance))


@njit(
    f"void({_R3},{_R3},{_R2},{_I2},{_R3},i8[::1],{_I2},{_R2},{_R3},{_R2},{_R1},f4,f4[:,::1],f4[::1])",
    **_FAST,
)
def photometric_rows(
    colours, drawn, weight, triangle, barycentric, pixels, triangles, points, columns,
    rotation, translation, focal, jacobian, residual,
):  # fmt: skip  # pragma: no cover - compiled
    """Two rows for each of `pixels` (flat indices): how the residual changes with everything that is estimated.

    The three colours of a pixel see the same motion, so their rows G (3, 2) @ D (2, N) are replaced by the two of
    R @ D with R'R = G'G (Cholesky): the same normal equations with two thirds of the work. G is the mean of the
    gradients of the picture and of the drawing, which makes Gauss-Newton converge as if it knew second derivatives
    (Benhimane and Malis 2004, "Real-time image-based tracking of planes using efficient second-order minimization").
    Shading and visibility are held during one step.

    points: (V, 3) head space, cm; columns: (V, 3, K) their displacement per unit: 52 weights, then shape.
    jacobian: (2 P, K + 7), in the order of `landmark_term.Linearised`; residual: (2 P,).
    """
    height, width = weight.shape
    count = columns.shape[2]
    last = count + _POSE
    with_shape = jacobian.shape[1] > _EXPRESSIONS + _POSE
    for p in range(pixels.shape[0]):
        row = pixels[p] // width
        column = pixels[p] - row * width
        w = weight[row, column]
        t = triangle[row, column]
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        l0, l1 = barycentric[row, column, 0], barycentric[row, column, 1]
        l2 = 1 - l0 - l1

        top, bottom = max(row - 1, 0), min(row + 1, height - 1)
        left, right = max(column - 1, 0), min(column + 1, width - 1)
        drawn_x = weight[row, left] > 0 and weight[row, right] > 0
        drawn_y = weight[top, column] > 0 and weight[bottom, column] > 0
        sxx, sxy, syy = np.float32(0), np.float32(0), np.float32(0)
        bx, by = np.float32(0), np.float32(0)
        half = np.float32(0.5)
        for k in range(3):
            gx = (colours[row, right, k] - colours[row, left, k]) * half
            gy = (colours[bottom, column, k] - colours[top, column, k]) * half
            if drawn_x:
                gx = half * (gx + (drawn[row, right, k] - drawn[row, left, k]) * half)
            if drawn_y:
                gy = half * (gy + (drawn[bottom, column, k] - drawn[top, column, k]) * half)
            r = drawn[row, column, k] - colours[row, column, k]
            sxx += gx * gx
            sxy += gx * gy
            syy += gy * gy
            bx += gx * r
            by += gy * r
        # Cholesky of w G'G; a pixel on a flat patch says nothing.
        small = np.float32(1e-9)
        r00 = np.sqrt(w * sxx + small)
        r01 = w * sxy / r00
        r11 = np.sqrt(max(w * syy - r01 * r01, np.float32(0)) + small)
        y0 = w * bx / r00
        y1 = (w * by - r01 * y0) / r11

        px = l0 * points[a, 0] + l1 * points[b, 0] + l2 * points[c, 0]
        py = l0 * points[a, 1] + l1 * points[b, 1] + l2 * points[c, 1]
        pz = l0 * points[a, 2] + l1 * points[b, 2] + l2 * points[c, 2]
        yx = rotation[0, 0] * px + rotation[0, 1] * py + rotation[0, 2] * pz
        yy = rotation[1, 0] * px + rotation[1, 1] * py + rotation[1, 2] * pz
        yz = rotation[2, 0] * px + rotation[2, 1] * py + rotation[2, 2] * pz
        x, y, depth = yx + translation[0], yy + translation[1], -(yz + translation[2])
        f = focal / depth
        fx, fy = f * x / depth, f * y / depth
        for which in range(2):
            u = r00 if which == 0 else np.float32(0)
            v = r01 if which == 0 else r11
            out = jacobian[2 * p + which]
            residual[2 * p + which] = y0 if which == 0 else y1
            # This row by a motion in camera space; v grows downwards.
            mx, my, mz = u * f, -v * f, u * fx - v * fy
            hx = mx * rotation[0, 0] + my * rotation[1, 0] + mz * rotation[2, 0]
            hy = mx * rotation[0, 1] + my * rotation[1, 1] + mz * rotation[2, 1]
            hz = mx * rotation[0, 2] + my * rotation[1, 2] + mz * rotation[2, 2]
            ax, ay, az = hx * l0, hy * l0, hz * l0
            dx, dy, dz = hx * l1, hy * l1, hz * l1
            ex, ey, ez = hx * l2, hy * l2, hz * l2
            ca, cb, cc = columns[a], columns[b], columns[c]
            for k in range(_EXPRESSIONS):
                out[k] = (
                    ax * ca[0, k] + ay * ca[1, k] + az * ca[2, k]
                    + dx * cb[0, k] + dy * cb[1, k] + dz * cb[2, k]
                    + ex * cc[0, k] + ey * cc[1, k] + ez * cc[2, k]
                )  # fmt: skip
            out[_EXPRESSIONS] = yy * mz - yz * my
            out[_EXPRESSIONS + 1] = yz * mx - yx * mz
            out[_EXPRESSIONS + 2] = yx * my - yy * mx
            out[_EXPRESSIONS + 3] = mx
            out[_EXPRESSIONS + 4] = my
            out[_EXPRESSIONS + 5] = mz
            if with_shape:
                for k in range(_EXPRESSIONS, count):
                    out[k + _POSE] = (
                        ax * ca[0, k] + ay * ca[1, k] + az * ca[2, k]
                        + dx * cb[0, k] + dy * cb[1, k] + dz * cb[2, k]
                        + ex * cc[0, k] + ey * cc[1, k] + ez * cc[2, k]
                    )  # fmt: skip
                out[last] = u * f * x - v * f * y


@njit(
    f"void({_R3},{_R2},{_I2},{_R3},{_I2},{_R2},f4[:,:,:,::1],f4[:,::1])",
    **_FAST,
)
def albedo_equations(
    colours, weight, triangle, barycentric, triangles, shading, matrix, right
):  # pragma: no cover - compiled
    """Add one picture's share to the normal equations of the albedo, see `skin.AlbedoEstimate`.

    weight: (H, W); shading: (N, 3); matrix: (T, 3, 3, 3) by triangle, channel, corner, corner; right: (N, 3).
    """
    for row in range(weight.shape[0]):
        for column in range(weight.shape[1]):
            w = weight[row, column]
            t = triangle[row, column]
            if w <= 0 or t < 0:
                continue
            l0, l1 = barycentric[row, column, 0], barycentric[row, column, 1]
            l2 = 1 - l0 - l1
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            for k in range(3):
                s0, s1, s2 = l0 * shading[a, k], l1 * shading[b, k], l2 * shading[c, k]
                value = w * colours[row, column, k]
                right[a, k] += s0 * value
                right[b, k] += s1 * value
                right[c, k] += s2 * value
                m = matrix[t, k]
                m[0, 0] += w * s0 * s0
                m[0, 1] += w * s0 * s1
                m[0, 2] += w * s0 * s2
                m[1, 0] += w * s0 * s1
                m[1, 1] += w * s1 * s1
                m[1, 2] += w * s1 * s2
                m[2, 0] += w * s0 * s2
                m[2, 1] += w * s1 * s2
                m[2, 2] += w * s2 * s2
