"""Named emotions as blendable expressions: six basic ones and the fifteen compounds of Du, Tao and Martinez.

S. Du, Y. Tao, A. M. Martinez, "Compound facial expressions of emotion", PNAS 111 (15), 2014, E1454-E1462, table 1
(doi 10.1073/pnas.1322355111), says which action units (Ekman and Friesen's FACS) people use for which emotion: those
that more than 70 % of 230 people used, and in brackets those that some of them added, with their share. Here `units`
are the former and `optional` the latter. They agree with another transcription of the table (EmoInfer's
`au_to_emotion.csv`, github.com/EmoInfer/EmoInfer; appalled and hatred are one row there) as far as that one goes: it
seems to hold the units that at least 60 % of the people use, without 11 and 24. Shares below that were not compared
with a printed page.
`strength` is not from the paper.

Each emotion has one template per style, as people differ in which of the optional units they use and how
far they go; every style belongs to a place in the space of identities, and a face is given the style whose
identity is nearest to its own (Vei 2022, section 3.3.1), measured in the modes of `mien-head` whichever model the
face is of (`likeness`). The styles are made up; nobody was recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from mien.face.likeness import built_in_identity
from mien.face.rig import ARKIT_NAMES, BLINKS, INDEX
from mien.face.subject import Subject
from mien.frames import EXPRESSIONS, Float


@dataclass(frozen=True, slots=True)
class Emotion:
    """units: action units that are part of it. optional: unit -> share of people who add it, 0 to 1.

    strength: unit -> how far it goes where that is not all the way, since a compound is seldom as strong in each
    part as a basic emotion.
    """

    units: tuple[int, ...]
    optional: Mapping[int, float]
    strength: Mapping[int, float]


def _emotion(
    *units: int, optional: Mapping[int, float] | None = None, strength: Mapping[int, float] | None = None
) -> Emotion:
    return Emotion(units, optional or {}, strength or {})


EMOTIONS: Mapping[str, Emotion] = {
    "happy": _emotion(12, 25, optional={6: 0.51}),
    "sad": _emotion(4, 15, optional={1: 0.6, 6: 0.5, 11: 0.26, 17: 0.67}, strength={4: 0.5}),
    "fearful": _emotion(1, 4, 20, 25, optional={2: 0.57, 5: 0.63, 26: 0.33}, strength={4: 0.5}),
    "angry": _emotion(4, 7, 24, optional={10: 0.26, 17: 0.52, 23: 0.29}),
    "surprised": _emotion(1, 2, 25, 26, optional={5: 0.66}),
    "disgusted": _emotion(9, 10, 17, optional={4: 0.31, 24: 0.26}),
    "happily surprised": _emotion(1, 2, 12, 25, optional={5: 0.64, 26: 0.67}),
    "happily disgusted": _emotion(10, 12, 25, optional={4: 0.32, 6: 0.61, 9: 0.59}),
    "sadly fearful": _emotion(1, 4, 20, 25, optional={2: 0.46, 5: 0.24, 6: 0.34, 15: 0.3}),
    "sadly angry": _emotion(4, 15, optional={6: 0.26, 7: 0.48, 11: 0.2, 17: 0.5}),
    "sadly surprised": _emotion(1, 4, 25, 26, optional={2: 0.27, 6: 0.31}),
    "sadly disgusted": _emotion(4, 10, optional={1: 0.49, 6: 0.61, 9: 0.2, 11: 0.35, 15: 0.54, 17: 0.47}),
    "fearfully angry": _emotion(4, 20, 25, optional={5: 0.4, 7: 0.39, 10: 0.3, 11: 0.33}),
    "fearfully surprised": _emotion(1, 2, 5, 20, 25, optional={4: 0.47, 10: 0.35, 11: 0.22, 26: 0.51}),
    "fearfully disgusted": _emotion(1, 4, 10, 20, 25, optional={2: 0.64, 5: 0.5, 6: 0.26, 9: 0.28, 15: 0.33}),
    "angrily surprised": _emotion(4, 25, 26, optional={5: 0.35, 7: 0.5, 10: 0.34}),
    "angrily disgusted": _emotion(4, 10, 17, optional={7: 0.6, 9: 0.57, 24: 0.36}),
    "disgustedly surprised": _emotion(1, 2, 5, 10, optional={4: 0.45, 9: 0.37, 17: 0.66, 24: 0.33}),
    "appalled": _emotion(4, 10, optional={6: 0.25, 9: 0.56, 17: 0.67, 24: 0.36}),
    "hatred": _emotion(4, 10, optional={7: 0.57, 9: 0.27, 17: 0.63, 24: 0.37}, strength={10: 0.7}),
    "awed": _emotion(1, 2, 5, 25, optional={4: 0.21, 20: 0.62, 26: 0.56}, strength={20: 0.4}),
}
NAMES: tuple[str, ...] = tuple(EMOTIONS)

_UNITS: Mapping[int, Mapping[str, float]] = {
    # Action unit -> ARKit expressions, a stem for both sides; below 0 takes away from the resting look.
    1: {"browInnerUp": 1.0},
    2: {"browOuterUp": 1.0},
    4: {"browDown": 1.0, "eyeSquint": 0.15, "noseSneer": 0.15},
    5: {"eyeWide": 1.0},
    6: {"cheekSquint": 0.9, "eyeSquint": 0.4},
    7: {"eyeSquint": 0.9},
    9: {"noseSneer": 1.0, "browDown": 0.3},
    10: {"mouthUpperUp": 0.5, "noseSneer": 0.5},
    11: {"noseSneer": 0.3, "mouthUpperUp": 0.12},
    12: {"mouthSmile": 0.95, "mouthDimple": 0.15},
    15: {"mouthFrown": 1.0, "mouthLowerDown": 0.08},
    17: {"mouthShrugLower": 0.9, "mouthShrugUpper": 0.4},
    20: {"mouthStretch": 1.0},
    23: {"mouthRollLower": 0.6, "mouthRollUpper": 0.5},
    24: {"mouthPress": 0.3, "mouthRollLower": 0.4, "mouthRollUpper": 0.4, "mouthFrown": 0.45},
    25: {"jawOpen": 0.1, "mouthLowerDown": 0.35, "mouthUpperUp": 0.15},
    26: {"jawOpen": 0.45, "mouthFunnel": 0.2},
}
"""After Ekman and Friesen's descriptions of the units and Apple's of the expressions."""

_UPPER = frozenset({1, 2, 4, 5, 6, 7})


def unit_expression(unit: int) -> Float:
    """(52,) float32 ARKit weights of an action unit at full strength."""
    weights = np.zeros(EXPRESSIONS, np.float32)
    for stem, weight in _UNITS[unit].items():
        for name in (stem, f"{stem}Left", f"{stem}Right"):
            if name in INDEX:
                weights[INDEX[name]] = weight
    return weights


@dataclass(frozen=True, slots=True)
class Style:
    """How somebody shows emotions.

    identity: where such people are in the space of identities, leading coefficients of `mien-head` in standard
    deviations, the others 0. adds: an optional unit is used when at least this share of people add it.
    upper, lower: how far brows and eyes, nose and mouth go. lopsided: how much further the left side goes than
    the right.
    """

    identity: tuple[float, ...]
    adds: float
    upper: float
    lower: float
    lopsided: float


STYLES: tuple[Style, ...] = (
    Style((0.0, 0.0, 0.0), adds=0.5, upper=1.0, lower=1.0, lopsided=0.03),
    Style((1.2, 0.0, 0.0), adds=0.25, upper=1.0, lower=1.0, lopsided=0.08),
    Style((-1.2, 0.0, 0.0), adds=0.5, upper=1.0, lower=0.85, lopsided=0.0),
    Style((0.0, 1.2, 0.0), adds=0.35, upper=0.85, lower=1.0, lopsided=-0.06),
    Style((0.0, -1.2, 0.0), adds=0.45, upper=0.9, lower=0.9, lopsided=0.05),
)


def nearest_style(identity: Float) -> int:
    """Index of the style whose people look most like `identity` (I,) float32, in the modes of `mien-head`."""

    def distance(style: Style) -> float:
        length = max(len(identity), len(style.identity))
        difference = np.zeros(length)
        difference[: len(identity)] = identity
        difference[: len(style.identity)] -= style.identity
        return float(difference @ difference)

    return min(range(len(STYLES)), key=lambda i: distance(STYLES[i]))


@cache
def template(name: str, style: int) -> Float:
    """(52,) float32, read-only: how people of a style show the emotion at full strength."""
    emotion, how = EMOTIONS[name], STYLES[style]
    used = dict.fromkeys(emotion.units, 1.0)
    # What fewer people add, they also add less of: it would make a neighbour of the emotion out of it.
    used |= {unit: min(share + 0.35, 1.0) for unit, share in emotion.optional.items() if share >= how.adds}
    room = np.ones(EXPRESSIONS, np.float32)
    for unit, amount in used.items():
        reach = (how.upper if unit in _UPPER else how.lower) * amount * emotion.strength.get(unit, 1.0)
        # What two units share adds up without going beyond all that the face can do.
        room *= 1.0 - np.float32(reach) * unit_expression(unit)
    weights = (1.0 - room) * _sides(how.lopsided)
    weights.setflags(write=False)
    return np.asarray(weights, np.float32)


def _sides(lopsided: float) -> Float:
    """(52,) float32: below 1 for the side that goes less far."""
    less = "Right" if lopsided > 0 else "Left"
    return np.array([1.0 - abs(lopsided) * name.endswith(less) for name in ARKIT_NAMES], np.float32)


def emotion_expression(strengths: Mapping[str, float], subject: Subject) -> Float:
    """(52,) float32: the emotions of `strengths` (name -> 0 to 1) together, as this face shows them.

    Below 0 where they take away from the resting look. Where the strengths add up to more than 1, it is a
    mixture of that much in all. Raises `KeyError` for other names, `MienError` where the subject's face model
    isn't installed.
    """
    style = nearest_style(built_in_identity(subject))
    share = 1.0 / max(sum(strengths.values()), 1.0)
    total = np.zeros(EXPRESSIONS, np.float32)
    unsmiling = 0.0
    for name, strength in strengths.items():
        total += np.float32(strength * share) * template(name, style)
        if 12 not in EMOTIONS[name].units:
            unsmiling += strength * share
    return total + np.float32(unsmiling) * _without_smile(subject)


def _without_smile(subject: Subject) -> Float:
    """(52,) float32: what takes back the smile of somebody who smiles in the portrait.

    The smile is in the shape, of which the driver keeps a hint, and in the picture's light and shade, which only
    corners drawn down outweigh. Left there, it turns every other emotion into an act.
    """
    weights = np.zeros(EXPRESSIONS, np.float32)
    smile = float(subject.neutral[list(_SMILE)].mean())
    weights[list(_SMILE)] = -1.0
    weights[list(_FROWN)] = 0.75 * min(smile, 1.0)
    return weights


_SMILE = INDEX["mouthSmileLeft"], INDEX["mouthSmileRight"]
_FROWN = INDEX["mouthFrownLeft"], INDEX["mouthFrownRight"]


def with_emotion(weights: Float, emotion: Float) -> Float:
    """(52,) float32 a face's own weights and an emotion's, together: a moving face goes on moving.

    The emotion takes up the room that the face leaves. Lids that close are not held open by it, and lips that
    press together, as in speech, not apart.
    """
    own = np.clip(weights, 0.0, 1.0)
    room = 1.0 - own
    room[list(_WIDE)] *= 1.0 - own[list(BLINKS)]
    room[list(_OPENING)] *= 1.0 - min(2.0 * float(own[list(_SEALING)].max()), 1.0)
    return np.asarray(weights + np.where(emotion > 0, emotion * room, emotion), np.float32)


_WIDE = INDEX["eyeWideLeft"], INDEX["eyeWideRight"]
_OPENING = tuple(
    INDEX[name]
    for name in ("jawOpen", "mouthFunnel", "mouthLowerDownLeft", "mouthLowerDownRight",
                 "mouthUpperUpLeft", "mouthUpperUpRight")
)  # fmt: skip
_SEALING = tuple(
    INDEX[name] for name in ("mouthClose", "mouthPressLeft", "mouthPressRight", "mouthRollLower")
)
