"""The latency budget: due times, and the governor that keeps them by moving along the quality ladder."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from mien.clock import NS_PER_MS, NS_PER_S

_NEVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Budget:
    """How much latency a frame may use, from capture to the hand-over of its packets."""

    ns: int
    live: bool = True
    patience: int = 2
    """A frozen picture is worse than a late one: after this many drops in a row one late frame goes on."""

    @classmethod
    def of_ms(cls, milliseconds: float, *, live: bool = True) -> Budget:
        return cls(round(milliseconds * NS_PER_MS), live)

    def due_ns(self, capture_ns: int) -> int:
        """Offline nothing is ever due."""
        return capture_ns + self.ns if self.live else _NEVER


class Gate:
    """Decides before an expensive stage whether a frame still goes on. One for each stage."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._in_a_row = 0

    def admits(self, due_ns: int, now_ns: int) -> bool:
        """False when the frame is past its due time and should be dropped."""
        if not self._budget.live or now_ns <= due_ns or self._in_a_row >= self._budget.patience:
            self._in_a_row = 0
            return True
        self._in_a_row += 1
        return False


class Governor:
    """Moves along the quality ladder with hysteresis.

    Down (cheaper) as soon as `too_many` of the last `window` frames missed their due time. Up again only
    after a quiet stretch in which none did and the work took less than `ease` of what was allowed; the
    stretch doubles each time going up had to be taken back, so that it doesn't swing.
    """

    def __init__(
        self,
        levels: int,
        *,
        window: int = 50,
        too_many: float = 0.1,
        ease: float = 0.6,
        quiet_s: float = 10.0,
    ) -> None:
        self.levels = max(1, levels)
        self.level = 0
        self._recent: deque[bool] = deque(maxlen=window)
        self._too_many = too_many
        self._ease = ease
        self._quiet_ns = round(quiet_s * NS_PER_S)
        self._calm_since_ns: int | None = None
        self._rose_at_ns: int | None = None

    def observe(self, *, missed: bool, load: float, now_ns: int) -> int:
        """One frame ended. load: its busy time as a share of the frame interval. Returns the level."""
        self._recent.append(missed)
        if missed or load > self._ease:
            self._calm_since_ns = None
        elif self._calm_since_ns is None:
            self._calm_since_ns = now_ns
        full = len(self._recent) == self._recent.maxlen
        if full and sum(self._recent) > self._too_many * len(self._recent):
            self._step_down(now_ns)
        elif (
            self.level > 0
            and self._calm_since_ns is not None
            and now_ns - self._calm_since_ns >= self._quiet_ns
        ):
            self._move(self.level - 1)
            self._rose_at_ns = now_ns
        return self.level

    def _step_down(self, now_ns: int) -> None:
        if self.level == self.levels - 1:
            return
        if self._rose_at_ns is not None and now_ns - self._rose_at_ns < self._quiet_ns:
            self._quiet_ns = min(2 * self._quiet_ns, 600 * NS_PER_S)
        self._rose_at_ns = None
        self._move(self.level + 1)

    def _move(self, level: int) -> None:
        self.level = level
        self._recent.clear()
        self._calm_since_ns = None
