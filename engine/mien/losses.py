"""What was given up by those who come and go, counted so that no figure ever falls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Protocol


class Losing(Protocol):
    """A source, or what stands before an output."""

    @property
    def dropped(self) -> Mapping[str, int]:
        """What was given up so far, by reason; only asked for while it is open."""


class Losses:
    """The sum over those who are here and those who have left. Event loop only."""

    def __init__(self) -> None:
        self._here: dict[int, Losing] = {}
        self._left: Counter[str] = Counter()

    def enter(self, party: Losing) -> None:
        """Count what `party` gives up from now on."""
        self._here[id(party)] = party

    def leave(self, party: Losing) -> None:
        """`party` is about to close, and its counts with it; ignored when it is not here."""
        if self._here.pop(id(party), None) is not None:
            self._left.update(party.dropped)

    @property
    def counts(self) -> Counter[str]:
        """Reason -> how often."""
        counts = self._left.copy()
        for party in self._here.values():
            counts.update(party.dropped)
        return counts
