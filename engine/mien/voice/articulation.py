"""What the network says, and what it means for a face: a compact code of the mouth, and its way to ARKit's names.

People, rigs and trackers share one opening of the mouth out among many weights, each in their own way. The code
says what a reader of lips sees, so that what is learned from one of them holds for the others.
"""

from __future__ import annotations

import math

import numpy as np

from mien.face.lips import PARTING, set_opening
from mien.face.rig import INDEX
from mien.frames import EXPRESSIONS, Float

CODE = ("jaw", "opening", "pucker", "funnel", "spread", "lower", "upper", "tuck", "press", "tongue")
"""jaw: down. opening: how far the lips part, in units of `jawOpen` (`mien.face.lips`). pucker, funnel: lips round and
forward, narrow and wide. spread: corners back. lower, upper: lip off the teeth. tuck: lower lip under the upper
teeth. press: lips against each other. tongue: between the teeth. All 0 to 1, 0 at rest.
"""
CHANNEL = {name: i for i, name in enumerate(CODE)}

_BOTH = ("Left", "Right")
_SPREAD = {"mouthStretch": 0.45, "mouthSmile": 0.35}
"""How `spread` shows, as in `mien.drive.speech`."""
_LOP = (1.04, 0.96)
"""No mouth is symmetric: this one favours its left a little."""

_MEETS = 0.2, 0.5
"""Of `press`: where lips begin to meet, and where they do. A network is rarely sure of a p; a reader of lips is."""
_APART = 0.08, 0.2
"""Of `opening`: lips that are nearly shut can be meant to meet, wide ones cannot, however sure the press is."""
_PRESSED_TUCK = 0.28
"""Share of `press` that `encode` sees as tuck."""
_TUCKS = 0.15, 0.4
"""Of `tuck`: where the lower lip begins to go under the upper teeth, and where it is there: an f is half meant by a
network, but not half said.
"""
_TUCKED_SHUT = 0.6
"""Share of the opening that goes with it: what is left shows the teeth that the lip touches."""
_ROUNDS = 0.15, 0.45
"""Of `pucker` and `funnel`: more than the first is said of hardly any sound but a rounded one, more than the other
hardly of any voice that the network never heard.
"""
_ROUND = {"pucker": 0.75, "funnel": 0.55}
"""What lips do that say w or oo, and sh or aw."""
_MADE_UP = 0.6
"""Share of what is missing to it that is made up for."""
_WIDE, _WIDER = 0.5, 0.35
"""Of `opening`: speakers rarely open the mouth further than the first, and hardly by more than the other on top."""
_ROUND_APART = 0.12
"""Opening of lips that say oo: round lips that nothing presses are not shut."""
_IS_ROUND = 0.3, 0.55
"""Of `pucker`: where that begins to hold, and where it does."""
_IS_PRESSED = 0.05, 0.2
"""Of `press`: where it ceases to hold, and where it no longer does."""
_SEALED = 0.035
"""An opening below that is meant to be none: lips that all but touch do touch."""


def _ramp(value: float, begin: float, end: float) -> float:
    """0 before `begin`, 1 after `end`, smooth between."""
    x = min(max((value - begin) / (end - begin), 0.0), 1.0)
    return x * x * (3 - 2 * x)


def encode(weights: Float) -> Float:
    """weights: (..., 52) ARKit weights less those at rest -> (..., 10) code. What ARKit lacks is 0."""

    def column(name: str) -> Float:
        return np.asarray(weights[..., INDEX[name]])

    def both(name: str) -> Float:
        return (column(f"{name}Left") + column(f"{name}Right")) / 2

    tuck, press = column("mouthRollLower") * 2, both("mouthPress") / 0.16
    code = {
        "jaw": column("jawOpen"),
        "opening": weights @ PARTING,
        "pucker": column("mouthPucker"),
        "funnel": column("mouthFunnel"),
        "spread": both("mouthStretch") / _SPREAD["mouthStretch"] / 2
        + both("mouthSmile") / _SPREAD["mouthSmile"] / 2,
        "lower": both("mouthLowerDown"),
        "upper": both("mouthUpperUp"),
        "tuck": tuck,
        "press": press,
        "tongue": column("tongueOut"),
    }
    return np.asarray(np.stack([np.clip(code[name], 0, 1) for name in CODE], axis=-1), np.float32)


