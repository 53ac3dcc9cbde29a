"""The volume of hair: the skull's surface, drawn out until it ends where the person does in the portrait.

A face model's head is bald. Left at the depth of a bald skull's outline, hair would be a flat rim that sinks when the
head looks up, and that hides behind the cheek when it turns.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.frames import Float
from mien_photo.fading import fade

_RAYS = 360
_ANGLES = np.arange(_RAYS) * (2 * np.pi / _RAYS)
_MOST = 1.6
"""Hair reaches this many times as far as the skull at the most: what goes on beyond is something else."""
_UPPER, _LOWER = np.radians([40.0, 75.0])
"""Off the upward direction: at the temples hair counts less and less; what stands out below them is an ear, which would
get long, then neck and shoulders.
"""
_SMOOTH_RAYS = 6.0
_FACE = 0.95
"""Of the way from the middle to the outline of the face: within it everything stays as the model has it."""
_FRONT = 0.3
"""Of its thickness at the outline, how far hair stands out half-way to it."""
_BACK_CM, _BACK_FROM = 2.5, 0.5
"""How far behind the skull's outline hair ends, and from where on its way it bends there: what comes into sight as the
head turns is the back of the hair, which the portrait doesn't show; its rim must do for that.
"""


def inflated(
    depth: Float, head: NDArray[np.bool_], person: NDArray[np.bool_], oval: Float, up: Float, px_cm: float
) -> tuple[Float, NDArray[np.bool_]]:
    """depth: (h, w) cm of the bald head, where `head`: (h, w) -> the same with hair, and where that is.

    person: (h, w), where the portrait shows the person; oval: (P, 2) px, the outline of the face; up: (2,) px, where
    the head's upward direction points; px_cm: cm per px at the head. Along each ray from the middle of the face the
    depths between its outline and the skull's are spread out as far as the person reaches, and come as much to the
    front as hair is thick.
    """
    height, width = depth.shape
    middle = oval.mean(axis=0)
    forward = up / max(float(np.linalg.norm(up)), 1e-6)
    side = np.array([-forward[1], forward[0]])
    turned = np.cos(_ANGLES)[:, None] * forward + np.sin(_ANGLES)[:, None] * side
    rays = np.asarray(turned, np.float32)
    face = _along(rays, oval - middle) * _FACE
    skull = np.maximum(_reach(head, middle, rays, np.zeros(_RAYS, np.float32)), face + 1)
    counts = fade((_LOWER - np.minimum(_ANGLES, 2 * np.pi - _ANGLES)) / (_LOWER - _UPPER))
    further = np.clip(_reach(person, middle, rays, skull * np.float32(0.97)) / skull, 1, _MOST)
    ends = skull * (1 + (further - 1) * counts)

    x, y = np.meshgrid(np.arange(width) - middle[0], np.arange(height) - middle[1])
    away = np.hypot(x, y)
    place = np.arctan2(x * side[0] + y * side[1], x * forward[0] + y * forward[1])
    thick = (ends - skull) * px_cm
    from_face, to_skull, to_end, thickness, counted = (
        np.interp(place, _ANGLES, _smooth(values), period=2 * np.pi)
        for values in (face, skull, ends, thick, counts)
    )
    way = (away - from_face) / np.maximum(to_end - from_face, 1e-3)
    found = np.where(way > 0, from_face + way * (to_skull - from_face), away) / np.maximum(away, 1e-3)
    columns = np.asarray(middle[0] + x * found, np.float32)
    rows = np.asarray(middle[1] + y * found, np.float32)
    known = cv2.remap(head.astype(np.float32), columns, rows, cv2.INTER_LINEAR) > 0.5
    spread = cv2.remap(depth, columns, rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    back = np.clip((way - _BACK_FROM) / (1 - _BACK_FROM), 0, 1) ** 2 * counted
    front = _FRONT * thickness * np.sin(np.pi * np.clip(way, 0, 1))
    return np.asarray(spread + _BACK_CM * back - front, np.float32), np.asarray(known & (spread > 0))


def _along(rays: Float, outline: Float) -> Float:
    """How far an outline around the origin lies in each direction. outline: (P, 2) px, closed; rays: (R, 2)."""
    own = np.arctan2(outline[:, 1], outline[:, 0])
    wanted = np.arctan2(rays[:, 1], rays[:, 0])
    return np.asarray(np.interp(wanted, own, np.linalg.norm(outline, axis=1), period=2 * np.pi), np.float32)


def _reach(mask: NDArray[np.bool_], middle: Float, rays: Float, start: Float) -> Float:
    """(R,) px, how far from the middle each ray leaves the mask, beyond `start`: (R,) px."""
    height, width = mask.shape
    steps = np.arange(0, np.hypot(height, width), 0.5)
    places = middle + rays[:, None] * steps[:, None]
    column, row = (np.round(places[..., k]).astype(int) for k in range(2))
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    hit = inside & mask[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    left = ~hit & (steps >= start[:, None])
    return np.asarray(steps[np.argmax(left, axis=1)], np.float32)


def _smooth(values: Float) -> Float:
    """A Gaussian around the circle."""
    turned = np.arange(_RAYS)
    kernel = np.exp(-0.5 * (np.minimum(turned, _RAYS - turned) / _SMOOTH_RAYS) ** 2)
    spectrum = np.fft.rfft(values) * np.fft.rfft(kernel / kernel.sum())
    return np.asarray(np.fft.irfft(spectrum, _RAYS), np.float32)
