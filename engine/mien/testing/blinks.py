"""Blinks in tracked weights, and how well they agree with blinks that were marked by eye."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.frames import Float

_SHUT, _OPEN = 0.67, 0.4
"""Mean weight of both eyes at which a blink has happened, and below which the next one may."""
_SLACK = 1
"""Frames by which a blink may lie beside its mark."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A blink seen by a person: frames `first` to `last`, the lids shut at `peak`."""

    first: int
    peak: int
    last: int

    def meets(self, found: range) -> bool:
        return found.start <= self.last + _SLACK and found.stop > self.first - _SLACK


@dataclass(frozen=True, slots=True)
class MarkedClip:
    """Marks of the first `frames` of a clip, named relative to the data folder. held_out: no threshold was chosen
    on it.
    """

    clip: str
    sha256: str
    frames: int
    blinks: tuple[Marked, ...]
    doubtful: tuple[Marked, ...]
    held_out: bool = False

    def is_of(self, path: Path) -> bool:
        """Whether the file is the one that was marked."""
        return hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256


@dataclass(frozen=True, slots=True)
class Agreement:
    """hits: marked blinks that were found; missed, invented: peaks, and first frames. closed: the largest
    mean weight of both eyes within a frame of each peak.
    """

    hits: int
    missed: tuple[int, ...]
    invented: tuple[int, ...]
    closed: tuple[float, ...]

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, in [0, 1]."""
        wrong = len(self.missed) + len(self.invented)
        return 2 * self.hits / (2 * self.hits + wrong) if self.hits or wrong else 1.0


def marked_clips(path: Path) -> list[MarkedClip]:
    """Read a file of marks, `{"clips": [{"clip", "sha256", "frames", "blinks", "doubtful"?, "held_out"?}]}`."""
    return [
        MarkedClip(
            one["clip"],
            one["sha256"],
            one["frames"],
            tuple(Marked(**blink) for blink in one["blinks"]),
            tuple(Marked(**blink) for blink in one.get("doubtful", ())),
            one.get("held_out", False),
        )
        for one in json.loads(path.read_text())["clips"]
    ]


def blinks(weights: Float) -> list[range]:
    """weights: (N, 2) eyeBlink of left and right, NaN where no face was seen -> frames of each blink."""
    found: list[range] = []
    shut = False
    for frame, weight in enumerate(np.nan_to_num(weights).mean(axis=1)):
        if weight > _SHUT and not shut:
            found.append(range(frame, frame))
        shut = weight > (_OPEN if shut else _SHUT)
        if shut:
            found[-1] = range(found[-1].start, frame + 1)
    return found


def agreement(weights: Float, marks: MarkedClip) -> Agreement:
    """weights: (N, 2), as for `blinks`, of at least the frames that were marked."""
    left = blinks(weights[: marks.frames])
    missed = []
    for mark in marks.blinks:
        hit = next((found for found in left if mark.meets(found)), None)
        if hit is None:
            missed.append(mark.peak)
        else:
            left.remove(hit)
    invented = [found.start for found in left if not any(mark.meets(found) for mark in marks.doubtful)]
    both = np.nan_to_num(weights).mean(axis=1)
    closed = [float(both[max(mark.peak - 1, 0) : mark.peak + 2].max()) for mark in marks.blinks]
    return Agreement(len(marks.blinks) - len(missed), tuple(missed), tuple(invented), tuple(closed))
