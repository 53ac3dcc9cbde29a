"""Performances: recorded `FaceParams`, with the subject they describe and optional sound, in one file.

The format is a stream (docs/performance-format.md): a JSON line, then records that each carry a checksum. A
recording that was cut off by a crash can be read up to its last whole record.
"""

from __future__ import annotations

import base64
import itertools
import json
import math
import mmap
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from mien import __version__
from mien.errors import InputError, PackageError
from mien.face.camera import Camera
from mien.face.rig import ARKIT_NAMES, INDEX
from mien.face.subject import REFLECTANCE, Subject
from mien.frames import DETAIL, EXPRESSIONS, AudioFrame, FaceParams, Float

FORMAT = "mien-performance"
VERSION = 1
SUFFIX = ".performance"

_HEADER_LIMIT = 1 << 20
_RECORD_LIMIT = 1 << 24
_RECORD = struct.Struct("<4sII")  # tag, length of the payload, CRC-32 of the payload
_FACE = struct.Struct("<qIf")  # capture time ns, index, confidence; then the float32 groups
_SOUND = struct.Struct("<q")  # capture time ns of the first sample; then int16 samples, interleaved
_END = struct.Struct("<Q")  # number of face records
_GROUPS = (("rotation", (3,)), ("translation", (3,)), ("gaze", (2, 2)), ("light", (9, 3)))
_FIXED = 3 + 3 + 4 + 27
_DETAIL_STEP_CM = 0.01
_FPS_LIMIT = 1000
_MOST_HZ, _MOST_CHANNELS = 768_000, 64
_MOST_NS = 1 << 62
_MOST_PX = 1 << 16


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """16-bit PCM: samples per second, 1 to 768000; channels, 1 to 64. Others raise `ValueError`."""

    rate: int
    channels: int

    def __post_init__(self) -> None:
        bounded("sound rate", self.rate, 1, _MOST_HZ)
        bounded("sound channels", self.channels, 1, _MOST_CHANNELS)

    @classmethod
    def from_json(cls, values: Mapping[str, Any] | None) -> Self | None:
        """Raises `KeyError`, `TypeError` or `ValueError`."""
        return None if values is None else cls(whole(values["rate"]), whole(values["channels"]))


# --- numbers out of files -----------------------------------------------------------------------------


def whole(value: Any) -> int:
    """A whole number, also one that is written 25.0. Raises `TypeError` or `ValueError`."""
    try:
        return int(value)
    except OverflowError:
        raise ValueError(f"{value} is no whole number") from None


def _number(value: Any) -> float:
    """Raises `TypeError` or `ValueError`."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def bounded(name: str, value: float, low: float, high: float) -> float:
    """`value`, when it lies between the two; not a number lies nowhere. Raises `ValueError`."""
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}, not between {low:g} and {high:g}")
    return value


def time_ns(value: Any) -> int:
    """A time that a record can hold. Raises `TypeError` or `ValueError`."""
    result = whole(value)
    bounded("capture_ns", result, -_MOST_NS, _MOST_NS)
    return result


def frame_rate(value: Any) -> float:
    """Frames per second that a file may announce. Raises `TypeError` or `ValueError`."""
    fps = _number(value)
    if not 0 < fps < _FPS_LIMIT:
        raise ValueError(f"{fps:g} frames per second, not between 0 and {_FPS_LIMIT}")
    return fps


# --- subjects as JSON ---------------------------------------------------------------------------------

_ARRAYS = (
    "identity", "offsets", "neutral", "gains", "rest_rotation", "rest_translation", "rest_gaze", "reflectance",
    "rest_light",
)  # fmt: skip
_LATER = frozenset({"reflectance", "rest_light"})
"""Arrays that files of earlier versions lack."""


def subject_to_json(subject: Subject) -> dict[str, Any]:
    """Plain values; arrays as little-endian float32 in base64 with their shape."""
    camera = subject.camera
    result: dict[str, Any] = {
        "model": subject.model,
        "epoch": subject.epoch,
        "camera": {
            "width": camera.width,
            "height": camera.height,
            **{name: float(getattr(camera, name)) for name in ("focal", "cx", "cy")},
        },
        "focal_confidence": subject.focal_confidence,
    }
    for name in _ARRAYS:
        array = np.ascontiguousarray(getattr(subject, name), "<f4")
        result[name] = {"shape": array.shape, "data": base64.b64encode(array.tobytes()).decode()}
    return result


def subject_from_json(values: dict[str, Any]) -> Subject:
    """Raises `KeyError`, `TypeError` or `ValueError` when `values` is not what `subject_to_json` makes."""
    arrays = {}
    for name in _ARRAYS:
        if name in _LATER and name not in values:
            continue
        data = np.frombuffer(base64.b64decode(values[name]["data"], validate=True), "<f4")
        array = data.reshape(values[name]["shape"]).astype(np.float32)
        expected = {"offsets": (478, 3), "neutral": (EXPRESSIONS,), "gains": (EXPRESSIONS,),
                    "rest_rotation": (3,), "rest_translation": (3,), "rest_gaze": (2, 2),
                    "reflectance": (REFLECTANCE,), "rest_light": (9, 3)}  # fmt: skip
        if array.shape != expected.get(name, (array.size,)):
            raise ValueError(f"{name} has the shape {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite")
        array.setflags(write=False)
        arrays[name] = array
    confidence = _number(values.get("focal_confidence", 0.0))
    bounded("focal_confidence", confidence, 0.0, 1.0)
    return Subject(
        str(values["model"]),
        camera=_camera(values["camera"]),
        epoch=whole(values["epoch"]),
        focal_confidence=confidence,
        **arrays,
    )


def _camera(values: Mapping[str, Any]) -> Camera:
    width, height = (whole(values[name]) for name in ("width", "height"))
    for name, size in (("width", width), ("height", height)):
        bounded(f"camera {name}", size, 1, _MOST_PX)
    places = {name: _number(values[name]) for name in ("focal", "cx", "cy")}
    for name, place in places.items():
        bounded(f"camera {name}", place, 1e-3 if name == "focal" else -100.0 * _MOST_PX, 100.0 * _MOST_PX)
    return Camera(width, height, **places)


def _object(text: bytes) -> dict[str, Any]:
    """A JSON object. Raises `ValueError`, also for one that is nested beyond reason."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - bad data, not a bad call
    return value


