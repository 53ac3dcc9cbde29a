"""Whether the sound of a clip belongs to its picture: found where it does, also late, and not where it doesn't."""

import numpy as np
import pytest

from voice_sync import GRID_S, SURE, Seen, agreement, windows

pytestmark = pytest.mark.unit

FPS = 25


def mouth(seed: int, seconds: float = 12.0) -> np.ndarray:
    """Something that opens and closes like a mouth, every `GRID_S`."""
    rng = np.random.default_rng(seed)
    smooth = np.convolve(rng.normal(size=round(seconds / GRID_S)), np.hanning(20), "same")
    return np.maximum(smooth, 0).astype(np.float32)


def clip(opening: np.ndarray, heard: np.ndarray) -> Seen:
    times_s = np.arange(0, len(opening) * GRID_S - 0.1, 1 / FPS)
    return Seen(times_s, np.interp(times_s, np.arange(len(opening)) * GRID_S, opening), heard)


def test_the_sound_of_the_mouth_is_known_even_late_and_noisy():
    opening = mouth(1)
    late = np.roll(opening, round(0.2 / GRID_S)) + 0.5 * mouth(2)
    found = agreement([clip(opening, late)])
    assert found.chance <= 2 * SURE / 10
    assert found.lag_s == pytest.approx(0.2)
    assert found.correlation > 0.5


def test_somebody_elses_sound_agrees_by_chance_only():
    chances = [agreement([clip(mouth(seed), mouth(seed + 100))]).chance for seed in range(10, 18)]
    assert sum(chance <= SURE for chance in chances) <= 1
    assert np.mean(chances) > 0.25


def test_sentences_are_judged_together():
    parts = [clip(mouth(seed, 3.0), mouth(seed, 3.0) + 2 * mouth(seed + 50, 3.0)) for seed in range(6)]
    assert agreement(parts).chance <= SURE


def test_stretches_keep_their_times():
    opening = mouth(3, 31.0)
    stretches = windows(clip(opening, opening))
    assert [round(float(part.times_s[0])) for part in stretches] == [0, 10, 20]
    assert all(agreement([part]).lag_s == 0 for part in stretches)
