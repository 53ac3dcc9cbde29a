"""Pushed sound, byte by byte: raw PCM and WAV, in pieces of any length, refused where it cannot be what it says."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import MediaError
from mien.frames import HIGHEST_RATE, LOWEST_RATE, Float

ENCODINGS = {"u8": 1, "s16le": 2, "s16be": 2, "s24le": 3, "s32le": 4, "f32le": 4}
"""Name of a sample's form -> its bytes."""

_LOUDEST_FLOAT = 8.0
"""Float sound a little beyond [-1, 1] is clipped; beyond this it is no sound."""

_TELLING = 200
"""Samples that it takes to tell noise from sound."""

_HEADER_LIMIT = 1 << 16
"""Bytes of a WAV in front of its samples."""

_STILL_GROWING = 0x7FFF_0000
"""From here on a WAV's length is none: what wrote it did not know it yet."""


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """How samples lie in the bytes. Raises `MediaError` when made of what nobody can play."""

    rate: int = 24_000
    channels: int = 1
    encoding: str = "s16le"

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise MediaError(
                f"There is no sample format '{self.encoding}'. Use one of: {', '.join(ENCODINGS)}, or wav."
            )
        if not LOWEST_RATE <= self.rate <= HIGHEST_RATE:
            raise MediaError(
                f"A rate of {self.rate} Hz cannot be used. Send {LOWEST_RATE} to {HIGHEST_RATE} Hz."
            )
        if self.channels not in {1, 2}:
            raise MediaError(f"Sound of {self.channels} channels cannot be used. Send mono or stereo.")

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return ENCODINGS[self.encoding] * self.channels

    def __str__(self) -> str:
        sound = "mono" if self.channels == 1 else "stereo"
        return f"{self.encoding}, {sound}, {self.rate} Hz"


class Reader(ABC):
    """Bytes in, samples out. `format` is None as long as nobody knows it."""

    format: SoundFormat | None = None

    @abstractmethod
    def feed(self, data: bytes) -> Float:
        """(N, C) float32 in [-1, 1]; N may be 0. Raises `MediaError`; what was fed is not played then."""

    @abstractmethod
    def finish(self) -> None:
        """No more comes. Raises `MediaError` when that is too early."""


class PcmReader(Reader):
    """Raw samples."""

    def __init__(self, sound: SoundFormat) -> None:
        self.format: SoundFormat = sound
        self._rest = b""
        self._doubted = b""
        self._trusted = 0

    def feed(self, data: bytes) -> Float:
        data = self._rest + data
        whole = len(data) - len(data) % self.format.frame_bytes
        self._rest = data[whole:]
        samples = _decoded(data[:whole], self.format.encoding)
        if self.format.encoding == "f32le":
            _check_floats(samples)
        else:
            self._check_order(data[:whole])
        return np.clip(samples, -1, 1).reshape(-1, self.format.channels)

    def finish(self) -> None:
        rest, self._rest = self._rest, b""
        if rest:
            raise MediaError(
                f"The sound ends within a sample: {len(rest)} bytes are left over, {self.format} takes "
                f"{self.format.frame_bytes} at a time. It was cut off, or its format is another."
            )

    def _check_order(self, data: bytes) -> None:
        """Noise is told from sound in the first second, by which time it is one or the other."""
        encoding = self.format.encoding
        other = {"s16le": "s16be", "s16be": "s16le"}.get(encoding)
        if other is None or self._trusted >= self.format.rate * self.format.channels:
            return
        data, self._doubted = self._doubted + data, b""
        samples = _decoded(data, encoding)
        if len(samples) < _TELLING:
            self._doubted = data
        elif _is_noise_turned_round(samples, _decoded(data, other), self.format.channels):
            raise MediaError(
                f"This is noise as {encoding}, and sound as {other}: the byte order is the wrong one. "
                f"Send {encoding}, or say format={other}."
            )
        else:
            self._trusted += len(samples)


