"""Separating a person from the background: alpha at the hair, pure colours on both sides of it."""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit

from mien.frames import Bytes, Float

_LEVEL_ITERATIONS = ((32, 12), (128, 4), (4096, 2))
"""(largest side of a level, iterations there)."""


def refine(portrait: Bytes, coarse: Float, sure: Float) -> Float:
    """Make a segmentation follow the edges of the picture.

    portrait: (S, S, 3) uint8; coarse: (S, S) 0 to 1; sure: (S, S) 0 to 1, where the face certainly is.
    Returns (S, S) float32 alpha. Guided filter (He et al. 2010), applied at two scales.
    """
    side = portrait.shape[0]
    guide = portrait.astype(np.float32) / 255
    wide = cv2.ximgproc.guidedFilter(guide, coarse, side // 80, 1e-4)
    fine = cv2.ximgproc.guidedFilter(guide, coarse, side // 256, 5e-5)
    # Where the segmentation is sure, it stays; the picture decides within a band around its edge.
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side // 32 | 1, side // 32 | 1))
    inside = cv2.erode((coarse > 0.5).astype(np.uint8), kernel)
    outside = 1 - cv2.dilate((coarse > 0.5).astype(np.uint8), kernel)
    alpha = 0.5 * (wide + fine)
    alpha = np.clip((alpha - 0.2) / 0.6, 0, 1)
    soft = side / 200
    keep = cv2.GaussianBlur(np.maximum(inside, sure).astype(np.float32), (0, 0), soft)
    drop = cv2.GaussianBlur(outside.astype(np.float32), (0, 0), soft)
    alpha = np.maximum(alpha, np.clip(keep * 2 - 1, 0, 1))
    return np.asarray(np.clip(alpha * (1 - np.clip(drop * 2 - 1, 0, 1)), 0, 1), np.float32)


def separate(portrait: Bytes, alpha: Float) -> tuple[Bytes, Bytes]:
    """Colours of person and background: (S, S, 3) uint8 both, defined everywhere.

    Outside of the person its colour continues, and within it the background does, so warping neither
    drags the other along (no halo). Fast multi-level foreground estimation (Germer et al. 2020).
    """
    side = portrait.shape[0]
    small = side // 2
    image = cv2.resize(portrait, (small, small), interpolation=cv2.INTER_AREA).astype(np.float32)
    cover = cv2.resize(alpha, (small, small), interpolation=cv2.INTER_AREA)
    front, back = _multilevel(image, cover)
    front = cv2.resize(front, (side, side), interpolation=cv2.INTER_LINEAR)
    back = cv2.resize(back, (side, side), interpolation=cv2.INTER_LINEAR)
    own = portrait.astype(np.float32)
    in_front = np.clip((alpha - 0.7) / 0.3, 0, 1)[..., None]
    behind = np.clip((0.05 - alpha) / 0.05, 0, 1)[..., None]
    front += (own - front) * in_front
    back += (own - back) * behind
    return _bytes(front), _bytes(back)


def _bytes(image: Float) -> Bytes:
    return np.asarray(np.clip(image + 0.5, 0, 255), np.uint8)


def _multilevel(image: Float, alpha: Float) -> tuple[Float, Float]:
    side = image.shape[0]
    sure = np.clip((alpha - 0.9) / 0.1, 0, 1)[..., None]
    clear = np.clip((0.1 - alpha) / 0.1, 0, 1)[..., None]
    front = np.broadcast_to((image * sure).sum((0, 1)) / max(float(sure.sum()), 1), (1, 1, 3)).astype(np.float32)
    back = np.broadcast_to((image * clear).sum((0, 1)) / max(float(clear.sum()), 1), (1, 1, 3)).astype(np.float32)
    size = 2
    while True:
        size = min(size, side)
        level = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
        cover = cv2.resize(alpha, (size, size), interpolation=cv2.INTER_AREA)
        front = np.ascontiguousarray(cv2.resize(front, (size, size), interpolation=cv2.INTER_LINEAR).reshape(size, size, 3))
        back = np.ascontiguousarray(cv2.resize(back, (size, size), interpolation=cv2.INTER_LINEAR).reshape(size, size, 3))
        rounds = next(count for most, count in _LEVEL_ITERATIONS if size <= most)
        for _ in range(rounds):
            _relax(level, cover, front, back)
        if size == side:
            return front, back
        size *= 2


@njit(cache=True, nogil=True, fastmath=True)
def _relax(image: Float, alpha: Float, front: Float, back: Float) -> None:
    """One Gauss-Seidel sweep: I = a F + (1 - a) B, F and B smooth, most where alpha doesn't change."""
    height, width = alpha.shape
    for y in range(height):
        for x in range(width):
            a = alpha[y, x]
            weight = np.float32(0.0)
            f0 = f1 = f2 = b0 = b1 = b2 = np.float32(0.0)
            for k in range(4):
                yy = min(max(y + (k == 1) - (k == 0), 0), height - 1)
                xx = min(max(x + (k == 3) - (k == 2), 0), width - 1)
                w = np.float32(0.03) + np.float32(0.3) * abs(a - alpha[yy, xx])
                weight += w
                f0 += w * front[yy, xx, 0]
                f1 += w * front[yy, xx, 1]
                f2 += w * front[yy, xx, 2]
                b0 += w * back[yy, xx, 0]
                b1 += w * back[yy, xx, 1]
                b2 += w * back[yy, xx, 2]
            b = np.float32(1.0) - a
            # Normal equations of one pixel, [a a + w, a b; a b, b b + w] [F; B] = [a I + w f; b I + w b].
            aa, ab, bb = a * a + weight, a * b, b * b + weight
            inverse = np.float32(1.0) / (aa * bb - ab * ab)
            for c in range(3):
                rf = a * image[y, x, c] + (f0 if c == 0 else f1 if c == 1 else f2)
                rb = b * image[y, x, c] + (b0 if c == 0 else b1 if c == 1 else b2)
                front[y, x, c] = min(max((bb * rf - ab * rb) * inverse, np.float32(0.0)), np.float32(255.0))
                back[y, x, c] = min(max((aa * rb - ab * rf) * inverse, np.float32(0.0)), np.float32(255.0))
