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
from mien.face.rig import ARKIT_NAMES

Doubles = NDArray[np.float64]
Handles = dict[int, tuple[float, float, float]]

JAW_DEGREES = 20.0
HINGE = (0.0, -3.2, -6.2)
"""The axis through both jaw joints (along x), just in front of the ears."""

# fmt: off
LEFT: dict[str, tuple[float, Handles]] = {
    "eyeSquint": (1.6, {374: (0, .20, .03), 380: (0, .17, .03), 373: (0, .17, .02), 253: (0, .22, .06), 450: (0, .22, .08),
                  386: (0, -.07, 0), 385: (0, -.06, 0), 387: (0, -.08, 0), 263: (-.02, .02, 0), 348: (0, .15, .08), 449: (0, .2, .08)}),
    "eyeWide": (1.6, {386: (0, .20, -.06), 385: (0, .19, -.05), 387: (0, .18, -.06), 384: (0, .13, -.03), 388: (0, .12, -.04),
                374: (0, -.07, -.02), 258: (0, .12, -.06), 257: (0, .13, -.06), 443: (0, .06, 0), 362: (0, 0, 0), 263: (0, 0, 0)}),
    "mouthSmile": (3.6, {291: (.72, .72, -.42), 308: (.68, .68, -.42), 409: (.50, .52, -.30), 375: (.52, .42, -.30),
                   267: (.12, .10, -.14), 314: (.12, .02, -.12), 312: (.12, .08, -.14), 317: (.12, .08, -.14),
                   310: (.36, .34, -.24), 318: (.36, .34, -.24), 425: (.16, .46, .22), 280: (.06, .38, .16),
                   427: (.44, .34, .10), 426: (.42, .46, .02), 436: (.56, .52, -.06), 347: (.0, .20, .10), 330: (.04, .32, .18), 358: (.10, .08, 0),
                   434: (.30, .12, .06), 450: (0, .08, .04)}),
    "mouthFrown": (2.8, {291: (.06, -.62, -.06), 308: (.05, -.52, -.08), 409: (.05, -.42, 0), 375: (.05, -.38, .03), 312: (0, -.04, 0),
                   317: (0, -.04, 0), 310: (.02, -.24, 0), 318: (.02, -.24, 0), 267: (0, -.05, .02), 314: (0, .02, .05), 422: (.08, -.50, .10), 436: (0, -.28, 0),
                   424: (0, -.18, .12), 418: (0, .02, .10), 0: (0, 0, 0), 17: (0, .02, .04)}),
    "mouthDimple": (2.6, {291: (.42, .10, -.50), 308: (.40, .10, -.50), 409: (.28, .06, -.28), 375: (.28, .06, -.28), 436: (.30, .12, -.22),
                    432: (.30, .02, -.22), 310: (.18, .05, -.18), 318: (.18, .05, -.18), 427: (.24, .10, .16), 434: (.22, 0, .10), 312: (.05, 0, -.06), 317: (.05, 0, -.06)}),
    "mouthStretch": (3.0, {291: (.70, -.34, -.42), 308: (.62, -.30, -.42), 409: (.48, -.20, -.26), 375: (.48, -.28, -.26), 310: (.30, -.10, -.16),
                     318: (.30, -.24, -.16), 312: (.10, 0, -.06), 317: (.10, -.12, -.08), 314: (.10, -.16, -.06), 267: (.08, 0, -.06), 432: (.42, -.32, -.16),
                     434: (.30, -.34, .08), 422: (.40, -.30, -.12), 430: (.22, -.30, .08)}),
    "mouthPress": (2.2, {291: (.10, .02, -.16), 308: (.08, .02, -.16), 269: (.02, -.14, -.08), 270: (.03, -.12, -.08), 267: (0, -.12, -.06), 0: (0, -.05, -.02),
                   405: (.02, .18, -.06), 321: (.03, .16, -.08), 314: (0, .15, -.04), 17: (0, .06, -.02), 312: (0, .01, -.12), 317: (0, .01, -.12),
                   311: (0, .01, -.14), 402: (0, .01, -.14), 310: (.02, .01, -.15), 318: (.02, .01, -.15), 436: (.06, 0, .08), 432: (.04, .04, .10), 418: (0, .14, .08)}),
    "mouthLowerDown": (2.2, {317: (.03, -.52, .06), 402: (.06, -.56, .04), 318: (.08, -.46, -.02), 324: (.06, -.22, -.03), 314: (.02, -.44, .08),
                       405: (.06, -.50, .06), 321: (.08, -.40, 0), 14: (0, -.24, .04), 17: (0, -.22, .05), 291: (.04, -.08, -.04), 308: (.03, -.06, -.04), 308 - 0: (.03, -.06, -.04),
                       415: (0, -.01, 0), 310: (0, 0, 0), 312: (0, 0, 0), 418: (.04, -.30, .06), 424: (.08, -.24, .02), 87: (0, -.05, .01), 421: (.02, -.16, .03)}),
    "mouthUpperUp": (2.4, {312: (0, .40, .04), 311: (.02, .50, .02), 310: (.05, .42, -.03), 415: (.05, .20, -.04), 267: (.0, .40, .05), 269: (.03, .48, .02),
                     270: (.05, .40, -.03), 13: (0, .17, .02), 0: (0, .18, .03), 291: (.03, .10, -.04), 308: (.02, .08, -.04), 391: (.05, .40, .04), 322: (.06, .44, .08),
                     327: (.04, .14, .02), 358: (.05, .16, .02), 425: (.03, .26, .14), 426: (.05, .36, .08), 317: (0, 0, 0), 318: (0, .02, 0), 82: (0, .04, 0), 37: (0, .05, 0), 330: (0, .16, .08)}),
    "browDown": (3.0, {285: (-.20, -.42, .04), 336: (-.20, -.46, .04), 295: (-.16, -.42, .02), 296: (-.14, -.42, .02), 282: (-.08, -.32, .0), 334: (-.07, -.32, 0),
                 283: (-.02, -.18, -.02), 293: (-.02, -.16, -.02), 276: (0, -.06, 0), 300: (0, -.06, 0), 9: (0, -.14, .05), 8: (0, -.10, .08), 417: (-.08, -.22, .06),
                 443: (0, -.16, .02), 442: (-.02, -.20, .02), 386: (0, -.03, 0), 337: (-.06, -.16, .02), 299: (-.04, -.12, 0), 168: (0, -.02, .03)}),
    "browOuterUp": (3.0, {300: (.0, .52, -.08), 293: (0, .66, -.06), 334: (0, .52, -.03), 276: (.0, .44, -.06), 283: (0, .58, -.06), 282: (0, .46, -.03), 295: (0, .16, 0),
                    296: (0, .18, 0), 285: (0, .0, 0), 336: (0, .02, 0), 298: (0, .38, -.10), 333: (0, .34, -.10), 299: (0, .10, 0), 445: (0, .16, -.02), 444: (0, .20, -.02), 443: (0, .12, 0), 386: (0, .01, 0), 387: (0, .02, 0), 301: (0, .3, -.08)}),
    "cheekSquint": (2.0, {330: (0, .34, .14), 280: (.02, .34, .14), 347: (0, .30, .12), 346: (0, .26, .10), 348: (0, .26, .08), 425: (.03, .28, .12), 352: (0, .18, .06), 450: (0, .20, .06),
                    449: (0, .20, .06), 448: (0, .14, .04), 374: (0, .08, .01), 373: (0, .08, .01), 380: (0, .06, 0), 426: (0, .12, .05)}),
    "noseSneer": (2.2, {327: (.03, .22, .02), 358: (.06, .36, .04), 294: (.05, .34, .02), 279: (.06, .38, .02), 429: (.03, .36, .06), 420: (.0, .30, .06), 437: (0, .20, .06),
                  343: (0, .14, .06), 425: (.0, .28, .14), 426: (.02, .32, .10), 391: (.02, .32, .06), 322: (.02, .28, .06), 267: (0, .12, .02), 269: (.01, .20, .02), 270: (.02, .16, .01),
                  311: (.01, .15, 0), 310: (.01, .10, 0), 312: (0, .07, 0), 317: (0, 0, 0), 402: (0, .01, 0), 330: (0, .20, .10), 285: (-.06, -.12, .04), 417: (-.03, -.08, .05), 4: (0, .08, 0), 1: (0, .08, 0), 193: (0, -.02, .03), 417 - 0: (-.03, -.08, .05), 450: (0, .07, .03)}),
}
BOTH: dict[str, tuple[float, Handles]] = {
    "mouthFunnel": (2.8, {291: (-.62, 0, .22), 308: (-.60, 0, .22), 409: (-.50, .12, .36), 375: (-.50, -.14, .34), 0: (0, .22, .52), 267: (-.08, .24, .52), 269: (-.20, .22, .48), 270: (-.36, .18, .42),
                    17: (0, -.30, .50), 314: (-.08, -.32, .50), 405: (-.20, -.30, .46), 321: (-.36, -.22, .40), 13: (0, .34, .50), 312: (-.08, .33, .50), 311: (-.20, .30, .46), 310: (-.36, .22, .40),
                    415: (-.48, .12, .32), 14: (0, -.40, .44), 317: (-.08, -.38, .44), 402: (-.20, -.34, .42), 318: (-.36, -.24, .36), 324: (-.48, -.12, .30), 164: (0, .06, .16), 18: (0, -.16, .14), 200: (0, -.06, .04), 436: (-.30, 0, .10), 432: (-.30, 0, .10), 427: (-.12, 0, -.06)}),
    "mouthPucker": (3.0, {291: (-1.05, .02, .38), 308: (-1.00, .02, .40), 409: (-.92, -.04, .56), 375: (-.90, .06, .54), 0: (0, .06, .68), 267: (-.18, .05, .68), 269: (-.48, .04, .66), 270: (-.74, .02, .62),
                    17: (0, -.06, .64), 314: (-.18, -.05, .64), 405: (-.46, -.03, .62), 321: (-.72, 0, .58), 13: (0, .01, .62), 14: (0, .01, .62), 312: (-.18, .01, .62), 317: (-.18, .01, .62),
                    311: (-.46, .01, .60), 402: (-.46, .01, .60), 310: (-.72, .01, .54), 318: (-.72, .01, .54), 415: (-.90, .02, .46), 324: (-.90, .02, .46), 164: (0, .0, .20), 18: (0, .0, .20), 200: (0, .04, .06),
                    436: (-.58, .02, .20), 432: (-.56, .04, .20), 427: (-.22, 0, -.10), 426: (-.26, -.02, .06), 199: (0, .02, .02)}),
    "mouthRollLower": (2.0, {14: (0, .02, -.42), 317: (0, .02, -.42), 402: (0, .02, -.38), 318: (0, .01, -.28), 324: (0, 0, -.14), 17: (0, .26, -.16), 314: (0, .27, -.17), 405: (0, .24, -.16), 321: (0, .16, -.12),
                       375: (0, .07, -.06), 15: (0, .16, -.44), 16: (0, .28, -.34), 316: (0, .16, -.44), 315: (0, .28, -.34), 403: (0, .14, -.40), 404: (0, .25, -.30), 319: (0, .10, -.28), 320: (0, .16, -.22), 308: (.02, 0, -.04), 291: (.02, 0, -.04),
                       18: (0, .18, -.02), 313: (0, .18, -.02), 200: (0, .08, .06), 13: (0, 0, 0), 312: (0, 0, 0), 311: (0, 0, 0), 310: (0, 0, 0), 406: (0, .12, -.02)}),
    "mouthRollUpper": (2.0, {13: (0, -.02, -.40), 312: (0, -.02, -.40), 311: (0, -.02, -.36), 310: (0, -.01, -.26), 415: (0, 0, -.13), 0: (0, -.28, -.16), 267: (0, -.28, -.17), 269: (0, -.24, -.16), 270: (0, -.16, -.12),
                       409: (0, -.07, -.06), 12: (0, -.15, -.42), 11: (0, -.26, -.32), 268: (0, -.15, -.42), 302: (0, -.26, -.32), 271: (0, -.13, -.38), 303: (0, -.23, -.28), 272: (0, -.09, -.26), 304: (0, -.15, -.20), 308: (.02, 0, -.04), 291: (.02, 0, -.04),
                       164: (0, -.16, -.02), 393: (0, -.15, -.02), 391: (0, -.08, -.02), 14: (0, 0, 0), 317: (0, 0, 0), 402: (0, 0, 0), 318: (0, 0, 0)}),
    "mouthShrugLower": (2.4, {14: (0, .30, .10), 317: (0, .29, .10), 402: (0, .24, .08), 318: (0, .13, .04), 324: (0, .04, .0), 17: (0, .42, .20), 314: (0, .41, .20), 405: (0, .34, .16), 321: (0, .20, .08), 18: (0, .48, .16), 313: (0, .46, .16),
                        200: (0, .46, .10), 421: (0, .42, .10), 199: (0, .38, .04), 175: (0, .26, 0), 152: (0, .10, 0), 308: (-.02, -.05, 0), 291: (-.02, -.06, 0), 13: (0, .24, .05), 312: (0, .23, .05), 311: (0, .18, .04), 310: (0, .10, .02), 0: (0, .12, .05), 418: (0, .34, .06)}),
    "mouthShrugUpper": (2.4, {13: (0, .26, .10), 312: (0, .25, .10), 311: (0, .20, .08), 310: (0, .10, .04), 415: (0, .02, 0), 0: (0, .34, .22), 267: (0, .33, .22), 269: (0, .27, .18), 270: (0, .15, .10), 164: (0, .22, .10), 393: (0, .20, .10), 2: (0, .08, .02),
                        308: (-.03, -.08, 0), 291: (-.03, -.09, 0), 14: (0, .22, .05), 317: (0, .21, .05), 402: (0, .16, .04), 318: (0, .08, .02), 17: (0, .12, .03), 314: (0, .11, .03), 327: (.02, .08, 0)}),
    "browInnerUp": (3.0, {285: (.02, .56, -.04), 336: (.02, .62, -.05), 295: (.0, .44, -.03), 296: (0, .46, -.04), 282: (0, .20, -.02), 334: (0, .22, -.03), 283: (0, .04, 0), 293: (0, .05, 0), 276: (0, 0, 0), 300: (0, 0, 0),
                    9: (0, .40, -.04), 8: (0, .22, -.01), 151: (0, .34, -.08), 337: (0, .42, -.08), 299: (0, .26, -.06), 441: (0, .14, 0), 442: (0, .14, 0), 413: (0, .10, 0), 168: (0, .04, 0), 386: (0, .01, 0)}),
    "cheekPuff": (3.0, {427: (.62, .0, .44), 411: (.60, .04, .36), 434: (.56, -.06, .34), 436: (.34, 0, .40), 432: (.32, -.02, .40), 416: (.58, 0, .28), 425: (.24, .12, .24), 426: (.22, .06, .34), 430: (.38, -.14, .26), 280: (.22, .10, .12), 291: (.02, 0, .10), 308: (.0, 0, .06),
                  0: (0, .04, .16), 17: (0, -.02, .14), 13: (0, .01, .06), 14: (0, .01, .06), 391: (.06, .03, .26), 164: (0, .02, .16), 18: (0, -.02, .14), 422: (.18, -.06, .32), 376: (.50, .02, .18), 433: (.5, -.02, .18), 435: (.24, -.02, .06)}),
}
# fmt: on
SEALED = (
    "mouthSmile", "mouthFrown", "mouthDimple", "mouthPress", "mouthPucker", "mouthShrugLower", "mouthShrugUpper",
    "cheekPuff", "mouthStretch",
)  # fmt: skip
"""Shapes that keep closed lips closed."""

