"""What is seen in an open mouth: two curved rows of teeth, a tongue, and the dark.

The rows are bent sheets (elliptic cylinders) that carry a picture of teeth: the portrait's own where it
smiles, painted ones in its light elsewhere. Their place follows from the face model's teeth and the lips.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.face.model import FaceModel, Region
from mien.face.rig import INDEX
from mien.frames import Bytes, Float
from mien_photo.eyes import View
from mien_photo.luma import LUMA

ROW = (96, 384)
"""Rows and columns of a picture of teeth."""
REACH_CM = 4.6
"""The picture spans +-REACH_CM along the arch."""
ABOVE_CM, BELOW_CM = 1.7, 0.3
"""It reaches from BELOW_CM under the biting edge to ABOVE_CM over it (lower row: the other way round)."""

_WIDTHS_UPPER = (0.86, 0.68, 0.78, 0.70, 0.68, 1.0)
_WIDTHS_LOWER = (0.54, 0.60, 0.69, 0.71, 0.72, 1.1)
"""Mesio-distal crown widths from the midline, cm (Wheeler's dental anatomy)."""
_RISE_UPPER = (0.0, 0.07, 0.0, 0.09, 0.13, 0.16)
_RISE_LOWER = (0.0, 0.0, -0.02, 0.05, 0.10, 0.14)
"""How far the biting edge of each tooth lies behind the foremost, cm."""
_OWN = {"width": 0.035, "rise": 0.016, "lean": 0.018, "shade": 0.013, "yellow": 0.010, "turned": 0.016}
"""Nobody's teeth are alike: standard deviations, of the width and brightness as shares, of how far the edge lies back
and how much lower it is on one side, cm, of the tint, and of how much brighter it is on one side."""
_HEIGHTS = (1.02, 0.92, 1.0, 0.86, 0.8, 0.75)
_SKIN_TINT = np.array([1.22, 0.95, 0.78], np.float32)
"""Of a cheek in white light, at a luminance of 1."""
_LAMP = np.array([[0.97, 0.8, 0.75], [1.25, 1.1, 1.0]], np.float32)
"""Least and most tint of a light that skin tells of: pale skin is no blue lamp."""
_LEAST_SMILE_CM = 0.28
_BEHIND_LIPS_CM = 0.45
"""How far behind the line where lips meet the front teeth stand."""
_SEEN_BELOW_LIP_CM = 0.2
"""How far the upper teeth reach below closed lips' line."""


@dataclass(frozen=True, slots=True)
class Arch:
    """Where the teeth are, head space, cm.

    half_width, depth: semi-axes of the ellipse; front: z of its foremost point. upper, lower: y of the
    biting edges with the jaw closed. jaw: (52, 3) how far the lower front teeth move per unit of each
    expression; tilt: (52,) how much less (per cm further back) they move down. full_light_cm: how far the
    mouth must be open to let all light in; shading: 0 to 1, how much lips and depth darken the teeth (less
    where the picture of the teeth is a photograph, which has that already).
    """

    half_width: float
    depth: float
    front: float
    upper: float
    lower: float
    jaw: Float
    tilt: Float
    full_light_cm: float = 1.0
    shading: float = 0.8

    def packed(self) -> Float:
        """(7,) all the numbers, as the kernels and the package take them."""
        return np.array(
            [
                self.half_width, self.depth, self.front, self.upper, self.lower,
                self.full_light_cm, self.shading,
            ],
            np.float32,
        )  # fmt: skip

    @classmethod
    def unpacked(cls, numbers: Float, jaw: Float, tilt: Float) -> Arch:
        """The other way round."""
        half_width, depth, front, upper, lower, full_light_cm, shading = (float(n) for n in numbers)
        return cls(half_width, depth, front, upper, lower, jaw, tilt, full_light_cm, shading)


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours in the portrait's light, (3,) float32 RGB 0 to 255."""

    tooth: Float
    gum: Float
    tongue: Float
    dark: Float

    def packed(self) -> Float:
        return np.stack([self.tooth, self.gum, self.tongue, self.dark]).astype(np.float32)


def arch_of(model: FaceModel, neutral: Float, lips: Float) -> Arch:
    """model: gives the shape; neutral: (V, 3) the person's whole neutral face; lips: (3,) where they meet."""
    teeth = np.flatnonzero(model.vertex_region == Region.TEETH)
    moves = model.expression[:, teeth]
    swing = np.linalg.norm(moves[INDEX["jawOpen"]], axis=1)
    jawed = swing > 0.3 * swing.max()
    upper, lower = neutral[teeth[~jawed]], neutral[teeth[jawed]]
    half_width = float(np.abs(upper[:, 0]).max()) + 0.25
    front = float(upper[:, 2].max())
    outer = [(abs(x), z) for x, z in _envelope(upper) if abs(x) < 0.85 * half_width]
    fall = np.array([front - z for _, z in outer])
    bend = np.array([1 - np.sqrt(1 - (x / half_width) ** 2) for x, _ in outer])
    depth = float(np.clip((fall @ bend) / max(float(bend @ bend), 1e-6), 0.8 * half_width, 2.2 * half_width))
    biting = float(np.percentile(upper[:, 1], 3))
    gap = float(np.clip(np.percentile(lower[:, 1], 97) - biting, -0.05, 0.25))
    edge = float(lips[1]) - _SEEN_BELOW_LIP_CM
    forward = lower[:, 2] > np.percentile(lower[:, 2], 70)
    jaw = moves[:, jawed][:, forward].mean(axis=1)
    z = lower[:, 2] - lower[:, 2].mean()
    down = moves[:, jawed, 1]
    tilt = (down * z).sum(axis=1) / float((z * z).sum())
    front = max(front, float(lips[2]) - _BEHIND_LIPS_CM)
    return Arch(
        half_width, depth, front, edge, edge + gap, np.asarray(jaw, np.float32), np.asarray(tilt, np.float32)
    )


def _envelope(points: Float) -> list[tuple[float, float]]:
    """Foremost point per slice of x."""
    slices = np.round(points[:, 0] / 0.25).astype(int)
    return [
        (float(points[slices == k, 0].mean()), float(points[slices == k, 2].max())) for k in np.unique(slices)
    ]


def well_lit(smile: Smile, palette: Palette, opened: float) -> bool:
    """Whether a portrait's own teeth can stand for them in any light: not in the shadow of barely open lips.

    opened: cm.
    """
    return opened > _LEAST_SMILE_CM and float(smile.colour @ LUMA) > 0.85 * float(palette.tooth @ LUMA)


def palette_of(white: Float, lip: Float, skin: Float) -> Palette:
    """white: of the eyes, lip, skin: (3,) typical colours of the portrait."""
    bright = float(np.clip(0.5 * (white @ LUMA) + 0.72 * (skin @ LUMA), 110, 226))
    # The tint of the light: the white of an eye shows it, but small, in the lid's shadow and bluish; so does skin,
    # less its own. Teeth are a little yellow.
    shown = np.clip(white / max(float(white @ LUMA), 1.0), 0.85, 1.15) ** 0.3
    shown *= np.clip(skin / max(float(skin @ LUMA), 1.0) / _SKIN_TINT, *_LAMP) ** 0.7
    tooth = bright * shown / float(shown @ LUMA) * np.array([1.04, 1.0, 0.91], np.float32)
    level = float(np.clip(skin @ LUMA, 40, 220)) / 150
    gum = 0.5 * lip + 0.35 * np.array([175, 95, 92], np.float32) * level
    tongue = 0.43 * lip + 0.52 * np.array([165, 82, 78], np.float32) * level
    dark = np.array([30, 11, 10], np.float32) * (0.4 + 0.6 * level)
    # A drawing in grey has a grey mouth.
    chroma = float(np.clip(np.ptp(skin) / max(float(skin @ LUMA), 1.0) / 0.25, 0, 1))
    colours = [np.asarray(c + (c @ LUMA - c) * (1 - chroma), np.float32) for c in (tooth, gum, tongue, dark)]
    return Palette(*colours)


def painted(palette: Palette, *, upper: bool) -> Bytes:
    """ROW x 4 uint8: a row of teeth, front view unrolled, with gum; alpha 0 beyond the biting edge."""
    rows, columns = ROW
    along = ((np.arange(columns) + 0.5) / columns * 2 - 1) * REACH_CM
    high = ABOVE_CM - (np.arange(rows) + 0.5) / rows * (ABOVE_CM + BELOW_CM)
    x, v = np.meshgrid(along, high)
    s = np.abs(x)
    own = _irregular(palette, upper=upper)
    widths = _both_sides(_WIDTHS_UPPER if upper else _WIDTHS_LOWER) * (1 + own["width"])
    rises = _both_sides(_RISE_UPPER if upper else _RISE_LOWER) + own["rise"]
    heights = _both_sides(_HEIGHTS) * (1.0 if upper else 0.88)
    starts = np.concatenate([[0], np.cumsum(widths)]) - widths[: len(widths) // 2].sum()
    which = np.clip(np.searchsorted(starts, x, side="right") - 1, 0, len(widths) - 1)
    width = widths[which]
    within = (x - starts[which]) / width * 2 - 1
    rise = rises[which] + own["lean"][which] * within + 0.085 * np.abs(within) ** 3.2
    height = heights[which]
    edge = np.clip((v - rise) / 0.045 + 0.5, 0, 1)
    gum_line = height - 0.12 * within**2
    gum = np.clip((v - gum_line) / 0.06 + 0.5, 0, 1)

    # Rounded crowns: darker towards the gaps, brighter along the middle, a little translucent at the edge.
    shade = 1.03 - 0.06 * np.abs(within) ** 4 - 0.05 * within**2
    shade += own["shade"][which] + own["turned"][which] * within
    gap = np.exp(-(((1 - np.abs(within)) * width / 2 / 0.045) ** 2))
    # Neighbours touch: only where their crowns round off, at the edge and at the gum, is there shadow between them.
    apart = 0.3 + 0.7 * np.exp(-(((v - rise) / 0.14) ** 2)) + 0.4 * np.clip((v - 0.6) / 0.3, 0, 1)
    shade -= (0.15 if upper else 0.12) * gap * apart
    shade -= 0.05 * np.exp(-(((v - rise) / 0.12) ** 2))
    shade -= 0.10 * np.clip((v - 0.55) / 0.5, 0, 1)
    # Canines and what lies behind them are a trifle more yellow.
    behind = np.clip((s - 1.4) / 1.2, 0, 1)[..., None]
    colour = palette.tooth * (1 - behind * np.array([0.03, 0.05, 0.10], np.float32))
    colour = colour * (1 - own["yellow"][which][..., None] * np.array([0.1, 0.3, 1.0], np.float32))
    picture = colour * shade[..., None]
    picture += (palette.gum * (0.92 + 0.08 * np.cos(within * 3))[..., None] - picture) * gum[..., None]
    result = np.concatenate([picture, edge[..., None] * 255], axis=2)
    return np.asarray(np.clip(result + 0.5, 0, 255), np.uint8)


def _both_sides(teeth: tuple[float, ...]) -> NDArray[np.float64]:
    """From the midline outwards -> from the right of the mouth to its left."""
    return np.array([*teeth[::-1], *teeth])


def _irregular(palette: Palette, *, upper: bool) -> dict[str, NDArray[np.float64]]:
    """How each tooth of a row differs, see `_OWN`: everybody's own, and the same each time an avatar is made."""
    seed = zlib.crc32(palette.packed().tobytes()) + upper
    drawn = np.random.default_rng(seed).standard_normal((len(_OWN), 2 * len(_HEIGHTS)))
    own = {name: spread * np.clip(drawn[k], -1.8, 1.8) for k, (name, spread) in enumerate(_OWN.items())}
    own["yellow"] *= np.clip(np.ptp(palette.tooth) / max(float(palette.tooth.mean()), 1.0) / 0.1, 0, 1)
    return own


def row_points(arch: Arch) -> Float:
    """(ROW..., 3) head space: where each texel of the upper row lies."""
    rows, columns = ROW
    along = ((np.arange(columns) + 0.5) / columns * 2 - 1) * REACH_CM
    high = ABOVE_CM - (np.arange(rows) + 0.5) / rows * (ABOVE_CM + BELOW_CM)
    xs, lengths = arc_lengths(arch.half_width, arch.depth)
    x = np.sign(along) * np.interp(np.abs(along), lengths, xs)
    z = arch.front - arch.depth * (1 - np.sqrt(np.maximum(1 - (x / arch.half_width) ** 2, 0)))
    place = np.broadcast_arrays(x[None, :], arch.upper + high[:, None], z[None, :])
    return np.asarray(np.stack(place, axis=-1), np.float32)


def arc_lengths(half_width: float, depth: float, count: int = 64) -> tuple[Float, Float]:
    """x from 0 to the half width, and the length of the arch up to there; (count,) each."""
    angle = np.linspace(0, np.pi / 2, 512)
    x, z = half_width * np.sin(angle), depth * np.cos(angle)
    length = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(z)))])
    xs = np.linspace(0, half_width, count)
    return xs.astype(np.float32), np.interp(xs, x, length).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Smile:
    """The portrait's own teeth. texels: ROW x 3 float32; seen: ROW, 0 to 1, where they are visible.

    edge: y of the biting edge, head space; colour: (3,) typical.
    """

    texels: Float
    seen: Float
    edge: float
    colour: Float


