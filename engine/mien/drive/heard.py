"""What a voice says about the face, moment by moment."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mien.clock import NS_PER_MS, NS_PER_S
from mien.face.lips import parted, set_opening
from mien.frames import AudioFrame, FaceParams, Float

_KEPT_NS = 2 * NS_PER_S
_BLOCK_NS = 10 * NS_PER_MS
_QUIET = 10 ** (-55 / 20)
"""RMS of what counts as silence however softly somebody speaks."""
_USUAL = 0.1
"""RMS of a loud syllable of a voice that is recorded well; where it starts."""
_FORGET_S = 8.0
"""How fast a loud voice's loudness is forgotten."""
_TOUCHING = 0.004
"""Of jawOpen: lips that are said to be no further apart touch."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One moment. expression: (52,) float32, ARKit weights from rest, of the mouth, jaw, tongue and cheeks.

    confidence: how far it is to be believed, 0 (silence) to 1. intensity: how loudly it is said, 0 to 1 of what this
    voice does.
    """

    expression: Float
    confidence: float
    intensity: float


class Loudness:
    """How loud a voice is, in proportion to its own loudest of late. Not thread-safe."""

    def __init__(self) -> None:
        self._levels: deque[tuple[int, float]] = deque(maxlen=_KEPT_NS // _BLOCK_NS)
        self._peak = _USUAL

    def follow(self, frame: AudioFrame) -> None:
        """Take the next stretch of sound."""
        block = max(frame.rate // 100, 1)
        power = np.square(frame.samples, dtype=np.float32).mean(axis=1)
        starts = np.arange(0, len(power), block)
        if not len(starts):
            return
        counts = np.diff(np.append(starts, len(power)))
        levels = np.nan_to_num(np.sqrt(np.add.reduceat(power, starts) / counts), posinf=0.0)
        for start, level in zip(starts.tolist(), levels.tolist(), strict=True):
            self._peak = max(level, self._peak * math.exp(-0.01 / _FORGET_S))
            share = level / self._peak if level > _QUIET else 0.0
            self._levels.append((frame.capture_ns + start * NS_PER_S // frame.rate, share))

    def at(self, time_ns: int) -> float:
        """The mean over 40 ms about `time_ns`, 0 to 1; 0 where nothing was heard."""
        near = [level for at_ns, level in self._levels if abs(at_ns - time_ns) <= 2 * _BLOCK_NS]
        return sum(near) / len(near) if near else 0.0

    def clear(self) -> None:
        """Forget the sound, not how loud the voice is."""
        self._levels.clear()


class Timeline:
    """The listener's answers of the last seconds, to be asked for any moment among them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: deque[tuple[FaceParams, float]] = deque()

    def add(self, answers: Iterable[FaceParams], loudness: Loudness) -> None:
        """Take answers, in order of time; one that is no later than the last is ignored."""
        with self._lock:
            for params in answers:
                if self._answers and params.capture_ns <= self._answers[-1][0].capture_ns:
                    continue
                self._answers.append((params, loudness.at(params.capture_ns)))
                while params.capture_ns - self._answers[0][0].capture_ns > _KEPT_NS:
                    self._answers.popleft()

    def clear(self) -> None:
        """Forget all: the voice was interrupted or is another one."""
        with self._lock:
            self._answers.clear()

    @property
    def oldest_ns(self) -> int | None:
        """Time of the oldest answer that is kept; None before the first."""
        with self._lock:
            return self._answers[0][0].capture_ns if self._answers else None

    @property
    def reached_ns(self) -> int | None:
        """Time of the newest answer; None before the first."""
        with self._lock:
            return self._answers[-1][0].capture_ns if self._answers else None

    def at(self, time_ns: int, reach_ns: int) -> Heard | None:
        """What was heard at `time_ns`, between answers in proportion; None when no answer is within `reach_ns`.

        Lips that touch in the nearer answer touch: the mean of a p and of what is around it is no p.
        """
        with self._lock:
            before = after = None
            for answer in reversed(self._answers):
                if answer[0].capture_ns >= time_ns:
                    after = answer
                else:
                    before = answer
                    break
        near = [a for a in (before, after) if a is not None and abs(a[0].capture_ns - time_ns) <= reach_ns]
        if not near:
            return None
        if len(near) == 1:
            (params, intensity), share = near[0], 0.0
            return Heard(params.expression, params.confidence, intensity)
        (one, soft), (other, loud) = near
        share = (time_ns - one.capture_ns) / (other.capture_ns - one.capture_ns)
        between = np.asarray(
            one.expression + (other.expression - one.expression) * np.float32(share), np.float32
        )
        if parted((one if share < 0.5 else other).expression) < _TOUCHING:
            set_opening(between, 0.0)
        return Heard(
            between,
            one.confidence + (other.confidence - one.confidence) * share,
            soft + (loud - soft) * share,
        )
