"""Kernels for the small full-resolution windows around mouth and eyes, drawn over the warped picture.

A window is rasterized at several samples per pixel. What the samples say is the skin, or what lies in the
opening, or neither; the skin comes from the source, the opening's inside is drawn by `inside_mouth` and
`inside_eye`: line of sight by line of sight, against a bent sheet, an ellipsoid or a ball.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mien.frames import Bytes, Float
from mien_photo import eyes, teeth

Ints = NDArray[np.int32]

_F = np.float32
_FOLD_PX = _F(6.0)
_TEETH_BEHIND_CM = _F(0.14)
_FORWARD_CM = _F(0.75)
"""By how much more rounded lips stand before them."""
_EDGE_ON = _F(0.06)
"""Square of the cosine at which the line of sight meets the eyeball below which no iris is seen wholly."""
_TURNED = _F(0.3)
"""Cosine at which the line of sight meets a row of teeth below which it fades: a comb of slivers would end it."""
_LIT_CM = _F(0.5)
"""An opening this wide lets all light in that there will be."""


@njit(cache=True, nogil=True, fastmath=True)
def gather(
    triangle: Ints,
    barycentric: Float,
    triangles: Ints,
    skin_count: int,
    skin_xy: Float,
    line: Float,
    presence: Float,
    samples: int,
    out: Float,
) -> None:
    """out: (h, w, 9): share of the opening, source x and y, shade, share of skin, how smooth it is, and
    source x and y and share (of the skin) of what lies on the other side of a fold within the pixel.

    triangle, barycentric: (h * samples, w * samples); triangles from `skin_count` on span the opening.
    """
    weight = _F(1.0 / (samples * samples))
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            inside = skin = dark = smooth = _F(0.0)
            ax = ay = bx = by = first_x = first_y = _F(0.0)
            n = m = 0
            for j in range(y * samples, (y + 1) * samples):
                for i in range(x * samples, (x + 1) * samples):
                    t = triangle[j, i]
                    if t < 0:
                        continue
                    if t >= skin_count:
                        inside += weight
                        continue
                    a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
                    l0, l1 = barycentric[j, i, 0], barycentric[j, i, 1]
                    l2 = _F(1.0) - l0 - l1
                    skin += weight * (l0 * presence[a] + l1 * presence[b] + l2 * presence[c])
                    sx = l0 * skin_xy[a, 0] + l1 * skin_xy[b, 0] + l2 * skin_xy[c, 0]
                    sy = l0 * skin_xy[a, 1] + l1 * skin_xy[b, 1] + l2 * skin_xy[c, 1]
                    if n == 0:
                        first_x, first_y = sx, sy
                    # Upper and lower lip in one pixel: the mean of their places would be the teeth between.
                    if abs(sx - first_x) + abs(sy - first_y) < _FOLD_PX:
                        ax += sx
                        ay += sy
                        n += 1
                    else:
                        bx += sx
                        by += sy
                        m += 1
                    strength = l0 * line[a, 0] + l1 * line[b, 0] + l2 * line[c, 0]
                    away = l0 * line[a, 1] + l1 * line[b, 1] + l2 * line[c, 1]
                    smooth += l0 * line[a, 2] + l1 * line[b, 2] + l2 * line[c, 2]
                    dark += _F(1.0) - strength * np.exp(-away * away)
            out[y, x, 0], out[y, x, 4], out[y, x, 8] = inside, skin, _F(0.0)
            if n > 0:
                out[y, x, 1], out[y, x, 2] = ax / n, ay / n
                out[y, x, 3], out[y, x, 5] = dark / (n + m), smooth / (n + m)
            if m > 0:
                out[y, x, 6], out[y, x, 7], out[y, x, 8] = bx / m, by / m, _F(m) / _F(n + m)


@njit(cache=True, nogil=True, fastmath=True)
def bounds(
    upper: Ints,
    upper_weights: Float,
    lower: Ints,
    lower_weights: Float,
    vertices: Float,
    pose: Float,
    lens: Float,
    margin_cm: np.float32,
    above_cm: np.float32,
    out: Ints,
) -> None:
    """out: (4,) px of the picture, left, top, right, bottom around an opening and `margin_cm` more, above it also
    `above_cm`.

    upper, lower: (P, 3) vertices along its edges, with weights; vertices: (K, 3) cm; pose: (3, 4) of the head.
    """
    left = top = _F(1e9)
    right = bottom = _F(-1e9)
    away = _F(0.0)
    count = 2 * upper.shape[0]
    for i in range(count):
        corners, weights = (upper, upper_weights) if i % 2 == 0 else (lower, lower_weights)
        x = y = z = _F(0.0)
        for k in range(3):
            v, w = corners[i // 2, k], weights[i // 2, k]
            x += w * vertices[v, 0]
            y += w * vertices[v, 1]
            z += w * vertices[v, 2]
        depth = -(pose[2, 0] * x + pose[2, 1] * y + pose[2, 2] * z + pose[2, 3])
        k_px = lens[2] / max(depth, _F(1.0))
        px = lens[3] + k_px * (pose[0, 0] * x + pose[0, 1] * y + pose[0, 2] * z + pose[0, 3])
        py = lens[4] - k_px * (pose[1, 0] * x + pose[1, 1] * y + pose[1, 2] * z + pose[1, 3])
        left, right, top, bottom = min(left, px), max(right, px), min(top, py), max(bottom, py)
        away += depth / _F(count)
    scale = lens[2] / max(away, _F(1.0))
    margin = margin_cm * scale
    out[0], out[1] = np.int32(np.floor(left - margin)), np.int32(np.floor(top - margin - above_cm * scale))
    out[2], out[3] = np.int32(np.ceil(right + margin)), np.int32(np.ceil(bottom + margin))


@njit(cache=True, nogil=True, fastmath=True)
def edges(gathered: Float, top: Float, bottom: Float) -> None:
    """First and last row of the opening in each column, with fractions; bottom < 0 where there is none."""
    height, width = gathered.shape[0], gathered.shape[1]
    for x in range(width):
        top[x], bottom[x] = _F(height), _F(-1.0)
        first, last = height, -1
        for y in range(height):
            share = gathered[y, x, 0]
            if share > 0:
                if bottom[x] < 0:
                    first, top[x] = y, _F(y) + _F(1.0) - share
                last, bottom[x] = y, _F(y) + share
        if last == first:  # a slit within one row: nobody knows where in it
            middle = _F(0.5) * (top[x] + bottom[x])
            half = _F(0.5) * (bottom[x] - _F(first))
            top[x], bottom[x] = middle - half, middle + half


@njit(cache=True, nogil=True, fastmath=True)
def _bilinear(picture: Bytes, x: np.float32, y: np.float32, out: Float) -> None:
    """picture: (h, w, 3 or 4); x, y in px with centres at .5, held at the borders; out: (4,)."""
    height, width = picture.shape[0], picture.shape[1]
    x = min(max(x - _F(0.5), _F(0.0)), _F(width - 1.001))
    y = min(max(y - _F(0.5), _F(0.0)), _F(height - 1.001))
    i, j = int(x), int(y)
    u, v = x - _F(i), y - _F(j)
    a, b, c, d = (_F(1.0) - u) * (_F(1.0) - v), u * (_F(1.0) - v), (_F(1.0) - u) * v, u * v
    for k in range(picture.shape[2]):
        out[k] = (
            a * picture[j, i, k]
            + b * picture[j, i + 1, k]
            + c * picture[j + 1, i, k]
            + d * picture[j + 1, i + 1, k]
        )


@njit(cache=True, nogil=True, fastmath=True)
def mirrored(tile: Float, x: np.float32, y: np.float32) -> np.float32:
    """tile: (n, n), which goes on in its mirror image, interpolated."""
    last = tile.shape[0] - 1
    period = _F(2 * last)
    x, y = x - period * np.floor(x / period), y - period * np.floor(y / period)
    x, y = min(x, period - x), min(y, period - y)
    i, j = min(int(x), last - 1), min(int(y), last - 1)
    u, v = x - _F(i), y - _F(j)
    above = tile[j, i] + u * (tile[j, i + 1] - tile[j, i])
    below = tile[j + 1, i] + u * (tile[j + 1, i + 1] - tile[j + 1, i])
    return _F(above + v * (below - above))


@njit(cache=True, nogil=True, fastmath=True)
def _through(gap: np.float32, behind: np.float32) -> np.float32:
    """Share of the light that falls through a slit `gap` cm wide on what lies `behind` it (its view factor)."""
    return _F(gap / np.sqrt(gap * gap + _F(4.0) * behind * behind))


@njit(cache=True, nogil=True, fastmath=True)
def inside_mouth(
    gathered: Float,
    top: Float,
    bottom: Float,
    corner: Float,
    pose: Float,
    lens: Float,
    arch: Float,
    jaw: Float,
    rounded: np.float32,
    arc: Float,
    upper: Bytes,
    lower: Bytes,
    palette: Float,
    out: Float,
) -> None:
    """out: (h, w, 3) colours 0 to 255 where `gathered` says opening.

    corner: (2,) px of the window in the picture; arch: (7,) see `teeth.Arch.packed`; jaw: (4,) cm moved
    and tilt; rounded: see `apertures.roundness`; arc: (N,) length of the arch over x; palette: (4, 3) tooth, gum,
    tongue, dark.
    """
    height, width = out.shape[0], out.shape[1]
    texel = np.empty(4, np.float32)
    focal, cx, cy = lens[2], lens[3], lens[4]
    ox = -(pose[0, 0] * pose[0, 3] + pose[1, 0] * pose[1, 3] + pose[2, 0] * pose[2, 3])
    oy = -(pose[0, 1] * pose[0, 3] + pose[1, 1] * pose[1, 3] + pose[2, 1] * pose[2, 3])
    oz = -(pose[0, 2] * pose[0, 3] + pose[1, 2] * pose[1, 3] + pose[2, 2] * pose[2, 3])
    cm = -pose[2, 3] / focal
    shading = arch[6]
    half, depth, front, upper_y, lower_y = arch[0], arch[1], arch[2], arch[3], arch[4]
    widest, first, last = _F(0.0), _F(width), _F(0.0)
    for x in range(width):
        if bottom[x] >= 0:
            widest = max(widest, (bottom[x] - top[x]) * cm)
            first, last = min(first, _F(x)), _F(x)
    opened = min(widest / arch[5], _F(1.0))
    ambient = _F(0.72) + _F(0.28) * opened * (_F(2.0) - opened)
    full = _F(1.0) / _through(min(arch[5], _LIT_CM), _TEETH_BEHIND_CM)
    behind = _TEETH_BEHIND_CM + _FORWARD_CM * rounded
    # Light that comes through lips and cheeks is red; in a grey picture it is grey.
    warm = _F(1.0) - min((palette[2, 0] - palette[2, 1]) / max(palette[2, 0], _F(1.0)), _F(0.25))
    for x in range(width):
        if bottom[x] < 0:
            continue
        # Light comes in along the whole slit, most of it right in front.
        gap = _F(0.6) * (bottom[x] - top[x]) * cm + _F(0.4) * widest
        entering = min(_through(gap, behind) * full, _F(1.0))
        entering *= ambient
        overcast = _F(1.0) - min(gap / _LIT_CM, _F(1.0))
        for y in range(max(int(top[x]) - 1, 0), min(int(bottom[x]) + 2, height)):
            if gathered[y, x, 0] <= 0:
                continue
            u, v = (corner[0] + x + _F(0.5) - cx) / focal, -(corner[1] + y + _F(0.5) - cy) / focal
            dx = pose[0, 0] * u + pose[1, 0] * v - pose[2, 0]
            dy = pose[0, 1] * u + pose[1, 1] * v - pose[2, 1]
            dz = pose[0, 2] * u + pose[1, 2] * v - pose[2, 2]
            from_top = max((_F(y) + _F(0.5) - top[x]) * cm, _F(0.0))
            from_bottom = max((bottom[x] - _F(y) - _F(0.5)) * cm, _F(0.0))
            # Cheeks and palate catch some light near the lips, the throat none.
            near = min(from_top, from_bottom, (_F(x) - first) * cm, (last - _F(x)) * cm) / _F(0.7)
            glow = np.exp(-near * near)
            r = palette[3, 0] + (palette[2, 0] * _F(0.42) - palette[3, 0]) * glow
            g = palette[3, 1] + (palette[2, 1] * _F(0.36) - palette[3, 1]) * glow
            b = palette[3, 2] + (palette[2, 2] * _F(0.36) - palette[3, 2]) * glow

            # Tongue: an ellipsoid that lies in the lower arch.
            tx, ty, tz = (
                ox - jaw[0],
                oy - (lower_y + jaw[1] * _F(0.8) - _F(0.75)),
                oz - (front + jaw[2] - _F(2.3)),
            )
            ra, rb, rc = half * _F(0.68), _F(0.95), _F(2.0)
            px, py, pz = tx / ra, ty / rb, tz / rc
            qx, qy, qz = dx / ra, dy / rb, dz / rc
            qa = qx * qx + qy * qy + qz * qz
            qb = px * qx + py * qy + pz * qz
            root = qb * qb - qa * (px * px + py * py + pz * pz - _F(1.0))
            if root > 0:
                s = (-qb - np.sqrt(root)) / qa
                nx, ny, nz = (px + s * qx) / ra, (py + s * qy) / rb, (pz + s * qz) / rc
                norm = _F(1.0) / np.sqrt(nx * nx + ny * ny + nz * nz)
                lit = _F(0.30) + _F(0.62) * max((ny * _F(0.5) + nz * _F(0.87)) * norm, _F(0.0))
                hit_x, hit_z = tx + s * dx, tz + s * dz
                lit *= _F(1.0) - _F(0.16) * np.exp(-((hit_x / _F(0.22)) ** 2))
                lit *= min(max(_F(0.55) + _F(0.22) * hit_z, _F(0.25)), _F(1.0))
                soft = min(root / (qa * _F(0.08)), _F(1.0))
                r += soft * (palette[2, 0] * lit - r)
                g += soft * (palette[2, 1] * lit - g)
                b += soft * (palette[2, 2] * lit - b)

            # Lower, then upper row: sheets bent along an ellipse.
            for which in range(2):
                sx, sz = ox, oz - (front - depth)
                ha, hb = half, depth
                if which == 0:
                    ha, hb = half * _F(0.93), depth * _F(0.95)
                    sx = ox - jaw[0]
                    sz = oz - (front - _F(0.18) + jaw[2] - hb)
                ea = (dx / ha) ** 2 + (dz / hb) ** 2
                eb = sx * dx / (ha * ha) + sz * dz / (hb * hb)
                root = eb * eb - ea * ((sx / ha) ** 2 + (sz / hb) ** 2 - _F(1.0))
                if root <= 0:
                    continue
                s = (-eb - np.sqrt(root)) / ea
                hx, hy, hz = sx + s * dx, oy + s * dy, sz + s * dz
                if hz < 0:
                    continue
                place = min(abs(hx) / ha, _F(0.999)) * _F(arc.shape[0] - 1)
                k = int(place)
                length = arc[k] + (place - k) * (arc[k + 1] - arc[k])
                if which == 0:
                    length *= _F(0.93)
                    away = lower_y + jaw[1] + jaw[3] * (hz - hb) - hy
                else:
                    away = hy - upper_y
                column = (np.copysign(length, hx) / _F(2 * teeth.REACH_CM) + _F(0.5)) * upper.shape[1]
                row = (_F(teeth.ABOVE_CM) - away) / _F(teeth.ABOVE_CM + teeth.BELOW_CM) * upper.shape[0]
                if row > upper.shape[0] or row < -_F(0.35) * upper.shape[0]:
                    continue
                _bilinear(lower if which == 0 else upper, _F(column), _F(row), texel)
                share = texel[3] / _F(255.0)
                if share <= 0:
                    continue
                nx, nz = hx / (ha * ha), hz / (hb * hb)
                facing = -(nx * dx + nz * dz) / np.sqrt((nx * nx + nz * nz) * (dx * dx + dy * dy + dz * dz))
                share *= min(max(facing, _F(0.0)) / _TURNED, _F(1.0))
                lit = _F(1.0) - shading * _F(0.6) * (_F(1.0) - max(facing, _F(0.0)))
                lit *= _F(1.0) - shading * (_F(1.0) - np.exp(-max(hb - hz - _F(0.5), _F(0.0)) * _F(0.45)))
                if which == 0:
                    # The upper row stands in front of the lower one and shades what is next to its edge.
                    below = max(upper_y - hy, _F(0.0)) / _F(0.16)
                    lit *= _F(0.86) - shading * _F(0.34) * np.exp(-below * below)
                r += share * (texel[0] * lit - r)
                g += share * (texel[1] * lit - g)
                b += share * (texel[2] * lit - b)

            near = from_top / (_F(0.26) - _F(0.08) * overcast)
            shadow = _F(1.0) - (shading + overcast * (_F(1.2) - shading)) * _F(0.4) * np.exp(-near * near)
            near = from_bottom / _F(0.16)
            shadow *= _F(1.0) - shading * _F(0.25) * np.exp(-near * near)
            shadow *= entering
            out[y, x, 0], out[y, x, 1], out[y, x, 2] = r * shadow**warm, g * shadow, b * shadow


@njit(cache=True, nogil=True, fastmath=True)
def inside_eye(
    gathered: Float,
    top: Float,
    corner: Float,
    pose: Float,
    portrait: Float,
    lens: Float,
    source_lens: Float,
    ball: Float,
    look: Float,
    reflecting: Float,
    box: Float,
    white: Bytes,
    iris: Bytes,
    glint: Bytes,
    out: Float,
) -> None:
    """out: (h, w, 3) colours 0 to 255 where `gathered` says opening.

    pose, portrait: (3, 4) of the head now and in the portrait; lens, source_lens: of the picture and of
    the portrait; ball: (5,) centre, radius, iris radius, cm, head space; look: (3, 3) turns the optical
    axis +z to where the eye looks, reflecting: (3, 3) to where the reflection of the light sits on it; box:
    (3,) see `eyes.Eye`.
    """
    height, width = out.shape[0], out.shape[1]
    texel = np.empty(4, np.float32)
    focal, cx, cy = lens[2], lens[3], lens[4]
    radius = ball[3]
    ox = -(pose[0, 0] * pose[0, 3] + pose[1, 0] * pose[1, 3] + pose[2, 0] * pose[2, 3]) - ball[0]
    oy = -(pose[0, 1] * pose[0, 3] + pose[1, 1] * pose[1, 3] + pose[2, 1] * pose[2, 3]) - ball[1]
    oz = -(pose[0, 2] * pose[0, 3] + pose[1, 2] * pose[1, 3] + pose[2, 2] * pose[2, 3]) - ball[2]
    cm = -pose[2, 3] / focal
    reach = ball[4] * _F(eyes.IRIS_REACH)
    for y in range(height):
        for x in range(width):
            if gathered[y, x, 0] <= 0:
                continue
            u, v = (corner[0] + x + _F(0.5) - cx) / focal, -(corner[1] + y + _F(0.5) - cy) / focal
            dx = pose[0, 0] * u + pose[1, 0] * v - pose[2, 0]
            dy = pose[0, 1] * u + pose[1, 1] * v - pose[2, 1]
            dz = pose[0, 2] * u + pose[1, 2] * v - pose[2, 2]
            a = dx * dx + dy * dy + dz * dz
            b = ox * dx + oy * dy + oz * dz
            root = b * b - a * (ox * ox + oy * oy + oz * oz - radius * radius)
            s = (-b - np.sqrt(max(root, _F(0.0)))) / a
            px, py, pz = ox + s * dx, oy + s * dy, oz + s * dz
            if root < 0:
                grow = radius / np.sqrt(px * px + py * py + pz * pz)
                px, py, pz = px * grow, py * grow, pz * grow
            # The white stays with the head: it is looked up where this point lay in the portrait.
            hx, hy, hz = px + ball[0], py + ball[1], pz + ball[2]
            z = portrait[2, 0] * hx + portrait[2, 1] * hy + portrait[2, 2] * hz + portrait[2, 3]
            k = source_lens[2] / -z
            sx = source_lens[3] + k * (
                portrait[0, 0] * hx + portrait[0, 1] * hy + portrait[0, 2] * hz + portrait[0, 3]
            )
            sy = source_lens[4] - k * (
                portrait[1, 0] * hx + portrait[1, 1] * hy + portrait[1, 2] * hz + portrait[1, 3]
            )
            _bilinear(white, (sx - box[0]) / box[2], (sy - box[1]) / box[2], texel)
            r, g, bl, spark = texel[0], texel[1], texel[2], _F(0.0)
            lx = look[0, 0] * px + look[1, 0] * py + look[2, 0] * pz
            ly = look[0, 1] * px + look[1, 1] * py + look[2, 1] * pz
            lz = look[0, 2] * px + look[1, 2] * py + look[2, 2] * pz
            if lz > 0 and abs(lx) < reach and abs(ly) < reach:
                _bilinear(
                    iris,
                    _F((lx / reach * _F(0.5) + _F(0.5)) * iris.shape[1]),
                    _F((_F(0.5) - ly / reach * _F(0.5)) * iris.shape[0]),
                    texel,
                )
                # Where the ball turns away, the lids' corner is drawn over it, not an iris drawn out.
                turned = max(root, _F(0.0)) / (a * radius * radius) / _EDGE_ON
                share = texel[3] / _F(255.0) * min(turned, _F(1.0))
                r += share * (texel[0] - r)
                g += share * (texel[1] - g)
                bl += share * (texel[2] - bl)
                gx = reflecting[0, 0] * px + reflecting[1, 0] * py + reflecting[2, 0] * pz
                gy = reflecting[0, 1] * px + reflecting[1, 1] * py + reflecting[2, 1] * pz
                i = int((gx / reach * _F(0.5) + _F(0.5)) * glint.shape[1])
                j = int((_F(0.5) - gy / reach * _F(0.5)) * glint.shape[0])
                if 0 <= i < glint.shape[1] and 0 <= j < glint.shape[0]:
                    spark = share * glint[j, i]
            below = max((_F(y) + _F(0.5) - top[x]) * cm, _F(0.0)) / _F(eyes.SHADOW_CM)
            shadow = _F(1.0) - _F(eyes.SHADOW) * np.exp(-below * below)
            out[y, x, 0], out[y, x, 1], out[y, x, 2] = (
                r * shadow + spark,
                g * shadow + spark,
                bl * shadow + spark,
            )


@njit(cache=True, nogil=True, fastmath=True)
def blend(
    gathered: Float,
    inside: Float,
    source: Bytes,
    smoothed: Bytes,
    grain: Float,
    weave: Float,
    scale: np.float32,
    feather: np.float32,
    left: int,
    top: int,
    picture: Bytes,
) -> None:
    """Draw a window onto `picture` (H, W, 3) uint8 at (left, top), fading out at its borders.

    source: (h, w, 4), of which as much is drawn as is opaque; smoothed: the same at a quarter of its size, without
    fine detail. grain: (n, n) see `lids.grain`, laid over what is smooth; weave: (2, 3) from px of the window to its.
    """
    height, width = gathered.shape[0], gathered.shape[1]
    texel = np.empty(4, np.float32)
    plain = np.empty(4, np.float32)
    for y in range(height):
        for x in range(width):
            hole, skin = gathered[y, x, 0], gathered[y, x, 4]
            if hole + skin <= 0:
                continue
            dark = gathered[y, x, 3]
            if skin > _F(0.001) * hole:
                sx, sy = gathered[y, x, 1] * scale, gathered[y, x, 2] * scale
                _bilinear(source, sx, sy, texel)
                other = gathered[y, x, 8]
                if other > 0:
                    _bilinear(source, gathered[y, x, 6] * scale, gathered[y, x, 7] * scale, plain)
                    for k in range(3):
                        texel[k] += other * (plain[k] - texel[k])
                skin *= texel[3] / _F(255.0)
                smooth = gathered[y, x, 5]
                if smooth > 0:
                    _bilinear(smoothed, sx * _F(0.25), sy * _F(0.25), plain)
                    fx = weave[0, 0] * x + weave[0, 1] * y + weave[0, 2]
                    fy = weave[1, 0] * x + weave[1, 1] * y + weave[1, 2]
                    rough = _F(1.0) + smooth * mirrored(grain, fx, fy)
                    for k in range(3):
                        texel[k] = (texel[k] + smooth * (plain[k] - texel[k])) * rough
            else:
                skin = _F(0.0)
            total = hole + skin
            if total <= 0:
                continue
            border = min(x, width - 1 - x, y, height - 1 - y)
            weight = min((_F(border) + _F(0.5)) / feather, _F(1.0)) * total
            part = hole / total
            for k in range(3):
                colour = _F(0.0)
                if skin > 0:
                    colour += (_F(1.0) - part) * texel[k] * dark
                if hole > 0:
                    colour += part * inside[y, x, k]
                old = _F(picture[top + y, left + x, k])
                mixed = old + weight * (min(max(colour, _F(0.0)), _F(255.0)) - old)
                picture[top + y, left + x, k] = np.uint8(mixed + _F(0.5))
