"""How one thing goes over to another: softly at both ends."""

from __future__ import annotations

from typing import Any

import numpy as np

from mien.frames import Float


def fade(way: Any) -> Float:
    """0 up to `way` 0, 1 from 1 on, float32, without a bend at either: 3 t^2 - 2 t^3."""
    t = np.clip(way, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
