"""Compile the engine's own kernels: live and offline tracking, and what renderers share."""

from __future__ import annotations

from mien.face import tracker
from mien.face.offline import tracking
from mien.render import surface


def warm() -> None:
    """Run or import everything that is compiled just in time, so that it is cached."""
    tracker.warm()
    tracking.warm()
    surface.warm()
