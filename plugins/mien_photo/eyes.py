"""Eyes of a portrait taken apart: white without iris, iris without lids, the light's reflection by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.face.camera import Camera
from mien.face.model import gaze_rotation
from mien.frames import Bytes, Float
from mien_photo.fading import fade
from mien_photo.luma import LUMA

PATCH = (112, 160)
"""Rows and columns of the white's texture."""
IRIS = 96
"""Side of the iris' texture; it covers `IRIS_REACH` iris radii to each side."""
IRIS_REACH = 1.3

ToPatch = Callable[[Float], Float]

_DARKEST = 0.72
"""Of the usual brightness of a white: what is darker is none."""

_TYPICAL = 0.08
"""Weight of the typical white among those near by: these are of the corners, which are darker than the middle."""

SHADOW_CM = 0.2
SHADOW = 0.3
"""The upper lid darkens the white below it by `SHADOW` at its edge, falling off over `SHADOW_CM`."""


@dataclass(frozen=True, slots=True)
class Eye:
    """One eye of the portrait.

    white: PATCH x 3 uint8, the completed white without the lid's shadow. box: (3,) px of the source: left, top,
    and px of the source per px of the patch.
    iris: (IRIS, IRIS, 4) uint8, RGB and alpha, seen along the line of sight. glint: (IRIS, IRIS) uint8, the
    light's reflection (added), in the same frame. centre: (3,) cm, head space; radius: cm; iris_radius: cm;
    gaze: (2,) radians, yaw and pitch in the portrait.
    """

    white: Bytes
    box: Float
    iris: Bytes
    glint: Bytes
    centre: Float
    radius: float
    iris_radius: float
    gaze: Float


@dataclass(frozen=True, slots=True)
class View:
    """The portrait's camera and the pose of the head in it. rotation: (3, 3); translation: (3,) cm."""

    camera: Camera
    rotation: Float
    translation: Float

    def project(self, points: Float) -> Float:
        """points: (..., 3) head space -> (..., 2) px."""
        return self.camera.project(np.asarray(points @ self.rotation.T + self.translation, np.float32))

    def ray(self, pixel: Float) -> tuple[Float, Float]:
        """Origin and direction, head space, of the line of sight through a pixel."""
        camera = self.camera
        seen = np.array([(pixel[0] - camera.cx) / camera.focal, -(pixel[1] - camera.cy) / camera.focal, -1.0])
        return (
            np.asarray(-self.rotation.T @ self.translation, np.float32),
            np.asarray(self.rotation.T @ seen, np.float32),
        )


def hit_sphere(origin: Float, direction: Float, centre: Float, radius: float) -> Float:
    """The nearer point where a line meets a sphere; where it misses, the sphere's closest point to it."""
    away = origin - centre
    a = float(direction @ direction)
    b = float(away @ direction)
    c = float(away @ away) - radius**2
    root = np.sqrt(max(b * b - a * c, 0.0))
    point = origin + direction * ((-b - root) / a)
    offset = point - centre
    return np.asarray(centre + offset * (radius / np.linalg.norm(offset)), np.float32)


def take_apart(
    portrait: Bytes, lids: Float, iris_points: Float, view: View, centre: Float, radius: float
) -> Eye:
    """lids: (L, 2) px, around the opening in order; iris_points: (5, 2) px, centre and rim.

    centre, radius: of the eyeball, cm, head space.
    """
    middle = iris_points[0]
    depth = -float((view.rotation @ centre + view.translation)[2]) - radius
    cm_per_px = depth / view.camera.focal
    rim = float(np.linalg.norm(iris_points[1:] - middle, axis=1).mean())
    iris_radius = float(np.clip(rim * cm_per_px, 0.4 * radius / 1.2, 0.75 * radius / 1.2))
    origin, direction = view.ray(middle)
    look = hit_sphere(origin, direction, centre, radius) - centre
    gaze = np.array([np.arctan2(look[0], look[2]), np.arcsin(np.clip(look[1] / radius, -1, 1))], np.float32)

    low, high = lids.min(axis=0), lids.max(axis=0)
    width = float(high[0] - low[0])
    scale = np.float32(1.7 * width / PATCH[1])
    corner = (low + high) / 2 - scale * np.array(PATCH[::-1]) / 2
    box = np.array([corner[0], corner[1], scale], np.float32)
    rows, columns = np.mgrid[: PATCH[0], : PATCH[1]].astype(np.float32)
    map_x, map_y = corner[0] + (columns + 0.5) * scale - 0.5, corner[1] + (rows + 0.5) * scale - 0.5
    patch = _sample(portrait, map_x.astype(np.float32), map_y.astype(np.float32))

    def to_patch(points: Float) -> Float:
        return np.asarray((points - corner) / scale, np.float32)

    opening = _fill(to_patch(lids))
    solid = cv2.erode(opening, np.ones((3, 3), np.uint8))
    shadow = _shadow(opening, float(scale) * cm_per_px)
    lit = np.clip(patch / shadow[..., None], 0, 255)
    disc = _disc(view, centre, radius, gaze, 1.22 * iris_radius, to_patch)
    core = _disc(view, centre, radius, gaze, 0.98 * iris_radius, to_patch)
    glint = _glint(patch, solid * core)
    white = _white(lit, solid, disc, opening)

    iris, spark = _iris(portrait, shadow, opening, glint, view, centre, radius, gaze, iris_radius, to_patch)
    return Eye(_bytes(white), box, iris, spark, np.asarray(centre, np.float32), radius, iris_radius, gaze)


