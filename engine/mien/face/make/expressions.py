"""The 52 ARKit expressions as displacements of the 468 points.

Most are muscles (`muscles.toml`): a few points are moved, the skin between follows as smoothly as it can
(`fields.Fields`). Lids and jaw turn about their centres instead. Meaning and reach
follow Apple's ARFaceAnchor.BlendShapeLocation.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.face.camera import rotation_matrix
from mien.face.make.fields import Fields
from mien.face.make.lids import Lids
from mien.face.make.topology import LOWER_LIP, UPPER_LIP
from mien.face.rig import ARKIT_NAMES, INDEX, MIRROR

Doubles = NDArray[np.float64]
Handles = dict[int, tuple[float, float, float]]

JAW_DEGREES = 21.5
HINGE = (0.0, -3.2, -6.2)
"""The axis through both jaw joints (along x), just in front of the ears."""
GLIDE_CM = 0.25
"""How far the jaw glides forward as it opens."""
SLIDES = {"jawForward": (0, -0.05, 0.95), "jawLeft": (0.85, 0, 0), "jawRight": (-0.85, 0, 0)}
LIP_LAG, FORWARD_LIP_LAG = 0.35, 0.12
"""How much less than the jaw the lips slide with it: aside, and forward."""
TONGUE_JAW = 0.34
"""How far the jaw opens for the tongue to come out."""

LIP_ROWS_LEFT = (
    (0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17),
    (11, 302, 303, 304, 408, 306, 307, 320, 404, 315, 16),
    (12, 268, 271, 272, 407, 292, 325, 319, 403, 316, 15),
    (13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14),
)
"""The red of the lips in rows, outermost first, each from the upper middle round the left corner."""
SEALED = (
    "mouthSmile", "mouthFrown", "mouthDimple", "mouthPress", "mouthPucker", "mouthStretch", "mouthShrugLower",
    "mouthShrugUpper", "mouth", "cheekPuff", "noseSneer",
)  # fmt: skip
"""Shapes that keep closed lips closed ("mouth": mouthLeft and mouthRight)."""


def expressions(
    points: Doubles, fields: Fields, mirror: NDArray[np.int64], lids: Lids, *, studied: bool = False
) -> Doubles:
    """(52, 468, 3) displacements at weight 1, in the order of `rig.ARKIT_NAMES`.

    studied: no further than the people in the clips go, which the clips are explained with; full contraction
    otherwise.
    """
    with Path(__file__).with_name("muscles.toml").open("rb") as file:
        muscles = tomllib.load(file)
    author = _Author(points, fields, mirror, muscles)
    shapes: dict[str, Doubles] = {}
    for name, muscle in muscles["left"].items():
        handles, gain = _contraction(muscle, studied)
        shapes[f"{name}Left"] = gain * fields.within(handles, muscle["reach_cm"])
    for name, muscle in muscles["both"].items():
        handles, gain = _contraction(muscle, studied)
        other = {int(mirror[i]): (-x, y, z) for i, (x, y, z) in handles.items()}
        shapes[name] = gain * fields.within(other | handles, muscle["reach_cm"])
    for name, muscle in muscles["whole"].items():
        handles, gain = _contraction(muscle, studied)
        shapes[name] = gain * fields.within(handles, muscle["reach_cm"])
    shapes |= author.jaw(studied)
    shapes["mouthPucker"] = author.rounded(pull=0.54, forward=0.75, up=0.02, down=0.02, fuller=0.10)
    shapes["mouthFunnel"] = author.rounded(pull=0.32, forward=0.62, up=0.42, down=0.52, fuller=0.04)
    shapes |= lids.shapes(points, fields)
    for name in ARKIT_NAMES:
        if name.endswith("Right"):
            shapes[name] = shapes[name[:-5] + "Left"][mirror] * (-1, 1, 1)
    for name in ARKIT_NAMES:
        if not name.endswith(("Left", "Right")) and name in shapes:
            shapes[name] = (shapes[name] + shapes[name][mirror] * (-1, 1, 1)) / 2
    shapes["mouthClose"] = close(fields, shapes["jawOpen"])
    # The mouth makes way for the tongue.
    shapes["tongueOut"] = TONGUE_JAW * shapes["jawOpen"]
    return np.stack([shapes[name] for name in ARKIT_NAMES])


def _contraction(muscle: dict[str, Any], studied: bool) -> tuple[Handles, float]:
    """The points that a muscle moves, and its gain; `studied` puts the muscle's own `studied` table over both."""
    less = muscle.get("studied", {}) if studied else {}
    rows = [*muscle["points"], *less.get("points", [])]
    return {i: (x, y, z) for i, x, y, z in rows}, less.get("gain", muscle["gain"])


