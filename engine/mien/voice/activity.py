"""Whether a voice speaks, so that silence brings the mouth to rest: neither frozen nor chattering."""

from __future__ import annotations

from mien.voice.features import HOP_MS
from mien.voice.room import Room

_AUDIBLE = -16.0
"""Nothing softer is heard, however still the room is."""
_SURE, _UNSURE = 0.55, 0.3
"""Probabilities from which on a voice begins, and below which it ends."""
_RISE_MS, _FALL_MS = 30.0, 160.0


class Activity:
    """Two witnesses, one verdict: loudness against the room's own, and what the network makes of the sound.

    hangover_ms: a voice counts as speaking for so long after its last sound; then the mouth eases shut.
    """

    def __init__(self, hangover_ms: float) -> None:
        self._hangover_ms = hangover_ms
        self.reset()

    def reset(self) -> None:
        """Forget the room and who spoke in it."""
        self._room = Room()
        self._speaks = False
        self._silent_ms = 1e9
        self.amount = 0.0
        """how far the mouth follows the voice, 0 (at rest) to 1"""

    def push(self, loudness: float) -> bool:
        """Take a frame's loudness. Returns whether it is louder than the room."""
        return self._room.exceeded(loudness, HOP_MS) and loudness > _AUDIBLE

    def step(self, loud: bool, probability: float, elapsed_ms: float = HOP_MS) -> float:
        """loud: what `push` said of the frame in question. Returns `amount`, `elapsed_ms` after the last step."""
        self._speaks = loud and probability > (_UNSURE if self._speaks else _SURE)
        self._silent_ms = 0.0 if self._speaks else self._silent_ms + elapsed_ms
        if self._silent_ms <= self._hangover_ms:
            self.amount = min(self.amount + elapsed_ms / _RISE_MS, 1.0)
        else:
            self.amount = max(self.amount - elapsed_ms / _FALL_MS, 0.0)
        return self.amount
