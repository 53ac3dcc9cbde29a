"""Writes performances while they happen."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from mien import __version__
from mien.errors import InputError, PackageError
from mien.face.rig import ARKIT_NAMES
from mien.face.subject import Subject
from mien.face.subject_json import subject_to_json
from mien.frames import AudioFrame, FaceParams
from mien.performance.pcm import SoundFormat, to_pcm16
from mien.performance.records import (
    END,
    FACE,
    FORMAT,
    GROUPS,
    RECORD,
    STAMP,
    VERSION,
    detail_steps,
    frame_rate,
)


def header_of(subject: Subject, fps: float, sound: SoundFormat | None) -> dict[str, Any]:
    """What the first line says, but for the names of the expressions."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "engine": __version__,
        "fps": fps,
        "sound": sound and sound.to_json(),
        "subject": subject_to_json(subject),
    }


def claim_partial(path: Path) -> Path:
    """Make the empty file in which what becomes `path` grows: `NAME.part` beside it, or `NAME.2.part` and so on
    where others lie. Those may be what a crash has left, or another writer's. Raises `OSError`.
    """
    for number in itertools.count(1):
        partial = path.with_name(f"{path.name}{'' if number == 1 else f'.{number}'}.part")
        try:
            partial.touch(exist_ok=False)
        except FileExistsError:
            continue
        return partial
    raise AssertionError("numbers do not end")


class PerformanceWriter:
    """Writes frames as they come. The file appears under its name when `close` is called; until then, and
    after a crash, what was written lies beside it as `claim_partial` says.

    subject: whose face it is. fps: nominal, of the recording. sound: given when `add_sound` will be called.
    Raises `InputError` for a rate that no reader takes, `PackageError` when nothing can be written; what fails to be
    written leaves nothing behind once it is closed or abandoned.
    """

    def __init__(
        self, path: Path | str, subject: Subject, fps: float, sound: SoundFormat | None = None
    ) -> None:
        self.path = Path(path)
        self.frames = 0
        self._sound = sound
        self._subject = subject
        self._file: BinaryIO | None = None
        try:
            frame_rate(fps)
        except ValueError as error:
            raise InputError(
                f"{self.path.name} cannot have {error}. Give the recording another rate."
            ) from None
        try:
            self._partial = claim_partial(self.path)
            self._file = self._partial.open("wb")
        except OSError as error:
            raise PackageError(
                f"Cannot write {self.path}: {error.strerror}. Choose a folder that exists and is writable."
            ) from None
        header = header_of(subject, fps, sound) | {"expressions": ARKIT_NAMES}
        try:
            self._put(json.dumps(header, separators=(",", ":")).encode() + b"\n")
        except PackageError:
            self.abandon()
            raise

    def add(self, params: FaceParams) -> None:
        """Append one frame. Times must not decrease. Raises `InputError`, naming the frame, when not all of it are
        finite numbers: a reader would take it, and all that follow, for damaged.
        """
        with np.errstate(over="ignore"):
            fixed = [np.ravel(getattr(params, name)) for name in GROUPS]
            floats = np.concatenate([*fixed, params.expression]).astype("<f4")
        told = (
            [floats, params.confidence]
            if params.detail is None
            else [floats, params.confidence, params.detail]
        )
        if not all(np.isfinite(values).all() for values in told):
            raise InputError(
                f"{self.path.name}: frame {self.frames} is made of numbers that are not finite. Leave it out, or "
                "give back what it was changed by."
            )
        if params.detail is not None:
            self._write(b"SKIN", detail_steps(params.detail).tobytes())
        head = FACE.pack(params.capture_ns, params.index & 0xFFFFFFFF, params.confidence)
        self._write(b"FACE", head + floats.tobytes())
        self.frames += 1

    def add_sound(self, sound: AudioFrame) -> None:
        """Append sound in the format that was announced."""
        if self._sound is None or SoundFormat.of(sound) != self._sound:
            raise ValueError(f"{self.path.name} was opened for {self._sound}, not for this sound")
        self._write(b"SND ", STAMP.pack(sound.capture_ns) + to_pcm16(sound.samples))

    def set_subject(self, subject: Subject) -> None:
        """The frames from here on are told in terms of `subject` (estimated anew)."""
        if subject is not self._subject:
            self._subject = subject
            self._write(b"SUBJ", json.dumps(subject_to_json(subject)).encode())

    def close(self) -> None:
        """Finish and put the file in its place."""
        if self._file is None:
            return
        try:
            self._write(b"END ", END.pack(self.frames))
            os.fsync(self._file.fileno())
            self._file.close()
            self._partial.replace(self.path)
        except OSError as error:
            self.abandon()
            raise self._failure(error) from None
        except PackageError:
            self.abandon()
            raise
        self._file = None

    def abandon(self) -> None:
        """Leave nothing behind."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # what could not be written before cannot be now
                self._file.close()
            self._file = None
            # Once closed, the name may be another's.
            self._partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def _write(self, tag: bytes, payload: bytes) -> None:
        self._put(RECORD.pack(tag, len(payload), zlib.crc32(payload)) + payload)

    def _put(self, data: bytes) -> None:
        if self._file is None:
            raise ValueError(f"{self.path.name} has been closed")
        try:
            self._file.write(data)
            self._file.flush()  # a process that dies loses nothing that it has seen
        except OSError as error:
            raise self._failure(error) from None

    def _failure(self, error: OSError) -> PackageError:
        return PackageError(
            f"Cannot write {self.path}: {error.strerror}. Make room, or choose another place."
        )
