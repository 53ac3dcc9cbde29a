"""The similarity transform that lays points over others: a scale, a rotation and a shift."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


def similarity(
    source: NDArray[np.floating[Any]],
    target: NDArray[np.floating[Any]],
    weights: NDArray[np.floating[Any]] | None = None,
) -> tuple[float, Doubles, Doubles]:
    """s, R (3, 3) and t (3,) with s R source + t nearest to target, in the least-squares sense (Umeyama 1991).

    source, target: (N, 3); weights: (N,), at least 0, equal without them. Where all are 0, so is s.
    """
    if weights is None:
        weights = np.ones(len(source))
    share = weights / max(float(weights.sum()), 1e-9)
    middle, goal = share @ source, share @ target
    a, b = source - middle, target - goal
    u, stretch, vt = np.linalg.svd((b * share[:, None]).T @ a)
    # Mirrored points are turned as near as they come, not mirrored.
    flip = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * flip) @ vt
    scale = float((stretch * flip).sum() / max(float(share @ (a**2).sum(axis=1)), 1e-12))
    return scale, rotation, goal - scale * rotation @ middle
