"""A context for opening stages and services in tests."""

from __future__ import annotations

from mien.context import PlainContext


class FakeContext(PlainContext):
    """Plain values, those of an avatar's picture at 25 frames a second if nothing is said."""