def _sample(image: NDArray[np.generic], x: Float, y: Float) -> Float:
    taken = cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(taken, np.float32)


def _bytes(image: Float) -> Bytes:
    return np.asarray(np.clip(image + 0.5, 0, 255), np.uint8)


def _fill(polygon: Float) -> Bytes:
    """(PATCH) uint8, 1 inside."""
    mask = np.zeros(PATCH, np.uint8)
    cv2.fillPoly(mask, [np.round((polygon - 0.5) * 16).astype(np.int32)], 1, shift=4)
    return mask


def _shadow(opening: Bytes, cm_per_px: float) -> Float:
    """The upper lid's shadow as the renderer draws it: by distance from the topmost pixel of each column."""
    top = np.where(opening.any(axis=0), opening.argmax(axis=0), PATCH[0])
    below = np.maximum(np.arange(PATCH[0])[:, None] - top[None, :], 0) * cm_per_px
    return np.asarray(1 - SHADOW * np.exp(-((below / SHADOW_CM) ** 2)), np.float32)


def _disc(view: View, centre: Float, radius: float, gaze: Float, reach: float, to_patch: ToPatch) -> Bytes:
    """Where the iris (or a multiple of it) lies in the patch."""
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    local = np.stack(
        [reach * np.cos(turn), reach * np.sin(turn), np.full(48, np.sqrt(max(radius**2 - reach**2, 0)))],
        axis=1,
    )
    rim = local @ gaze_rotation(*gaze).T + centre
    return _fill(to_patch(view.project(rim.astype(np.float32))))


def _glint(patch: Float, within: Bytes) -> Float:
    """(PATCH) float32: what small bright spots on the iris add to it."""
    luminance = patch @ LUMA
    filled = np.where(within > 0, luminance, 0).astype(np.uint8)
    size = max(PATCH[1] // 9 | 1, 3)
    opened = cv2.morphologyEx(
        filled, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    )
    spot = np.where(within > 0, luminance - opened, 0)
    spread = float(np.median(luminance[within > 0])) if within.any() else 0.0
    strong = np.clip(spot - 0.35 * spread - 12, 0, 255).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(strong, (0, 0), 1.0), np.float32)


def _white(lit: Float, solid: Bytes, disc: Bytes, opening: Bytes) -> Float:
    """The white of the eye everywhere: seen where it is, continued under iris and lids."""
    seen = (solid > 0) & (disc == 0)
    if seen.sum() < 20:
        seen = (opening > 0) & (disc == 0)
    if seen.sum() < 8:
        base = np.array([205, 195, 188], np.float32) * 0.8
        return np.broadcast_to(base, lit.shape).astype(np.float32)
    luminance = lit @ LUMA
    # Roots of lashes lie at the edge: they belong to the lid, not to the white that is seen when it moves.
    usual = float(np.median(luminance[seen]))
    plain = seen & (luminance > _DARKEST * usual)
    seen = plain if plain.sum() >= 20 else seen
    bright = seen & (luminance >= np.percentile(luminance[seen], 50))
    typical = 0.97 * np.median(lit[bright], axis=0)
    # A wide Gaussian average of what is seen, drawn to the typical white where nothing is near.
    weight = seen.astype(np.float32)
    sigma = PATCH[1] / 14
    total = cv2.GaussianBlur(weight, (0, 0), sigma)[..., None] + _TYPICAL
    mean = (cv2.GaussianBlur(lit * weight[..., None], (0, 0), sigma) + _TYPICAL * typical) / total
    soft = cv2.GaussianBlur(weight, (0, 0), 1.2)[..., None]
    keep = np.clip(soft * 2 - 1, 0, 1) * seen[..., None]
    keep = cv2.GaussianBlur(keep[..., 0] if keep.ndim == 3 else keep, (0, 0), 0.8)[..., None]
    return np.asarray(mean * (1 - keep) + lit * keep, np.float32)


