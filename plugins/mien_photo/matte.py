"""Separating a person from the background: alpha at the hair, pure colours on both sides of it."""

from __future__ import annotations

import cv2
import numpy as np

from mien.frames import Bytes, Float

_CUT_SIDE = 320
_EDGE_FREEDOM = 32
"""Grey levels by which the edge of a person may differ from the colour just inside of it."""


def refine(portrait: Bytes, coarse: Float, sure: Float) -> Float:
    """Make a segmentation follow the edges of the picture.

    portrait: (S, W, 3) uint8; coarse: (S, W) 0 to 1; sure: (S, W) 0 to 1, where the face certainly is.
    Returns (S, W) float32 alpha. A graph cut puts the edge where the colours change, a guided filter (He et
    al. 2010) at two scales makes it as soft as they do.
    """
    side = portrait.shape[0]
    coarse = np.asarray(0.25 * coarse + 0.75 * _cut(portrait, coarse), np.float32)
    guide = portrait.astype(np.float32) / 255
    wide = cv2.ximgproc.guidedFilter(guide, coarse, side // 80, 1e-4)
    fine = cv2.ximgproc.guidedFilter(guide, coarse, side // 256, 5e-5)
    # Where the segmentation is sure, it stays; the picture decides within a band around its edge.
    kernel = _disc(side // 32)
    inside = cv2.erode((coarse > 0.5).astype(np.uint8), kernel)
    outside = 1 - cv2.dilate((coarse > 0.5).astype(np.uint8), kernel)
    alpha = 0.5 * (wide + fine)
    alpha = np.clip((alpha - 0.2) / 0.6, 0, 1)
    soft = side / 200
    keep = cv2.GaussianBlur(np.maximum(inside, sure).astype(np.float32), (0, 0), soft)
    drop = cv2.GaussianBlur(outside.astype(np.float32), (0, 0), soft)
    alpha = np.maximum(alpha, np.clip(keep * 2 - 1, 0, 1))
    return np.asarray(np.clip(alpha * (1 - np.clip(drop * 2 - 1, 0, 1)), 0, 1), np.float32)


def _cut(portrait: Bytes, coarse: Float) -> Float:
    """GrabCut (Rother et al. 2004) within a band around the segmentation's edge; (S, W) 0 or 1, smoothly grown."""
    size = (max(round(_CUT_SIDE * portrait.shape[1] / portrait.shape[0]), 1), _CUT_SIDE)
    small = cv2.resize(portrait, size, interpolation=cv2.INTER_AREA)
    inside = (cv2.resize(coarse, size, interpolation=cv2.INTER_AREA) > 0.5).astype(np.uint8)
    sure = cv2.erode(inside, _disc(11))
    possible = cv2.dilate(inside, _disc(13))
    if not sure.any() or possible.all():
        return coarse
    labels = np.where(inside > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    labels = np.where(sure > 0, cv2.GC_FGD, np.where(possible == 0, cv2.GC_BGD, labels)).astype(np.uint8)
    cv2.setRNGSeed(0)
    cv2.grabCut(small, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_MASK)
    person = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.float32)
    return np.asarray(cv2.resize(person, portrait.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _disc(size: int) -> Bytes:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size | 1, size | 1)), np.uint8)


def separate(portrait: Bytes, alpha: Float) -> tuple[Bytes, Bytes]:
    """Colours of person and background: (S, W, 3) uint8 both, defined everywhere.

    Outside of the person its colour continues, and within it the background does, so warping neither
    drags the other along (no halo).
    """
    side = portrait.shape[0]
    own = portrait.astype(np.float32)
    # The background is only believed where nothing of the person can be, its soft edge included.
    clear = 1 - cv2.dilate((alpha > 0.03).astype(np.uint8), _disc(side // 48))
    back = continued(own, clear.astype(np.float32))
    solid = cv2.erode((alpha > 0.95).astype(np.uint8), _disc(side // 90))
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
    plain = np.clip(plain * 2 - 1, 0, 1)
    back += _grain(own, clear) * (1 - plain)
    back += (own - back) * plain
    return _bytes(front), _bytes(back)


def _grain(image: Float, clear: Bytes) -> Float:
    """The fine structure of the background (grain, canvas), from its calmest square, laid out everywhere.

    Without it the part of the background that was made up is as smooth as no photograph is.
    """
    side = image.shape[0]
    tile = side // 8
    fine = image - cv2.GaussianBlur(image, (0, 0), side / 340)
    energy = cv2.boxFilter(
        (fine**2).sum(axis=2), -1, (tile, tile), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT
    )
    known = cv2.boxFilter(
        clear.astype(np.float32), -1, (tile, tile), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT
    )
    energy[known < 0.999] = np.inf
    row, column = np.unravel_index(int(np.argmin(energy)), energy.shape)
    if not np.isfinite(energy[row, column]):
        return np.zeros_like(image)
    patch = fine[row : row + tile, column : column + tile]
    # As fine and as strong as there, but in no order (Galerne et al. 2011): a thread or a leaf that lies in the
    # square isn't laid out again and again. It is periodic, so its tiles meet.
    spectrum = np.fft.rfft2(patch, axes=(0, 1))
    noise = np.fft.rfft2(np.random.default_rng(0).standard_normal((tile, tile)))
    phases = noise / np.maximum(np.abs(noise), 1e-6)
    texture = np.fft.irfft2(spectrum * phases[..., None], (tile, tile), axes=(0, 1))
    width = image.shape[1]
    return np.asarray(np.tile(texture, (-(-side // tile), -(-width // tile), 1))[:side, :width], np.float32)


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
