"""Reads performances, also such as are being written or were cut off."""

from __future__ import annotations

import math
import mmap
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np

from mien.clock import NS_PER_S
from mien.errors import PackageError
from mien.face.rig import INDEX
from mien.face.subject import Subject
from mien.face.subject_json import subject_from_json
from mien.frames import DETAIL, EXPRESSIONS, AudioFrame, FaceParams, Float
from mien.numbers import json_object
from mien.performance.pcm import SoundFormat
from mien.performance.records import (
    FACE,
    FORMAT,
    GROUPS,
    HEADER_LIMIT,
    RECORD,
    RECORD_LIMIT,
    STAMP,
    detail_of,
    frame_rate,
    require_version,
)

_FIXED = sum(math.prod(shape) for shape in GROUPS.values())


class PerformanceReader:
    """Reads a performance; iterating yields its `FaceParams` in order, from the first each time.

    subject: as at the beginning; `events` tells when it changes. fps, sound: as announced. first_ns, last_ns:
    capture times of the first and the last frame. complete: False when the file ends early or is damaged; what
    precedes the damage is readable, and `notice` says how much that is. Raises `PackageError` when the file is no
    performance, of a newer version, or holds no frame.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.notice = ""
        try:
            with self.path.open("rb") as file:
                self._header = self._read_header(file)
                self._begin = file.tell()
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise PackageError(f"Cannot read {self.path}: {error.strerror}.") from None
        try:
            self._parse_header()
            self._scan()
        except BaseException:
            self._data.close()
            raise

    def __len__(self) -> int:
        return self._frames

    @property
    def duration_s(self) -> float:
        """From the first frame to the end of the last."""
        return (self.last_ns - self.first_ns) / NS_PER_S + 1.0 / self.fps

    def __iter__(self) -> Iterator[FaceParams]:
        return (event for event in self.events() if isinstance(event, FaceParams))

    def events(self, start_s: float = 0.0) -> Iterator[FaceParams | AudioFrame | Subject]:
        """All records in the order of the file. Frames before `start_s` (from the first frame on), and sound that ends
        before it, are skipped without being decoded; changes of the subject are not.
        """
        start_ns = self.first_ns + round(start_s * NS_PER_S)
        detail: Float | None = None
        for tag, begin, end in self._records():
            if tag == b"SKIN":
                detail = self._detail(begin, end)
            elif tag == b"SUBJ":
                yield subject_from_json(json_object(self._data[begin:end]))
            elif tag == b"FACE":
                if STAMP.unpack_from(self._data, begin)[0] >= start_ns:
                    yield self._face(begin, end, detail)
                detail = None
            elif tag == b"SND " and self._heard_until_ns(begin, end) > start_ns:
                yield self._pcm(begin, end)

    def close(self) -> None:
        self._data.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_header(self, file: BinaryIO) -> dict[str, Any]:
        line = file.readline(HEADER_LIMIT)
        try:
            header = json_object(line) if line.endswith(b"\n") else {}
        except ValueError:
            header = {}
        if header.get("format") != FORMAT:
            raise PackageError(f"{self.path} is not a performance; `mien track CLIP` writes one.")
        try:
            require_version(header.get("version"))
        except ValueError as error:
            raise PackageError(f"{self.path} has {error}.") from None
        return header

    def _parse_header(self) -> None:
        header = self._header
        try:
            self.subject = subject_from_json(header["subject"])
            self.fps = frame_rate(header["fps"])
            self.sound = SoundFormat.from_json(header["sound"])
            names = [str(name) for name in header["expressions"]]
        except (KeyError, TypeError, ValueError) as error:
            raise PackageError(f"{self.path} has a damaged header ({error}). Record it anew.") from None
        self._names = len(names)
        # Told by name, so that a file outlives a change of order or number here.
        self._columns = np.array([place for place, name in enumerate(names) if name in INDEX], np.intp)
        self._places = np.array([INDEX[names[place]] for place in self._columns], np.intp)
        self._face_size = FACE.size + 4 * (_FIXED + self._names)

    def _scan(self) -> None:
        """Check every record once, and remember how far the file is good."""
        self._end = self._begin
        self._frames = 0
        self.first_ns = self.last_ns = 0
        self.complete = False
        reason = "ends early"
        while self._end + RECORD.size <= len(self._data):
            tag, length, checksum = RECORD.unpack_from(self._data, self._end)
            begin = self._end + RECORD.size
            if length > RECORD_LIMIT or begin + length > len(self._data):
                break
            payload = self._data[begin : begin + length]
            if zlib.crc32(payload) != checksum or not self._plausible(tag, payload):
                reason = "is damaged"
                break
            if tag == b"END ":
                self.complete = True
                break
            if tag == b"FACE":
                self.last_ns = STAMP.unpack_from(payload)[0]
                self.first_ns = self.first_ns if self._frames else self.last_ns
                self._frames += 1
            self._end = begin + length
        if not self._frames:
            raise PackageError(f"{self.path} holds no whole frame. Record it anew.")
        if not self.complete:
            self.notice = f"{self.path.name} {reason}; {self._frames} frames were recovered."

    def _plausible(self, tag: bytes, payload: bytes) -> bool:
        if tag == b"FACE":
            return len(payload) == self._face_size and bool(
                np.isfinite(np.frombuffer(payload, "<f4", offset=FACE.size - 4)).all()
            )
        if tag == b"SND ":
            size = len(payload) - STAMP.size
            return self.sound is not None and size >= 0 and size % (2 * self.sound.channels) == 0
        if tag == b"SUBJ":
            try:
                subject_from_json(json_object(payload))
            except (KeyError, TypeError, ValueError):
                return False
        return True

    def _records(self) -> Iterator[tuple[bytes, int, int]]:
        place = self._begin
        while place < self._end:
            tag, length, _ = RECORD.unpack_from(self._data, place)
            begin = place + RECORD.size
            place = begin + length
            yield tag, begin, place

    def _detail(self, begin: int, end: int) -> Float | None:
        """None where it is on another lattice than this version's."""
        steps = np.frombuffer(self._data[begin:end], np.int8)
        return detail_of(steps) if steps.size == math.prod(DETAIL) else None

    def _face(self, begin: int, end: int, detail: Float | None) -> FaceParams:
        capture_ns, index, confidence = FACE.unpack_from(self._data, begin)
        floats = np.frombuffer(self._data[begin + FACE.size : end], "<f4").astype(np.float32)
        groups: dict[str, Any] = {}
        place = 0
        for name, shape in GROUPS.items():
            size = math.prod(shape)
            groups[name] = floats[place : place + size].reshape(shape)
            place += size
        expression = np.zeros(EXPRESSIONS, np.float32)
        expression[self._places] = floats[place:][self._columns]
        return FaceParams(
            capture_ns,
            expression=expression,
            confidence=confidence,
            index=index,
            detail=detail,
            detail_around=0.0 if detail is None else 1.0,
            **groups,
        )

    def _pcm(self, begin: int, end: int) -> AudioFrame:
        assert self.sound is not None  # noqa: S101 - `_plausible` has seen to it
        (capture_ns,) = STAMP.unpack_from(self._data, begin)
        return self.sound.frame(self._data[begin + STAMP.size : end], capture_ns)

    def _heard_until_ns(self, begin: int, end: int) -> int:
        assert self.sound is not None  # noqa: S101 - `_plausible` has seen to it
        samples = (end - begin - STAMP.size) // (2 * self.sound.channels)
        capture_ns: int = STAMP.unpack_from(self._data, begin)[0]
        return capture_ns + samples * NS_PER_S // self.sound.rate
