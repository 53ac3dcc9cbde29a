"""What rooms, lines and microphones do to a voice: used on sound before features are made of it."""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, fftconvolve, resample_poly, sosfilt

from mien.frames import Float
from mien.voice.resample import RATE


def degraded(sound: Float, rng: np.random.Generator) -> Float:
    """(N,) float32 at 16 kHz -> the same length, through a chain drawn by chance; often through nothing.

    All of it is causal and the direct sound stays first, so what is said stays when it was said.
    """
    if rng.random() < 0.4:
        sound = _reverberated(sound, rng)
    if rng.random() < 0.25:
        sound = _narrowed(sound, rng)
    if rng.random() < 0.15:
        sound = _companded(sound)
    if rng.random() < 0.1:
        sound = np.clip(sound * rng.uniform(2, 6), -0.9, 0.9)
    return np.asarray(sound, np.float32)


def _reverberated(sound: Float, rng: np.random.Generator) -> Float:
    """A room by Schroeder's model: exponentially dying noise after the direct sound."""
    decay_s = rng.uniform(0.15, 0.6)
    t = np.arange(int(decay_s * RATE)) / RATE
    tail = rng.normal(size=len(t)) * np.exp(-6.9 * t / decay_s)
    tail[: int(0.003 * RATE)] = 0
    response = tail * (rng.uniform(0.15, 0.7) / np.sqrt(np.sum(tail**2)))
    response[0] = 1.0
    return np.asarray(fftconvolve(sound, response)[: len(sound)], np.float32)


def _narrowed(sound: Float, rng: np.random.Generator) -> Float:
    """A telephone's band, or a cheap microphone's."""
    low, high = rng.uniform(80, 350), rng.uniform(3200, 7000)
    return np.asarray(sosfilt(butter(2, [low, high], "bandpass", fs=RATE, output="sos"), sound), np.float32)


def _companded(sound: Float) -> Float:
    """8-bit mu-law (ITU-T G.711), as a line has it."""
    scaled = np.sign(sound) * np.log1p(255 * np.abs(sound)) / np.log(256)
    coarse = np.round(np.clip(scaled, -1, 1) * 127) / 127
    return np.asarray(np.sign(coarse) * (256 ** np.abs(coarse) - 1) / 255, np.float32)


def faster(sound: Float, percent: int) -> Float:
    """The sound played at `percent` of its speed: quicker and higher, or slower and lower."""
    return np.asarray(resample_poly(sound, 100, percent), np.float32)


def noises(rng: np.random.Generator, seconds: float = 12.0) -> list[Float]:
    """Sounds that no mouth belongs to: noise of three colours, hum, tones, chords, clicks."""
    count = int(seconds * RATE)
    t = np.arange(count) / RATE
    found: list[Float] = []
    frequency = np.maximum(np.fft.rfftfreq(count, 1 / RATE), 20)
    for slope in (0.0, 0.5, 1.0):
        spectrum = np.fft.rfft(rng.normal(size=count)) / frequency**slope
        found.append(np.asarray(np.fft.irfft(spectrum, count), np.float32))
    found.append(sum(np.sin(2 * np.pi * 50 * k * t) / k for k in range(1, 12)))
    for _ in range(4):  # single tones, some of them broken
        tone = np.sin(2 * np.pi * rng.uniform(150, 3000) * t)
        found.append(tone * (np.sin(2 * np.pi * rng.uniform(0.3, 3) * t) > rng.uniform(-1, 0.5)))
    found += [_music(rng, t) for _ in range(6)]
    clicks = np.zeros(count)
    clicks[rng.integers(0, count, 60)] = rng.normal(size=60) * 8
    found.append(np.convolve(clicks, np.exp(-np.arange(400) / 60), "same"))
    return [np.asarray(0.1 * sound / (np.std(sound) + 1e-9), np.float32) for sound in found]


def _music(rng: np.random.Generator, t: Float) -> Float:
    """Chords of plucked or blown tones with a beat."""
    total = np.zeros(len(t))
    beat_s = rng.uniform(0.25, 0.7)
    for start in np.arange(0, t[-1], beat_s):
        first = int(np.searchsorted(t, start))
        rest = total[first:]  # a view: only what comes after it was struck
        age = t[first:] - start
        loud = np.exp(-age / rng.uniform(0.15, 0.8))
        for step in rng.choice([0, 4, 7, 12, 16], 3):
            pitch = 110 * 2 ** ((step + rng.integers(0, 12)) / 12)
            for partial in range(1, 7):
                rest += loud * np.sin(2 * np.pi * pitch * partial * t[first:]) / partial
        if rng.random() < 0.6:
            rest += 2 * np.where(age < 0.05, loud, 0) * rng.normal(size=len(t))[first:]
    return np.asarray(total, np.float32)
