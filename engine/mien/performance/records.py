"""The performance format's fixed parts (docs/performance-format.md): header, record heads, payloads."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.frames import DETAIL, Float
from mien.numbers import bounded, number, whole

FORMAT = "mien-performance"
VERSION = 1
SUFFIX = ".performance"

HEADER_LIMIT = 1 << 20
RECORD_LIMIT = 1 << 24
RECORD = struct.Struct("<4sII")
"""Tag, length of the payload, CRC-32 of the payload."""
FACE = struct.Struct("<qIf")
"""Capture time ns, index, confidence; then the float32 groups."""
STAMP = struct.Struct("<q")
"""Capture time ns, with which faces and sound begin; of sound that of the first sample, int16 samples follow."""
END = struct.Struct("<Q")
"""Number of face records."""
GROUPS = {"rotation": (3,), "translation": (3,), "gaze": (2, 2), "light": (9, 3)}
"""Shapes of what a face holds besides the expression, in this order."""

_DETAIL_STEP_CM = 0.01
_FPS_LIMIT = 1000
_MOST_NS = 1 << 62


def detail_steps(detail: Float) -> NDArray[np.int8]:
    """detail: `DETAIL`, cm -> hundredths of it, up to 1.27 cm either way."""
    return np.asarray(np.round(detail / _DETAIL_STEP_CM).clip(-127, 127), np.int8)


def detail_of(steps: NDArray[np.int8]) -> Float:
    """The other way round."""
    return np.asarray(steps.astype(np.float32).reshape(DETAIL) * np.float32(_DETAIL_STEP_CM), np.float32)


def require_version(value: Any) -> None:
    """Raises `ValueError` for a version of the format that can't be read."""
    if not isinstance(value, int) or value > VERSION:
        raise ValueError(f"format version {value}; this mien reads up to {VERSION}. Update mien")


def time_ns(value: Any) -> int:
    """A time that a record can hold. Raises `TypeError` or `ValueError`."""
    result = whole(value)
    bounded("capture_ns", result, -_MOST_NS, _MOST_NS)
    return result


def frame_rate(value: Any) -> float:
    """Frames per second that a file may announce. Raises `TypeError` or `ValueError`."""
    fps = number(value)
    if not 0 < fps < _FPS_LIMIT:
        raise ValueError(f"{fps:g} frames per second, not between 0 and {_FPS_LIMIT}")
    return fps
