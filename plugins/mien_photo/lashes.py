"""Lashes of an eye that closes: a line along the lid's edge and hairs over the lower lid, in the portrait's own colour.

An open eye has them in the portrait's own pixels. As sharp as the portrait shows them they are drawn: a statue, or a
face of few pixels, gets a soft shade.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from scipy.interpolate import CubicSpline

from mien.frames import Bytes, Float
from mien_photo.fading import fade
from mien_photo.luma import LUMA

_F = np.float32
_HAIRS = 46
_ALONG = 33
"""Points along the lid's edge."""
_FINE = 3
"""Drawn so many times larger than the picture."""
_TAPER = _F(0.65)
"""How much of a hair's darkness is lost to its tip: tips are thinner than px."""
_LENGTH_CM, _SPREAD = 0.46, 0.45
"""Of the longest, foreshortened; and by how much others are shorter."""
_HAIR_CM = _F(0.02)
_LINE_CM = _F(0.05)
"""How thick the edge of the lid is, with the roots."""
_SOFT_CM, _BROAD = 0.07, 1.0
"""Over how much the shade is spread that stands for hairs nobody sees singly; and by how much broader the edge of the
lid is there, or it would be spread away: shut lids part at a dark line, lashes or none.
"""
_FAN, _LEAN = 1.1, 0.25
"""How much hairs part from each other, and lean outwards; ..."""
_AWAY, _CURL = _F(0.35), _F(0.3)
"""... and how much more both towards their tips, and bend up there."""
_LONGEST_AT, _LENGTHS = 0.72, 0.55
"""Where along the eye, from its inner corner, they are longest; and what those at the inner corner have of it."""
_BAND = np.linspace(0, 0.2, 11)
"""How far above the edge lashes are looked for in the portrait, in widths of the eye, ..."""
_BELOW = 0.45
"""... and how far below it there is bare skin, to compare with."""
_SAMPLES, _THIN = 160, 3.0
"""Along the edge; and, of these, the standard deviation of what is wider than a hair."""
_DARK_SHARE = 0.08
"""Of the pixels over the edge: so many have the colour of lashes."""
_UNSEEN, _SEEN = 0.005, 0.017
"""By how much more brightness varies along the lashes than along bare skin, as a share of that skin's, where no hair is
seen by itself, and where each is.
"""
_OPACITY = 0.9
FROM, _FADE = 0.1, 0.5
"""How far an eye is shut when lashes begin to be drawn, and until they are wholly."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the portrait shows of them. colour: (3,) RGB; clear: 0 to 1, how clearly each hair is seen."""

    colour: Float
    clear: float


