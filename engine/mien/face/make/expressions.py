"""The 52 ARKit expressions as displacements of the 468 points: a table of muscles.

Each entry moves a few points by so many cm (written for the subject's left side: x outwards, y up, z out
of the face); the skin between follows as smoothly as it can (`fields.Fields`). Right sides are mirrored.
Lids and jaw turn about their centres instead. Meaning and reach follow Apple's ARFaceAnchor.BlendShapeLocation.
"""

from __future__ import annotations

from collections.abc import Mapping

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

# fmt: off
LEFT: dict[str, tuple[float, float, Handles]] = {
    "eyeSquint": (1.6, 1.25, {374: (0, .20, .03), 380: (0, .17, .03), 373: (0, .17, .02), 253: (0, .22, .06), 450: (0, .22, .08),
                  386: (0, -.07, 0), 385: (0, -.06, 0), 387: (0, -.08, 0), 263: (-.02, .02, 0), 348: (0, .15, .08), 449: (0, .2, .08)}),
    "eyeWide": (1.6, 1.2, {386: (0, .20, -.06), 385: (0, .19, -.05), 387: (0, .18, -.06), 384: (0, .13, -.03), 388: (0, .12, -.04),
                374: (0, -.07, -.02), 258: (0, .12, -.06), 257: (0, .13, -.06), 443: (0, .06, 0), 362: (0, 0, 0), 263: (0, 0, 0)}),
    "mouthSmile": (3.6, 1.2, {291: (.64, .64, -.40), 308: (.60, .60, -.40), 415: (.53, .48, -.33), 324: (.53, .48, -.33), 310: (.43, .35, -.25), 318: (.43, .35, -.25),
                   311: (.32, .20, -.18), 402: (.32, .20, -.18), 312: (.20, .09, -.12), 317: (.20, .09, -.12), 13: (.09, .02, -.08), 14: (.09, .02, -.08), 82: (.03, 0, -.04), 87: (.03, 0, -.04),
                   267: (.17, .11, -.14), 269: (.31, .23, -.18), 270: (.42, .37, -.25), 409: (.53, .51, -.33), 375: (.53, .45, -.34), 321: (.40, .25, -.22), 405: (.28, .10, -.14), 314: (.15, .02, -.08),
                   425: (.16, .44, .22), 280: (.06, .36, .16), 427: (.40, .34, .08), 426: (.38, .44, .02), 436: (.48, .50, -.10), 432: (.40, .36, -.18), 347: (.0, .20, .10), 330: (.04, .32, .18), 358: (.10, .08, 0),
                   434: (.30, .14, .04), 450: (0, .08, .04)}),
    "mouthFrown": (2.8, 1.1, {291: (.06, -.62, -.06), 308: (.05, -.52, -.08), 409: (.05, -.42, 0), 375: (.05, -.38, .03), 312: (0, -.04, 0),
                   317: (0, -.04, 0), 310: (.02, -.24, 0), 318: (.02, -.24, 0), 267: (0, -.05, .02), 314: (0, .02, .05), 422: (.08, -.50, .10), 436: (0, -.28, 0),
                   424: (0, -.18, .12), 418: (0, .02, .10), 0: (0, 0, 0), 17: (0, .02, .04)}),
    "mouthDimple": (2.6, 1.25, {291: (.42, .10, -.50), 308: (.40, .10, -.50), 409: (.28, .06, -.28), 375: (.28, .06, -.28), 436: (.30, .12, -.22),
                    432: (.30, .02, -.22), 310: (.18, .05, -.18), 318: (.18, .05, -.18), 427: (.24, .10, .16), 434: (.22, 0, .10), 312: (.05, 0, -.06), 317: (.05, 0, -.06)}),
    "mouthStretch": (3.0, 1.1, {291: (.70, -.34, -.42), 308: (.62, -.30, -.42), 409: (.48, -.20, -.26), 375: (.48, -.28, -.26), 310: (.30, -.10, -.16),
                     318: (.30, -.24, -.16), 312: (.10, 0, -.06), 317: (.10, -.12, -.08), 314: (.10, -.16, -.06), 267: (.08, 0, -.06), 432: (.42, -.32, -.16),
                     434: (.30, -.34, .08), 422: (.40, -.30, -.12), 430: (.22, -.30, .08)}),
    "mouthPress": (2.2, 1.6, {291: (.10, .02, -.16), 308: (.08, .02, -.16), 269: (.02, -.14, -.08), 270: (.03, -.12, -.08), 267: (0, -.12, -.06), 0: (0, -.05, -.02),
                   405: (.02, .18, -.06), 321: (.03, .16, -.08), 314: (0, .15, -.04), 17: (0, .06, -.02), 312: (0, .01, -.12), 317: (0, .01, -.12),
                   311: (0, .01, -.14), 402: (0, .01, -.14), 310: (.02, .01, -.15), 318: (.02, .01, -.15), 436: (.06, 0, .08), 432: (.04, .04, .10), 418: (0, .14, .08)}),
    "mouthLowerDown": (2.2, 1.1, {317: (.03, -.52, .06), 402: (.06, -.56, .04), 318: (.08, -.46, -.02), 324: (.06, -.22, -.03), 314: (.02, -.44, .08),
                       405: (.06, -.50, .06), 321: (.08, -.40, 0), 14: (0, -.24, .04), 17: (0, -.22, .05), 291: (.04, -.08, -.04), 308: (.03, -.06, -.04),
                       415: (0, -.01, 0), 310: (0, 0, 0), 312: (0, 0, 0), 418: (.04, -.30, .06), 424: (.08, -.24, .02), 87: (0, -.05, .01), 421: (.02, -.16, .03)}),
    "mouthUpperUp": (2.4, 1.25, {312: (0, .40, .04), 311: (.02, .50, .02), 310: (.05, .42, -.03), 415: (.05, .20, -.04), 267: (.0, .40, .05), 269: (.03, .48, .02),
                     270: (.05, .40, -.03), 13: (0, .17, .02), 0: (0, .18, .03), 291: (.03, .10, -.04), 308: (.02, .08, -.04), 391: (.05, .40, .04), 322: (.06, .44, .08),
                     327: (.04, .14, .02), 358: (.05, .16, .02), 425: (.03, .26, .14), 426: (.05, .36, .08), 317: (0, 0, 0), 318: (0, .02, 0), 82: (0, .04, 0), 37: (0, .05, 0), 330: (0, .16, .08)}),
    "browDown": (3.0, 1.2, {285: (-.20, -.42, .04), 336: (-.20, -.46, .04), 295: (-.16, -.42, .02), 296: (-.14, -.42, .02), 282: (-.08, -.32, .0), 334: (-.07, -.32, 0),
                 283: (-.02, -.18, -.02), 293: (-.02, -.16, -.02), 276: (0, -.06, 0), 300: (0, -.06, 0), 9: (0, -.14, .05), 8: (0, -.10, .08), 417: (-.08, -.22, .06),
                 443: (0, -.16, .02), 442: (-.02, -.20, .02), 386: (0, -.03, 0), 337: (-.06, -.16, .02), 299: (-.04, -.12, 0), 168: (0, -.02, .03)}),
    "browOuterUp": (3.0, 1.2, {300: (.0, .52, -.08), 293: (0, .66, -.06), 334: (0, .52, -.03), 276: (.0, .44, -.06), 283: (0, .58, -.06), 282: (0, .46, -.03), 295: (0, .16, 0),
                    296: (0, .18, 0), 285: (0, .0, 0), 336: (0, .02, 0), 298: (0, .38, -.10), 333: (0, .34, -.10), 299: (0, .10, 0), 445: (0, .16, -.02), 444: (0, .20, -.02), 443: (0, .12, 0), 386: (0, .01, 0), 387: (0, .02, 0), 301: (0, .3, -.08)}),
    "cheekSquint": (2.0, 1.4, {330: (0, .34, .14), 280: (.02, .34, .14), 347: (0, .30, .12), 346: (0, .26, .10), 348: (0, .26, .08), 425: (.03, .28, .12), 352: (0, .18, .06), 450: (0, .20, .06),
                    449: (0, .20, .06), 448: (0, .14, .04), 374: (0, .08, .01), 373: (0, .08, .01), 380: (0, .06, 0), 426: (0, .12, .05)}),
    "noseSneer": (2.2, 1.6, {327: (.03, .22, .02), 358: (.06, .36, .04), 294: (.05, .34, .02), 279: (.06, .38, .02), 429: (.03, .36, .06), 420: (.0, .30, .06), 437: (0, .20, .06),
                  343: (0, .14, .06), 425: (.0, .28, .14), 426: (.02, .32, .10), 391: (.02, .28, .08), 322: (.02, .22, .06), 267: (0, .09, .02), 269: (.01, .13, .03), 270: (.02, .10, .02),
                  311: (.01, .05, 0), 310: (.01, .05, 0), 312: (0, .03, 0), 317: (0, .02, 0), 402: (0, .03, 0), 318: (0, .03, 0), 330: (0, .20, .10), 285: (-.06, -.12, .04), 417: (-.03, -.08, .05), 4: (0, .08, 0), 1: (0, .08, 0), 193: (0, -.02, .03), 450: (0, .07, .03)}),
}
BOTH: dict[str, tuple[float, float, Handles]] = {
    "mouthRollLower": (2.0, 1.4, {14: (0, .02, -.42), 317: (0, .02, -.42), 402: (0, .02, -.38), 318: (0, .01, -.28), 324: (0, 0, -.14), 17: (0, .26, -.16), 314: (0, .27, -.17), 405: (0, .24, -.16), 321: (0, .16, -.12),
                       375: (0, .07, -.06), 15: (0, .16, -.44), 16: (0, .28, -.34), 316: (0, .16, -.44), 315: (0, .28, -.34), 403: (0, .14, -.40), 404: (0, .25, -.30), 319: (0, .10, -.28), 320: (0, .16, -.22), 308: (.02, 0, -.04), 291: (.02, 0, -.04),
                       18: (0, .18, -.02), 313: (0, .18, -.02), 200: (0, .08, .06), 13: (0, 0, 0), 312: (0, 0, 0), 311: (0, 0, 0), 310: (0, 0, 0), 406: (0, .12, -.02)}),
    "mouthRollUpper": (2.0, 1.4, {13: (0, -.02, -.40), 312: (0, -.02, -.40), 311: (0, -.02, -.36), 310: (0, -.01, -.26), 415: (0, 0, -.13), 0: (0, -.28, -.16), 267: (0, -.28, -.17), 269: (0, -.24, -.16), 270: (0, -.16, -.12),
                       409: (0, -.07, -.06), 12: (0, -.15, -.42), 11: (0, -.26, -.32), 268: (0, -.15, -.42), 302: (0, -.26, -.32), 271: (0, -.13, -.38), 303: (0, -.23, -.28), 272: (0, -.09, -.26), 304: (0, -.15, -.20), 308: (.02, 0, -.04), 291: (.02, 0, -.04),
                       164: (0, -.16, -.02), 393: (0, -.15, -.02), 391: (0, -.08, -.02), 14: (0, 0, 0), 317: (0, 0, 0), 402: (0, 0, 0), 318: (0, 0, 0)}),
    "mouthShrugLower": (2.4, 1.3, {14: (0, .30, .10), 317: (0, .29, .10), 402: (0, .24, .08), 318: (0, .13, .04), 324: (0, .04, .0), 17: (0, .42, .20), 314: (0, .41, .20), 405: (0, .34, .16), 321: (0, .20, .08), 18: (0, .48, .16), 313: (0, .46, .16),
                        200: (0, .46, .10), 421: (0, .42, .10), 199: (0, .38, .04), 175: (0, .26, 0), 152: (0, .10, 0), 308: (-.02, -.05, 0), 291: (-.02, -.06, 0), 13: (0, .24, .05), 312: (0, .23, .05), 311: (0, .18, .04), 310: (0, .10, .02), 0: (0, .12, .05), 418: (0, .34, .06)}),
    "mouthShrugUpper": (2.4, 1.25, {13: (0, .26, .10), 312: (0, .25, .10), 311: (0, .20, .08), 310: (0, .10, .04), 415: (0, .02, 0), 0: (0, .34, .22), 267: (0, .33, .22), 269: (0, .27, .18), 270: (0, .15, .10), 164: (0, .22, .10), 393: (0, .20, .10), 2: (0, .08, .02),
                        308: (-.03, -.08, 0), 291: (-.03, -.09, 0), 14: (0, .22, .05), 317: (0, .21, .05), 402: (0, .16, .04), 318: (0, .08, .02), 17: (0, .12, .03), 314: (0, .11, .03), 327: (.02, .08, 0)}),
    "browInnerUp": (3.0, 1.1, {285: (.02, .56, -.04), 336: (.02, .62, -.05), 295: (.0, .44, -.03), 296: (0, .46, -.04), 282: (0, .20, -.02), 334: (0, .22, -.03), 283: (0, .04, 0), 293: (0, .05, 0), 276: (0, 0, 0), 300: (0, 0, 0),
                    9: (0, .40, -.04), 8: (0, .22, -.01), 151: (0, .34, -.08), 337: (0, .42, -.08), 299: (0, .26, -.06), 441: (0, .14, 0), 442: (0, .14, 0), 413: (0, .10, 0), 168: (0, .04, 0), 386: (0, .01, 0)}),
    "cheekPuff": (3.0, 1.6, {427: (.62, .0, .44), 411: (.60, .04, .36), 434: (.56, -.06, .34), 436: (.34, 0, .40), 432: (.32, -.02, .40), 416: (.58, 0, .28), 425: (.24, .12, .24), 426: (.22, .06, .34), 430: (.38, -.14, .26), 280: (.22, .10, .12), 291: (.02, 0, .10), 308: (.0, 0, .06),
                  0: (0, .04, .16), 17: (0, -.02, .14), 13: (0, .01, .06), 14: (0, .01, .06), 391: (.06, .03, .26), 164: (0, .02, .16), 18: (0, -.02, .14), 422: (.18, -.06, .32), 376: (.50, .02, .18), 433: (.5, -.02, .18), 435: (.24, -.02, .06)}),
}
# fmt: on
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