def tooth_mask(portrait: Bytes, mouth: Bytes) -> Bytes:
    """(H, W) uint8, 1 where the open mouth (mask `mouth`) shows teeth: bright and pale for a mouth."""
    if mouth.sum() < 60:
        return np.zeros_like(mouth)
    inside = mouth > 0
    lab = cv2.cvtColor(portrait, cv2.COLOR_RGB2LAB).astype(np.float32)
    lightness = lab[..., 0]
    redness = lab[..., 1] - 128
    bright = np.percentile(lightness[inside], 92)
    if bright < 75:
        return np.zeros_like(mouth)
    teeth = inside & (lightness > 0.62 * bright) & (redness < 16)
    opened = cv2.morphologyEx(teeth.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    return np.asarray(opened if opened.sum() > 0.22 * inside.sum() else np.zeros_like(mouth), np.uint8)


def own_smile(portrait: Bytes, mouth: Bytes, arch: Arch, view: View) -> Smile | None:
    """Take the portrait's upper teeth as a picture for the arch; None when it shows none.

    mouth: (H, W) uint8, 1 within the open mouth.
    """
    teeth = tooth_mask(portrait, mouth)
    if not teeth.any():
        return None
    colour = np.median(portrait[teeth > 0], axis=0).astype(np.float32)
    rows, columns = np.nonzero(teeth)
    middle = np.abs(columns - np.median(columns)) < 0.3 * np.ptp(columns)
    # The biting edge: where the teeth end in most columns around the middle.
    lowest = [rows[middle & (columns == c)].max() for c in np.unique(columns[middle])]
    at = np.array([np.median(columns[middle]), np.median(lowest) + 1.0], np.float32)
    origin, direction = view.ray(at)
    edge = float((origin + direction * ((arch.front - origin[2]) / direction[2]))[1])
    placed = replace(arch, upper=edge)
    pixels = view.project(row_points(placed)) - np.float32(0.5)
    map_x, map_y = np.ascontiguousarray(pixels[..., 0]), np.ascontiguousarray(pixels[..., 1])
    texels = cv2.remap(portrait, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE).astype(
        np.float32
    )
    inner = cv2.erode(mouth, np.ones((3, 3), np.uint8)).astype(np.float32)
    visible = cv2.remap(cv2.GaussianBlur(inner, (0, 0), 1.0), map_x, map_y, cv2.INTER_LINEAR)
    pale = cv2.remap(cv2.GaussianBlur(teeth.astype(np.float32), (0, 0), 1.5), map_x, map_y, cv2.INTER_LINEAR)
    seen = np.clip(visible * 2 - 1, 0, 1) * np.clip(pale * 2.2 - 0.4, 0, 1)
    return Smile(texels, np.asarray(seen, np.float32), edge, colour)


def with_smile(row: Bytes, smile: Smile) -> Bytes:
    """The painted upper row with the portrait's own teeth where it shows them."""
    picture = row.astype(np.float32)
    # Columns continue upwards what is seen of a tooth: its own shade, not that of a painted one.
    weight = cv2.GaussianBlur(smile.seen, (0, 0), 1.0)[..., None]
    column = (smile.texels * weight).sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-3)
    known = np.clip(weight.sum(axis=0) / 4, 0, 1)
    tooth = picture[..., 3:] / 255
    enamel = picture[..., :3].min(axis=2, keepdims=True) > 0.62 * float(smile.colour.min())
    toned = picture[..., :3] + known * 0.6 * (column - picture[..., :3]) * enamel
    own = toned + (smile.texels - toned) * weight
    alpha = np.maximum(tooth, weight)
    return np.asarray(np.clip(np.concatenate([own, alpha * 255], axis=2) + 0.5, 0, 255), np.uint8)
