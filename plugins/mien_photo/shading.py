"""The light stays in the room while the head turns: what that does to the brightness of the skin.

The portrait holds skin colour times light. The light is estimated once, from the portrait, as spherical harmonics;
in a frame each vertex becomes brighter or darker by what that light gives its normal now over what it gave it in
the portrait (the ratio image of Liu et al. 2001, "Expressive expression mapping with ratio images", with a model in
place of the second photograph).
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from mien.face.light import COEFFICIENTS, estimate_light, harmonics
from mien.face.normals import vertex_normals
from mien.frames import Bytes, Float
from mien_photo.anatomy import Skin
from mien_photo.relighting import AS_IT_IS, Relight, limited, polynomial
from mien_photo.warp import band_of

Ints = NDArray[np.int32]

_DARKEST, _BRIGHTEST = np.float32(0.65), np.float32(1.45)
"""The most that a turn of the head changes."""
_LEAST_LIT = 0.25
"""Of the typical shading: deeper shadow is ambient light's, which harmonics don't know."""
_FRONTAL = 0.3
"""Cosine to the line of sight from which on the portrait tells a skin colour."""
_INNER = 0.9
_STIFF = 3.0
"""Times the pull of lips and lids: a skin that goes a third of their way is one with them."""
_SAME = np.float32(0.004)
"""Less than a grey level: not worth touching the pixel."""
_SPREAD = 0.004
"""Standard deviation over which the portrait's skin is averaged, as a share of its side."""


def light_of(source: Bytes, source_xy: Float, normals: Float, presence: Float) -> Float:
    """(9,) float32: the light in which the portrait was taken, as shading per harmonic, without its colour.

    source: (S, S, 3 or 4) uint8; source_xy: (K, 2) px of it, where each vertex of the skin takes its colour; normals:
    (K, 3) unit, camera space, in the portrait; presence: (K,) 0 to 1, see `Skin`. Zeros where no skin is seen.

    One skin has one albedo here: brows, lips and beard are what the estimate's reweighting is for.
    """
    chosen = _shown(normals, presence)
    if chosen.sum() < COEFFICIENTS:
        return np.zeros(COEFFICIENTS, np.float32)
    colours = skin_colours(source, source_xy, normals, presence) / np.float32(255)
    albedo = np.broadcast_to(np.median(colours, axis=0).clip(0.02), colours.shape)
    light = estimate_light(normals[chosen], np.asarray(albedo, np.float32), np.asarray(colours, np.float32))
    return np.asarray(light.mean(axis=1), np.float32)


