"""The skin of closed lids. An open eye hides it; what lies above the lashes is brow, shadow of the brow, or hair."""

from __future__ import annotations

import cv2
import numpy as np

from mien.frames import Bytes, Float
from mien_photo.luma import LUMA
from mien_photo.matte import continued

_AROUND = 0.9
"""How far around an eye its skin is looked for, in widths of the eye."""
_PAINTED = np.array([0.3, 0.75, 0.25])
"""How far beside, above and below an eye closed lids may take their colour, in widths of the eye."""
_LASHES = 0.14
"""How far lashes reach around an eye, in its widths."""
_DARKEST, _DARK, _BRIGHT, _BRIGHTEST = 0.68, 0.88, 1.2, 1.4
"""Of the brightness of the skin below the eye: what is not within is lashes, brow, shadow or hair, not skin."""
_SHADE = 0.95
"""Lids are a little darker than the skin below the eye, ..."""
_SHADOW = 0.3
"""... and by so much of the difference where what lies above the eye is darker: in a deep socket."""
_BRIGHTENED = 0.5
"""Power: how much of what skin next to lashes and brow lacks of the brightness of that below the eye lids get back."""
_HUE, _MOST_HUE = 0.5, 0.15
"""How much of the hue of what lies above the eye lids have, and its most: it is shaded, painted, or reddish."""
_GRAIN, _GRAIN_BELOW, _GRAIN_WIDE = 0.7, 0.42, 0.08
"""Side of the skin below an eye whose grain lids take, how far below, and what is larger than grain, in its widths."""
_SPECK, _DEVIATION = 2.2, 1.48
"""In standard deviations: what is stronger isn't the skin's grain; and that deviation, of the median one, which neither
strands of hair nor the ridge of a nose move.
"""
_BULGE = (0.12, 0.06, 0.05)
_CREASE = (0.21, 0.05, -0.12)
"""What lids are shaped like: how far above the lashes and how wide, in widths of the eye, how bright or dark."""


def grain(image: Bytes, outline: Float) -> Float:
    """image: (h, w, C) uint8, RGB first; outline: (P, 2) px of an eye -> (n, n) float32, by what share the skin below
    it is brighter or darker than it is on average around there: what lids lack that come out of hiding.

    (2, 2) of zeros where no such skin is seen. A speck or a strand of hair is nothing of it.
    """
    low, high = outline.min(axis=0), outline.max(axis=0)
    size = float(high[0] - low[0])
    n = round(_GRAIN * size)
    middle, top = (low[0] + high[0]) / 2, high[1] + _GRAIN_BELOW * size
    left, top = round(float(middle) - n / 2), round(float(top))
    if n < 4 or left < 0 or top < 0 or left + n > image.shape[1] or top + n > image.shape[0]:
        return np.zeros((2, 2), np.float32)
    bright = image[top : top + n, left : left + n, :3].astype(np.float32) @ LUMA
    around = cv2.GaussianBlur(bright, (0, 0), max(_GRAIN_WIDE * size, 0.8))
    rough = bright / np.maximum(around, 8.0) - 1
    usual = _DEVIATION * float(np.median(np.abs(rough)))
    return np.asarray(np.clip(rough, -_SPECK * usual, _SPECK * usual), np.float32)


def grains(image: Bytes, outlines: list[Float]) -> list[Float]:
    """`grain` of each eye: the same for both, of the side where it is calmer, wherever something is seen.

    Below the far eye of a face that looks aside lies the ridge of the nose, or hair.
    """
    seen = [found for outline in outlines if (found := grain(image, outline)).any()]
    calmest = min(seen, key=lambda found: float(found.std()), default=np.zeros((2, 2), np.float32))
    return [calmest] * len(outlines)


def weave(pose: Float, lens: Float, centre: Float, fine: float, left: int, top: int) -> Float:
    """(2, 3) float32 from px of a window at (left, top) of the picture to px of `grain`, `fine` to a cm, so that it
    stays with the head. pose: (3, 4); lens: see `lens_of`; centre: (3,) cm, of the eye, head space.
    """
    x, y, z = (pose[:, :3] @ centre + pose[:, 3]).tolist()
    px = float(lens[2]) / -z
    (a, b), (c, d) = pose[:2, :2].tolist()
    scale = fine / px / max(a * d - b * c, 0.1)  # less when it is seen from the edge
    u, v = float(lens[3]) + px * x - left, float(lens[4]) - px * y - top
    rows = (d, b), (c, a)
    return np.array([[p * scale, q * scale, -(p * u + q * v) * scale] for p, q in rows], np.float32)


def bare(image: Bytes, eyes: list[Float]) -> Bytes:
    """image: (h, w, C) uint8, RGB first -> the same with nothing but skin around the eyes, as if there were none.

    eyes: outlines (P, 2), px. What skin there is goes on over the eye.
    """
    result = image.copy()
    for outline in eyes:
        _paint(result, outline)
    return result


