"""Resampling and log-mel features: exact whatever the chunks, true to the sound, unmoved by bad samples."""

import numpy as np
import pytest

from mien.errors import MediaError
from mien.voice.features import BANDS, Features, log_mel
from mien.voice.resample import BLOCK, RATE, Resampler, mono

pytestmark = pytest.mark.unit

RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000)


def noise(count: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(count, channels)) * 0.1).astype(np.float32)


def resampled(rate: int, sound: np.ndarray, cuts: list[int] | None = None) -> np.ndarray:
    resampler = Resampler(rate)
    parts = np.split(sound, np.cumsum(cuts)) if cuts else [sound]
    return np.concatenate([block for part in parts for block in resampler.push(part)])


@pytest.mark.parametrize("rate", RATES)
def test_any_chunks_give_the_same_sound(rate):
    sound = noise(rate // 2, 2)
    rng = np.random.default_rng(1)
    cuts = rng.integers(1, rate // 25, 40).tolist()
    assert np.array_equal(resampled(rate, sound), resampled(rate, sound, cuts))


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_keeps_its_pitch_size_and_place(rate):
    tone = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
    found = resampled(rate, tone[:, None].astype(np.float32))
    wanted = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(len(found)) / RATE)
    assert np.abs(found - wanted)[800:-800].max() < 1e-3


def test_what_16_khz_cannot_hold_is_left_out():
    tone = np.sin(2 * np.pi * 10_000 * np.arange(48_000) / 48_000).astype(np.float32)
    assert np.abs(resampled(48_000, tone[:, None])[800:-800]).max() < 2e-3


@pytest.mark.parametrize("rate", [0, 4_000, 192_000])
def test_rates_of_no_sound_card_are_refused(rate):
    with pytest.raises(MediaError, match=f"{rate} Hz"):
        Resampler(rate)


def test_what_is_no_number_is_silence_and_what_is_too_loud_is_clipped():
    sound = np.array([[np.nan, np.nan], [np.inf, np.inf], [-9, -9], [0.5, 0.1]], np.float32)
    assert mono(sound).tolist() == pytest.approx([0.0, 1.0, -1.0, 0.3])


def test_features_are_those_of_the_whole_sound():
    sound = noise(RATE, seed=3)[:, 0]
    features = Features()
    live = np.stack([features.push(block) for block in sound.reshape(-1, BLOCK)])
    assert live.shape == (100, BANDS)
    assert np.isfinite(live).all()
    assert features.loudness == pytest.approx(float(np.sort(log_mel(sound[-400:]))[-8:].mean()), abs=1e-4)


def test_the_level_follows_the_speaker():
    """A voice and the same voice 20 dB softer look alike after some seconds."""
    rng = np.random.default_rng(5)
    syllables = np.repeat(rng.uniform(0.1, 1, 60), RATE // 10) * noise(RATE * 6, seed=6)[:, 0] * 3
    seen = []
    for gain in (1.0, 0.1):
        features = Features()
        blocks = (syllables * gain).astype(np.float32).reshape(-1, BLOCK)
        frames = [features.push(block) for block in blocks]
        seen.append(np.mean(frames[-300:]))
    assert seen[0] == pytest.approx(seen[1], abs=0.12)


def test_silence_does_not_raise_the_level_of_noise():
    features = Features()
    for _ in range(500):
        features.push(np.zeros(BLOCK, np.float32))
    assert features.level == pytest.approx(Features().level)


@pytest.mark.parametrize("offset", [0.0, 0.4])
def test_a_constant_offset_changes_nothing(offset):
    features, clean = Features(), Features()
    sound = noise(RATE // 2, seed=8)[:, 0] * 0.3
    for block in sound.reshape(-1, BLOCK):
        shifted, plain = features.push(block + np.float32(offset)), clean.push(block)
    assert np.abs(shifted - plain)[2:].max() < 0.25
