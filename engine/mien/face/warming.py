"""Compile the engine's own kernels: live and offline tracking, and what renderers share."""

from __future__ import annotations

from importlib import import_module

from mien.render import composition, projection
from mien.voice import resample

_WITH_KERNELS = ("mien.face.tracker", "mien.face.offline.tracking", "mien.face.offline.overlay")
"""Their kernels, and those of what they import, have signatures: they are compiled as they are imported."""


def warm() -> None:
    """Run or import everything that is compiled just in time, so that it is cached."""
    for module in _WITH_KERNELS:
        import_module(module)
    projection.warm()
    composition.warm()
    resample.warm()