def _paint(image: Bytes, outline: Float) -> None:
    low, high = outline.min(axis=0), outline.max(axis=0)
    size = float(high[0] - low[0])
    middle = (low + high) / 2
    if size < 2 or (middle < 0).any() or (middle >= image.shape[1::-1]).any():
        return
    margin = _AROUND * size
    left, top = (int(max(v - margin, 0)) for v in low)
    right, bottom = (int(min(v + margin, n)) + 1 for v, n in zip(high, image.shape[1::-1], strict=True))
    part = image[top:bottom, left:right]
    own = part[..., :3].astype(np.float32)
    local = outline - np.array([left, top], np.float32)

    eye = np.zeros(part.shape[:2], np.uint8)
    cv2.fillPoly(eye, [np.round(local).astype(np.int32)], 1)
    reach = 2 * round(_LASHES * size) + 1
    known = 1 - cv2.dilate(eye, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))).astype(
        np.float32
    )
    brightness = own @ LUMA
    places = _beside(local, size, part.shape[:2])
    below, above = (brightness[place] for place in places)
    if not below.size or not above.size:
        return
    usual = max(float(np.median(below)), 1.0)
    shade = _SHADE * (1 - _SHADOW * max(1 - float(np.median(above)) / usual, 0.0))
    share = brightness / usual
    known *= _ramp(share, _DARKEST, _DARK) * _ramp(-share, -_BRIGHTEST, -_BRIGHT)
    soft = max(size / 12, 0.5)
    skin = cv2.GaussianBlur(continued(own, known), (0, 0), soft)
    skin *= (
        shade
        * _tone(skin, eye, usual, np.median(own[places[1]].reshape(-1, 3), axis=0))
        * _shape(eye, size)[..., None]
    )

    beside, over, under = _PAINTED * size
    box = np.zeros(part.shape[:2], np.float32)
    x0, y0, x1, y1 = (
        low[0] - left - beside,
        low[1] - top - over,
        high[0] - left + beside,
        high[1] - top + under,
    )
    box[max(int(y0), 0) : int(y1) + 1, max(int(x0), 0) : int(x1) + 1] = 1
    box = cv2.GaussianBlur(box, (0, 0), 2 * soft)[..., None]
    part[..., :3] = np.clip(own + (skin - own) * box + 0.5, 0, 255)


def _beside(outline: Float, size: float, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], ...]:
    """Rows and columns of the skin below an eye, and of what lies between its lashes and the brow."""
    (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0)
    columns = slice(max(int(left), 0), int(right) + 1)
    below = slice(int(bottom + 0.2 * size), min(int(bottom + 0.6 * size) + 1, shape[0]))
    above = slice(max(int(top - 0.3 * size), 0), max(int(top - 0.12 * size), 0) + 1)
    return (below, columns), (above, columns)


def _tone(skin: Float, eye: Bytes, usual: float, above: Float) -> Float:
    """(3,) what makes of skin that goes on from around the eye that of a lid.

    usual: brightness of the skin below the eye; above: (3,) colour between its lashes and the brow.
    """
    middle = np.median(skin[eye > 0], axis=0) if eye.any() else np.median(skin, axis=(0, 1))
    level = max(float(middle @ LUMA), 1.0)
    hue = (above / max(float(above @ LUMA), 1.0)) / np.maximum(middle / level, 1e-3)
    tinted = np.clip(hue**_HUE, 1 - _MOST_HUE, 1 + _MOST_HUE)
    return np.asarray(tinted * (usual / max(level, 0.5 * usual)) ** _BRIGHTENED, np.float32)


def _shape(eye: Bytes, size: float) -> Float:
    """eye: (h, w) uint8, 1 inside -> (h, w) what the round lid and the crease over it do to its brightness."""
    columns = np.flatnonzero(eye.any(axis=0))
    if not len(columns):
        return np.ones(eye.shape, np.float32)
    edge = np.interp(np.arange(eye.shape[1]), columns, eye.argmax(axis=0)[columns])
    edge = cv2.GaussianBlur(edge[None].astype(np.float32), (0, 0), max(size / 12, 0.5))
    height = (edge - np.arange(eye.shape[0], dtype=np.float32)[:, None]) / size
    middle = (np.arange(eye.shape[1]) - columns.mean()) / size
    along = np.clip(1.5 - 2 * np.abs(middle), 0, 1)
    shaped = [strength * np.exp(-(((height - at) / wide) ** 2)) for at, wide, strength in (_BULGE, _CREASE)]
    return np.asarray(1 + np.sum(shaped, axis=0) * along, np.float32)


def _ramp(value: Float, start: float, end: float) -> Float:
    return np.asarray(np.clip((value - start) / (end - start), 0, 1), np.float32)