UPPER_FOLD_LEFT = (414, 286, 258, 257, 259, 260, 467)
LOWER_FOLD_LEFT = (341, 256, 252, 253, 254, 339, 255)
"""The next row of points beyond the lid margins, inner corner to outer."""


def expressions(points: Doubles, triangles: NDArray[np.int64], mirror: NDArray[np.int64], lids: Lids) -> Doubles:
    """(52, 468, 3) displacements at weight 1, in the order of `rig.ARKIT_NAMES` (tongueOut moves no point)."""
    fields = Fields(points, triangles)
    author = _Author(points, fields, mirror)
    shapes: dict[str, Doubles] = {}
    for name, (reach, handles) in LEFT.items():
        shapes[f"{name}Left"] = author.field(name, handles, reach)
    for name, (reach, handles) in BOTH.items():
        both = {int(mirror[i]): (-d[0], d[1], d[2]) for i, d in handles.items()}
        shapes[name] = author.field(name, both | handles, reach)
    shapes |= author.jaw()
    shapes["mouthClose"] = author.close(shapes["jawOpen"])
    shapes["mouthLeft"] = author.sideways()
    shapes |= lids.shapes(points, fields)
    for name in ARKIT_NAMES:
        if name.endswith("Right"):
            shapes[name] = shapes[name[:-5] + "Left"][mirror] * (-1, 1, 1)
    for name in ARKIT_NAMES:
        if not name.endswith(("Left", "Right")) and name in shapes:
            shapes[name] = (shapes[name] + shapes[name][mirror] * (-1, 1, 1)) / 2
    shapes["tongueOut"] = np.zeros_like(points)
    return np.stack([shapes[name] for name in ARKIT_NAMES])