def resealed(shapes: Doubles, fields: Fields, mirror: NDArray[np.int64]) -> Doubles:
    """(52, 468, 3) with lips that meet where they must: in the `SEALED` shapes, and under mouthClose."""
    result = shapes.copy()
    for k, name in enumerate(ARKIT_NAMES):
        if name.removesuffix("Left").removesuffix("Right") in SEALED:
            given = {}
            for upper, lower in zip(UPPER_LIP, LOWER_LIP, strict=True):
                half = (shapes[k, upper] - shapes[k, lower]) / 2
                given[upper], given[lower] = tuple(-half), tuple(half)
            given[78] = given[308] = (0.0, 0.0, 0.0)
            result[k] += fields.within(given, 1.4)
    result[INDEX["mouthClose"]] = close(fields, result[INDEX["jawOpen"]])
    return (result + result[list(MIRROR)][:, mirror] * (-1, 1, 1)) / 2


def close(fields: Fields, opened: Doubles) -> Doubles:
    """Takes back what `jawOpen` (468, 3) did between the lips, so that jawOpen = mouthClose seals them."""
    handles: Handles = {}
    for upper, lower in zip(UPPER_LIP, LOWER_LIP, strict=True):
        gap = opened[lower] - opened[upper]
        handles[lower] = tuple(-0.72 * gap)
        if upper != lower:
            handles[upper] = tuple(0.28 * gap)
    for margin, outer in (
        (14, 17),
        (87, 84),
        (317, 314),
        (178, 181),
        (402, 405),
        (13, 0),
        (82, 37),
        (312, 267),
        (81, 39),
        (311, 269),
    ):
        x, y, z = handles[margin]
        handles[outer] = (0.92 * x, 0.92 * y, 0.92 * z)
    return fields.within(handles, 2.6)


class _Author:
    """What takes more than a table: the jaw, and rounded lips."""

    def __init__(
        self, points: Doubles, fields: Fields, mirror: NDArray[np.int64], muscles: dict[str, Any]
    ) -> None:
        self.muscles = muscles
        self.points = points
        self.fields = fields
        self.mirror = mirror

    def jaw(self, studied: bool) -> dict[str, Doubles]:
        """Opening turns the jaw about its hinge and pulls the corners in; the others slide it."""
        weight = self.jaw_weight()[:, None]
        turn = rotation_matrix(np.array([np.radians(JAW_DEGREES), 0, 0])) - np.eye(3)
        opened = weight * ((self.points - HINGE) @ turn.T) + weight * (0, 0, GLIDE_CM)
        corner = self.fields.within(
            {291: (-0.18, 0, -0.02), 308: (-0.16, 0, -0.02), 432: (-0.22, 0, -0.1)}, 2.4
        )
        opened += corner + corner[self.mirror] * (-1, 1, 1)
        lips = self._lip_weight()[:, None]
        forward_lag = LIP_LAG if studied else FORWARD_LIP_LAG
        return {
            "jawOpen": opened,
            "jawForward": weight * (1 - forward_lag * lips) * SLIDES["jawForward"],
            "jawLeft": weight * (1 - LIP_LAG * lips) * SLIDES["jawLeft"],
        }

    def jaw_weight(self) -> Doubles:
        """(468,) how firmly each point hangs on the lower jaw, 0 to 1."""
        given: dict[int, float] = {int(i): float(w) for i, w in self.muscles["jaw"]["midline"]}
        for right, left, w in self.muscles["jaw"]["weights"]:
            given[right] = given[left] = float(w)
        # Everything above the mouth but the cheeks stays.
        above = np.flatnonzero(self.points[:, 1] > self.points[2, 1] + 0.4)
        given |= {int(i): 0.0 for i in above if self.fields.distance[i, 50] > 1 or self.points[i, 1] > -2.5}
        return np.clip(self.fields.solve(given), 0, 1)

    def _lip_weight(self) -> Doubles:
        near = self.fields.distance[[13, 14, 78, 308]].min(axis=0)
        return np.asarray(np.exp(-((near / 1.5) ** 2)))

    def rounded(self, pull: float, forward: float, up: float, down: float, fuller: float) -> Doubles:
        """Lips drawn together and forward.

        pull: share of their width that they lose. Opened `up` and `down`; everted so that the red gets
        `fuller` (all cm).
        """
        handles: Handles = {}
        wide = self.points[308, 0]
        for ring, row in enumerate(LIP_ROWS_LEFT):
            for k, i in enumerate(row):
                # 1 in the middle of the upper lip, 0 in the corner, -1 in the middle of the lower.
                bow = np.cos(np.pi * k / 10)
                y = (up if bow > 0 else down) * np.sign(bow) * abs(bow) ** 0.6 + fuller * (1 - ring / 3) * bow
                x = self.points[i, 0]
                z = forward * (1 - 0.26 * min(1.3, (x / wide) ** 2)) * (1 - 0.06 * ring)
                narrower = pull * (0.86 + 0.14 * ring / 3)
                handles[i] = (-narrower * x, y, z)
                handles[int(self.mirror[i])] = (narrower * x, y, z)
        for i, share, lift, fall, z in self.muscles["rounded"]["around"]:
            x, y = pull * share * self.points[i, 0], lift * up - fall * down
            handles[i] = (-x, y, z * forward / 0.6)
            handles[int(self.mirror[i])] = (x, y, z * forward / 0.6)
        return self.fields.within(handles, 2.4)
