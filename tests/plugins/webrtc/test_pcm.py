"""Sound in bytes: every format there is, in pieces of any length, and what is no sound."""

from __future__ import annotations

import io
import struct
import wave

import numpy as np
import pytest

from mien.errors import MediaError
from mien.frames import Float
from mien_webrtc.pcm import ENCODINGS, PcmReader, Reader, SoundFormat, WavReader, reader_for

pytestmark = pytest.mark.unit


def voice(seconds: float = 0.5, rate: int = 16_000, level: float = 0.3) -> Float:
    """Something like a vowel: harmonics that fall off, in syllables."""
    t = np.arange(round(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * 130 * n * t) / n for n in range(1, 12))
    return (level * tone * (0.5 + 0.5 * np.sin(2 * np.pi * 4 * t)) / 2).astype(np.float32)


def encoded(samples: Float, encoding: str) -> bytes:
    match encoding:
        case "u8":
            return np.round(samples * 127 + 128).astype(np.uint8).tobytes()
        case "s16le":
            return np.round(samples * 32767).astype("<i2").tobytes()
        case "s16be":
            return np.round(samples * 32767).astype(">i2").tobytes()
        case "s24le":
            wide = np.round(samples * (2**23 - 1)).astype("<i4")
            return wide.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
        case "s32le":
            return np.round(samples.astype(np.float64) * (2**31 - 1)).astype("<i4").tobytes()
        case _:
            return samples.astype("<f4").tobytes()


def wav(samples: Float, rate: int = 16_000, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(encoded(samples, "s16le"))
    return file.getvalue()


def header(tag: int, channels: int, rate: int, bits: int, size: int, *, extra: bytes = b"") -> bytes:
    block = channels * bits // 8
    described = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits) + extra
    return (
        b"RIFF" + struct.pack("<I", 0xFFFFFFFF) + b"WAVE"
        + b"LIST" + struct.pack("<I", 3) + b"abc\0"
        + b"fmt " + struct.pack("<I", len(described)) + described
        + b"data" + struct.pack("<I", size)
    )  # fmt: skip


def fed(reader: Reader, data: bytes, piece: int) -> Float:
    parts = [reader.feed(data[i : i + piece]) for i in range(0, len(data), piece)]
    return np.concatenate([part for part in parts if len(part)])


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_every_format_in_pieces_of_any_length(encoding: str, piece: int) -> None:
    samples = voice(0.05)
    reader = PcmReader(SoundFormat(16_000, 1, encoding))
    got = fed(reader, encoded(samples, encoding), piece)
    reader.finish()
    assert got.shape == (len(samples), 1)
    assert np.abs(got[:, 0] - samples).max() < (0.01 if encoding == "u8" else 1e-4)


@pytest.mark.parametrize("piece", [1, 13, 100_000])
def test_a_wav_says_itself_what_it_is(piece: int) -> None:
    left = voice(0.05)
    both = np.stack([left, -left], axis=1)
    reader = WavReader()
    got = fed(reader, wav(both.reshape(-1), 44_100, 2) + b"LIST....what follows", piece)
    reader.finish()
    assert reader.format == SoundFormat(44_100, 2, "s16le")
    assert np.abs(got - both).max() < 1e-4


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF - 36, 0x7FFFF000, 0xFFFFFFFF - 44])
def test_a_wav_that_grows_does_not_know_its_length(size: int) -> None:
    reader = WavReader()
    assert len(reader.feed(header(1, 1, 8_000, 16, size) + encoded(voice(0.1), "s16le"))) == 1600
    reader.finish()


def test_float_and_extensible_wavs() -> None:
    reader = WavReader()
    guid = b"\x03\0" + bytes.fromhex("000000001000800000aa00389b71")
    extra = struct.pack("<HHI", 22, 32, 4) + guid
    got = reader.feed(header(0xFFFE, 1, 48_000, 32, 8, extra=extra) + encoded(voice(1)[:2], "f32le"))
    assert len(got) == 2
    assert str(reader.format) == "f32le, mono, 48000 Hz"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "Nothing was sent"),
        (b"RIFF", "ends before its samples"),
        (wav(voice())[:40], "ends before its samples"),
        (wav(voice(1.0))[: 44 + 16_000], r"cut short: 0\.50 of 1\.00 s"),
        (b"ID3\x04 some song that is no WAV", "no WAV file"),
        (b"RIFX\0\0\0\0WAVEfmt ", "RIFX"),
        (header(6, 1, 8_000, 8, 100), "8-bit samples of kind 6"),
        (header(1, 6, 48_000, 16, 100), "6 channels"),
        (header(1, 1, 192_000, 16, 100), "192000 Hz"),
        (b"RIFF\0\0\0\0WAVEdata\x10\0\0\0" + bytes(16), "does not say what its samples are"),
        (b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\x7f" + bytes(70_000), "no samples where"),
        (header(1, 1, 8_000, 16, 4) + b"\1\2\3", "cut short"),
    ],
)
def test_wavs_that_are_none_say_why(data: bytes, words: str) -> None:
    with pytest.raises(MediaError, match=words):
        read_whole(data)


