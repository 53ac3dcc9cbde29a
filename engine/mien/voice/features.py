"""Log-mel features of a voice, as it comes in.

One frame per 10 ms, over 25 ms of sound, 64 bands from 80 to 7600 Hz. The level of the speaker is tracked and
taken off, so a whisper into a near microphone and a voice across the room look alike.
"""

from __future__ import annotations

import math

import numpy as np

from mien.frames import Float
from mien.voice.resample import BLOCK, RATE

BANDS = 64
HOP_MS = 10.0
SPAN = 400
"""Samples under one frame: 25 ms."""
CENTRE_MS = 1000.0 * SPAN / RATE / 2
"""A frame belongs to the middle of its span; so much sound beyond it is in it."""

_FFT = 512
_LOW_HZ, _HIGH_HZ = 80.0, 7600.0
_FLOOR = 1e-8
"""Power below that is all the same of a voice at the usual level, or a louder one; it goes down with a softer one."""

_USUAL_LEVEL = -7.0
"""Natural log of the loudest bands' power of a voice at about -26 dBFS: where the level starts."""
_LEAST_LEVEL = -12.0
"""Nobody speaks more softly; below it is noise, which must not be blown up."""
_SPEECH_ABOVE = -5.0
"""Sound so far below the level (natural log of power) says nothing about how loud the speaker is."""
_RISE, _FALL = 0.25, 0.0025
"""Per frame: up within 40 ms, down over seconds."""
_HASTE = 60
"""Frames: at first it goes down faster, as a mean over so many would."""


def _mel(hz: float | Float) -> Float:
    return np.asarray(2595.0 * np.log10(1.0 + np.asarray(hz) / 700.0))


def _filterbank() -> Float:
    """(257, 64) float32: triangles of equal width on the mel scale (O'Shaughnessy 1987), each of sum 1."""
    edges = np.linspace(float(_mel(_LOW_HZ)), float(_mel(_HIGH_HZ)), BANDS + 2)
    at = _mel(np.fft.rfftfreq(_FFT, 1 / RATE).astype(np.float32))[:, None]
    rising = (at - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - at) / (edges[2:] - edges[1:-1])
    bank = np.clip(np.minimum(rising, falling), 0, None)
    # The lowest triangles are narrower than a bin: let each have the bin nearest to its middle at least.
    nearest = np.abs(at - edges[1:-1]).argmin(axis=0)
    empty = bank.sum(axis=0) < 0.2
    bank[nearest[empty], np.flatnonzero(empty)] += 0.2
    return np.asarray(bank / bank.sum(axis=0), np.float32)


_BANK = _filterbank()
_WINDOW = np.hanning(SPAN + 1)[:-1].astype(np.float32)
_SCALE = np.float32(1.0 / _WINDOW.sum())


def band_power(span: Float) -> Float:
    """span: (..., 400) float32 in [-1, 1] -> (..., 64) float32, the power in each band."""
    spectrum = np.fft.rfft(span * _WINDOW, _FFT) * _SCALE
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    return np.asarray(power @ _BANK, np.float32)


def log_mel(span: Float) -> Float:
    """span: (..., 400) float32 in [-1, 1] -> (..., 64) float32, natural log of the power in each band."""
    return _logarithm(band_power(span), _FLOOR)


def _logarithm(power: Float, floor: float) -> Float:
    return np.asarray(np.log(power + np.float32(floor)), np.float32)


def loudness(mel: Float) -> Float:
    """(..., 64) log-mel -> (...,) natural log of the power of the loudest eighth of the bands."""
    return np.asarray(np.partition(mel, BANDS - 8, axis=-1)[..., -8:].mean(axis=-1), np.float32)


class Features:
    """Blocks of 10 ms in, frames of features out."""

    def __init__(self) -> None:
        self._past: Float = np.zeros(SPAN, np.float32)
        self._level = _USUAL_LEVEL
        self._spoken = 0  # frames of speech so far
        self.loudness = float(np.log(_FLOOR))
        """of the newest frame, natural log of power"""

    @property
    def level(self) -> float:
        """How loud the speaker usually is, natural log of power."""
        return self._level

    def push(self, block: Float) -> Float:
        """block: (160,) float32 -> (64,) float32: log-mel less the speaker's level, / 4: mostly in [-3, 1].

        The frame covers the 25 ms that end with `block`; its middle lies 12.5 ms before that end.
        """
        self._past = np.concatenate([self._past[BLOCK:], block])
        power = band_power(self._past)
        self.loudness = float(loudness(_logarithm(power, _FLOOR)))
        above = self.loudness - self._level
        if above > 0:
            self._level += _RISE * above
        elif above > _SPEECH_ABOVE:
            fall = max(_FALL, 1 / (_HASTE + self._spoken))
            self._level = max(self._level + fall * above, _LEAST_LEVEL)
        self._spoken += above > _SPEECH_ABOVE
        floor = _FLOOR * math.exp(min(self._level - _USUAL_LEVEL, 0.0))
        return normalised(_logarithm(power, floor), self._level)


def normalised(mel: Float, level: float | Float) -> Float:
    """What the network is given: (..., 64) log-mel, less the level, scaled."""
    return np.asarray((mel - level) * 0.25, np.float32)