# --- writing ------------------------------------------------------------------------------------------


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
    Raises `InputError` for a rate that no reader takes, `PackageError` when nothing can be written.
    """

    def __init__(
        self, path: Path | str, subject: Subject, fps: float, sound: SoundFormat | None = None
    ) -> None:
        self.path = Path(path)
        self.frames = 0
        self._sound = sound
        self._subject = subject
        try:
            frame_rate(fps)
        except ValueError as error:
            raise InputError(
                f"{self.path.name} cannot have {error}. Give the recording another rate."
            ) from None
        try:
            self._partial = claim_partial(self.path)
            self._file: BinaryIO | None = self._partial.open("wb")
        except OSError as error:
            raise PackageError(
                f"Cannot write {self.path}: {error.strerror}. Choose a folder that exists and is writable."
            ) from None
        header = {
            "format": FORMAT,
            "version": VERSION,
            "engine": __version__,
            "fps": fps,
            "expressions": ARKIT_NAMES,
            "sound": None if sound is None else {"rate": sound.rate, "channels": sound.channels},
            "subject": subject_to_json(subject),
        }
        self._file.write(json.dumps(header, separators=(",", ":")).encode() + b"\n")

    def add(self, params: FaceParams) -> None:
        """Append one frame. Times must not decrease."""
        if params.detail is not None:
            steps = np.round(params.detail / _DETAIL_STEP_CM).clip(-127, 127)
            self._write(b"SKIN", steps.astype(np.int8).tobytes())
        fixed = [np.ravel(getattr(params, name)) for name, _ in _GROUPS]
        floats = np.concatenate([*fixed, params.expression]).astype("<f4")
        head = _FACE.pack(params.capture_ns, params.index & 0xFFFFFFFF, params.confidence)
        self._write(b"FACE", head + floats.tobytes())
        self.frames += 1

    def add_sound(self, sound: AudioFrame) -> None:
        """Append sound in the format that was announced."""
        if self._sound is None or (sound.rate, sound.samples.shape[1]) != (
            self._sound.rate,
            self._sound.channels,
        ):
            raise ValueError(f"{self.path.name} was opened for {self._sound}, not for this sound")
        samples = np.round(np.clip(sound.samples, -1, 1) * 32767).astype("<i2")
        self._write(b"SND ", _SOUND.pack(sound.capture_ns) + samples.tobytes())

    def set_subject(self, subject: Subject) -> None:
        """The frames from here on are told in terms of `subject` (estimated anew)."""
        if subject is not self._subject:
            self._subject = subject
            self._write(b"SUBJ", json.dumps(subject_to_json(subject)).encode())

    def close(self) -> None:
        """Finish and put the file in its place."""
        if self._file is not None:
            self._write(b"END ", _END.pack(self.frames))
            file, self._file = self._file, None
            try:
                with file:
                    file.flush()
                    os.fsync(file.fileno())
                self._partial.replace(self.path)
            except OSError as error:
                raise PackageError(f"Cannot write {self.path}: {error.strerror}.") from None

    def abandon(self) -> None:
        """Leave nothing behind."""
        if self._file is not None:
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
        if self._file is None:
            raise ValueError(f"{self.path.name} has been closed")
        try:
            self._file.write(_RECORD.pack(tag, len(payload), zlib.crc32(payload)) + payload)
            self._file.flush()  # a process that dies loses nothing that it has seen
        except OSError as error:
            raise PackageError(f"Cannot write {self.path}: {error.strerror}.") from None


# --- reading ------------------------------------------------------------------------------------------


class PerformanceReader:
    """Reads a performance; iterating yields its `FaceParams` in order, from the first each time.

    subject: as at the beginning; `events` tells when it changes. fps, sound: as announced. complete: False
    when the file ends early or is damaged; what precedes the damage is readable, and `notice` says how much
    that is. Raises `PackageError` when the file is no performance, of a newer version, or holds no frame.
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
        return (self._last_ns - self._first_ns) / 1e9 + 1.0 / self.fps

    def __iter__(self) -> Iterator[FaceParams]:
        return (event for event in self.events() if isinstance(event, FaceParams))

    def events(self, start_s: float = 0.0) -> Iterator[FaceParams | AudioFrame | Subject]:
        """All records in the order of the file. Frames and sound before `start_s` (from the first frame on)
        are skipped without being decoded; changes of the subject are not.
        """
        start_ns = self._first_ns + round(start_s * 1e9)
        detail: Float | None = None
        for tag, begin, end in self._records():
            if tag == b"SKIN":
                detail = self._detail(begin, end)
            elif tag == b"SUBJ":
                yield subject_from_json(_object(self._data[begin:end]))
            elif tag in {b"FACE", b"SND "} and _SOUND.unpack_from(self._data, begin)[0] >= start_ns:
                yield self._face(begin, end, detail) if tag == b"FACE" else self._pcm(begin, end)
            if tag == b"FACE":
                detail = None

    def close(self) -> None:
        self._data.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_header(self, file: BinaryIO) -> dict[str, Any]:
        line = file.readline(_HEADER_LIMIT)
        try:
            header = _object(line) if line.endswith(b"\n") else {}
        except ValueError:
            header = {}
        if header.get("format") != FORMAT:
            raise PackageError(f"{self.path} is not a performance; `mien track CLIP` writes one.")
        version = header.get("version")
        if not isinstance(version, int) or version > VERSION:
            raise PackageError(
                f"{self.path} has format version {version}; this mien reads up to {VERSION}. Update mien."
            )
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
        self._face_size = _FACE.size + 4 * (_FIXED + self._names)

    def _scan(self) -> None:
        """Check every record once, and remember how far the file is good."""
        self._end = self._begin
        self._frames = 0
        self._first_ns = self._last_ns = 0
        self.complete = False
        reason = "ends early"
        while self._end + _RECORD.size <= len(self._data):
            tag, length, checksum = _RECORD.unpack_from(self._data, self._end)
            begin = self._end + _RECORD.size
            if length > _RECORD_LIMIT or begin + length > len(self._data):
                break
            payload = self._data[begin : begin + length]
            if zlib.crc32(payload) != checksum or not self._plausible(tag, payload):
                reason = "is damaged"
                break
            if tag == b"END ":
                self.complete = True
                break
            if tag == b"FACE":
                self._last_ns = _SOUND.unpack_from(payload)[0]
                self._first_ns = self._first_ns if self._frames else self._last_ns
                self._frames += 1
            self._end = begin + length
        if not self._frames:
            raise PackageError(f"{self.path} holds no whole frame. Record it anew.")
        if not self.complete:
            self.notice = f"{self.path.name} {reason}; {self._frames} frames were recovered."

    def _plausible(self, tag: bytes, payload: bytes) -> bool:
        if tag == b"FACE":
            return len(payload) == self._face_size and bool(
                np.isfinite(np.frombuffer(payload, "<f4", offset=_FACE.size - 4)).all()
            )
        if tag == b"SND ":
            size = len(payload) - _SOUND.size
            return self.sound is not None and size >= 0 and size % (2 * self.sound.channels) == 0
        if tag == b"SUBJ":
            try:
                subject_from_json(_object(payload))
            except (KeyError, TypeError, ValueError):
                return False
        return True

    def _records(self) -> Iterator[tuple[bytes, int, int]]:
        place = self._begin
        while place < self._end:
            tag, length, _ = _RECORD.unpack_from(self._data, place)
            begin = place + _RECORD.size
            place = begin + length
            yield tag, begin, place

    def _detail(self, begin: int, end: int) -> Float | None:
        """None where it is on another lattice than this version's."""
        steps = np.frombuffer(self._data[begin:end], np.int8)
        if steps.size != math.prod(DETAIL):
            return None
        return steps.astype(np.float32).reshape(DETAIL) * np.float32(_DETAIL_STEP_CM)

    def _face(self, begin: int, end: int, detail: Float | None) -> FaceParams:
        capture_ns, index, confidence = _FACE.unpack_from(self._data, begin)
        floats = np.frombuffer(self._data[begin + _FACE.size : end], "<f4").astype(np.float32)
        groups: dict[str, Any] = {}
        place = 0
        for name, shape in _GROUPS:
            size = int(np.prod(shape))
            groups[name] = floats[place : place + size].reshape(shape)
            place += size
        expression = np.zeros(EXPRESSIONS, np.float32)
        expression[self._places] = floats[place:][self._columns]
        return FaceParams(
            capture_ns, expression=expression, confidence=confidence, index=index, detail=detail, **groups
        )

    def _pcm(self, begin: int, end: int) -> AudioFrame:
        assert self.sound is not None  # noqa: S101 - `_plausible` has seen to it
        (capture_ns,) = _SOUND.unpack_from(self._data, begin)
        samples = np.frombuffer(self._data[begin + _SOUND.size : end], "<i2").astype(np.float32) / 32767
        return AudioFrame(samples.reshape(-1, self.sound.channels), self.sound.rate, capture_ns)
