"""The 52 ARKit expressions as displacements of the 468 points.

Most are muscles (`muscles.toml`): a few points are moved, the skin between follows as smoothly as it can
(`fields.Fields`). Lids and jaw turn about their centres instead. Meaning and reach follow Apple's ARFaceAnchor.BlendShapeLocation.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.face.camera import rotation_matrix
from mien.face.make.fields import Fields
from mien.face.make.topology import LOWER_LID_LEFT, LOWER_LIP, UPPER_LID_LEFT, UPPER_LIP
from mien.face.rig import ARKIT_NAMES, INDEX, MIRROR

Doubles = NDArray[np.float64]
Handles = dict[int, tuple[float, float, float]]

TONGUE_JAW = 0.22
JAW_DEGREES = 21.5
HINGE = (0.0, -3.2, -6.2)
"""The axis through both jaw joints (along x), just in front of the ears."""

LIP_ROWS_LEFT = (
    (0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17),
    (11, 302, 303, 304, 408, 306, 307, 320, 404, 315, 16),
    (12, 268, 271, 272, 407, 292, 325, 319, 403, 316, 15),
    (13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14),
)
"""The red of the lips in rows, outermost first, each from the middle of the upper lip round the left corner."""
SEALED = (
    "mouthSmile", "mouthFrown", "mouthDimple", "mouthPress", "mouthPucker", "mouthShrugLower", "mouthShrugUpper",
    "cheekPuff", "mouthStretch", "mouth",
    "noseSneer",
)  # fmt: skip
"""Shapes that keep closed lips closed ("mouth": mouthLeft and mouthRight)."""

UPPER_FOLD_LEFT = (414, 286, 258, 257, 259, 260, 467)
LOWER_FOLD_LEFT = (341, 256, 252, 253, 254, 339, 255)
"""The next row of points beyond the lid margins, inner corner to outer."""


def expressions(points: Doubles, fields: Fields, mirror: NDArray[np.int64], lids: Lids) -> Doubles:
    """(52, 468, 3) displacements at weight 1, in the order of `rig.ARKIT_NAMES` ."""
    author = _Author(points, fields, mirror)
    shapes: dict[str, Doubles] = {}
    with Path(__file__).with_name("muscles.toml").open("rb") as file:
        muscles = tomllib.load(file)
    for name, muscle in muscles["left"].items():
        shapes[f"{name}Left"] = muscle["gain"] * fields.within(_handles(muscle), muscle["reach_cm"])
    for name, muscle in muscles["both"].items():
        handles = _handles(muscle)
        other = {int(mirror[i]): (-x, y, z) for i, (x, y, z) in handles.items()}
        shapes[name] = muscle["gain"] * fields.within(other | handles, muscle["reach_cm"])
    shapes |= author.jaw()
    shapes["mouthLeft"] = author.sideways()
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


def _handles(muscle: dict[str, Any]) -> Handles:
    return {i: (x, y, z) for i, x, y, z in muscle["points"]}


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
    def __init__(self, points: Doubles, fields: Fields, mirror: NDArray[np.int64]) -> None:
        self.points = points
        self.fields = fields
        self.mirror = mirror

    def jaw(self) -> dict[str, Doubles]:
        """Opening turns the jaw about its hinge and pulls the corners in; the others slide it."""
        weight = self.jaw_weight()[:, None]
        turn = rotation_matrix(np.array([np.radians(JAW_DEGREES), 0, 0])) - np.eye(3)
        opened = weight * ((self.points - HINGE) @ turn.T) + weight * (0, 0, 0.25)
        corner = self.fields.within(
            {291: (-0.18, 0, -0.02), 308: (-0.16, 0, -0.02), 432: (-0.22, 0, -0.1)}, 2.4
        )
        opened += corner + corner[self.mirror] * (-1, 1, 1)
        slid = weight * (1 - 0.35 * self._lip_weight()[:, None])
        return {"jawOpen": opened, "jawForward": slid * (0, -0.05, 0.95), "jawLeft": slid * (0.85, 0, 0)}

    def jaw_weight(self) -> Doubles:
        """(468,) how firmly each point hangs on the lower jaw, 0 to 1."""
        given: dict[int, float] = dict.fromkeys((13, 82, 312, 0, 37, 267, 164, 2, 98, 327), 0.0)
        # Along the lips as measured in open mouths of many people: an oval, not a box.
        for right, left, w in ((81, 311, 0.02), (80, 310, 0.085), (191, 415, 0.19), (78, 308, 0.34), (95, 324, 0.56),
                               (88, 318, 0.73), (178, 402, 0.88), (87, 317, 0.97), (40, 270, 0.09), (185, 409, 0.19),
                               (61, 291, 0.34), (146, 375, 0.52), (91, 321, 0.70), (181, 405, 0.86), (84, 314, 0.96)):  # fmt: skip
            given[right] = given[left] = w
        given[14] = given[17] = 1.0
        for i in (
            18,
            83,
            313,
            200,
            199,
            175,
            152,
            148,
            377,
            176,
            400,
            149,
            378,
            150,
            379,
            201,
            421,
            208,
            428,
            171,
            396,
        ):
            given[i] = 1.0
        for right, left, w in ((136, 365, 1.0), (172, 397, 0.95), (58, 288, 0.8), (132, 361, 0.35), (93, 323, 0.1),
                               (234, 454, 0.0), (50, 280, 0.02), (205, 425, 0.1), (36, 266, 0.0), (117, 346, 0.0),
                               (187, 411, 0.22), (207, 427, 0.28), (212, 432, 0.6), (216, 436, 0.26)):  # fmt: skip
            given[right] = given[left] = w
        above = np.flatnonzero(self.points[:, 1] > self.points[2, 1] + 0.4)
        given |= {int(i): 0.0 for i in above if self.fields.distance[i, 50] > 1 or self.points[i, 1] > -2.5}
        return np.clip(self.fields.solve(given), 0, 1)

    def _lip_weight(self) -> Doubles:
        near = self.fields.distance[[13, 14, 78, 308]].min(axis=0)
        return np.asarray(np.exp(-((near / 1.5) ** 2)))

    def rounded(self, pull: float, forward: float, up: float, down: float, fuller: float) -> Doubles:
        """Lips drawn together (to 1 - pull of their width) and `forward`, opened `up` and `down`, and everted so that
        the red gets `fuller` (all cm).
        """
        handles: Handles = {}
        wide = self.points[308, 0]
        for ring, row in enumerate(LIP_ROWS_LEFT):
            for k, i in enumerate(row):
                bow = np.cos(
                    np.pi * k / 10
                )  # 1 on the middle of the upper lip, 0 in the corner, -1 on the lower
                y = (up if bow > 0 else down) * np.sign(bow) * abs(bow) ** 0.6 + fuller * (1 - ring / 3) * bow
                x = self.points[i, 0]
                z = forward * (1 - 0.26 * min(1.3, (x / wide) ** 2)) * (1 - 0.06 * ring)
                narrower = pull * (0.86 + 0.14 * ring / 3)
                handles[i] = (-narrower * x, y, z)
                handles[int(self.mirror[i])] = (narrower * x, y, z)
        for i, share, y, z in ((436, 0.62, 0, 0.36), (432, 0.62, 0, 0.34), (287, 0.88, 0, 0.44), (273, 0.85, 0, 0.44), (427, 0.2, 0, -0.08), (426, 0.3, 0, 0.05), (410, 0.85, 0, 0.42),
                               (164, 0, 0.3 * up, 0.32), (18, 0, -0.4 * down, 0.30), (393, 0.4, 0.3 * up, 0.30), (391, 0.45, 0.1, 0.25),
                               (313, 0.4, -0.4 * down, 0.30), (406, 0.6, -0.2 * down, 0.30), (335, 0.7, 0, 0.36), (422, 0.7, 0, 0.38), (200, 0, 0, 0.12)):  # fmt: skip
            x = self.points[i, 0]
            handles[i] = (-pull * share * x, y, z * forward / 0.6)
            handles[int(self.mirror[i])] = (pull * share * x, y, z * forward / 0.6)
        return self.fields.within(handles, 2.4)

    def sideways(self) -> Doubles:
        """The whole mouth to the subject's left."""
        handles: Handles = dict.fromkeys((0, 17, 13, 14, 37, 84, 267, 314, 82, 87, 312, 317), (0.85, 0.0, 0.0))
        handles |= {
            291: (0.72, 0.06, -0.36),
            308: (0.72, 0.06, -0.36),
            61: (0.78, 0.02, 0.32),
            78: (0.78, 0.02, 0.32),
        }
        handles |= {
            164: (0.45, 0, 0),
            18: (0.65, 0, 0),
            200: (0.35, 0, 0),
            432: (0.45, 0, -0.05),
            212: (0.55, 0, 0.15),
            436: (0.45, 0.05, 0.0),
            216: (0.5, 0, 0.12),
            2: (0.1, 0, 0),
        }
        return 1.25 * self.fields.within(handles, 2.6)


