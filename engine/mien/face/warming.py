"""Compile the engine's own kernels: live and offline tracking."""

from __future__ import annotations

from mien.face import tracker
from mien.face.offline import tracking


def warm() -> None:
    """Run or import everything that is compiled just in time, so that it is cached."""
    tracker.warm()
    tracking.warm()
