"""Whether there is time for work that a tracker can do without."""

from __future__ import annotations

_MOST = 0.4
"""Share of the time from picture to picture that tracking may take: drawing and coding have to fit in, too."""
_ROOM = 0.65
"""Share of that which tracking must get by with, without the work, for the work to be tried again."""
_OVER = 40
"""Frames that the mean is taken over, more or less."""
_PAUSE = 250
"""Frames without the work, before it is seen whether there is room again."""


class Spare:
    """Leaves the work out once frames take too long with it, until there is room for it again."""

    def __init__(self, interval_ns: float) -> None:
        """interval_ns: from picture to picture; infinity where every frame counts."""
        self._limit_ns = _MOST * interval_ns
        self._mean_ns = 0.0
        self._frames = 0
        self._allowed = True

    @property
    def allowed(self) -> bool:
        """Whether the next frame may do it."""
        return self._allowed

    def note(self, taken_ns: int) -> None:
        """How long a frame took, with the work or without."""
        self._frames += 1
        # One frame that was held up says nothing.
        self._mean_ns += (min(taken_ns, 2 * self._limit_ns) - self._mean_ns) / _OVER
        if self._allowed:
            if self._mean_ns > self._limit_ns:
                self._switch(allowed=False)
        elif self._frames >= _PAUSE and self._mean_ns < _ROOM * self._limit_ns:
            self._switch(allowed=True)

    def _switch(self, *, allowed: bool) -> None:
        self._allowed, self._mean_ns, self._frames = allowed, 0.0, 0
