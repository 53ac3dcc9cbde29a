"""All that is learned from the reference clips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.face.make import calibrate, identity
from mien.face.make.neutral import aligned, levelled, people, procrustes_mean
from mien.face.make.topology import COUNT, mirror_map
from mien.face.make.tracks import Track
from mien.face.model import FACE_OVAL

Doubles = NDArray[np.float64]
TOO_LIVELY = 7.0
"""Restlessness beyond which a person's identity can't be told from the expression."""


class Study:
    """mirror: (468,) the point on the other side. mean: (478, 3) cm, see `neutral.levelled`."""

    def __init__(self, tracks: list[Track]) -> None:
        self._people = people(tracks)
        shapes = [person.shape for person in self._people]
        first = levelled(shapes[0])
        rough = levelled(np.mean([aligned(shape, first) for shape in shapes], axis=0))
        self.mirror = mirror_map(rough[:COUNT])
        calm = np.array([1 / (1 + person.restlessness**2) for person in self._people])
        self.mean = procrustes_mean(shapes, self.mirror, calm)
        self._moved, self._scores = calibrate.examples(tracks, self.mean)

    def calibrated(self, authored: Doubles) -> Doubles:
        """(52, 468, 3) authored expressions -> calibrated ones."""
        return calibrate.calibrated(authored, self._moved, self._scores, self.mirror)

    def explained(self, shapes: Doubles) -> float:
        """Share of the clips' motion that expressions (52, 468, 3) explain."""
        return calibrate.explained(shapes, self._moved, self._scores)

    def modes(self, shapes: Doubles) -> Doubles:
        """(10, 468, 3) identity modes: what is left of people after their expression is taken off."""
        inner = tuple(i for i in range(COUNT) if i not in FACE_OVAL)
        calm = [person for person in self._people if person.restlessness < TOO_LIVELY]
        placed = np.stack([aligned(person.shape, self.mean, inner)[:COUNT] for person in calm])
        scores = np.stack([person.scores for person in calm])
        weights = calibrate.expression_weights(shapes, placed - self.mean[:COUNT], scores)
        bare = placed - np.tensordot(weights, shapes, 1)
        return identity.learn(list(bare), self.mean[:COUNT], self.mirror)