def skin_colours(source: Bytes, source_xy: Float, normals: Float, presence: Float) -> Float:
    """(P, 3) float32, 0 to 255: the colours of the skin where it is well seen; see `light_of`."""
    soft = cv2.GaussianBlur(source[..., :3], (0, 0), max(_SPREAD * source.shape[0], 0.5))
    at = np.ascontiguousarray(source_xy[_shown(normals, presence)] - np.float32(0.5))
    if not len(at):
        return np.zeros((0, 3), np.float32)
    found = cv2.remap(soft, at[None], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
    return np.asarray(found, np.float32)


def _shown(normals: Float, presence: Float) -> NDArray[np.bool_]:
    return np.asarray((presence > _INNER) & (normals[:, 2] > _FRONTAL))


class Shading:
    """How much brighter or darker the skin is than in the portrait. Holds its own buffers: one per thread."""

    def __init__(self, skin: Skin, portrait: Float, home: Float, light: Float) -> None:
        """portrait: (K, 3) the skin's vertices in the portrait, cm, head space; home: (3, 3) the head's rotation
        there; light: (9,) see `light_of`.
        """
        presence = skin.presence
        seen = presence > 0
        self._triangles = np.ascontiguousarray(skin.triangles[seen[skin.triangles].any(axis=1)])
        self._presence = presence
        self._form = polynomial(light)
        # Edges of lips and lids roll in and out of sight: their light is that of the face around them.
        self._stiff = np.zeros(len(portrait), np.float32)
        for opening in skin.openings:
            self._stiff[opening.rows] = np.maximum(
                self._stiff[opening.rows], np.minimum(_STIFF * np.abs(opening.pull), 1)
            )
        self._own = vertex_normals(portrait, skin.triangles)
        before = harmonics(self._own @ home.T) @ light
        self._least = np.float32(max(_LEAST_LIT * float(np.median(before[presence > _INNER])), 1e-3))
        self._before = np.maximum(before, self._least).astype(np.float32)
        self._normals = np.empty((len(portrait), 3), np.float32)
        self._gain = np.ones(len(portrait), np.float32)

    def gain(self, vertices: Float, rotation: Float, change: Relight = AS_IT_IS) -> Float:
        """vertices: (K, 3) now, head space; rotation: (3, 3) of the head; change: of the light -> (K,) factors, until
        the next call.
        """
        _gains(
            vertices, self._triangles, rotation, self._form, self._presence, self._own, self._stiff, self._before,
            self._least, change.form, change.around, change.brightest, self._normals, self._gain,
        )  # fmt: skip
        return self._gain


@njit(cache=True, nogil=True, fastmath=True)
def _gains(
    vertices: Float,
    triangles: Ints,
    rotation: Float,
    form: Float,
    presence: Float,
    own: Float,
    stiff: Float,
    before: Float,
    least: np.float32,
    change: Float,
    around: np.float32,
    brightest: np.float32,
    normals: Float,
    out: Float,
) -> None:
    """The normals of `mien.face.normals`, brought to unit length together with what is made of them: where the skin
    is not seen none of it is done, and each vertex is read once.

    out: (K,) factors; own: (K, 3) normals in the portrait, head space, stiff: (K,) how far they stay as they were;
    normals: (K, 3) scratch, sums of the triangles' normals weighted by their area.
    """
    one = np.float32(1.0)
    normals[:] = 0
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        px, py, pz = vertices[a, 0], vertices[a, 1], vertices[a, 2]
        ux, uy, uz = vertices[b, 0] - px, vertices[b, 1] - py, vertices[b, 2] - pz
        vx, vy, vz = vertices[c, 0] - px, vertices[c, 1] - py, vertices[c, 2] - pz
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for v in (a, b, c):
            normals[v, 0] += x
            normals[v, 1] += y
            normals[v, 2] += z
    for v in range(out.shape[0]):
        out[v] = around
        if presence[v] <= 0:
            continue
        x, y, z = normals[v, 0], normals[v, 1], normals[v, 2]
        short = (one - stiff[v]) / np.sqrt(max(x * x + y * y + z * z, np.float32(1e-20)))
        x = x * short + stiff[v] * own[v, 0]
        y = y * short + stiff[v] * own[v, 1]
        z = z * short + stiff[v] * own[v, 2]
        short = one / np.sqrt(max(x * x + y * y + z * z, np.float32(1e-20)))
        nx = (rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * z) * short
        ny = (rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * z) * short
        nz = (rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2] * z) * short
        now = _value(form, nx, ny, nz)
        ratio = min(max(max(now, least) / before[v], _DARKEST), _BRIGHTEST)
        changed = limited(_value(change, nx, ny, nz), brightest)
        out[v] = around + (ratio * changed - around) * presence[v]


@njit(cache=True, nogil=True, fastmath=True)
def _value(form: Float, x: np.float32, y: np.float32, z: np.float32) -> np.float32:
    value = form[0] + form[1] * x + form[2] * y + form[3] * z
    value += form[4] * x * y + form[5] * y * z + form[6] * z * z + form[7] * z * x
    return np.float32(value + form[8] * (x * x - y * y))