class _Author:
    def __init__(self, points: Doubles, fields: Fields, mirror: NDArray[np.int64]) -> None:
        self.points = points
        self.fields = fields
        self.mirror = mirror

    def field(self, name: str, handles: Mapping[int, tuple[float, float, float]], reach: float) -> Doubles:
        moved = self.fields.within(handles, reach)
        if name in SEALED:
            fixed = dict(handles)
            for upper, lower in zip(UPPER_LIP, LOWER_LIP, strict=True):
                both = tuple((moved[upper] + moved[lower]) / 2)
                fixed[upper] = fixed[lower] = (float(both[0]), float(both[1]), float(both[2]))
            moved = self.fields.within(fixed, reach)
        return moved

    def jaw(self) -> dict[str, Doubles]:
        """Opening turns the jaw about its hinge and pulls the corners in; the others slide it."""
        weight = self.jaw_weight()[:, None]
        turn = rotation_matrix(np.array([np.radians(JAW_DEGREES), 0, 0])) - np.eye(3)
        opened = weight * ((self.points - HINGE) @ turn.T) + weight * (0, 0, 0.25)
        corner = self.fields.within({291: (-0.30, 0, -0.05), 308: (-0.26, 0, -0.05), 432: (-0.24, 0, -0.1)}, 2.4)
        opened += corner + corner[self.mirror] * (-1, 1, 1)
        slid = weight * (1 - 0.35 * self._lip_weight()[:, None])
        return {"jawOpen": opened, "jawForward": slid * (0, -0.05, 0.75), "jawLeft": slid * (0.85, 0, 0)}

    def jaw_weight(self) -> Doubles:
        """(468,) how firmly each point hangs on the lower jaw, 0 to 1."""
        given: dict[int, float] = dict.fromkeys((13, 82, 312, 0, 37, 267, 39, 269, 164, 2, 98, 327), 0.0)
        for right, left, w in ((81, 311, 0.02), (80, 310, 0.07), (191, 415, 0.20), (40, 270, 0.05), (185, 409, 0.22),
                               (78, 308, 0.46), (61, 291, 0.46), (95, 324, 0.68), (88, 318, 0.85), (178, 402, 0.95)):  # fmt: skip
            given[right] = given[left] = w
        for i in (14, 87, 317):
            given[i] = 1.0
        for i in (17, 84, 314, 18, 83, 313, 200, 199, 175, 152, 148, 377, 176, 400, 149, 378, 150, 379, 201, 421, 208, 428, 171, 396):
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

    def close(self, opened: Doubles) -> Doubles:
        """Takes back what `jawOpen` did between the lips, so that jawOpen = mouthClose seals them."""
        handles: Handles = {}
        for upper, lower in zip(UPPER_LIP, LOWER_LIP, strict=True):
            gap = opened[lower] - opened[upper]
            raise_lower, sink_upper = tuple(-0.72 * gap), tuple(0.28 * gap)
            handles[lower] = raise_lower
            if upper != lower:
                handles[upper] = sink_upper
        for upper, lower, share in ((0, 17, 0.92), (267, 314, 0.92), (37, 84, 0.92), (269, 405, 0.9), (39, 181, 0.9)):
            handles[lower] = tuple(share * np.array(handles[14 if lower == 17 else 402 if lower == 405 else 178 if lower == 181 else 317 if lower == 314 else 87]))
            handles[upper] = tuple(share * np.array(handles[13 if upper == 0 else 311 if upper == 269 else 81 if upper == 39 else 312 if upper == 267 else 82]))
        return self.fields.within(handles, 2.6)

    def sideways(self) -> Doubles:
        """The whole mouth to the subject's left."""
        handles: Handles = {i: (0.85, 0.0, 0.0) for i in (0, 17, 13, 14, 37, 84, 267, 314, 82, 87, 312, 317)}
        handles |= {291: (0.72, 0.06, -0.36), 308: (0.72, 0.06, -0.36), 61: (0.78, 0.02, 0.32), 78: (0.78, 0.02, 0.32)}
        handles |= {164: (0.45, 0, 0), 18: (0.65, 0, 0), 200: (0.35, 0, 0), 432: (0.45, 0, -0.05), 212: (0.55, 0, 0.15), 436: (0.45, 0.05, 0.0), 216: (0.5, 0, 0.12), 2: (0.1, 0, 0)}
        moved = self.fields.within(handles, 2.6)
        for upper, lower in zip(UPPER_LIP, LOWER_LIP, strict=True):
            both = tuple((moved[upper] + moved[lower]) / 2)
            handles[upper] = handles[lower] = both
        return self.fields.within(handles, 2.6)


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
            "eyeLookDownLeft": self._lidded(points, fields, *self._share(upper, lower, 0.42, -0.12)),
            "eyeLookUpLeft": self._lidded(points, fields, *self._share(upper, lower, -0.16, 0.06)),
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