def spoken(code: Float) -> Float:
    """code: (10,) as a network says it -> (10,) without what no voice means. On stressed vowels it overshoots: where
    it opens the mouth as far as a shout does, tracked speakers opened theirs half as far. Lips that it rounds, it
    may also shut; a reader of lips would see a b.
    """
    likely = np.array(code, np.float32)
    opening = float(code[CHANNEL["opening"]])
    if opening > _WIDE:
        eased = _WIDE + _WIDER * (1.0 - math.exp((_WIDE - opening) / _WIDER))
        for name in ("opening", "jaw", "lower"):
            likely[CHANNEL[name]] *= eased / opening
    pressed = _ramp(float(code[CHANNEL["press"]]), *_IS_PRESSED)
    hole = _ROUND_APART * _ramp(float(code[CHANNEL["pucker"]]), *_IS_ROUND) * (1.0 - pressed)
    if hole > 0.0:
        likely[CHANNEL["opening"]] = max(float(likely[CHANNEL["opening"]]), hole)
    return likely


def rounded(code: Float) -> Float:
    """code: (10,) as a network says it -> (10,) where lips that are meant to be round are: it is right about when, but
    hedges about how far. Whatever is rounder stays.
    """
    firm = np.array(code, np.float32)
    for name, wanted in _ROUND.items():
        said = float(code[CHANNEL[name]])
        firm[CHANNEL[name]] += _MADE_UP * max(wanted - said, 0.0) * _ramp(said, *_ROUNDS)
    return firm


def decode(code: Float) -> Float:
    """code: (10,) -> (52,) float32 in [0, 1]: only shapes of mouth, jaw, tongue and cheeks are set."""
    jaw, opening, pucker, funnel, spread, lower, upper, tuck, press, tongue = (
        float(value) for value in np.clip(code, 0, 1)
    )
    tuck = max(tuck - _PRESSED_TUCK * press, 0.0)  # pressed lips roll in, too
    press = _ramp(press, *_MEETS) * (1.0 - _ramp(opening, *_APART))
    opening *= 1.0 - press
    under = _ramp(tuck, *_TUCKS) * (1.0 - press)
    opening *= 1.0 - _TUCKED_SHUT * under
    sealed = (1.0 - under) * (1.0 - min(opening / _SEALED, 1.0))
    press = max(press, 0.6 * sealed * min(jaw / 0.02, 1.0))
    weights = np.zeros(EXPRESSIONS, np.float32)
    weights[INDEX["jawOpen"]] = max(jaw, opening * 0.55)
    weights[INDEX["mouthPucker"]] = pucker
    weights[INDEX["mouthFunnel"]] = funnel * (1 - 0.7 * press)
    weights[INDEX["mouthRollLower"]] = max(0.5 * tuck, 0.6 * under) + 0.14 * press
    weights[INDEX["mouthRollUpper"]] = 0.10 * press
    weights[INDEX["mouthShrugLower"]] = 0.10 * tuck + 0.08 * press
    weights[INDEX["tongueOut"]] = tongue
    weights[INDEX["cheekPuff"]] = 0.05 * press
    for side, share in zip(_BOTH, _LOP, strict=True):
        for name, amount in _SPREAD.items():
            weights[INDEX[f"{name}{side}"]] = amount * share * spread
        weights[INDEX[f"mouthLowerDown{side}"]] = share * lower * (1 - press) * (1 - max(tuck, under))
        weights[INDEX[f"mouthUpperUp{side}"]] = share * max(upper, 0.2 * under) * (1 - press)
        weights[INDEX[f"mouthPress{side}"]] = 0.16 * share * press
        weights[INDEX[f"cheekSquint{side}"]] = 0.08 * share * spread
    set_opening(weights, 0.0 if sealed > 0 and opening < _SEALED / 2 else opening)
    return np.clip(weights, 0, 1)