def expressions(points: Doubles, triangles: NDArray[np.int64], mirror: NDArray[np.int64], lids: Lids) -> Doubles:
    """(52, 468, 3) displacements at weight 1, in the order of `rig.ARKIT_NAMES` ."""
    fields = Fields(points, triangles)
    author = _Author(points, fields, mirror)
    shapes: dict[str, Doubles] = {}
    for name, (reach, gain, handles) in LEFT.items():
        shapes[f"{name}Left"] = gain * fields.within(handles, reach)
    for name, (reach, gain, handles) in BOTH.items():
        both = {int(mirror[i]): (-d[0], d[1], d[2]) for i, d in handles.items()}
        shapes[name] = gain * fields.within(both | handles, reach)
    shapes |= author.jaw()
    shapes["mouthLeft"] = author.sideways()
    shapes["mouthPucker"] = author.rounded(pull=0.50, forward=0.72, up=0.02, down=0.02, fuller=0.10)
    shapes["mouthFunnel"] = author.rounded(pull=0.38, forward=0.62, up=0.34, down=0.42, fuller=0.04)
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
    for margin, outer in ((14, 17), (87, 84), (317, 314), (178, 181), (402, 405), (13, 0), (82, 37), (312, 267), (81, 39), (311, 269)):
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
        corner = self.fields.within({291: (-0.18, 0, -0.02), 308: (-0.16, 0, -0.02), 432: (-0.22, 0, -0.1)}, 2.4)
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
        for i in (18, 83, 313, 200, 199, 175, 152, 148, 377, 176, 400, 149, 378, 150, 379, 201, 421, 208, 428, 171, 396):
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
        the red gets `fuller` (all cm)."""
        handles: Handles = {}
        wide = self.points[308, 0]
        for ring, row in enumerate(LIP_ROWS_LEFT):
            for k, i in enumerate(row):
                bow = np.cos(np.pi * k / 10)  # 1 on the middle of the upper lip, 0 in the corner, -1 on the lower
                y = (up if bow > 0 else down) * np.sign(bow) * abs(bow) ** 0.6 + fuller * (1 - ring / 3) * bow
                x = self.points[i, 0]
                z = forward * (1 - 0.5 * min(1.3, (x / wide) ** 2)) * (1 - 0.06 * ring)
                handles[i] = (-pull * x, y, z)
                handles[int(self.mirror[i])] = (pull * x, y, z)
        for i, share, y, z in ((436, 0.55, 0, 0.22), (432, 0.55, 0, 0.20), (427, 0.2, 0, -0.08), (426, 0.3, 0, 0.05), (410, 0.75, 0, 0.3),
                               (164, 0, 0.3 * up, 0.32), (18, 0, -0.4 * down, 0.30), (393, 0.4, 0.3 * up, 0.30), (391, 0.45, 0.1, 0.25),
                               (313, 0.4, -0.4 * down, 0.30), (406, 0.5, -0.2 * down, 0.28), (335, 0.55, 0, 0.25), (200, 0, 0, 0.12)):  # fmt: skip
            x = self.points[i, 0]
            handles[i] = (-pull * share * x, y, z * forward / 0.6)
            handles[int(self.mirror[i])] = (pull * share * x, y, z * forward / 0.6)
        return self.fields.within(handles, 2.4)

    def sideways(self) -> Doubles:
        """The whole mouth to the subject's left."""
        handles: Handles = {i: (0.85, 0.0, 0.0) for i in (0, 17, 13, 14, 37, 84, 267, 314, 82, 87, 312, 317)}
        handles |= {291: (0.72, 0.06, -0.36), 308: (0.72, 0.06, -0.36), 61: (0.78, 0.02, 0.32), 78: (0.78, 0.02, 0.32)}
        handles |= {164: (0.45, 0, 0), 18: (0.65, 0, 0), 200: (0.35, 0, 0), 432: (0.45, 0, -0.05), 212: (0.55, 0, 0.15), 436: (0.45, 0.05, 0.0), 216: (0.5, 0, 0.12), 2: (0.1, 0, 0)}
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
        for ring, fold, share in ((UPPER_LID_LEFT, UPPER_FOLD_LEFT, 0.32), (LOWER_LID_LEFT, LOWER_FOLD_LEFT, 0.55)):
            for i, k in zip(ring[1:-1], fold, strict=True):
                handles[k] = (share * handles[i][0], share * handles[i][1], share * handles[i][2])
        return fields.within(handles, 1.5)
