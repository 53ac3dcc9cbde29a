"""Separating a person from the background: alpha at the hair, pure colours on both sides of it."""

from __future__ import annotations

import cv2
import numpy as np

from mien.frames import Bytes, Float

_EDGE_FREEDOM = 40
"""Grey levels by which the edge of a person may differ from the colour just inside of it."""


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
    drags the other along (no halo).
    """
    side = portrait.shape[0]
    own = portrait.astype(np.float32)
    # The background is only believed where nothing of the person can be, its soft edge included.
    rim = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side // 64 | 1, side // 64 | 1))
    clear = 1 - cv2.dilate((alpha > 0.03).astype(np.uint8), rim)
    back = continued(own, clear.astype(np.float32))
    rim = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side // 200 | 1, side // 200 | 1))
    solid = cv2.erode((alpha > 0.95).astype(np.uint8), rim)
    front = continued(own, solid.astype(np.float32))
    # Along the edge: what the person must look like for the portrait to be person over background.
    cover = alpha[..., None]
    implied = (own - (1 - cover) * back) / np.maximum(cover, 0.35)
    implied = np.clip(implied, front - _EDGE_FREEDOM, front + _EDGE_FREEDOM)
    known = cv2.GaussianBlur(solid.astype(np.float32), (0, 0), side / 500)[..., None]
    edge = np.clip((cover - 0.25) / 0.3, 0, 1) * (1 - known)
    front += (implied - front) * edge
    front += (own - front) * np.clip(known * 2 - 1, 0, 1)
    plain = cv2.GaussianBlur(clear.astype(np.float32), (0, 0), side / 250)[..., None]
    back += (own - back) * np.clip(plain * 2 - 1, 0, 1)
    return _bytes(front), _bytes(back)


def continued(image: Float, known: Float) -> Float:
    """image: (S, S, 3), known: (S, S) 0 to 1 -> the image where known, smoothly continued elsewhere.

    Push-pull over a pyramid (Gortler et al. 1996, section 3.4).
    """
    height, width = known.shape
    if min(height, width) <= 2:
        total = max(float(known.sum()), 1e-6)
        mean = (image * known[..., None]).sum(axis=(0, 1)) / total
        return np.broadcast_to(mean, image.shape).astype(np.float32)
    size = (max(width // 2, 1), max(height // 2, 1))
    weight = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    total = cv2.resize(image * known[..., None], size, interpolation=cv2.INTER_AREA)
    mean = total / np.maximum(weight, 1e-6)[..., None]
    coarse = continued(mean, np.minimum(weight * 2, 1))
    grown = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(grown + (image - grown) * known[..., None], np.float32)


def _bytes(image: Float) -> Bytes:
    return np.asarray(np.clip(image + 0.5, 0, 255), np.uint8)
