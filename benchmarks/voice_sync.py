"""Whether the sound of a clip is that of the mouth in its picture, asked without any network of ours.

A mouth that opens with loudness and one that a phoneme recogniser moves are poor, but on a clip whose sound belongs to
its picture they agree with the mouth at some lag better than with the same mouth in another order. Only what changes
from syllable to syllable counts: smiles and breaths come and go without the voice, and drown the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mien.frames import Float

LAGS_S = np.arange(-25, 26) * 0.04
"""Lags at which sound and picture may agree: within a second, frame by frame."""
PIECE_S = 1.0
"""Pieces that are shuffled: longer than syllables, so that each piece still moves as mouths do."""
SLOW_S = 2.0
"""What is slower than that (a weighted mean over so long) is taken off sound and picture."""
SHUFFLES = 999
SURE = 0.05
"""Share of the shuffled mouths that may agree as well by chance."""
GRID_S = 0.01


@dataclass(frozen=True, slots=True)
class Seen:
    """Opening of the lips at times_s, both (M,), and what a baseline makes of the sound every `GRID_S` from 0 on."""

    times_s: Float
    opening: Float
    heard: Float


@dataclass(frozen=True, slots=True)
class Agreement:
    """correlation: the highest at any lag; lag_s: that lag, > 0 where the sound is late; chance: the share of shuffled
    mouths that agree at least as well at any lag.
    """

    correlation: float
    lag_s: float
    chance: float


def agreement(parts: Sequence[Seen], seed: int = 0) -> Agreement:
    """How well sound and picture agree, each of several parts taken about its own mean."""
    parts = [_quick(part) for part in parts]
    heard = np.concatenate([_lagged(part) for part in parts], axis=1)
    opening = np.concatenate([part.opening - part.opening.mean() for part in parts])
    heard /= np.linalg.norm(heard, axis=1, keepdims=True) + 1e-9
    opening = opening / (np.linalg.norm(opening) + 1e-9)
    found = heard @ opening
    step_s = float(np.median(np.diff(parts[0].times_s)))
    pieces = np.array_split(opening, max(round(len(opening) * step_s / PIECE_S), 2))
    rng = np.random.default_rng(seed)
    shuffled = np.stack(
        [np.concatenate([pieces[i] for i in rng.permutation(len(pieces))]) for _ in range(SHUFFLES)]
    )
    best = int(found.argmax())
    as_good = int(((shuffled @ heard.T).max(axis=1) >= found[best]).sum())
    return Agreement(float(found[best]), float(LAGS_S[best]), (1 + as_good) / (1 + SHUFFLES))


def _quick(part: Seen) -> Seen:
    step_s = float(np.median(np.diff(part.times_s)))
    return Seen(part.times_s, _without_drift(part.opening, step_s), _without_drift(part.heard, GRID_S))


def _without_drift(values: Float, step_s: float) -> Float:
    """values: (M,) -> (M,) less their running mean, at the ends over what there is."""
    window = np.hanning((round(SLOW_S / step_s) | 1) + 2)[1:-1]
    sums = np.convolve(np.pad(values, len(window) // 2), window, "valid")
    weights = np.convolve(np.pad(np.ones_like(values), len(window) // 2), window, "valid")
    return np.asarray(values - sums / weights, np.float32)


def _lagged(part: Seen) -> Float:
    """(LAGS, M): what is heard that much later than it is seen, each about its own mean."""
    grid_s = np.arange(len(part.heard)) * GRID_S
    rows = np.stack([np.interp(part.times_s + lag_s, grid_s, part.heard) for lag_s in LAGS_S])
    return np.asarray(rows - rows.mean(axis=1, keepdims=True))


def windows(part: Seen, length_s: float = 10.0) -> list[Seen]:
    """The part in stretches of `length_s` (what remains is left out): how much of a clip is needed to tell."""
    found = []
    for first_s in np.arange(0, part.times_s[-1] - length_s + 0.1, length_s):
        kept = (part.times_s >= first_s) & (part.times_s < first_s + length_s)
        found.append(Seen(part.times_s[kept], part.opening[kept], part.heard))
    return found