def _iris(
    portrait: Bytes,
    shadow: Float,
    opening: Bytes,
    glint: Float,
    view: View,
    centre: Float,
    radius: float,
    gaze: Float,
    iris_radius: float,
    to_patch: ToPatch,
) -> tuple[Bytes, Bytes]:
    """The iris seen along the line of sight, completed where lids or reflections hide it, and the reflection.

    (IRIS, IRIS, 4) and (IRIS, IRIS), both uint8.
    """
    axis = ((np.arange(IRIS) + 0.5) / IRIS * 2 - 1) * IRIS_REACH
    u, v = np.meshgrid(axis, -axis)
    rho = np.hypot(u, v)
    flat = np.stack([u, v], axis=-1) * iris_radius
    height = np.sqrt(np.maximum(radius**2 - (flat**2).sum(-1), 0))
    points = np.concatenate([flat, height[..., None]], axis=-1) @ gaze_rotation(*gaze).T + centre
    pixels = view.project(points.astype(np.float32))
    taken = _sample(portrait, pixels[..., 0] - np.float32(0.5), pixels[..., 1] - np.float32(0.5))
    place = to_patch(pixels) - np.float32(0.5)
    in_patch_x, in_patch_y = np.ascontiguousarray(place[..., 0]), np.ascontiguousarray(place[..., 1])
    taken /= _sample(shadow, in_patch_x, in_patch_y)[..., None]
    spark = _sample(glint, in_patch_x, in_patch_y)
    taken -= spark[..., None]
    solid = cv2.erode(opening, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))).astype(np.float32)
    seen = np.clip(_sample(solid, in_patch_x, in_patch_y), 0, 1)
    seen = np.clip(seen * 2 - 1, 0, 1)

    # Rings: what is hidden has the colour of its ring, or better of its mirror image below.
    def ring_of(distance: float) -> int:
        return min(int(distance / IRIS_REACH * 24), 23)

    ring = np.minimum((rho / IRIS_REACH * 24).astype(int), 23)
    mean = np.zeros((24, 3), np.float32)
    known = np.zeros(24, bool)
    for k in range(24):
        here = (ring == k) & (seen > 0.5)
        if here.any():
            mean[k], known[k] = np.median(taken[here], axis=0), True
    if not known.any():
        mean[:] = (70, 52, 40)
        known[:] = True
    for channel in range(3):
        mean[:, channel] = np.interp(np.arange(24), np.flatnonzero(known), mean[known, channel])
    # The rim is mixed with the white: it continues the colour just inside of it.
    mean[ring_of(0.93) + 1 :] = mean[ring_of(0.93)]
    position = np.clip(rho / IRIS_REACH * 24 - 0.5, 0, 23)
    rings = np.stack([np.interp(position, np.arange(24), mean[:, c]) for c in range(3)], axis=-1)
    mirrored_seen = seen[::-1][..., None]
    fill = rings + (taken[::-1] - rings) * mirrored_seen * 0.6
    inner = np.clip((0.98 - rho) / 0.1, 0, 1)
    colour = fill + (taken - fill) * (seen * inner)[..., None]
    # Small eyes are blurred into their whites: the pupil and the rim get their darkness back.
    dark = 1 - 0.25 * np.exp(-((rho / 0.3) ** 2)) - 0.12 * np.exp(-(((rho - 0.93) / 0.12) ** 2))
    colour *= dark[..., None]
    alpha = fade((1.06 - rho) / 0.16)
    return np.concatenate(
        [_bytes(colour), _bytes(np.asarray(alpha[..., None] * 255, np.float32))], axis=2
    ), _bytes(spark)
