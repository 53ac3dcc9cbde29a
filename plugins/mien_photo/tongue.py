"""A tongue that comes out of the mouth: a bent sheet over teeth and lower lip, laid over the mouth's window.

What stays behind the teeth is an ellipsoid of `window.inside_mouth`; this is what leaves them.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from mien.face.light import HARMONIC_SCALE
from mien.face.normals import vertex_normals
from mien.face.rig import INDEX
from mien.frames import Bytes, Float
from mien_photo.anatomy import Opening
from mien_photo.apertures import smooth
from mien_photo.fading import fade
from mien_photo.teeth import Arch, Palette
from mien_photo.window import mirrored

Ints = NDArray[np.int32]

_F = np.float32
OUT = INDEX["tongueOut"]
LEAST = 0.04
"""Of its way out: before, it lies behind the teeth."""
_ROWS, _COLUMNS = 22, 13
_HALF_WIDTH = 0.4
"""Of the half width of the teeth's arch."""
_TIP_CM = 1.5
"""From here to its end it gets narrower, round."""
_THICK_CM = 0.3
_GROOVE_CM = 0.11
_MERGED_CM = 1.5
"""From here outwards it is opaque; further back it goes over softly to the tongue that lies behind the teeth."""
_PARTED_CM = 0.35
"""Lips this far apart let it through wholly."""
_BELOW_CM = 1.3
"""How far its tip hangs below the edge of the lower lip."""
_ABOVE = np.array([0.0, 0.5, 0.866], np.float32)
_ROUND = 0.35
"""How much of the light comes from above whatever the portrait says: rooms have ceilings."""
_ONE_SIDED = 0.4
"""Of the ambient light: a directed part as strong as this, and what is stronger, is where the light comes from."""
_THROUGH = 0.7
"""Flesh lets light through: only what turns further away from it than by this cosine gets none."""
_PAPILLA_CM, _ROUGH = 0.09, 0.035
"""How far apart the grains of its surface are, and how much darker and brighter, as a share of its colour."""
_GRAIN, _WET = 0.07, 55.0
"""How rough it is, as a share of its colour, and the most that wetness shines, in grey levels, on a colour of 120."""
_SHADOW, _SHADOW_CM = _F(0.3), _F(0.28)
SHADOW_REACH_CM = 0.6
"""What it casts on what lies below it, how soon that fades, and how far it reaches."""


def _sheet() -> Ints:
    """(T, 3) triangles of the rows and columns, counter-clockwise seen from above."""
    first = (np.arange(_ROWS - 1)[:, None] * _COLUMNS + np.arange(_COLUMNS - 1)).ravel()
    across, along = first + 1, first + _COLUMNS
    both = [np.stack([first, along, across], axis=1), np.stack([across, along, along + 1], axis=1)]
    return np.ascontiguousarray(np.concatenate(both), np.int32)


def _spline(points: Float, length: Float, at: Float) -> tuple[Float, Float]:
    """A cubic spline (not-a-knot) through points, (6, D), which lie `length`, (6,) cm, along it -> (S, D) places and
    (S, D) unit tangents `at` (S,) cm.

    By truncated powers, which a solver of six equations is enough for: building a spline object takes a millisecond.
    """
    knots = length[2:4]

    def powers(t: Float) -> Float:
        bent = np.maximum(t[:, None] - knots, 0) ** 3
        return np.concatenate([np.vander(t, 4, increasing=True), bent], axis=1)

    coefficients = np.linalg.solve(powers(length), points)
    slopes = np.concatenate(
        [np.vander(at, 3, increasing=True) * (1, 2, 3), 3 * np.maximum(at[:, None] - knots, 0) ** 2], axis=1
    )
    tangent = slopes @ coefficients[1:]
    return powers(at) @ coefficients, tangent / np.linalg.norm(tangent, axis=1, keepdims=True)


