"""Performances as JSON lines: one object per line, for scripts and for people. Nothing is lost.

The first line is the header of a performance file (docs/performance-format.md), the others have a `type`:
`face` (groups as lists, expressions by name, those at 0 left out, `detail` where it is known), `sound` (16-bit PCM in
base64), `subject`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mien.errors import InputError
from mien.face.rig import ARKIT_NAMES, INDEX
from mien.face.subject_json import subject_from_json, subject_to_json
from mien.frames import DETAIL, EXPRESSIONS, AudioFrame, FaceParams, Float
from mien.numbers import json_object, whole
from mien.performance.pcm import SoundFormat, to_pcm16
from mien.performance.records import (
    FORMAT,
    GROUPS,
    detail_of,
    detail_steps,
    frame_rate,
    require_version,
    time_ns,
)
from mien.performance.take import Event, Take
from mien.performance.writer import header_of

SUFFIX = ".jsonl"


def write_jsonl(take: Take, path: Path) -> int:
    """Write a take; returns the number of frames. Raises `OSError` when the file cannot be written."""
    frames = 0
    with path.open("w", encoding="utf-8") as file:
        file.write(_line(header_of(take.subject, take.fps, take.sound)))
        for event in take.events:
            frames += isinstance(event, FaceParams)
            file.write(_line(_object(event)))
    return frames


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":")) + "\n"


def _object(event: Event) -> dict[str, Any]:
    if isinstance(event, FaceParams):
        weights = event.expression
        return {
            "type": "face",
            "capture_ns": event.capture_ns,
            "index": event.index,
            "confidence": _plain(event.confidence),
            **{name: _plain(getattr(event, name)) for name in GROUPS},
            "expression": {name: _plain(weights[i]) for i, name in enumerate(ARKIT_NAMES) if weights[i]},
            # In cm as everything, but no finer than the file has it: there are 828 numbers to a face.
            **({} if event.detail is None else {"detail": (detail_steps(event.detail) / 100).tolist()}),
        }
    if isinstance(event, AudioFrame):
        pcm = base64.b64encode(to_pcm16(event.samples)).decode()
        return {"type": "sound", "capture_ns": event.capture_ns, "pcm16": pcm}
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
        require_version(header.get("version"))
        sound = SoundFormat.from_json(header.get("sound"))
        subject, fps = subject_from_json(header["subject"]), frame_rate(header["fps"])
        return Take(subject, fps, sound, _events(path, lines, sound))
    except StopIteration:
        raise InputError(f"{path} is empty. Export a performance to see what belongs in it.") from None
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}, line {number}: this header cannot be used ({_reason(error)}).") from None


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
        return json_object(line)
    except ValueError as error:
        raise InputError(f"{path}, line {number}: {error}.") from None


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


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
                pcm = base64.b64decode(value["pcm16"], validate=True)
                yield sound.frame(pcm, time_ns(value["capture_ns"]))
            elif kind == "subject":
                yield subject_from_json(value)
            else:
                raise ValueError(f"type {kind!r} is none of face, sound, subject")
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}, line {number}: {_reason(error)}.") from None


def _face(value: dict[str, Any]) -> FaceParams:
    groups: dict[str, Any] = {
        name: _array(name, value[name], shape) for name, shape in GROUPS.items() if name in value
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
    detail = (
        None
        if value.get("detail") is None
        else detail_of(detail_steps(_array("detail", value["detail"], DETAIL)))
    )
    return FaceParams(
        time_ns(value["capture_ns"]),
        expression=expression,
        confidence=min(max(confidence, 0.0), 1.0),
        index=whole(value.get("index", 0)),
        detail=detail,
        detail_around=0.0 if detail is None else 1.0,
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
