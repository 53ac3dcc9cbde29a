"""What stands still behind the person: the portrait's own surroundings, blurred, a colour, a picture.

Everything here happens once per avatar and choice; a frame copies the result.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.frames import Bytes, Float
from mien.stage import Background
from mien_photo.fading import fade

_BLUR = 1 / 40
"""Standard deviation of the blur, heights."""

_REACH = 0.12
"""How far into the picture its continuation looks, sides."""

_BEFORE = 0.08
"""How far before its edge a picture that is continued begins to get out of focus, sides: the mirror's seam must not
be seen.
"""

_SOFTER = ((0.006, 0.06), (0.018, 0.14), (0.06, 0.4))
"""Standard deviation of the blur, and over which distance it comes in, sides."""


def behind(background: Background, plate: Bytes) -> Bytes:
    """What `background` looks like: (H, W, 3) uint8, C-contiguous.

    plate: (H, W, 3) the portrait's surroundings without the person; for a transparent background the person's
    own colours, going on beyond the person. These are not seen, but stand in a codec's blocks beside the person:
    the calmer, the better.
    """
    height, width = plate.shape[:2]
    match background.mode:
        case "blur" | "transparent":
            back = _soft(plate, height * _BLUR)
        case "colour":
            back = np.broadcast_to(np.array(background.colour, np.uint8), plate.shape)
        case "image" if background.image is not None:
            back = covering(background.image, (width, height))
        case _:
            back = plate
    return np.ascontiguousarray(back, np.uint8)


def covering(image: Bytes, size: tuple[int, int]) -> Bytes:
    """image: (h, w, 3 or 4) -> (H, W, 3), scaled and cropped in the middle to fill `size` (width, height)."""
    height, width = image.shape[:2]
    factor = max(size[0] / width, size[1] / height)
    grown = cv2.resize(
        image[..., :3], (max(round(width * factor), size[0]), max(round(height * factor), size[1])),
        interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC,
    )  # fmt: skip
    left, top = (grown.shape[1] - size[0]) // 2, (grown.shape[0] - size[1]) // 2
    return np.ascontiguousarray(grown[top : top + size[1], left : left + size[0]])


def framed(plate: Bytes, beside: tuple[Bytes, Bytes], width: int, height: int) -> Bytes:
    """The square background in the middle of (height, width), as high or as wide as that.

    plate: (S, S, 3); beside: (S, L, 3) and (S, R, 3), what goes on at its left and right. Beyond what there is, the
    nearest part is mirrored, ever more drawn out and ever more out of focus: nothing comes a second time.
    """
    side = min(width, height)
    whole, origin = extended(_scaled(plate, side, side), beside, plate.shape[0])
    left, top = (width - side) // 2 - origin, (height - side) // 2
    if left <= 0 and top == 0 and whole.shape[1] + left >= width:
        return np.ascontiguousarray(whole[:, -left : width - left])
    x, beyond_x = _folded(np.arange(width) - left, whole.shape[1], side)
    y, beyond_y = _folded(np.arange(height) - top, side, side)
    columns, rows = np.meshgrid(x, y)
    sharp = cv2.remap(whole, columns, rows, cv2.INTER_LINEAR)
    beyond = np.maximum(*np.meshgrid(beyond_x, beyond_y)) / side
    wide = sharp.astype(np.float32)
    for sigma, end in _SOFTER:
        wide += (_soft(wide, sigma * side) - wide) * fade(beyond / end)[..., None]
    return np.asarray(np.clip(wide + 0.5, 0, 255), np.uint8)


def extended(middle: Bytes, beside: tuple[Bytes, Bytes], side: int) -> tuple[Bytes, int]:
    """middle: (s, s, C), made of `side` px; beside: (side, L, C) and (side, R, C). Returns all of it, (s, W, C) and
    C-contiguous, and the column where the middle begins.
    """
    used = middle.shape[0]
    left, right = (_scaled(part, round(part.shape[1] * used / side), used) for part in beside)
    return np.ascontiguousarray(np.hstack([left, middle, right])), left.shape[1]


def support(alpha: Bytes) -> Bytes:
    """alpha: (h, w) -> (h / 4, w / 4) uint8, not 0 where anything is, or is near."""
    near = cv2.dilate(alpha, np.ones((13, 13), np.uint8))
    size = (alpha.shape[1] // 4, alpha.shape[0] // 4)
    return np.asarray(cv2.resize(near, size, interpolation=cv2.INTER_AREA) > 0, np.uint8)


def _soft(image: NDArray[Any], sigma: float) -> NDArray[Any]:
    """Blurred by a Gaussian of `sigma` px, at the resolution that this leaves."""
    height, width = image.shape[:2]
    step = max(int(sigma / 3), 1)
    size = (max(width // step, 1), max(height // step, 1))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if step > 1 else image
    small = cv2.GaussianBlur(small, (0, 0), max(sigma / step, 0.5), borderType=cv2.BORDER_REFLECT)
    return np.asarray(
        cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC) if step > 1 else small, image.dtype
    )


def _scaled(image: Bytes, width: int, height: int) -> Bytes:
    if image.shape[:2] == (height, width):
        return image
    if 0 in (width, image.shape[1]):
        return np.zeros((height, 0, image.shape[2]), np.uint8)
    way = cv2.INTER_AREA if height < image.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=way), np.uint8)


def _folded(place: NDArray[np.int64], size: int, side: int) -> tuple[Float, Float]:
    """Where px at `place` look, some of which lie beyond 0 or `size`; and how far into what is out of focus they lie,
    px: it begins before an edge that pictures go beyond.
    """
    beyond = np.stack([-place, place - (size - 1)]).astype(np.float32)
    away = np.maximum(beyond.max(axis=0), 0)
    reach = _REACH * side
    inside = reach * (1 - np.exp(-away / reach))
    look = np.asarray(np.clip(place, inside, size - 1 - inside), np.float32)
    lacking = np.maximum(beyond.max(axis=1, keepdims=True), 0)
    soft = np.where(lacking > 0, beyond + np.minimum(lacking, _BEFORE * side), 0)
    return look, np.asarray(np.maximum(soft.max(axis=0), 0), np.float32)