class Tongue:
    """One person's. triangles: (T, 3) of the points that `laid_out` gives."""

    def __init__(self, arch: Arch, palette: Palette, mouth: Opening, light: Float) -> None:
        """light: (3,) unit, head space, where it comes from, see `towards`."""
        self._arch = arch
        self._light = light
        self._colour = palette.tongue
        self._mouth = mouth
        self.triangles = _sheet()
        self._along = np.sin(np.linspace(0, np.pi / 2, _ROWS))
        self._across = np.sin(np.linspace(-np.pi / 2, np.pi / 2, _COLUMNS))
        self._dome = np.sqrt(np.maximum(1 - self._across**2, 0))
        self._groove = _GROOVE_CM * np.exp(-((self._across / 0.2) ** 2))
        grain = np.random.default_rng(7).random((2, _ROWS, _COLUMNS)).astype(np.float32)
        self._grain = 1 + _GRAIN * (grain[0] - 0.5).reshape(-1, 1)
        # Its two halves shine each by itself, in spots.
        halves = np.exp(-(((np.abs(self._across) - 0.38) / 0.2) ** 2)).astype(np.float32)
        self._wet = _WET * float(self._colour.mean()) / 120 * (grain[1] ** 2 * halves).ravel()

    def out(self, expression: Float, vertices: Float) -> float:
        """0 to 1, how far it comes out: lips that are shut hold it back. vertices: (K, 3) of the skin."""
        wish = float(expression[OUT])
        if wish <= LEAST:
            return 0.0
        return wish * float(smooth(_F(self._mouth.gaps(vertices).max() / _PARTED_CM)))

    def laid_out(self, out: float, jaw: Float, vertices: Float) -> tuple[Float, Float]:
        """out: see `out`; jaw: (4,) see `window.inside_mouth` -> points (N, 3) cm, head space, and (N, 7) float32
        how they look: RGB, how opaque it is, how far it is out of the mouth, before the skin (both 0 to 1), and its
        place on `papillae`.
        """
        lip = self._mouth.lower.apply(vertices)
        lip = lip[len(lip) // 2]
        floor, front = self._arch.lower + float(jaw[1]), self._arch.front + float(jaw[2])
        rest = np.array(
            [
                (floor - 0.15, front - 1.9),
                (floor + 0.05, front - 0.9),
                (max(floor, lip[1]) + 0.08, front + 0.1),
                (lip[1] + 0.1, max(lip[2], front + 0.3) + 0.25),
                (lip[1] - 0.25, lip[2] + 0.75),
                (lip[1] - _BELOW_CM, lip[2] + 0.85),
            ]
        )
        length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(rest, axis=0), axis=1))])
        # From the teeth on outwards; by a third of its way it has just reached between them.
        end = length[2] * min(out / 0.3, 1) + (length[-1] - length[2]) * max(out - 0.3, 0) / 0.7
        at = end * self._along
        middle, tangent = _spline(rest, length, at)
        from_tip = np.clip((end - at) / _TIP_CM, 0, 1)
        round_ = np.sqrt(np.maximum(1 - (1 - from_tip) ** 2, 0))[:, None]
        rise = _THICK_CM * round_**0.7 * self._dome - round_ * self._groove
        x = float(jaw[0]) + _HALF_WIDTH * self._arch.half_width * round_ * self._across
        y = middle[:, :1] + rise * tangent[:, 1:]
        z = middle[:, 1:] - rise * tangent[:, :1]
        points = np.stack([x, y, z], axis=-1).reshape(-1, 3).astype(np.float32)
        opaque = np.repeat(fade((at - 0.2) / (_MERGED_CM - 0.2)), _COLUMNS)
        before = np.clip((points[:, 2] - float(lip[2])) / 0.2, 0, 1)
        # It is stretched from its root: what lies at its tip stays there.
        down = np.repeat(length[-1] - end + at, _COLUMNS)
        place = np.stack([down, (self._arch.half_width + x).ravel()], axis=1) / _PAPILLA_CM
        look = np.concatenate([self._lit(points, front), np.stack([opaque, before], axis=1), place], axis=1)
        return points, look.astype(np.float32)

    def _lit(self, points: Float, front: float) -> Float:
        """(N, 3)"""
        normals = vertex_normals(points, self.triangles)
        facing = normals @ self._light
        lit = np.maximum((facing + _THROUGH) / (1 + _THROUGH), 0)
        inside = np.clip((points[:, 2] - front + 2.3) / 2.3, 0.5, 1)
        shine = self._wet * np.maximum(facing, 0) ** 10
        diffuse = self._colour * self._grain * ((0.4 + 0.6 * lit) * inside)[:, None]
        return np.asarray(diffuse + (shine * inside)[:, None], np.float32)


def towards(light: Float, home: Float) -> Float:
    """(3,) unit, head space: where the light comes from that (9,) harmonics tell, see `shading.light_of`.

    home: (3, 3) the head's rotation in the portrait.
    """
    directed = (light * HARMONIC_SCALE)[[3, 1, 2]]
    strength = float(np.linalg.norm(directed))
    ambient = max(float(light[0] * HARMONIC_SCALE[0]), 1e-3)
    told = min(strength / ambient / _ONE_SIDED, 1.0) * (home.T @ directed) / max(strength, 1e-6)
    both = _ROUND * _ABOVE + told
    return np.asarray(both / np.linalg.norm(both), np.float32)


def papillae() -> Float:
    """(n, n) float32, by what share each grain of its surface is darker or brighter."""
    grains = cv2.GaussianBlur(np.random.default_rng(11).standard_normal((48, 48)), (0, 0), 0.6)
    return np.asarray(_ROUGH * grains / grains.std(), np.float32)


