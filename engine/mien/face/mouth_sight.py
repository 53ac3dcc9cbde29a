"""Whether the mouth is in sight, or something covers it, or it is too dark to tell.

A landmarker draws a mouth wherever a mouth should be, and a fit to it is as good as to a real one. So this looks at
the picture: the colours of the lips and of the skin around them, at the landmarks, relative to the skin further up,
make a pattern that stays while somebody speaks and is gone when a hand, a cup or a microphone is before it. As long
as the pattern is not known, a mask is told by its colour.
"""

from __future__ import annotations

from collections import deque
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from mien.face.model import OUTER_LIPS
from mien.frames import Bytes, Float

_AROUND = (164, 167, 393, 92, 322, 186, 410, 57, 287, 43, 273, 106, 335, 182, 406, 83, 313, 18, 200, 201, 421)
_BROW = (9, 8, 107, 336, 66, 296)
_ABOVE = (6, 197, 195, 50, 280, 118, 347, 101, 330, *_BROW)
_POINTS = np.array([*OUTER_LIPS, *_AROUND, *_ABOVE])
_MOUTH = len(OUTER_LIPS) + len(_AROUND)
_MEDIAN = len(_ABOVE) // 2


def _square(reach: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of a square of pixels relative to its middle: down and right, the last one at its corner."""
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return down.ravel(), right.ravel()


_NEAR, _FAR = _square(1), _square(2)
"""What a colour is the mean of, in a small face and in a large one."""

_BLACK = 12.0
"""Added before the logarithm: differences below are noise."""
_HIDDEN, _SEEN = 0.35, 0.6
"""Correlation with the usual pattern: of a mouth that is covered at most, of one in sight at least. Measured on talking
people: 0.58 and more in sight (median 0.9); skin, cloth or plastic before it 0.1, seldom 0.4."""
_CONTRAST = 0.05
"""A pattern weaker than that (root mean square of the logarithm) says nothing; then colour has to do."""
_SAME, _OTHER = 0.15, 0.35
"""Distance of colours, natural logarithm."""
_DARK, _BRIGHT = 12.0, 26.0
"""Of 255, the skin above: too dark to see a mouth, and bright enough."""
_SURE = 0.7
"""What looks so much like a pattern is it."""
_LEARNED = 12
"""Frames until the pattern is known."""
_RATE = 0.03
"""Share of a frame in the pattern from then on: light changes, and so do faces."""
_CLOTH, _LIPS_REDDER = 0.18, 0.05
"""Hue (natural logarithm of a colour, less its mean): further from the brow's no skin around a mouth is, and by as
much at least lips are redder than that. Of 86 pictures of bare faces, photographed, filmed and painted, none is
taken for a mask (hue off by 0.14 at most); of masks drawn over them nearly all that are blue, green or red are, of
black, grey and white ones two in three, of those of the colour of skin few."""
_CONFIRMED = 5
"""A mouth is in sight again after so many frames in which it looks so: a hand may look like lips in one of them."""
_OUTLASTED = 4
"""Another pattern that was seen in so many times the frames of the usual one is the mouth: who is met with a hand
before it is not to be misjudged for ever. Nobody holds a cup up for as long."""


class _Pattern:
    """What was seen in a number of frames."""

    def __init__(self, colours: Float) -> None:
        self.colours = colours
        self.frames = 0

    def learn(self, colours: Float) -> None:
        self.frames += 1
        share = np.float32(max(1 / self.frames, _RATE))
        self.colours = self.colours + (colours - self.colours) * share

    def likeness(self, colours: Float) -> float:
        """0 to 1."""
        pattern = colours - colours.sum(axis=0) / np.float32(_MOUTH)
        known = self.colours - self.colours.sum(axis=0) / np.float32(_MOUTH)
        strength = sqrt(float(np.vdot(known, known)))
        if strength < _CONTRAST * sqrt(known.size):
            off = float(np.median(np.abs(colours - self.colours).mean(axis=1)))
            return min(max((_OTHER - off) / (_OTHER - _SAME), 0.0), 1.0)
        own = sqrt(float(np.vdot(pattern, pattern)))
        alike = float(np.vdot(pattern, known)) / (strength * max(own, 1e-6))
        return min(max((alike - _HIDDEN) / (_SEEN - _HIDDEN), 0.0), 1.0)


class MouthSight:
    """One person's mouth."""

    def __init__(self) -> None:
        self._usual: _Pattern | None = None
        self._other: _Pattern | None = None
        self._last: deque[float] = deque(maxlen=_CONFIRMED)

    def reset(self) -> None:
        """Another person, or another camera."""
        self._usual = self._other = None
        self._last.clear()

    def see(self, pixels: Bytes, points: Float) -> float:
        """How far what is seen of the mouth is to be trusted, 0 to 1. pixels: (H, W, 3) RGB; points: (478, 3) px."""
        colours, brow, light = _colours(pixels, points)
        bright = min(max((light - _DARK) / (_BRIGHT - _DARK), 0.0), 1.0)
        usual = self._usual = self._usual or _Pattern(colours)
        known = usual.frames >= _LEARNED
        sight = usual.likeness(colours) if known else float(not _is_mask(colours, brow))
        if sight * bright > _SURE:
            usual.learn(colours)
        elif bright > _SURE and not _is_mask(colours, brow):
            self._doubt(usual, colours)
        self._last.append(sight * bright)
        return min(self._last)

    def _doubt(self, usual: _Pattern, colours: Float) -> None:
        """Something else is seen where the mouth should be."""
        other = self._other
        if other is None or other.likeness(colours) <= _SURE:
            other = self._other = _Pattern(colours)
        other.learn(colours)
        if other.frames > _OUTLASTED * usual.frames:
            self._usual, self._other = other, None


def _is_mask(colours: Float, brow: Float) -> bool:
    """Whether what is around the lips has another hue than the brow, and the lips don't stand out of it."""
    lips, around = (
        np.median(part, axis=0) for part in (colours[: len(OUTER_LIPS)], colours[len(OUTER_LIPS) :])
    )
    off = around - brow
    redder = (lips[0] - lips[1]) - (around[0] - around[1])
    return bool(np.abs(off - off.mean()).max() > _CLOTH and redder < _LIPS_REDDER)


def _colours(pixels: Bytes, points: Float) -> tuple[Float, Float, float]:
    """(41, 3) float32: natural logarithms of the mouth's colours relative to the skin above; (3,) those of the brow;
    and how bright the skin is.
    """
    # For each picture, and numpy's own `median`, `mean` and `clip` cost more than what they compute here.
    height, width = pixels.shape[:2]
    across = points[:, 0]
    down, right = _NEAR if across.max() - across.min() < 240 else _FAR
    reach = int(right[-1])
    xy = points[_POINTS, :2].astype(np.int64)
    x = np.minimum(np.maximum(xy[:, :1], reach), max(width - 1 - reach, reach))
    y = np.minimum(np.maximum(xy[:, 1:], reach), max(height - 1 - reach, reach))
    patches = pixels[np.minimum(y + down, height - 1), np.minimum(x + right, width - 1)].astype(np.float32)
    means = np.full(len(down), 1 / len(down), np.float32) @ patches
    above = means[_MOUTH:]
    logs = np.log(means + np.float32(_BLACK))
    skin = np.sort(logs[_MOUTH:], axis=0)[_MEDIAN]
    brow = logs[-len(_BROW) :].sum(axis=0) / np.float32(len(_BROW)) - skin
    return logs[:_MOUTH] - skin, brow, float(np.sort(above.sum(axis=1))[_MEDIAN]) / 3
