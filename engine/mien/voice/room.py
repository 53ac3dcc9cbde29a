"""How loud it is where somebody speaks, when nobody does."""

from __future__ import annotations

from collections import deque

_BLOCK_MS = 500.0
"""Time over which the least loudness is taken."""
_BLOCKS = 6
"""So long sound must go on without a dip to count as the room's own: 3 s, longer than anybody's breath group."""
_ABOVE = 1.4
"""A voice is that much louder than the room: natural log of power, 6 dB."""


class Room:
    """The least loudness of the last three seconds."""

    def __init__(self) -> None:
        self._minima: deque[float] = deque(maxlen=_BLOCKS)
        self._least = 0.0
        self._elapsed_ms = 0.0

    def exceeded(self, loudness: float, elapsed_ms: float) -> bool:
        """Take the loudness of the next `elapsed_ms`, natural log of power. Returns whether it is more than the room's
        own; as long as that is not known, everything is.
        """
        self._least = min(self._least, loudness) if self._elapsed_ms else loudness
        self._elapsed_ms += elapsed_ms
        if self._elapsed_ms >= _BLOCK_MS:
            self._minima.append(self._least)
            self._elapsed_ms = 0.0
        return not self._minima or loudness > min(*self._minima, self._least) + _ABOVE
