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
    patience_ns: int = 100 * NS_PER_MS
    """A frozen picture is worse than a late one: so long after the last frame that went on a late one goes on, too.
    Counted in frames instead, the picture would be the slower, the fewer frames a busy machine gets done.
    """

    @classmethod
    def of_ms(cls, milliseconds: float, *, live: bool = True) -> Budget:
        return cls(round(milliseconds * NS_PER_MS), live)

    def due_ns(self, capture_ns: int) -> int:
        """Offline nothing is ever due."""
        return capture_ns + self.ns if self.live else _NEVER


class Gate:
    """Decides before an expensive stage whether a frame still goes on. One for each stage.

    What the stage is going to take is not reckoned with: on a machine where frames end a little late, still fewer of
    them would be shown, and a late picture is better than none.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._went_ns: int | None = None

    def admits(self, due_ns: int, now_ns: int) -> bool:
        """False when the frame is past its due time and should be dropped."""
        late = self._budget.live and now_ns > due_ns
        if late and self._went_ns is not None and now_ns - self._went_ns < self._budget.patience_ns:
            return False
        self._went_ns = now_ns
        return True


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
        """One frame ended. load: how much of the time that there is goes into the work. Returns the level."""
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
