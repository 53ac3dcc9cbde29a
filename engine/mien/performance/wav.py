"""The sound of a performance as a WAV file, and the other way round."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from mien.clock import NS_PER_S
from mien.errors import InputError
from mien.face.performance import SoundFormat
from mien.frames import AudioFrame, FaceParams
from mien.performance.take import Take

SUFFIX = ".wav"


def read_wav(path: Path) -> AudioFrame:
    """All of a 16-bit WAV file, from time 0 on. Raises `InputError`."""
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise InputError(f"{path} has {8 * file.getsampwidth()}-bit samples. Convert it to 16 bits.")
            form = SoundFormat(file.getframerate(), file.getnchannels())
            pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, form.channels)
            return AudioFrame((pcm / np.float32(32767)).astype(np.float32), form.rate, 0)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from None
    except (wave.Error, EOFError, ValueError) as error:
        raise InputError(f"{path} is not a WAV file with PCM samples ({error}).") from None


def write_wav(take: Take, path: Path) -> float:
    """Write the sound, in step with the first frame; returns its length in s. Raises `InputError`."""
    if take.sound is None:
        raise InputError(f"This performance has no sound to write to {path.name}.")
    rate, channels = take.sound.rate, take.sound.channels
    written = 0
    start_ns: int | None = None
    waiting: list[AudioFrame] = []
    try:
        with wave.open(str(path), "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(2)
            file.setframerate(rate)
            for event in take.events:
                if isinstance(event, FaceParams) and start_ns is None:
                    start_ns = event.capture_ns
                elif isinstance(event, AudioFrame):
                    waiting.append(event)
                for sound in waiting if start_ns is not None else ():
                    # Each piece at its own time: gaps are silent, what overlaps is left out.
                    due = round((sound.capture_ns - (start_ns or 0)) * rate / NS_PER_S)
                    samples = sound.samples[max(written - due, 0) :]
                    silence = np.zeros((max(due - written, 0), channels), np.float32)
                    pcm = np.round(np.clip(np.concatenate([silence, samples]), -1, 1) * 32767).astype("<i2")
                    file.writeframes(pcm.tobytes())
                    written += len(pcm)
                if start_ns is not None:
                    waiting.clear()
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}.") from None
    return written / rate