def find(source: Bytes, upper: Float) -> Found:
    """source: (S, S, 3 or 4) uint8; upper: (P, 2) px, the edge of the upper lid in order of x."""
    width = max(float(np.ptp(upper[:, 0])), 1.0)
    along = np.linspace(0.1, 0.9, _SAMPLES) * (len(upper) - 1)
    edge = np.stack([np.interp(along, np.arange(len(upper)), upper[:, axis]) for axis in (0, 1)], axis=1)

    def at(down: Float) -> Float:
        """(D, _SAMPLES, 3)"""
        places = edge[None] + width * np.stack([0 * down, down], axis=1)[:, None] - 0.5
        colours, border = source[..., :3], cv2.BORDER_REPLICATE
        seen = cv2.remap(colours, places.astype(np.float32), None, cv2.INTER_LINEAR, borderMode=border)
        return np.asarray(seen, np.float32)

    def varies(bright: Float) -> Float:
        """(D,) ascending."""
        wide = cv2.GaussianBlur(bright, (0, 0), sigmaX=_THIN, sigmaY=0.01)
        return np.asarray(np.sort((bright - wide).std(axis=1)), np.float32)

    colours = at(-_BAND)
    bright, bare = colours @ LUMA, at(_BELOW + _BAND) @ LUMA
    rough = float(varies(bright)[len(_BAND) // 2 :].mean() - np.median(varies(bare)))
    rough /= max(float(np.median(bare)), 8.0)
    dark = np.argsort(bright.ravel())[: round(_DARK_SHARE * bright.size)]
    clear = float(np.clip((rough - _UNSEEN) / (_SEEN - _UNSEEN), 0, 1))
    return Found(colours.reshape(-1, 3)[dark].mean(axis=0), clear)


def of_both(source: Bytes, uppers: list[Float]) -> list[Lashes]:
    """uppers: of the subject's left eye, then the right, see `find`. One eye's are as sharp as the other's."""
    found = [find(source, upper) for upper in uppers]
    clear = min(one.clear for one in found)
    return [
        Lashes(Found(one.colour, clear), len(upper), outwards, outwards + 1)
        for one, upper, outwards in zip(found, uppers, (1, -1), strict=True)
    ]


class Lashes:
    """Of one eye. Holds no buffers of a frame."""

    def __init__(self, found: Found, count: int, outwards: int, seed: int) -> None:
        """count: of the points along the lid's edge, in order of x; outwards: 1 where x grows to the temple, or -1."""
        random = np.random.default_rng(seed)
        self._colour = np.asarray(found.colour, np.float32)
        self._clear = found.clear
        self._outwards = outwards
        place = np.clip((np.arange(_HAIRS) + random.uniform(-0.5, 1.5, _HAIRS)) / _HAIRS, 0.02, 0.98)
        along = np.linspace(0, 1, _ALONG)
        through = CubicSpline(np.linspace(0, 1, count), np.eye(count))
        self._through = np.ascontiguousarray(through(np.concatenate([place, along])), np.float32)
        out = place if outwards > 0 else 1 - place
        length = 1 - (1 - _LENGTHS) * np.clip(np.abs(out - _LONGEST_AT) / _LONGEST_AT, 0, 1) ** 1.5
        length *= np.clip((1.02 - out) / 0.12, 0.3, 1) * np.clip(out / 0.15, 0.3, 1)
        length *= 1 - _SPREAD * random.random(_HAIRS)
        fan = _FAN * (out - 0.42) + _LEAN * out + 0.16 * random.standard_normal(_HAIRS)
        self._hairs = np.stack([length, length * fan], axis=1).astype(np.float32)
        broad = 1 + _BROAD * (1 - found.clear)
        self._thick = (broad * np.clip(np.minimum(along, 1 - along) / 0.15, 0, 1)).astype(np.float32)

    def draw(self, edge: Float, shut: float, cm: float, picture: Bytes) -> None:
        """Over an eye that was drawn on picture (H, W, 3) uint8.

        edge: (P, 2) float32 px, the upper lid's; shut: 0 to 1: lashes of lids that are half-way point to who looks at
        them; cm: of a px.
        """
        strength = _OPACITY * float(fade((shut - FROM) / _FADE))
        reach = _LENGTH_CM * (0.35 + 0.65 * shut) / cm
        soft = (1 - self._clear) * _SOFT_CM / cm
        room = 1.6 * reach + 2 * soft + 3
        left, top = np.maximum(np.floor(edge.min(axis=0) - room), 0).astype(int).tolist()
        right, bottom = np.ceil(edge.max(axis=0) + room).astype(int).tolist()
        right, bottom = min(right, picture.shape[1]), min(bottom, picture.shape[0])
        if right - left < 2 or bottom - top < 2:
            return
        mask = np.zeros((bottom - top, right - left), np.uint8)
        places = self._through @ (edge - np.array([left, top], np.float32))
        _stroke(places, self._hairs, self._thick, self._outwards, np.float32(reach), np.float32(cm), mask)
        if soft > 0.3:
            mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), soft), np.uint8)
        _darken(mask, np.float32(strength / 255), self._colour, left, top, picture)


