"""Mouth movement from phonemes: timing, articulation and coarticulation.

Each phoneme wants the articulators somewhere (`_TARGETS`) and insists on it more or less (`_INSISTENCE`).
What the mouth does is the average of these wishes, each fading with its distance in time: coarticulation by
dominance functions (Cohen and Massaro 1993). Lips that must touch do so whatever the average says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mien.drive.loop import TICKS_PER_S, Loop
from mien.face.rig import INDEX
from mien.frames import EXPRESSIONS, Float

ARTICULATORS = ("jaw", "pucker", "funnel", "spread", "lower", "upper", "tuck")
"""jaw: down. pucker, funnel: lips round and forward, narrow and wide. spread: corners back. lower, upper: lip
off the teeth. tuck: lower lip under the upper teeth. All 0 to 1.
"""

_TARGETS: dict[str, tuple[float, ...]] = {
    #     jaw  puck funn sprd lowr uppr tuck
    "AA": (0.42, 0.00, 0.06, 0.02, 0.20, 0.08, 0.0),
    "AE": (0.36, 0.00, 0.00, 0.22, 0.26, 0.12, 0.0),
    "AH": (0.22, 0.00, 0.04, 0.05, 0.14, 0.05, 0.0),
    "AO": (0.34, 0.15, 0.38, 0.00, 0.06, 0.04, 0.0),
    "EH": (0.27, 0.00, 0.00, 0.17, 0.22, 0.08, 0.0),
    "ER": (0.15, 0.14, 0.32, 0.00, 0.08, 0.04, 0.0),
    "IH": (0.17, 0.00, 0.00, 0.18, 0.17, 0.06, 0.0),
    "IY": (0.10, 0.00, 0.00, 0.38, 0.20, 0.08, 0.0),
    "UH": (0.16, 0.28, 0.26, 0.00, 0.05, 0.02, 0.0),
    "UW": (0.09, 0.62, 0.22, 0.00, 0.02, 0.00, 0.0),
    "B": (0.05, 0.03, 0.00, 0.00, 0.00, 0.00, 0.0),
    "V": (0.06, 0.00, 0.00, 0.05, 0.00, 0.18, 1.0),
    "TH": (0.11, 0.00, 0.00, 0.08, 0.16, 0.04, 0.0),
    "D": (0.08, 0.00, 0.00, 0.08, 0.12, 0.03, 0.0),
    "S": (0.04, 0.00, 0.00, 0.22, 0.20, 0.07, 0.0),
    "SH": (0.06, 0.22, 0.48, 0.00, 0.14, 0.08, 0.0),
    "R": (0.09, 0.24, 0.26, 0.00, 0.04, 0.02, 0.0),
    "W": (0.06, 0.70, 0.14, 0.00, 0.00, 0.00, 0.0),
    "K": (0.13, 0.00, 0.00, 0.04, 0.10, 0.03, 0.0),
    "HH": (0.16, 0.00, 0.00, 0.00, 0.08, 0.02, 0.0),
    "_": (0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.0),
}
_STRESSED = np.array([1.75, 1.2, 1.2, 1.2, 1.5, 1.4, 1.0])
_UNSTRESSED = np.array([1.15, 0.85, 0.85, 0.9, 1.1, 1.0, 1.0])
_LOOKS_LIKE = {
    "P": "B", "M": "B", "F": "V", "DH": "TH", "T": "D", "N": "D", "L": "D", "Z": "S", "ZH": "SH", "CH": "SH",
    "JH": "SH", "G": "K", "NG": "K", "Y": "IY",
}  # fmt: skip
_DIPHTHONGS = {
    "AY": ("AA", "IH"),
    "AW": ("AA", "UH"),
    "EY": ("EH", "IY"),
    "OW": ("AO", "UW"),
    "OY": ("AO", "IY"),
}

_INSISTENCE: dict[str, tuple[float, ...]] = {
    # How firmly each class holds its targets; a consonant of the tongue leaves the lips to its neighbours.
    "vowel": (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.4),
    "B": (1.6, 0.3, 0.3, 0.3, 1.0, 1.0, 0.6),
    "V": (1.8, 0.6, 0.6, 0.5, 1.5, 1.2, 4.0),
    "S": (1.4, 0.4, 0.4, 0.5, 0.7, 0.7, 0.5),
    "SH": (1.3, 1.2, 1.6, 0.8, 0.8, 0.8, 0.5),
    "W": (1.3, 2.2, 1.2, 1.2, 1.0, 1.0, 0.5),
    "R": (0.8, 0.8, 0.8, 0.4, 0.5, 0.5, 0.4),
    "HH": (0.1, 0.05, 0.05, 0.05, 0.1, 0.1, 0.2),
    "_": (0.9, 0.5, 0.5, 0.5, 0.9, 0.9, 0.8),
    "tongue": (0.8, 0.25, 0.25, 0.25, 0.5, 0.5, 0.5),
}
_REACH_S = np.array([0.045, 0.075, 0.065, 0.055, 0.042, 0.042, 0.03])
"""How far in time an articulator anticipates and carries over; the rounding of lips the furthest."""


@dataclass(frozen=True, slots=True)
class Phoneme:
    """One sound: what it looks like, when, and how strongly its syllable is stressed (0, 1)."""

    symbol: str
    start_s: float
    end_s: float
    stressed: bool

    @property
    def middle_s(self) -> float:
        return (self.start_s + self.end_s) / 2


def timed(sentence: str, start_s: float, rng: np.random.Generator, pace: float = 1.0) -> list[Phoneme]:
    """Give each sound of an ARPAbet sentence its time.

    sentence: symbols apart by spaces, "1" marks a stressed vowel, "," a pause, "." the end. About five
    syllables a second at pace 1; stressed and final syllables are longer (after Klatt 1976).
    """
    symbols = sentence.split()
    result = [Phoneme("_", start_s, start_s + 0.06, False)]
    now = result[0].end_s
    for index, symbol in enumerate(symbols):
        if symbol in {",", "."}:
            length = rng.uniform(0.22, 0.34) if symbol == "," else 0.2
            result.append(Phoneme("_", now, now + length, False))
            now += length
            continue
        final = any(mark in symbols[index + 1 : index + 4] for mark in (",", "."))
        stressed = symbol.endswith("1")
        for part in _DIPHTHONGS.get(symbol.rstrip("1"), (symbol.rstrip("1"),)):
            look = _LOOKS_LIKE.get(part, part)
            length = _length_s(look, stressed, final) * rng.uniform(0.88, 1.14) / pace
            if symbol.rstrip("1") in _DIPHTHONGS:
                length *= 0.72
            result.append(Phoneme(look, now, now + length, stressed))
            now += length
    return result


def _length_s(look: str, stressed: bool, final: bool) -> float:
    if look in _VOWELS:
        return (0.125 if stressed else 0.075) * (1.45 if final else 1.0)
    return {"B": 0.08, "V": 0.085, "S": 0.09, "SH": 0.095, "TH": 0.06, "HH": 0.055}.get(look, 0.062)


_VOWELS = frozenset(symbol for symbol in _TARGETS if len(symbol) == 2 and symbol[0] in "AEIOU")


def _insistence(symbol: str) -> tuple[float, ...]:
    return _INSISTENCE["vowel" if symbol in _VOWELS else symbol if symbol in _INSISTENCE else "tongue"]


def articulate(loop: Loop, phonemes: Iterable[Phoneme], rng: np.random.Generator) -> Float:
    """(N, 52) float32, the ARKit weights of a mouth that says `phonemes` on `loop`, at rest elsewhere."""
    phonemes = list(phonemes)
    width = len(ARTICULATORS)
    wished = np.zeros((loop.ticks, width))
    insisted = np.full((loop.ticks, width), 0.02)  # rest, so that silence far from any sound is defined
    seal = loop.zeros()
    for phoneme in phonemes:
        margin = round(0.6 * TICKS_PER_S)
        first, last = round(phoneme.start_s * TICKS_PER_S), round(phoneme.end_s * TICKS_PER_S)
        ticks = np.arange(first - margin, last + margin)
        t = ticks / TICKS_PER_S
        third = (phoneme.end_s - phoneme.start_s) / 3
        outside = np.maximum(np.maximum(phoneme.start_s + third - t, t - phoneme.end_s + third), 0)
        target = np.array(_TARGETS[phoneme.symbol])
        if phoneme.symbol in _VOWELS:
            # Every syllable has its own energy; a stressed one opens wider.
            target = target * ((_STRESSED if phoneme.stressed else _UNSTRESSED) * rng.uniform(0.85, 1.15))
        strength = np.array(_insistence(phoneme.symbol)) * np.exp(-outside[:, None] / _REACH_S)
        wished[ticks % loop.ticks] += strength * target
        insisted[ticks % loop.ticks] += strength
        if phoneme.symbol == "B":
            loop.bump(seal, phoneme.start_s - 0.045, 0.06, phoneme.end_s - phoneme.start_s - 0.03, 0.07, 1.0)

    tracks = {
        name: loop.smoothed(wished[:, i] / insisted[:, i], 0.016) for i, name in enumerate(ARTICULATORS)
    }
    return _weights(tracks, np.minimum(seal, 1.0))


def _weights(tracks: dict[str, Float], seal: Float) -> Float:
    """Articulators to ARKit weights. No mouth is symmetric: this one favours its left a little."""
    weights = np.zeros((len(seal), EXPRESSIONS), np.float32)
    apart = 1.0 - seal
    tuck = tracks["tuck"]
    weights[:, INDEX["jawOpen"]] = tracks["jaw"]
    weights[:, INDEX["mouthClose"]] = tracks["jaw"] * np.maximum(seal, 0.35 * tuck)
    weights[:, INDEX["mouthPucker"]] = tracks["pucker"]
    weights[:, INDEX["mouthFunnel"]] = tracks["funnel"] * (1.0 - 0.7 * seal)
    weights[:, INDEX["mouthRollLower"]] = 0.5 * tuck + 0.14 * seal
    weights[:, INDEX["mouthRollUpper"]] = 0.10 * seal
    weights[:, INDEX["mouthShrugLower"]] = 0.10 * tuck + 0.08 * seal
    for side, share in (("Left", 1.04), ("Right", 0.96)):
        weights[:, INDEX[f"mouthStretch{side}"]] = 0.45 * share * tracks["spread"]
        weights[:, INDEX[f"mouthSmile{side}"]] = 0.35 * share * tracks["spread"]
        weights[:, INDEX[f"mouthLowerDown{side}"]] = share * tracks["lower"] * apart * (1.0 - tuck)
        weights[:, INDEX[f"mouthUpperUp{side}"]] = share * tracks["upper"] * apart
        weights[:, INDEX[f"mouthPress{side}"]] = 0.16 * share * seal
    return weights
