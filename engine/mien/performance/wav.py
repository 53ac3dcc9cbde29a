"""The sound of a performance as a WAV file, and the other way round."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from mien.clock import NS_PER_S
from mien.errors import InputError
from mien.frames import AudioFrame, FaceParams
from mien.performance.pcm import SoundFormat, to_pcm16
from mien.performance.take import Take

SUFFIX = ".wav"


def read_wav(path: Path) -> AudioFrame:
    """All of a 16-bit WAV file, from time 0 on. Raises `InputError`."""
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise InputError(f"{path} has {8 * file.getsampwidth()}-bit samples. Convert it to 16 bits.")
            form = SoundFormat(file.getframerate(), file.getnchannels())
            return form.frame(file.readframes(file.getnframes()), 0)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from None
    except (wave.Error, EOFError, ValueError) as error:
        raise InputError(f"{path} is not a WAV file with PCM samples ({error}).") from None


def write_wav(take: Take, path: Path) -> float:
    """Write the sound, in step with the first frame; returns its length in s. Raises `InputError` when there is none,
    `OSError` when the file cannot be written.
    """
    if take.sound is None:
        raise InputError("This performance has no sound to write. Track a clip that has some.")
    rate, channels = take.sound.rate, take.sound.channels
    written = 0
    start_ns: int | None = None
    waiting: list[AudioFrame] = []
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        for event in take.events:
            if isinstance(event, FaceParams) and start_ns is None:
                start_ns = event.capture_ns
            elif isinstance(event, AudioFrame):
                waiting.append(event)
            for piece in waiting if start_ns is not None else ():
                # Each piece at its own time: gaps are silent, what overlaps is left out.
                due = round((piece.capture_ns - (start_ns or 0)) * rate / NS_PER_S)
                samples = piece.samples[max(written - due, 0) :]
                silence = np.zeros((max(due - written, 0), channels), np.float32)
                file.writeframes(to_pcm16(np.concatenate([silence, samples])))
                written += len(silence) + len(samples)
            if start_ns is not None:
                waiting.clear()
    return written / rate
