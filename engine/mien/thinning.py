"""Thins out a source that is faster than the configured rate."""

from __future__ import annotations

from mien.clock import NS_PER_S


class Thinning:
    """Lets `fps` pictures a second pass, evenly, whatever the source's jitter."""

    def __init__(self, fps: float) -> None:
        self._interval_ns = round(NS_PER_S / fps)
        self._next_ns = 0
        self.dropped = 0

    def admits(self, capture_ns: int) -> bool:
        """Whether the picture of that capture time goes on; a quarter of an interval early still does."""
        if capture_ns < self._next_ns - self._interval_ns // 4:
            self.dropped += 1
            return False
        self._next_ns = max(self._next_ns, capture_ns - self._interval_ns // 2) + self._interval_ns
        return True

    def restart(self) -> None:
        """Another source begins."""
        self._next_ns = 0