def read_whole(data: bytes) -> None:
    reader = WavReader()
    for i in range(0, len(data), 1000):
        reader.feed(data[i : i + 1000])
    reader.finish()


def test_half_a_sample_is_told_at_the_end() -> None:
    reader = PcmReader(SoundFormat(16_000, 2, "s16le"))
    assert len(reader.feed(bytes(4 * 100 + 3))) == 100
    with pytest.raises(MediaError, match="3 bytes are left over"):
        reader.finish()
    reader.finish()  # told once


@pytest.mark.parametrize("level", [0.02, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("declared", ["s16le", "s16be"])
@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_the_wrong_byte_order_is_noticed_before_it_hurts(level: float, declared: str, rate: int) -> None:
    other = "s16be" if declared == "s16le" else "s16le"
    with pytest.raises(MediaError, match=f"format={other}"):
        PcmReader(SoundFormat(rate, 1, declared)).feed(encoded(voice(0.5, rate, level), other))


def clipped() -> Float:
    return np.clip(voice(1.0) * 20, -1, 1)


RNG = np.random.default_rng(5)
ODD_BUT_RIGHT = {
    "silence": np.zeros(16_000, np.float32),
    "clipping": clipped(),
    "square": np.sign(voice(1.0)).astype(np.float32),
    "offset": voice(1.0) * 0.3 + np.float32(0.6),
    "noise": RNG.uniform(-1, 1, 16_000).astype(np.float32),
    "faint noise": (RNG.uniform(-1, 1, 16_000) * 1e-3).astype(np.float32),
    "eight bits": (np.round(voice(1.0, level=1.2) * 100) / 128).astype(np.float32),
    "constant": np.full(16_000, 0.6, np.float32),
    "tone": np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32),
    "loud": voice(1.0, level=1.5).clip(-1, 1),
}


@pytest.mark.parametrize("what", ODD_BUT_RIGHT)
@pytest.mark.parametrize("encoding", ["s16le", "s16be"])
def test_odd_sound_is_sound(what: str, encoding: str) -> None:
    data = encoded(ODD_BUT_RIGHT[what], encoding)
    reader = PcmReader(SoundFormat(16_000, 1, encoding))
    assert len(fed(reader, data, 640)) == 16_000


def test_floats_that_are_none() -> None:
    reader = PcmReader(SoundFormat(16_000, 1, "f32le"))
    with pytest.raises(MediaError, match="no float samples"):
        reader.feed(encoded(voice(), "s16le"))
    assert reader.feed(np.array([1.5, -3.0], "<f4").tobytes()).tolist() == [[1.0], [-1.0]]
    with pytest.raises(MediaError, match="no float samples"):
        reader.feed(np.array([np.nan], "<f4").tobytes())


@pytest.mark.parametrize(
    ("encoding", "rate", "channels", "words"),
    [
        ("s12", 16_000, 1, "no sample format 's12'"),
        ("s16le", 4_000, 1, "4000 Hz"),
        ("s16le", 192_000, 1, "192000 Hz"),
        ("s16le", 16_000, 0, "0 channels"),
        ("s16le", 16_000, 6, "6 channels"),
    ],
)
def test_formats_that_are_not_taken(encoding: str, rate: int, channels: int, words: str) -> None:
    with pytest.raises(MediaError, match=words):
        reader_for(encoding, rate, channels)


def test_the_wrong_byte_order_is_recognised_in_grains_too() -> None:
    """Clients send 10 ms at a time: few samples, at a low rate."""
    data = encoded(voice(0.5, 8_000), "s16be")
    reader = reader_for("s16le", 8_000, 1)
    reader.feed(data[:320])
    with pytest.raises(MediaError, match="format=s16be"):
        reader.feed(data[320:640])
