"""The public expression space: the 52 ARKit blendshape names, in Apple's order.

Left and right are the subject's. Every face model of the engine presents its expression basis under
these names; one with another basis maps to them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

ARKIT_NAMES: tuple[str, ...] = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft",
    "eyeSquintLeft", "eyeWideLeft",
    "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight",
    "eyeSquintRight", "eyeWideRight",
    "jawForward", "jawLeft", "jawRight", "jawOpen",
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight",
    "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthUpperUpLeft", "mouthUpperUpRight",
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight",
    "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip

INDEX: dict[str, int] = {name: i for i, name in enumerate(ARKIT_NAMES)}
"""Name -> place in `FaceParams.expression`."""


BLINKS = (INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"])
"""Places of the left and the right lid's closing in `FaceParams.expression`."""


def names_mask(*stems: str) -> NDArray[np.bool_]:
    """(52,): the expressions whose ARKit name begins with one of `stems`."""
    return np.array([name.startswith(stems) for name in ARKIT_NAMES])


def by_stem(values: Mapping[str, float], others: float = 0.0) -> NDArray[np.float64]:
    """(52,): for the expressions whose ARKit name begins with a stem its value; the last stem that fits counts."""
    result = np.full(len(ARKIT_NAMES), others)
    for stem, value in values.items():
        result[names_mask(stem)] = value
    return result


def _mirrored(name: str) -> str:
    if name.endswith("Left"):
        return name[:-4] + "Right"
    if name.endswith("Right"):
        return name[:-5] + "Left"
    return name


MIRROR: tuple[int, ...] = tuple(INDEX[_mirrored(name)] for name in ARKIT_NAMES)
"""`expression[list(MIRROR)]` is the expression seen in a mirror."""
