"""Compile the engine's own kernels: live and offline tracking, and what renderers share."""

from __future__ import annotations

from mien.face import normals, tracker
from mien.face.offline import tracking
from mien.voice import resample


def warm() -> None:
    """Run or import everything that is compiled just in time, so that it is cached."""
    normals.warm()
    tracker.warm()
    tracking.warm()
    resample.warm()
