"""Finding out what a driver's rest is, from a few frames."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from mien.face.camera import Camera
from mien.face.subject import Subject
from mien.frames import FaceParams

FRAMES = 5
"""A median over so many outvotes two bad ones, and takes a fifth of a second."""


class RestSampler:
    """Collects tracked frames until their median can serve as somebody's rest."""

    def __init__(self) -> None:
        self._frames: deque[FaceParams] = deque(maxlen=FRAMES)

    def add(self, params: FaceParams) -> bool:
        """True once there are enough."""
        self._frames.append(params)
        return len(self._frames) == FRAMES

    def applied_to(self, subject: Subject) -> Subject:
        """`subject` with the sampled pose and gaze as its rest.

        The neutral expression stays: people who recentre look ahead, but may be smiling.
        """
        return replace(
            subject,
            rest_rotation=_median([frame.rotation for frame in self._frames]),
            rest_translation=_median([frame.translation for frame in self._frames]),
            rest_gaze=_median([frame.gaze for frame in self._frames]),
        )

    def stranger(self) -> Subject:
        """Somebody who has not been enrolled yet: rest and (cautiously) neutral as sampled."""
        subject = self.applied_to(Subject("", np.zeros(0, np.float32), Camera.guess(640, 480)))
        neutral = _median([frame.expression for frame in self._frames])
        return replace(subject, neutral=np.minimum(neutral, np.float32(0.25)))


def _median(values: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.median(np.stack(values), axis=0).astype(np.float32)
