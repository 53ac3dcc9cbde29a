"""Sound as performances hold it: 16-bit PCM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mien.frames import AudioFrame, Float
from mien.numbers import bounded, whole

_MOST_HZ, _MOST_CHANNELS = 768_000, 64


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """16-bit PCM: samples per second, 1 to 768000; channels, 1 to 64. Others raise `ValueError`."""

    rate: int
    channels: int

    def __post_init__(self) -> None:
        bounded("sound rate", self.rate, 1, _MOST_HZ)
        bounded("sound channels", self.channels, 1, _MOST_CHANNELS)

    @classmethod
    def of(cls, sound: AudioFrame) -> Self:
        return cls(sound.rate, sound.samples.shape[1])

    @classmethod
    def from_json(cls, values: Mapping[str, Any] | None) -> Self | None:
        """Raises `KeyError`, `TypeError` or `ValueError`."""
        return None if values is None else cls(whole(values["rate"]), whole(values["channels"]))

    def to_json(self) -> dict[str, int]:
        return {"rate": self.rate, "channels": self.channels}

    def frame(self, pcm: bytes, capture_ns: int) -> AudioFrame:
        """What `to_pcm16` has made bytes of. Raises `ValueError` when samples are missing."""
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32767
        return AudioFrame(samples.reshape(-1, self.channels), self.rate, capture_ns)


def to_pcm16(samples: Float) -> bytes:
    """samples: (N, channels) in [-1, 1] -> little-endian int16, channels interleaved; what is louder is clipped."""
    pcm: NDArray[np.int16] = np.round(np.clip(samples, -1, 1) * 32767).astype("<i2")
    return pcm.tobytes()