@njit(cache=True, nogil=True, fastmath=True)
def spread(
    gain: Float,
    triangle: Ints,
    barycentric: Float,
    triangles: Ints,
    around: np.float32,
    out: Float,
    box: Ints,
) -> None:
    """out: (h, w) float32, the factor of each pixel, `around` off the skin; box: (4,) the part that differs from 1,
    left, top, right, bottom (excluded), of no area where nothing does.

    triangle, barycentric: (h, w) and (h, w, 2), the skin and its openings as drawn; triangles: (T, 3) theirs.
    """
    one = np.float32(1.0)
    height, width = out.shape
    left, top, right, bottom = width, height, 0, 0
    for y in range(height):
        for x in range(width):
            t = triangle[y, x]
            value = around
            if t >= 0:
                l0, l1 = barycentric[y, x, 0], barycentric[y, x, 1]
                value = l0 * gain[triangles[t, 0]] + l1 * gain[triangles[t, 1]]
                value += (one - l0 - l1) * gain[triangles[t, 2]]
            if abs(value - one) > _SAME:
                left, right = min(left, x), max(right, x + 1)
                top, bottom = min(top, y), max(bottom, y + 1)
            out[y, x] = value
    box[0], box[1], box[2], box[3] = left, top, right, bottom


@njit(cache=True, nogil=True, fastmath=True)
def apply(
    factor: Float,
    tint: Float,
    hue: Float,
    left: int,
    top: int,
    right: int,
    bottom: int,
    person: Bytes,
    spans: Ints,
    straight: bool,
    picture: Bytes,
) -> None:
    """Multiply picture (H, W, 3) uint8 by factor (h, w), interpolated between the centres of its pixels, and by tint,
    (3,); what gets darker also by hue, (3,), to the power of how much (its first order), see `relighting.Exposure`.

    In proportion to the alpha of person (H, W, 4), or fully where `straight`: the factor is blurred, and the background
    has no part in it.

    left, top, right, bottom (excluded): the part of `factor` that counts. spans: where the person is, see `warp.spans`.
    """
    height, width = picture.shape[0], picture.shape[1]
    rows, columns = factor.shape
    bands = spans.shape[0]
    one, half, white = np.float32(1.0), np.float32(0.5), np.float32(255.0)
    cast = max(abs(tint[0] - one), abs(tint[1] - one), abs(tint[2] - one))
    r, g, b = hue[0] - one, hue[1] - one, hue[2] - one
    down, across = np.float32(rows / height), np.float32(columns / width)
    # Where each column of the picture lies in a row of factors, and that row between two others: for all px at once.
    at, between = np.empty(width, np.uintp), np.empty(width, np.float32)
    for x in range(width):
        fx = min(max((np.float32(x) + half) * across - half, np.float32(0)), np.float32(columns - 1.001))
        at[x] = np.uintp(fx)
        between[x] = fx - np.float32(at[x])
    row = np.empty(columns, np.float32)
    for y in range(int(top / down), min(int(bottom / down) + 1, height)):
        fy = min(max((np.float32(y) + half) * down - half, np.float32(0)), np.float32(rows - 1.001))
        j = int(fy)
        v = fy - np.float32(j)
        band = band_of(y, height, bands)
        first, last = int(max(left, spans[band, 0]) / across), int(min(right, spans[band, 1]) / across) + 1
        if first >= last:
            continue
        for i in range(columns):
            row[i] = factor[j, i] + v * (factor[j + 1, i] - factor[j, i])
        for x in range(first, min(last, width)):
            value = row[at[x]] + between[x] * (row[at[x] + np.uintp(1)] - row[at[x]])
            share = one if straight else np.float32(person[y, x, 3]) / white
            if share * max(abs(value - one), cast) <= _SAME:
                continue
            rest, lit = one - share, share * value
            dark = max(one - value, np.float32(0))  # hue ** dark, as far as its first power
            for k, shift in enumerate((r, g, b)):
                times = rest + lit * tint[k] * (one + dark * shift)
                picture[y, x, k] = np.uint8(min(np.float32(picture[y, x, k]) * times + half, white))


def warm() -> None:
    """Compile the kernel that a picture of nothing doesn't reach."""
    person, spans = np.zeros((4, 4, 4), np.uint8), np.zeros((1, 2), np.int32)
    one = np.ones((2, 2), np.float32)
    apply(one, AS_IT_IS.tint, AS_IT_IS.tint, 0, 0, 2, 2, person, spans, False, person[..., :3].copy())
