"""What contact sheets let an avatar do by itself: strips of poses that show one thing each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from mien.face.retargeting import EXPRESSION, GAZE, HEAD, MOTION_SIZE, SHIFT, Motion
from mien.face.rig import by_stem

Part = Literal["whole", "face", "eyes", "mouth"]
"""Which part of the picture is worth looking at."""


@dataclass(frozen=True, slots=True)
class Pose:
    """What one picture shows. head: yaw, pitch, roll in degrees; gaze: yaw, pitch in degrees; shift: cm.

    weights: stems of expression names -> weight.
    """

    label: str
    weights: Mapping[str, float] = field(default_factory=dict)
    head: tuple[float, float, float] = (0, 0, 0)
    gaze: tuple[float, float] = (0, 0)
    shift: tuple[float, float, float] = (0, 0, 0)

    def motion(self) -> Motion:
        motion = np.zeros(MOTION_SIZE, np.float32)
        motion[HEAD] = np.radians(self.head)
        motion[SHIFT] = self.shift
        motion[GAZE] = np.radians([*self.gaze, *self.gaze])
        motion[EXPRESSION] = by_stem(self.weights)
        return motion


@dataclass(frozen=True, slots=True)
class Strip:
    """Poses to be seen side by side, and how closely."""

    part: Part
    poses: tuple[Pose, ...]


def _sweep(label: str, stem: str, *weights: float) -> tuple[Pose, ...]:
    return tuple(Pose(f"{label} {weight:g}", {stem: weight}) for weight in weights)


_TURNS = (-30, -20, -12, -6, 6, 12, 20, 30)

STRIPS: Mapping[str, Strip] = {
    "blink": Strip(
        "eyes",
        (
            Pose("at rest"),
            *_sweep("blink", "eyeBlink", 0.2, 0.4, 0.6, 0.8, 1.0),
            Pose("wide", {"eyeWide": 1, "browInnerUp": 0.6, "browOuterUp": 0.6}),
            Pose("squint", {"eyeSquint": 0.8, "cheekSquint": 0.5}),
        ),
    ),
    "gaze": Strip(
        "eyes",
        (
            Pose("left 15", gaze=(15, 0)),
            Pose("left 30", gaze=(30, 0)),
            Pose("right 15", gaze=(-15, 0)),
            Pose("right 30", gaze=(-30, 0)),
            Pose("up 15", {"eyeLookUp": 0.5}, gaze=(0, 15)),
            Pose("up 30", {"eyeLookUp": 1}, gaze=(0, 30)),
            Pose("down 15", {"eyeLookDown": 0.5}, gaze=(0, -15)),
            Pose("down 30", {"eyeLookDown": 1}, gaze=(0, -30)),
        ),
    ),
    "jaw": Strip("mouth", (Pose("at rest"), *_sweep("jaw", "jawOpen", 0.05, 0.1, 0.2, 0.3, 0.45, 0.7, 1.0))),
    "smile": Strip(
        "mouth",
        (
            *_sweep("smile", "mouthSmile", 0.25, 0.5, 0.75, 1.0),
            Pose("teeth", {"mouthSmile": 0.8, "jawOpen": 0.15, "mouthUpperUp": 0.4, "mouthLowerDown": 0.4}),
            Pose("laugh", {"mouthSmile": 0.9, "jawOpen": 0.45, "mouthUpperUp": 0.5, "eyeSquint": 0.5}),
            Pose("tongue", {"jawOpen": 0.15, "tongueOut": 1}),
            Pose("frown", {"mouthFrown": 0.8}),
        ),
    ),
    "visemes": Strip(
        "mouth",
        (
            Pose("AA", {"jawOpen": 0.55, "mouthStretch": 0.15}),
            Pose("E", {"jawOpen": 0.25, "mouthStretch": 0.35, "mouthSmile": 0.25}),
            Pose("I", {"jawOpen": 0.12, "mouthStretch": 0.3, "mouthSmile": 0.35, "mouthLowerDown": 0.3}),
            Pose("O", {"jawOpen": 0.35, "mouthFunnel": 0.55, "mouthPucker": 0.25}),
            Pose("U", {"jawOpen": 0.15, "mouthPucker": 0.75, "mouthFunnel": 0.25}),
            Pose("M B P", {"mouthPress": 0.35, "mouthRoll": 0.3}),
            Pose("F V", {"jawOpen": 0.12, "mouthRollLower": 0.55, "mouthUpperUp": 0.35}),
            Pose("S Z", {"jawOpen": 0.06, "mouthStretch": 0.25, "mouthLowerDown": 0.3, "mouthUpperUp": 0.2}),
        ),
    ),
    "faces": Strip(
        "face",
        (
            Pose("brows down", {"browDown": 0.9}),
            Pose("brows up", {"browInnerUp": 0.9, "browOuterUp": 0.9}),
            Pose("funnel", {"mouthFunnel": 0.8, "jawOpen": 0.25}),
            Pose("pucker", {"mouthPucker": 0.9}),
            Pose("press", {"mouthPress": 0.8}),
            Pose("left", {"mouthLeft": 0.7, "jawLeft": 0.4}),
            Pose("puff", {"cheekPuff": 0.8}),
            Pose("sneer", {"noseSneer": 0.8}),
        ),
    ),
    "yaw": Strip("whole", tuple(Pose(f"yaw {angle}", head=(angle, 0, 0)) for angle in _TURNS)),
    "pitch": Strip("whole", tuple(Pose(f"pitch {angle}", head=(0, angle, 0)) for angle in _TURNS)),
    "moves": Strip(
        "whole",
        (
            *(Pose(f"roll {angle}", head=(0, 0, angle)) for angle in (-20, -10, 10, 20)),
            Pose("yaw 20, jaw", {"jawOpen": 0.4}, head=(20, 0, 0)),
            Pose("yaw -20, smile", {"mouthSmile": 0.7, "jawOpen": 0.15}, head=(-20, 0, 0)),
            Pose("shift left", shift=(-3, 0, 0)),
            Pose("shift up, near", shift=(0, 2, -0.1)),
        ),
    ),
}