@njit(cache=True, nogil=True, fastmath=True)
def _stroke(
    places: Float, hairs: Float, thick: Float, outwards: int, reach: np.float32, cm: np.float32, mask: Bytes
) -> None:
    """mask: (h, w) uint8, how much of each px hairs and the lid's edge cover.

    places: (N + M, 2) px, the roots of the hairs and the edge; hairs: (N, 2) how long they are and how far they go
    outwards, in `reach` px; thick: (M,) the edge, 1: as thick as usual; cm: of a px.
    """
    fine = np.zeros((mask.shape[0] * _FINE, mask.shape[1] * _FINE), np.uint8)
    count, last = hairs.shape[0], places.shape[0] - 1
    tx, ty = places[last, 0] - places[count, 0], places[last, 1] - places[count, 1]
    norm = _F(1.0) / max(np.sqrt(tx * tx + ty * ty), _F(1e-3))
    tx, ty = tx * norm, ty * norm
    wide = max(int(_HAIR_CM / cm * _F(_FINE) + _F(0.5)), 1)
    steps = max(int(reach * _F(1.6 * _FINE)), 2)
    for k in range(count):
        for step in range(steps + 1):
            q = _F(step) / _F(steps)
            away = reach * hairs[k, 0] * (q - _CURL * q * q)
            aside = _F(outwards) * reach * hairs[k, 1] * (q + _AWAY * q * q)
            x, y = places[k, 0] + aside * tx - away * ty, places[k, 1] + aside * ty + away * tx
            _dot(fine, x, y, wide, np.uint8(_F(255.0) * (_F(1.0) - _TAPER * q)))
    half = _F(0.5) * _LINE_CM / cm
    for k in range(count, last):
        dx, dy = places[k + 1, 0] - places[k, 0], places[k + 1, 1] - places[k, 1]
        pieces = int(max(abs(dx), abs(dy)) * _F(1.5 * _FINE)) + 1
        for piece in range(pieces):
            q = _F(piece) / _F(pieces)
            own = half * (thick[k - count] + q * (thick[k - count + 1] - thick[k - count]))
            deep = int(own * _F(1.5 * _FINE))
            for step in range(-deep, deep + 1):
                away = own * _F(step) / _F(max(deep, 1))
                x, y = places[k, 0] + q * dx - away * ty, places[k, 1] + q * dy + away * tx
                _dot(fine, x, y, 1, np.uint8(255))
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            total = 0
            for j in range(y * _FINE, (y + 1) * _FINE):
                for i in range(x * _FINE, (x + 1) * _FINE):
                    total += fine[j, i]
            mask[y, x] = np.uint8(total // (_FINE * _FINE))


@njit(cache=True, nogil=True, fastmath=True)
def _dot(fine: Bytes, x: np.float32, y: np.float32, wide: int, shade: np.uint8) -> None:
    """x, y: px of the picture."""
    i0, j0 = int(x * _F(_FINE) - _F(0.5) * _F(wide - 1)), int(y * _F(_FINE) - _F(0.5) * _F(wide - 1))
    for j in range(max(j0, 0), min(j0 + wide, fine.shape[0])):
        for i in range(max(i0, 0), min(i0 + wide, fine.shape[1])):
            fine[j, i] = max(fine[j, i], shade)


@njit(cache=True, nogil=True, fastmath=True)
def _darken(mask: Bytes, share: np.float32, colour: Float, left: int, top: int, picture: Bytes) -> None:
    """Draw picture (H, W, 3) uint8 at (left, top) towards colour (3,), no brighter: by `share` times mask (h, w)."""
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            if mask[y, x] == 0:
                continue
            for k in range(3):
                old = np.float32(picture[top + y, left + x, k])
                new = old + share * np.float32(mask[y, x]) * (min(colour[k], old) - old)
                picture[top + y, left + x, k] = np.uint8(new + np.float32(0.5))


def warm() -> None:
    """Compile the kernels that eyes which stay open don't reach."""
    edge = np.array([[10, 10], [20, 12], [30, 10]], np.float32)
    one = Lashes(Found(np.zeros(3, np.float32), 1.0), len(edge), 1, 0)
    one.draw(edge, 1.0, 0.1, np.zeros((40, 40, 3), np.uint8))
