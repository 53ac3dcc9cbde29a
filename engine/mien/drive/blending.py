"""Who has the mouth: what is seen of it, or what is heard.

Each coefficient of the mouth is shared out by how far either is to be believed: `v (1 - c) / (v (1 - c) + c)` is the
voice's share, where `c` is the trust in what the camera sees of the mouth and `v` that in what the voice says about
this coefficient. A mouth in full view is the camera's alone, a hidden one the voice's alone. Shares move in steps
that nobody sees.
"""

from __future__ import annotations

import math

import numpy as np

from mien.drive.heard import Heard
from mien.face.retargeting import EXPRESSION, MOUTH, Motion
from mien.face.rig import by_stem
from mien.frames import EXPRESSIONS, FaceParams, Float

_TAKE_S, _GIVE_BACK_S = 0.08, 0.28
"""A mouth that is lost sight of is the voice's after two frames; it gives it back slowly enough not to jump."""
_LONGEST_STEP_S = 0.06
"""A picture that comes late must not jump either."""
_SILENT = 0.02
"""Confidence of a voice that says nothing: a hidden mouth rests, but anything that is seen goes before it."""

_KNOWN: Float = by_stem(
    dict.fromkeys(("jawLeft", "jawRight", "jawForward", "mouthLeft", "mouthRight"), 0.2)
    | dict.fromkeys(("mouthSmile", "mouthFrown", "mouthDimple", "mouthPress"), 0.4)
    | {"cheekPuff": 0.5},
    others=1.0,
).astype(np.float32)
_KNOWN[~MOUTH] = 0
_KNOWN.setflags(write=False)
"""(52,) how much a voice tells about each coefficient: of the lips nearly all, of a mood little."""

_HIDDEN_YAW, _SEEN_YAW = math.radians(55), math.radians(35)
"""How far a face may be turned away before its mouth is out of sight, and up to where it is in full view."""
LOST_BELOW, _TRUSTED_FROM = 0.1, 0.5
"""Confidence below which a frame counts as lost, and from which on it is taken at its word."""


def belief(tracked: FaceParams) -> float:
    """How far a face that was tracked is to be believed: 0 and less not at all, 1 and more wholly."""
    return (tracked.confidence - LOST_BELOW) / (_TRUSTED_FROM - LOST_BELOW)


def trust(tracked: FaceParams) -> float:
    """How far the mouth that a tracker saw is to be believed, 0 to 1; 1 is the rule."""
    turned = abs(float(tracked.rotation[1]))
    facing = (_HIDDEN_YAW - turned) / (_HIDDEN_YAW - _SEEN_YAW)
    return max(min(belief(tracked), facing, tracked.mouth_confidence, 1.0), 0.0)


_MOOD = (_KNOWN > 0.3) & (_KNOWN < 0.5)
_HUSHED = (0.4, 0.0)
"""What is left of the last words in the first and in the second frame after an interruption."""
_FADE_S = 0.06
"""Sound that stops coming leaves no mouth open."""


class Blending:
    """Shares the mouth out, step by step. Deterministic."""

    def __init__(self) -> None:
        self._share: Float = np.zeros(EXPRESSIONS, np.float32)
        self._said: Float = np.zeros(EXPRESSIONS, np.float32)
        self._hushed: int | None = None
        """frames since the interruption"""

    @property
    def share(self) -> float:
        """The voice's part in the mouth, 0 to 1."""
        return float(self._share.max())

    def hush(self) -> None:
        """The voice was interrupted: what it said last is not held."""
        self._hushed = 0

    def step(self, motion: Motion, seen: float | None, heard: Heard | None, elapsed_s: float) -> Motion:
        """`motion`, the mouth of it shared with the voice.

        seen: trust in the mouth of `motion`; None where nobody is seen. heard: None where nothing is.
        """
        if heard is None and not self._share.any():
            return motion
        self._listen(heard, elapsed_s)
        change = _goal(seen, heard) - self._share
        slowest, fastest = min(elapsed_s, _LONGEST_STEP_S) / _GIVE_BACK_S, elapsed_s / _TAKE_S
        self._share = np.asarray(self._share + np.clip(change, -slowest, fastest), np.float32)
        if not self._share.any():
            return motion
        result = motion.copy()
        face = motion[EXPRESSION]
        result[EXPRESSION] = face + (self._said - face) * (self._share * self._share * (3 - 2 * self._share))
        return result

    def _listen(self, heard: Heard | None, elapsed_s: float) -> None:
        if heard is not None and self._hushed != 0:  # the first frame after it can't have heard anything new
            self._said = np.where(_KNOWN > 0, heard.expression, 0).astype(np.float32)
            self._hushed = None
        elif self._hushed is not None:
            self._said = self._said * np.float32(_HUSHED[min(self._hushed, 1)])
            self._hushed += 1
        else:
            self._said = self._said * np.float32(math.exp(-elapsed_s / _FADE_S))


def _goal(seen: float | None, heard: Heard | None) -> Float:
    """(52,) the voice's share of each coefficient."""
    if heard is None:
        return np.zeros(EXPRESSIONS, np.float32)
    sight = 0.0 if seen is None else seen
    voice = _KNOWN * np.float32(max(heard.confidence, _SILENT) * (1.0 - sight))
    goal = voice / np.maximum(voice + np.float32(sight), np.float32(1e-6))
    if seen is None:
        goal[_MOOD] *= 0.5  # the face that nobody moves has moods of its own
    return np.asarray(goal, np.float32)
