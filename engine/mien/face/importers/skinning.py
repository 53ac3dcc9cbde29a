"""A jaw that is a joint: linear blend skinning with pose correctives (SMPL, Loper et al. 2015; FLAME, Li et al.
2017, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.face.camera import rotation_matrix
from mien.frames import Float


@dataclass(frozen=True, slots=True)
class Jaw:
    """mean: (V, 3) cm; joint: (3,) cm, where it turns; weights: (V,) float32, how much a vertex goes with it;
    correctives: (9, V, 3) cm per unit of each element of rotation - identity, row by row.
    """

    mean: Float
    joint: Float
    weights: Float
    correctives: Float

    def moved(self, turn: NDArray[np.floating[Any]]) -> Float:
        """turn: (3,) axis-angle, radians, x opens -> displacements (V, 3) float32, cm."""
        rotation = rotation_matrix(np.asarray(turn, np.float64))
        corrected = np.tensordot((rotation - np.eye(3)).ravel(), self.correctives, 1)
        posed = self.mean + corrected - self.joint
        turned = posed @ (rotation - np.eye(3)).T
        return np.asarray(corrected + self.weights[:, None] * turned, np.float32)
