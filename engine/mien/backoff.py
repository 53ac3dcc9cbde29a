"""How long to wait before what has failed is tried again."""

from __future__ import annotations

from mien.clock import NS_PER_S

BACK_OFF_S = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Waits before a failed stage or device is tried again; the last one repeats."""


def back_off_ns(failures: int) -> int:
    """The wait after so many failures in a row before this one."""
    return round(BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)] * NS_PER_S)
