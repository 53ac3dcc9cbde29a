"""Whose motion it is and what that person's rest is."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mien.clock import NS_PER_S
from mien.face.camera import Camera
from mien.face.subject import Subject
from mien.frames import FaceParams, Float

FRAMES = 5
"""A median over so many outvotes two bad ones, and takes a fifth of a second."""
_NEUTRAL_NS = NS_PER_S
"""A resting face is looked at for so long: a median over it outvotes a blink."""
_NEUTRAL_FRAMES, _LONGEST_GAP_NS = 10, NS_PER_S // 5
"""In so many frames at least, and without a longer gap: nobody knows what a lost face did meanwhile."""


class Calibration:
    """Keeps the subject in force: the tracker's, or one made up from the first frames; recentred or not."""

    def __init__(self) -> None:
        self._frames: deque[FaceParams] = deque(maxlen=FRAMES)
        self._base: Subject | None = None
        self._stranger = False
        self._rest: Subject | None = None
        """whose rest pose stands in for that of the base, after recentring"""
        self._person: Subject | None = None
        self._neutral: Float | None = None
        """(52,) the expression that stands in for the base's neutral one, after calibration"""
        self._resting: list[FaceParams] | None = None
        self._wanted = 0

    def recentre(self) -> None:
        """The median pose of the next few frames becomes the rest."""
        self._wanted = FRAMES

    def neutral(self) -> None:
        """What the face does in the next second in which it is seen throughout, in the median, is how it rests:
        pose, gaze and expression.
        """
        self._resting = []

    def forget(self) -> None:
        """Another source or person: nothing that was learned holds any more. What is pending stays pending."""
        self._frames.clear()
        self._base = self._rest = self._person = self._neutral = None
        if self._resting is not None:
            self._resting = []

    def observe(self, params: FaceParams, source: Subject | None) -> Subject | None:
        """Take one frame in; the subject in force, the same object until it changes, None while unknown."""
        self._frames.append(params)
        if source is not None:
            if self._base is not None and not self._stranger and source.person != self._base.person:
                self.forget()
                self._frames.append(params)
            if self._base is None or self._stranger or not _same(source, self._base):
                if self._base is not None and not self._stranger and source.camera != self._base.camera:
                    self._rest = _seen_through(source.camera, self._rest)
                    self._neutral = None if self._rest is None else self._neutral
                self._base, self._stranger, self._person = source, False, None
        elif self._base is None:
            if len(self._frames) < FRAMES:
                return None
            self._base, self._stranger = _stranger(self._frames), True

        if self._wanted > 0:
            self._wanted -= 1
            if self._wanted == 0 and self._base is not None:
                self._rest, self._person = _at_rest(self._base, self._frames), None
        if self._resting is not None and self._base is not None and self._rested(self._resting, params):
            self._rest, self._person = _at_rest(self._base, self._resting), None
            self._neutral = _median([frame.expression for frame in self._resting])
            self._resting = None
        if self._person is None and self._base is not None:
            self._person = _with_rest(self._base, self._rest, self._neutral)
        return self._person

    @staticmethod
    def _rested(resting: list[FaceParams], params: FaceParams) -> bool:
        """Take one frame in; whether `resting` now shows enough. Lost frames never come: they are gaps."""
        if resting and params.capture_ns - resting[-1].capture_ns > _LONGEST_GAP_NS:
            resting.clear()
        resting.append(params)
        return len(resting) >= _NEUTRAL_FRAMES and params.capture_ns - resting[0].capture_ns >= _NEUTRAL_NS


def _same(one: Subject, other: Subject) -> bool:
    """Whether both say the same about everything that relative transfer uses."""
    return one is other or (
        one.epoch == other.epoch
        and one.camera == other.camera
        and all(
            np.array_equal(getattr(one, name), getattr(other, name))
            for name in ("neutral", "gains", "rest_rotation", "rest_translation", "rest_gaze")
        )
    )


def _seen_through(camera: Camera, rest: Subject | None) -> Subject | None:
    """The same rest under another focal length, nearer or farther; None under another camera."""
    if rest is None or replace(rest.camera, focal=camera.focal) != camera:
        return None
    depth = np.array([1, 1, camera.focal / rest.camera.focal], np.float32)
    return replace(rest, camera=camera, rest_translation=rest.rest_translation * depth)


def _with_rest(base: Subject, rest: Subject | None, neutral: Float | None) -> Subject:
    if rest is None:
        return base
    return replace(
        base,
        neutral=base.neutral if neutral is None else neutral,
        rest_rotation=rest.rest_rotation,
        rest_translation=rest.rest_translation,
        rest_gaze=rest.rest_gaze,
    )


def _at_rest(base: Subject, frames: Sequence[FaceParams]) -> Subject:
    """The neutral expression stays: people who recentre look ahead, but may be smiling."""
    return replace(
        base,
        rest_rotation=_median([frame.rotation for frame in frames]),
        rest_translation=_median([frame.translation for frame in frames]),
        rest_gaze=_median([frame.gaze for frame in frames]),
    )


def _stranger(frames: Sequence[FaceParams]) -> Subject:
    """Somebody not enrolled yet: rest as sampled, neutral cautiously so (they may already be speaking)."""
    neutral = np.minimum(_median([frame.expression for frame in frames]), np.float32(0.25))
    nobody = Subject("", np.zeros(0, np.float32), Camera.guess(640, 480), neutral=neutral)
    return _at_rest(nobody, frames)


def _median(values: Sequence[Float]) -> Float:
    return np.asarray(np.median(np.stack(values), axis=0), dtype=np.float32)
