"""The mean neutral face and how real faces differ from it: Procrustes over the tracks of many people.

No single face goes in: every person counts once, however long the clip, and only the mean and the
strongest directions of spread are kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.face.make.topology import COUNT
from mien.face.make.tracks import Track
from mien.face.model import FACE_OVAL
from mien.face.rig import INDEX
from mien.face.similarity import similarity

Doubles = NDArray[np.float64]

PUPIL_DISTANCE_CM = 6.3
SAME_PERSON = (("mead_M030_level_3_angry_016", "mead_M030_sad_3_001"),)
"""Files that show one person."""
_STABLE = (6, 197, 195, 168, 8, 9, 151, 33, 133, 263, 362, 4, 1, 2, 98, 327, 122, 351, 50, 280, 101, 330, 10)
"""Points that expressions hardly move, for aligning frames."""


def upright(points: NDArray[np.float32]) -> Doubles:
    """Picture axes (y down, z away) to head-space axes, mirrored neither: (..., 478, 3)."""
    return points.astype(np.float64) * (1, -1, -1)


def aligned(points: Doubles, reference: Doubles, on: tuple[int, ...] = _STABLE) -> Doubles:
    """`points` (478, 3) moved onto `reference` by the similarity that fits the points `on`."""
    s, r, t = similarity(points[list(on)], reference[list(on)])
    return s * points @ r.T + t


def calmness(track: Track) -> NDArray[np.float64]:
    """(N,) how neutral and frontal each frame is: 0 at best, growing."""
    scores = track.scores.astype(np.float64)
    weight = np.ones(scores.shape[1])
    for name in ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight"):
        weight[INDEX[name]] = 3
    for name in ("eyeLookInLeft", "eyeLookOutLeft", "eyeLookInRight", "eyeLookOutRight"):
        weight[INDEX[name]] = 0.2
    p = upright(track.points)
    across = p[:, 263] - p[:, 33]
    size = np.linalg.norm(across, axis=1)
    turned = np.abs(across[:, 2]) / size
    nod = np.abs(p[:, 10, 2] - p[:, 152, 2]) / size
    return np.asarray((scores * weight).sum(axis=1) + 6 * turned + 2 * nod)


@dataclass(frozen=True, slots=True)
class Person:
    """One person at rest, as far as the clip shows it. shape: (478, 3) head-space axes, units of its picture.
    scores: (52,) MediaPipe's blendshape scores there. restlessness: 0 (calm, frontal) and up.
    """

    shape: Doubles
    scores: Doubles
    restlessness: float


def people(tracks: list[Track], frames: int = 8) -> list[Person]:
    """One entry per person, however many and long its clips: the mean of its calmest frames."""
    alias = {name: group[0] for group in SAME_PERSON for name in group}
    best: dict[str, list[tuple[float, Doubles, Doubles]]] = {}
    for track in tracks:
        calm, shapes = calmness(track), upright(track.points)
        for i in np.argsort(calm)[:frames]:
            entry = (float(calm[i]), shapes[i], track.scores[i].astype(np.float64))
            best.setdefault(alias.get(track.name, track.name), []).append(entry)
    found = []
    for entries in best.values():
        chosen = sorted(entries, key=lambda entry: entry[0])[:frames]
        calm, shapes, scores = (list(values) for values in zip(*chosen, strict=True))
        shape = np.mean([aligned(shape, shapes[0]) for shape in shapes], axis=0)
        found.append(Person(shape, np.mean(scores, axis=0), float(np.mean(calm))))
    return found


def procrustes_mean(shapes: list[Doubles], mirror: NDArray[np.int64], weights: Doubles) -> Doubles:
    """The weighted generalised Procrustes mean of (478, 3) shapes, symmetrised, pupils 6.3 cm apart.

    The origin is midway between the irises, x runs through them, and the line from forehead to chin
    is upright.
    """
    inner = tuple(i for i in range(COUNT) if i not in FACE_OVAL)
    both = mirror_478(mirror)
    mean = shapes[0]
    for _ in range(8):
        placed = [aligned(shape, mean, inner) for shape in shapes]
        mean = np.average(placed, axis=0, weights=weights)
        mean = (mean + aligned(mean[both] * (-1, 1, 1), mean, inner)) / 2
        mean = levelled(mean)
    mean = (mean + mean[both] * (-1, 1, 1)) / 2
    return mean


def levelled(shape: Doubles) -> Doubles:
    """Eyes on the x axis, face plane (forehead 10 to chin 152, leaning back by nature) upright."""
    right, left = shape[468], shape[473]
    x = (left - right) / np.linalg.norm(left - right)
    up = shape[9] - shape[164]
    up = up - (up @ x) * x
    up /= np.linalg.norm(up)
    frame = np.stack([x, up, np.cross(x, up)])
    return (shape - (left + right) / 2) @ frame.T * (PUPIL_DISTANCE_CM / np.linalg.norm(left - right))


def mirror_478(mirror: NDArray[np.int64]) -> NDArray[np.int64]:
    """The mirror map with the ten iris points (each ring keeps its upper and lower, swaps its sides)."""
    iris = [473, 476, 475, 474, 477, 468, 471, 470, 469, 472]
    return np.concatenate([mirror, iris])