class WavReader(Reader):
    """A RIFF/WAVE file of PCM or float samples, of known length or growing (RFC 2361; Microsoft's RIFF documents)."""

    def __init__(self) -> None:
        self.format: SoundFormat | None = None
        self._header = b""
        self._samples: PcmReader | None = None
        self._left: int | None = None
        """bytes of samples that are still to come; None: as many as come"""
        self._length = 0

    def feed(self, data: bytes) -> Float:
        if self._samples is None:
            self._header += data
            data = self._begin()
        if self._samples is None:
            return np.zeros((0, 1), np.float32)
        if self._left is not None:
            data = data[: self._left]  # what follows the samples describes them
            self._left -= len(data)
        return self._samples.feed(data)

    def finish(self) -> None:
        if self._samples is None:
            if not self._header:
                raise MediaError("Nothing was sent. Send a WAV, header first.")
            raise MediaError("The WAV ends before its samples begin. Send the whole file.")
        if self._left and self.format is not None:
            second = self.format.rate * self.format.frame_bytes
            came = (self._length - self._left) / second
            raise MediaError(
                f"The WAV is cut short: {came:.2f} of {self._length / second:.2f} s came. Send the whole file."
            )
        self._samples.finish()

    def _begin(self) -> bytes:
        """Look for the samples; returns what has come of them."""
        data = self._header
        magic = data[:4]
        if not b"RIFF".startswith(magic) or (len(data) >= 12 and data[8:12] != b"WAVE"):
            hint = " Big-endian RIFX cannot be used." if magic == b"RIFX" else ""
            raise MediaError(f"This is no WAV file: it does not begin with RIFF and WAVE.{hint}")
        place, described = 12, b""
        while len(data) >= place + 8:
            name, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
            body = place + 8
            if name == b"data":
                return self._begin_samples(described, size, data[body:])
            if body + size > _HEADER_LIMIT:
                break
            if name == b"fmt " and len(data) >= body + size:
                described = data[body : body + size]
            place = body + size + size % 2
        if len(data) > _HEADER_LIMIT or place > _HEADER_LIMIT or (len(data) >= place + 8):
            raise MediaError(
                "This WAV holds no samples where they are looked for. Save it anew as plain PCM."
            )
        return b""

    def _begin_samples(self, described: bytes, size: int, data: bytes) -> bytes:
        if len(described) < 16:
            raise MediaError("This WAV does not say what its samples are. Save it anew as plain PCM.")
        tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", described[:16])
        if tag == 0xFFFE and len(described) >= 26:
            tag = int.from_bytes(described[24:26], "little")
        encoding = {(1, 8): "u8", (1, 16): "s16le", (1, 24): "s24le", (1, 32): "s32le", (3, 32): "f32le"}.get(
            (tag, bits)
        )
        if encoding is None:
            raise MediaError(
                f"This WAV holds {bits}-bit samples of kind {tag}, which are not read. Save it as 16-bit PCM."
            )
        self.format = SoundFormat(rate, channels, encoding)
        self._samples = PcmReader(self.format)
        self._header = b""
        if 0 < size < _STILL_GROWING:
            self._left = self._length = size
        return data


def reader_for(encoding: str, rate: int, channels: int) -> Reader:
    """encoding: one of `ENCODINGS`, or wav, which knows rate and channels itself. Raises `MediaError`."""
    return WavReader() if encoding == "wav" else PcmReader(SoundFormat(rate, channels, encoding))


def _decoded(data: bytes, encoding: str) -> Float:
    """(N,) float32 in [-1, 1] as they lie there."""
    match encoding:
        case "u8":
            return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
        case "s24le":
            wide = np.zeros((len(data) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
            return _scaled(wide.reshape(-1).view("<i4"), 31)
        case "s32le":
            return _scaled(np.frombuffer(data, "<i4"), 31)
        case "f32le":
            return np.frombuffer(data, "<f4").astype(np.float32)
        case _:
            return _scaled(np.frombuffer(data, "<i2" if encoding == "s16le" else ">i2"), 15)


def _scaled(values: NDArray[np.int16] | NDArray[np.int32], bits: int) -> Float:
    return np.asarray(values.astype(np.float32) / np.float32(2**bits))


def _check_floats(samples: Float) -> None:
    if len(samples) and not bool(np.all(np.abs(samples) <= _LOUDEST_FLOAT)):  # NaN fails as well
        raise MediaError(
            "These are no float samples within [-1, 1]. Send f32le, little-endian, or say which format it is."
        )


def _is_noise_turned_round(samples: Float, turned: Float, channels: int) -> bool:
    """Whether `samples` are loud and `turned`, the same bytes the other way round, are quieter and smoother.

    Sound in its right order is the smoother one, however loud or clipped; real noise is equally loud both ways.
    """
    level, turned_level = _rms(samples), _rms(turned)
    if level < 0.3 or turned_level > 0.5 * level:
        return False
    return _roughness(samples, channels) > 1.5 * _roughness(turned, channels)


def _rms(samples: Float) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def _roughness(samples: Float, channels: int) -> float:
    """How much it changes from sample to sample: 1.4 for white noise, 0 for what doesn't change."""
    return _rms(np.diff(samples.reshape(-1, channels), axis=0)) / max(_rms(samples), 1e-9)
