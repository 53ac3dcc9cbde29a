"""Notices that nobody is there to drive: a clip of a landscape, a camera that looks at the ceiling."""

from __future__ import annotations

from mien.clock import NS_PER_S
from mien.session import Session
from mien.stage import Tracked
from mien.trace import Passage

PATIENCE_S = 2.0
"""So long, by the pictures' own time, nobody says anything."""


class FaceWatch:
    """Tells once for each source that no face was found in any of its pictures so far. Called on a lane."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._source = ""
        self._since_ns: int | None = None
        self._settled = False

    def tracked(self, tracked: Tracked, passage: Passage) -> None:
        """What `Session.on_tracked` is set to."""
        source = self._session.source_name
        if source != self._source:
            self._source, self._since_ns, self._settled = source, None, False
        if self._settled:
            return
        if tracked.params is not None:
            self._settled = True
            return
        if self._since_ns is None:
            self._since_ns = passage.capture_ns
        if passage.capture_ns - self._since_ns >= PATIENCE_S * NS_PER_S:
            self._settled = True
            self._session.board.post(
                f"No face is to be seen in {source or 'the pictures'} yet; the avatar idles until there is one.",
                "warning",
            )
