"""Small clips that the tests make themselves: a moving square over a gradient, beeps with flashes."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from mien.frames import Bytes, Float

RATE = 48_000
WIDTH, HEIGHT = 160, 120

# Matrices of ISO/IEC 14496-12, section 8.3.2, that turn the stored picture clockwise by so many degrees.
_MATRICES = {
    90: (0, 1, -1, 0, HEIGHT, 0),
    180: (-1, 0, 0, -1, WIDTH, HEIGHT),
    270: (0, -1, 1, 0, 0, WIDTH),
}


def picture(n: int, width: int = WIDTH, height: int = HEIGHT) -> Bytes:
    """A gradient, red to the right and green downward, with a white square that moves to the right."""
    v, u = np.mgrid[0:height, 0:width]
    pixels = np.stack([255 * u // width, 255 * v // height, np.full_like(u, 60)], axis=-1).astype(np.uint8)
    x = (4 * n) % (width - 16)
    pixels[8:24, x : x + 16] = 255
    return pixels


def square_x(pixels: Bytes) -> float:
    """Where the left edge of the square is, px."""
    row = pixels[12:20].astype(int).min(axis=2).mean(axis=0)
    return float(np.argmax(row > 150))


def tone(seconds: float, rate: int = RATE, channels: int = 1) -> Float:
    """(N, C) float32, 440 Hz at half volume."""
    t = np.arange(round(seconds * rate)) / rate
    return np.repeat((0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)[:, None], channels, axis=1)


def write_clip(
    path: Path,
    pictures: Iterable[Bytes],
    times_s: Sequence[float] | None = None,
    *,
    sound: Float | None = None,
    rate: int = RATE,
    codecs: tuple[str, str] = ("libx264", "aac"),
    options: dict[str, str] | None = None,
) -> Path:
    """times_s: when each picture is shown; 25 per second by default."""
    stack = list(pictures)
    times_s = times_s or [n / 25 for n in range(len(stack))]
    with av.open(str(path), "w", options=options or {}) as container:
        video = container.add_stream(codecs[0], 25)
        video.height, video.width = stack[0].shape[:2]
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000 if codecs[0] == "libx264" else 25)
        audio = None
        if sound is not None:
            audio = container.add_stream(codecs[1], rate, layout="mono" if sound.shape[1] == 1 else "stereo")
        for n, (pixels, time_s) in enumerate(zip(stack, times_s, strict=True)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if codecs[0] == "libx264":
                frame.pts, frame.time_base = round(1000 * time_s), Fraction(1, 1000)
            else:
                frame.pts, frame.time_base = n, Fraction(1, 25)
            container.mux(video.encode(frame))
        if audio is not None and sound is not None:
            _encode_sound(container, audio, sound, rate)
        container.mux(video.encode(None))
    return path


_SOUND_CODECS = {".wav": "pcm_s16le", ".flac": "flac", ".mp3": "libmp3lame", ".ogg": "libopus"}


def write_sound(path: Path, sound: Float) -> Path:
    codec = _SOUND_CODECS.get(path.suffix, "aac")
    with av.open(str(path), "w") as container:
        _encode_sound(container, container.add_stream(codec, RATE, layout="mono"), sound, RATE)
    return path


def _encode_sound(
    container: av.container.OutputContainer, stream: av.AudioStream, sound: Float, rate: int
) -> None:
    layout = "mono" if sound.shape[1] == 1 else "stereo"
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(sound).reshape(1, -1), format="flt", layout=layout
    )
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def turned(path: Path, degrees: int) -> Path:
    """A copy of an MP4 of the usual size whose metadata say that it is to be shown turned clockwise."""
    a, b, c, d, x, y = _MATRICES[degrees]
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    data[at : at + 36] = struct.pack(
        ">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, x << 16, y << 16, 1 << 30
    )
    out = path.with_name(f"turned{degrees}.mp4")
    out.write_bytes(data)
    return out
