"""A few out of many that show the most between them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def farthest_apart(places: NDArray[np.floating[Any]], count: int) -> list[int]:
    """places: (N, D) -> indices of up to `count` that lie farthest apart, none twice; first the one nearest to 0.

    Farthest-point choice (Gonzalez 1985, "Clustering to minimize the maximum intercluster distance", section 2).
    """
    chosen = [int(np.argmin(np.linalg.norm(places, axis=1)))]
    nearest = np.linalg.norm(places - places[chosen[0]], axis=1)
    while len(chosen) < min(count, len(places)):
        # Places that coincide have no distance left; without this the first of all would be taken again.
        nearest[chosen] = -1
        farthest = int(np.argmax(nearest))
        chosen.append(farthest)
        nearest = np.minimum(nearest, np.linalg.norm(places - places[farthest], axis=1))
    return chosen