@njit(cache=True, nogil=True, fastmath=True)
def lay(
    triangle: Ints,
    barycentric: Float,
    triangles: Ints,
    look: Float,
    gathered: Float,
    top: Float,
    bottom: Float,
    grains: Float,
    samples: int,
    cm: np.float32,
    across: int,
    down: int,
    left: int,
    above: int,
    picture: Bytes,
) -> None:
    """Draw the tongue onto `picture` (H, W, 3) uint8 at (left, above), and its shadow below it.

    triangle, barycentric: (h * samples, w * samples) of it alone; look: see `Tongue.laid_out`; gathered: (M, N, 9) and
    top, bottom: (N,) of the mouth, see `window.gather` and `window.edges`, whose column `across` and row `down` are the
    first ones of the tongue's; the upper lip hides what is above it. grains: see `papillae`; cm: of a pixel.
    """
    height, width = triangle.shape[0] // samples, triangle.shape[1] // samples
    first = 0
    while first < bottom.shape[0] and bottom[first] < 0:
        first += 1
    if first == bottom.shape[0]:
        return
    corner = bottom[first]
    for x in range(first, across):
        if bottom[x] >= 0:
            corner = bottom[x]
    weight = _F(1.0) / _F(samples * samples)
    for x in range(width):
        # Beside the mouth, and where lips meet, nothing comes out above the end of the opening next to it.
        column = x + across
        if bottom[column] >= 0:
            corner = bottom[column]
        ceiling = (top[column] if bottom[column] >= 0 else corner) - _F(down)
        below, covered = _F(-1.0), _F(0.0)
        for y in range(max(int(ceiling), 0), height):
            r = g = b = share = before = u = v = _F(0.0)
            hole = gathered[y + down, column, 0] if y + down < gathered.shape[0] else _F(0.0)
            for j in range(y * samples, (y + 1) * samples):
                for i in range(x * samples, (x + 1) * samples):
                    t = triangle[j, i]
                    if t < 0:
                        continue
                    l0, l1 = barycentric[j, i, 0], barycentric[j, i, 1]
                    l2 = _F(1.0) - l0 - l1
                    p, q, s = triangles[t, 0], triangles[t, 1], triangles[t, 2]
                    part = weight * (l0 * look[p, 3] + l1 * look[q, 3] + l2 * look[s, 3])
                    seen = l0 * look[p, 4] + l1 * look[q, 4] + l2 * look[s, 4]
                    before += part * seen
                    part *= hole + (_F(1.0) - hole) * seen
                    r += part * (l0 * look[p, 0] + l1 * look[q, 0] + l2 * look[s, 0])
                    g += part * (l0 * look[p, 1] + l1 * look[q, 1] + l2 * look[s, 1])
                    b += part * (l0 * look[p, 2] + l1 * look[q, 2] + l2 * look[s, 2])
                    u += part * (l0 * look[p, 5] + l1 * look[q, 5] + l2 * look[s, 5])
                    v += part * (l0 * look[p, 6] + l1 * look[q, 6] + l2 * look[s, 6])
                    share += part
            away = (_F(y) + _F(0.5) - ceiling) * cm
            under_lip = _F(1.0) - _F(0.45) * np.exp(-((away / _F(0.3)) ** 2))
            scale = _F(1.0) / max(share, _F(1e-4))
            scale *= under_lip * (_F(1.0) + mirrored(grains, u * scale, v * scale))
            share *= min(max(_F(y) + _F(1.0) - ceiling, _F(0.0)), _F(1.0))
            covered += before * cm
            if before > _F(0.5):
                below = _F(y)
            elif share <= 0 and below < 0:
                continue
            far = (_F(y) - below) * cm / _SHADOW_CM
            cast = _F(1.0) - (_SHADOW * min(covered, _F(1.0)) * np.exp(-far * far) if below >= 0 else _F(0.0))
            if share <= 0 and cast > _F(0.99):
                break
            for k in range(3):
                own = (r if k == 0 else g if k == 1 else b) * scale
                old = _F(picture[above + y, left + x, k]) * cast
                picture[above + y, left + x, k] = np.uint8(
                    min(max(old + share * (own - old), _F(0.0)), _F(255.0)) + _F(0.5)
                )


def warm() -> None:
    """Compile the kernel that a mouth whose lips hold it back doesn't reach."""
    line = np.zeros(1, np.float32)
    lay(
        np.zeros((1, 1), np.int32), np.zeros((1, 1, 2), np.float32), np.zeros((1, 3), np.int32),
        np.zeros((1, 7), np.float32), np.zeros((1, 1, 9), np.float32), line, line.copy(), papillae(), 1, _F(0.1), 0, 0,
        0, 0, np.zeros((1, 1, 3), np.uint8),
    )  # fmt: skip
