"""How people differ: a few modes learned from real faces, and procedural ones that anybody can name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.face.make.fields import Fields
from mien.face.make.topology import LOWER_LIP, UPPER_LIP

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

LEARNED = 10
PROCEDURAL = (
    "width",
    "length",
    "jaw width",
    "chin",
    "nose length",
    "nose width",
    "lip fullness",
    "mouth width",
    "eye size",
    "brow height",
)


def learn(shapes: list[Doubles], mean: Doubles, mirror: Ints, modes: int = LEARNED) -> Doubles:
    """PCA over people (each (468, 3), aligned to `mean`), symmetrised -> (modes, 468, 3), cm per deviation.

    A person far off is drawn in to the spread of the others before the PCA, so no mode can be one person.
    """
    rows = []
    for shape in shapes:
        difference = shape - mean
        rows.append((difference + difference[mirror] * (-1, 1, 1)) / 2)
    data = np.array(rows).reshape(len(rows), -1)
    size = np.linalg.norm(data, axis=1)
    limit = np.median(size) * 1.3
    data *= np.minimum(1, limit / size)[:, None]
    data -= data.mean(axis=0)
    _, spread, directions = np.linalg.svd(data, full_matrices=False)
    deviation = spread[:modes] / np.sqrt(len(data) - 1)
    return np.asarray((directions[:modes] * deviation[:, None]).reshape(modes, -1, 3))


def names(learned: int) -> tuple[str, ...]:
    return (*(f"learned {k + 1}" for k in range(learned)), *PROCEDURAL)


def lips_kept_shut(modes: Doubles, fields: Fields) -> Doubles:
    """(I, 468, 3) such that nobody's lips gape at rest."""
    result = modes.copy()
    for k, mode in enumerate(modes):
        given = {78: (0.0, 0.0, 0.0), 308: (0.0, 0.0, 0.0)}
        for upper, lower in zip(UPPER_LIP[1:-1], LOWER_LIP[1:-1], strict=True):
            half = tuple((mode[upper] - mode[lower]) / 2)
            given[upper], given[lower] = (-half[0], -half[1], -half[2]), (half[0], half[1], half[2])
        result[k] += fields.within(given, 1.4)
    return result


def procedural(points: Doubles, fields: Fields, mirror: Ints) -> Doubles:
    """(10, 468, 3), one standard deviation each, in the order of `PROCEDURAL`."""
    x, y, z = points.T
    zero = np.zeros_like(x)
    down = ((-4 - y) / 6).clip(0, 1)
    smooth = down * down * (3 - 2 * down)

    def bump(centre: int, size: float) -> Doubles:
        near = np.minimum(fields.distance[centre], fields.distance[mirror[centre]])
        return np.asarray(np.exp(-((near / size) ** 2)))

    eye = points[[362, 263, 386, 374]].mean(axis=0)
    around = np.exp(
        -(((np.abs(x) - eye[0]) / 1.9) ** 2) - ((y - eye[1]) / 1.3) ** 2 - ((z - eye[2]) / 1.6) ** 2
    )
    nose = np.exp(-((x / 1.7) ** 2)) * np.exp(-(((y + 3.4) / 1.5) ** 2)) * ((z - 1.6) / 2).clip(0, 1)
    wings = np.exp(-(((y + 4.3) / 1.2) ** 2)) * bump(327, 1.6)
    above = y - points[13, 1]
    lips = np.exp(-(above**2) - (x / 2.6) ** 2)
    return np.stack([
        np.stack([0.045 * x, zero, zero], axis=1),
        np.stack([zero, 0.04 * (y + 2), zero], axis=1),
        np.stack([0.075 * x * smooth, zero, zero], axis=1),
        bump(152, 3.0)[:, None] * (0, -0.30, 0.22),
        nose[:, None] * np.array([0, -0.16, 0.22]),
        np.stack([0.16 * np.tanh(x / 0.9) * wings, zero, zero], axis=1),
        lips[:, None] * np.stack([zero, 0.13 * (above / 0.6).clip(-1, 1), zero + 0.12], axis=1),
        np.stack([0.17 * np.tanh(x / 1.4) * bump(291, 1.9), zero, zero], axis=1),
        around[:, None] * np.stack([0.07 * (x - eye[0] * np.sign(x)), 0.14 * (y - eye[1]), zero], axis=1),
        np.maximum(bump(334, 1.8), bump(285, 1.4))[:, None] * (0, 0.22, 0.03),
    ])  # fmt: skip