class Lids:
    """The lids of the subject's left eye, which turn about the eyeball. centre: (3,), radius: cm."""

    def __init__(self, centre: Doubles, radius: float) -> None:
        self.centre = centre
        self.radius = radius

    def shapes(self, points: Doubles, fields: Fields) -> dict[str, Doubles]:
        upper, lower = points[list(UPPER_LID_LEFT)], points[list(LOWER_LID_LEFT)]
        # The closed seam: mostly where the lower lid was, bowed like it, and off the eyeball.
        share = 0.58 + 0.28 * np.sin(np.pi * np.linspace(0, 1, len(upper)))[:, None] ** 0.7
        seam = self.lifted(upper + share * (lower - upper), 0.16)
        return {
            "eyeBlinkLeft": self._lidded(points, fields, seam - upper, seam - lower),
            "eyeLookDownLeft": self._lidded(points, fields, *self._share(upper, lower, 0.52, -0.14)),
            "eyeLookUpLeft": self._lidded(points, fields, *self._share(upper, lower, -0.20, 0.08)),
            "eyeLookInLeft": self._lidded(points, fields, *self._aside(upper, lower, -0.05)),
            "eyeLookOutLeft": self._lidded(points, fields, *self._aside(upper, lower, 0.05)),
        }

    def lifted(self, points: Doubles, above: float) -> Doubles:
        """Points nearer to the centre than radius + above pushed straight out to there."""
        away = points - self.centre
        length = np.linalg.norm(away, axis=1, keepdims=True)
        return self.centre + away * np.maximum(1, (self.radius + above) / length)

    def _share(self, upper: Doubles, lower: Doubles, fall: float, rise: float) -> tuple[Doubles, Doubles]:
        """The upper lid falls, the lower rises, by shares of the opening."""
        gap = lower - upper
        return (self.lifted(upper + fall * gap, 0.10) - upper, self.lifted(lower - rise * gap, 0.09) - lower)

    @staticmethod
    def _aside(upper: Doubles, lower: Doubles, x: float) -> tuple[Doubles, Doubles]:
        bow = np.sin(np.pi * np.linspace(0, 1, len(upper)))[:, None]
        return bow * (x, 0.0, 0.0), bow * (x, 0.0, 0.0) + 0 * lower

    def _lidded(self, points: Doubles, fields: Fields, upper: Doubles, lower: Doubles) -> Doubles:
        handles: Handles = {}
        for ring, moved in ((UPPER_LID_LEFT, upper), (LOWER_LID_LEFT, lower)):
            for i, d in zip(ring, moved, strict=True):
                handles[i] = (float(d[0]), float(d[1]), float(d[2]))
        handles[362] = handles[263] = (0.0, 0.0, 0.0)
        # The skin above the crease and below the lower lid is drawn along a little, and unfolds.
        for ring, fold, share in (
            (UPPER_LID_LEFT, UPPER_FOLD_LEFT, 0.32),
            (LOWER_LID_LEFT, LOWER_FOLD_LEFT, 0.55),
        ):
            for i, k in zip(ring[1:-1], fold, strict=True):
                handles[k] = (share * handles[i][0], share * handles[i][1], share * handles[i][2])
        return fields.within(handles, 1.5)
