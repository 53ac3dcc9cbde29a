"""Emotions as blendable expression templates, and how they come and go on a living face."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mien.drive.loop import TICKS_PER_S, Loop, minimum_jerk
from mien.drive.script import Mood
from mien.face.rig import INDEX
from mien.frames import EXPRESSIONS, Float

MOODS: Mapping[str, Mapping[str, float]] = {
    "smile": {
        "mouthSmileLeft": 0.72, "mouthSmileRight": 0.64, "cheekSquintLeft": 0.42, "cheekSquintRight": 0.38,
        "eyeSquintLeft": 0.28, "eyeSquintRight": 0.26, "mouthDimpleLeft": 0.14, "mouthDimpleRight": 0.1,
        "mouthUpperUpLeft": 0.08, "mouthUpperUpRight": 0.07,
    },
    "laugh": {
        "mouthSmileLeft": 0.25, "mouthSmileRight": 0.25, "cheekSquintLeft": 0.35, "cheekSquintRight": 0.35,
        "eyeSquintLeft": 0.35, "eyeSquintRight": 0.33, "jawOpen": 0.2, "mouthUpperUpLeft": 0.2,
        "mouthUpperUpRight": 0.18, "mouthLowerDownLeft": 0.12, "mouthLowerDownRight": 0.12,
        "noseSneerLeft": 0.1, "noseSneerRight": 0.1,
    },
    "greeting": {
        "browInnerUp": 0.4, "browOuterUpLeft": 0.42, "browOuterUpRight": 0.38, "eyeWideLeft": 0.22,
        "eyeWideRight": 0.22,
    },
    "surprise": {
        "browInnerUp": 0.65, "browOuterUpLeft": 0.6, "browOuterUpRight": 0.55, "eyeWideLeft": 0.5,
        "eyeWideRight": 0.48, "jawOpen": 0.14, "mouthFunnel": 0.08,
    },
    "idea": {
        "browInnerUp": 0.45, "browOuterUpLeft": 0.35, "browOuterUpRight": 0.42, "eyeWideLeft": 0.25,
        "eyeWideRight": 0.25, "mouthSmileLeft": 0.15, "mouthSmileRight": 0.1,
    },
    "interest": {
        "browInnerUp": 0.24, "browOuterUpLeft": 0.26, "browOuterUpRight": 0.14, "mouthSmileLeft": 0.2,
        "mouthSmileRight": 0.14, "eyeWideLeft": 0.06, "eyeWideRight": 0.06,
    },
    "thinking": {
        "browDownLeft": 0.2, "browOuterUpRight": 0.34, "browInnerUp": 0.08, "eyeSquintLeft": 0.2,
        "eyeSquintRight": 0.1, "mouthLeft": 0.16, "mouthPressLeft": 0.2, "mouthPressRight": 0.28,
        "mouthPucker": 0.12, "mouthDimpleRight": 0.16,
    },
    "doubt": {
        "browDownRight": 0.22, "browOuterUpLeft": 0.32, "mouthShrugLower": 0.22, "mouthFrownLeft": 0.14,
        "mouthFrownRight": 0.16, "mouthStretchRight": 0.14, "eyeSquintRight": 0.14,
    },
    "concern": {
        "browInnerUp": 0.42, "browDownLeft": 0.2, "browDownRight": 0.22, "mouthFrownLeft": 0.16,
        "mouthFrownRight": 0.18, "mouthPressLeft": 0.18, "mouthPressRight": 0.15, "eyeSquintLeft": 0.12,
        "eyeSquintRight": 0.12,
    },
    "pressed": {
        "mouthPressLeft": 0.4, "mouthPressRight": 0.36, "mouthRollLower": 0.26, "mouthRollUpper": 0.2,
        "mouthShrugLower": 0.16, "mouthDimpleLeft": 0.22, "mouthDimpleRight": 0.2, "browInnerUp": 0.12,
    },
}  # fmt: skip
"""Mood -> ARKit weights at full strength. Slightly lopsided, as faces are."""

_LAUGH_HZ = 4.8
"""Bursts of voice in a laugh (Provine 1992: one each 210 ms)."""


def play(loop: Loop, rng: np.random.Generator, moods: tuple[Mood, ...]) -> Float:
    """(N, 52) float32. Every muscle has its own onset, so that no expression switches on as a whole:
    the eyes a little before the mouth, the left a trace before the right.
    """
    weights = np.zeros((loop.ticks, EXPRESSIONS), np.float32)
    for mood in moods:
        for name, weight in MOODS[mood.name].items():
            lag_s = rng.uniform(0.0, 0.09) + (0.03 if name.endswith("Right") else 0.0)
            lag_s += 0.05 if name.startswith("mouth") else 0.0
            shape = _swell(mood, rng.uniform(0.9, 1.15), rng.uniform(0.85, 1.2))
            amount = mood.amount * weight * rng.uniform(0.95, 1.15)
            loop.add(weights[:, INDEX[name]], mood.start_s + lag_s, amount * shape)
    for column in np.flatnonzero(weights.any(axis=0)):
        weights[:, column] *= 1.0 + loop.noise(rng, 0.15, 1.5, 0.07)
    return weights


def _swell(mood: Mood, attack: float, release: float) -> Float:
    """Rise to 1, sag while it is held (an expression that stands still is a mask), fall; by ticks."""
    attack_s, release_s = mood.attack_s * attack, mood.release_s * release
    t = np.arange(round((attack_s + mood.hold_s + release_s) * TICKS_PER_S)) / TICKS_PER_S
    sag = 0.7 + 0.3 * np.exp(-np.maximum(t - attack_s, 0.0) / 0.9)
    shape = minimum_jerk(t / attack_s) * sag * (1.0 - minimum_jerk((t - attack_s - mood.hold_s) / release_s))
    return np.asarray(shape, dtype=np.float32)


def laugh_pulse(loop: Loop, moods: tuple[Mood, ...]) -> Float:
    """What shakes in a laugh, 0 to 1: bursts that grow weaker; for jaw, shoulders and head."""
    pulse = loop.zeros()
    for mood in moods:
        if mood.name == "laugh":
            length_s = mood.attack_s + mood.hold_s + 0.4 * mood.release_s
            t = np.arange(round(length_s * TICKS_PER_S)) / TICKS_PER_S
            burst = 0.5 - 0.5 * np.cos(2 * math.pi * _LAUGH_HZ * t * (1 - 0.08 * t))
            loop.add(pulse, mood.start_s + 0.1, mood.amount * burst * np.sin(math.pi * np.sqrt(t / length_s)))
    return pulse
