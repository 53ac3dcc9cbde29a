"""Performances as JSON lines: one object per line, for scripts and for people. Nothing is lost.

The first line is the header of a performance file (docs/performance-format.md), the others have a `type`:
`face` (groups as lists, expressions by name, those at 0 left out), `sound` (16-bit PCM in base64), `subject`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mien import __version__
from mien.errors import InputError
from mien.face.performance import (
    FORMAT,
    VERSION,
    SoundFormat,
    frame_rate,
    subject_from_json,
    subject_to_json,
    time_ns,
    whole,
)
from mien.face.rig import ARKIT_NAMES, INDEX
from mien.frames import EXPRESSIONS, AudioFrame, FaceParams, Float
from mien.performance.take import Event, Take

SUFFIX = ".jsonl"
_GROUPS = {"rotation": (3,), "translation": (3,), "gaze": (2, 2), "light": (9, 3)}


def write_jsonl(take: Take, path: Path) -> int:
    """Write a take; returns the number of frames. Raises `InputError` when the file cannot be written."""
    frames = 0
    try:
        with path.open("w", encoding="utf-8") as file:
            file.write(_line(_header(take)))
            for event in take.events:
                frames += isinstance(event, FaceParams)
                file.write(_line(_object(event)))
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}.") from None
    return frames


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":")) + "\n"


def _header(take: Take) -> dict[str, Any]:
    sound = take.sound and {"rate": take.sound.rate, "channels": take.sound.channels}
    return {
        "format": FORMAT,
        "version": VERSION,
        "engine": __version__,
        "fps": take.fps,
        "sound": sound,
        "subject": subject_to_json(take.subject),
    }


def _object(event: Event) -> dict[str, Any]:
    if isinstance(event, FaceParams):
        weights = event.expression
        return {
            "type": "face",
            "capture_ns": event.capture_ns,
            "index": event.index,
            "confidence": _plain(event.confidence),
            **{name: _plain(getattr(event, name)) for name in _GROUPS},
            "expression": {name: _plain(weights[i]) for i, name in enumerate(ARKIT_NAMES) if weights[i]},
        }
    if isinstance(event, AudioFrame):
        pcm = np.round(np.clip(event.samples, -1, 1) * 32767).astype("<i2")
        return {
            "type": "sound",
            "capture_ns": event.capture_ns,
            "pcm16": base64.b64encode(pcm.tobytes()).decode(),
        }
    return {"type": "subject", **subject_to_json(event)}


def _plain(value: Any) -> Any:
    """Nested lists of the shortest decimals that read back as the same float32."""
    if np.ndim(value) == 0:
        return float(str(np.float32(value)))
    return [_plain(row) for row in value]


def read_jsonl(path: Path) -> Take:
    """A take whose events are read as they are consumed. Raises `InputError`, also while they are, naming the
    line. Frames may leave out anything but `capture_ns`; what is left out is as in a frame at rest.
    """
    lines = _lines(path)
    try:
        number, header = next(lines)
        if header.get("format") != FORMAT:
            raise InputError(f"{path} is not a performance in JSON lines: its first line is no header.")
        sound = SoundFormat.from_json(header.get("sound"))
        subject, fps = subject_from_json(header["subject"]), frame_rate(header["fps"])
        return Take(subject, fps, sound, _events(path, lines, sound))
    except StopIteration:
        raise InputError(f"{path} is empty. Export a performance to see what belongs in it.") from None
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}, line {number}: this header cannot be used ({error!r}).") from None


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, _parsed(path, number, line)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text. Give a file that ends in {SUFFIX}.") from None


def _parsed(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise InputError(f"{path}, line {number}: this is not JSON.") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}, line {number}: this is not a JSON object.")
    return value


def _events(
    path: Path, lines: Iterator[tuple[int, dict[str, Any]]], sound: SoundFormat | None
) -> Iterator[Event]:
    for number, value in lines:
        try:
            kind = value["type"]
            if kind == "face":
                yield _face(value)
            elif kind == "sound":
                if sound is None:
                    raise ValueError("the header announces no sound")
                pcm = np.frombuffer(base64.b64decode(value["pcm16"], validate=True), "<i2")
                samples = (pcm.astype(np.float32) / 32767).reshape(-1, sound.channels)
                yield AudioFrame(samples, sound.rate, time_ns(value["capture_ns"]))
            elif kind == "subject":
                yield subject_from_json(value)
            else:
                raise ValueError(f"type {kind!r} is none of face, sound, subject")
        except (KeyError, TypeError, ValueError) as error:
            detail = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise InputError(f"{path}, line {number}: {detail}.") from None


def _face(value: dict[str, Any]) -> FaceParams:
    groups: dict[str, Any] = {
        name: _array(name, value[name], shape) for name, shape in _GROUPS.items() if name in value
    }
    expression = np.zeros(EXPRESSIONS, np.float32)
    weights = value.get("expression", {})
    if not isinstance(weights, dict):
        raise ValueError("expression is not an object of names and weights")  # noqa: TRY004 - bad data
    for name, weight in weights.items():
        if name not in INDEX:
            raise ValueError(f"{name} is no ARKit expression")
        expression[INDEX[name]] = _array(name, weight, ())
    confidence = float(_array("confidence", value.get("confidence", 1.0), ()))
    return FaceParams(
        time_ns(value["capture_ns"]),
        expression=expression,
        confidence=min(max(confidence, 0.0), 1.0),
        index=whole(value.get("index", 0)),
        **groups,
    )


def _array(name: str, value: Any, shape: tuple[int, ...]) -> Float:
    try:
        with np.errstate(over="ignore"):
            array = np.asarray(value, np.float32)
    except OverflowError:
        array = np.full(shape, np.nan, np.float32)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(
            f"{name} is not {'x'.join(map(str, shape)) or 'one'} finite number{'s' * bool(shape)}"
        )
    return array
