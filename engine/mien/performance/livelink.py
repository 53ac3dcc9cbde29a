"""The CSV of Epic's Live Link Face (its ARKit mode), which many programs read and write.

    Timecode,BlendShapeCount,EyeBlinkLeft,...,TongueOut,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw,...
    13:13:04:31.652,61,0.1236,...

One row per frame: 52 ARKit weights and nine angles in radians. The timecode counts hours, minutes, seconds,
and frames of a rate that the file doesn't name (the app's is 60), with a fraction. Where the app lost the face, a
row ends after the count, which is then 0.

The angles are those of a left-handed system that looks out of the back of the head (Unreal's, reached from
ARKit's by x' = -z, y' = x, z' = y): yaw to the subject's right, pitch down, roll with the crown to the
subject's left. Here all three point the other way. Recordings bear it out for the eyes: eyeLookIn of the left
eye goes with a positive yaw, eyeLookDown with a positive pitch, 0.61 rad at weight 1.
"""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from mien.clock import NS_PER_S
from mien.errors import InputError
from mien.face.assets import BUILT_IN
from mien.face.camera import Camera, axis_angle
from mien.face.model import load_model
from mien.face.retargeting import (
    EXPRESSION,
    GAZE,
    HEAD,
    PIVOT,
    Reference,
    eye_look,
    head_matrix,
    relative_motion,
)
from mien.face.rig import ARKIT_NAMES, INDEX
from mien.face.subject import Subject
from mien.frames import EXPRESSIONS, AudioFrame, FaceParams, Float
from mien.performance.pcm import SoundFormat
from mien.performance.take import Event, Take

SUFFIX = ".csv"

_APP_ORDER = list(ARKIT_NAMES)
for _one, _other in (("jawLeft", "jawRight"), ("mouthLeft", "mouthRight")):
    # The app writes these two pairs the other way round.
    _i, _j = _APP_ORDER.index(_one), _APP_ORDER.index(_other)
    _APP_ORDER[_i], _APP_ORDER[_j] = _APP_ORDER[_j], _APP_ORDER[_i]
_HEAD_COLUMNS = ("HeadYaw", "HeadPitch", "HeadRoll")
_EYE_COLUMNS = ("LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll", "RightEyeYaw", "RightEyePitch", "RightEyeRoll")
COLUMNS = (*(name[0].upper() + name[1:] for name in _APP_ORDER), *_HEAD_COLUMNS, *_EYE_COLUMNS)
"""The 61 columns after `Timecode` and `BlendShapeCount`, in the app's order."""

TIMECODE_RATE = 60
"""Frames in a second of timecode, unless a file shows another."""

_RATES = (24, 25, 30, 48, 50, 60, 90, 100, 120, 240)
_TIMECODE = re.compile(r"([01]?\d|2[0-3]):([0-5]\d):([0-5]\d)[:;](\d{1,3}(?:\.\d{1,9})?)", re.ASCII)
_FASTEST, _SLOWEST = 240, 1
"""Frames per second between which a recording lies."""
_DAY_NS = 24 * 3600 * NS_PER_S
_DISTANCE_CM = 45.0
"""How far from the phone people hold their face; it only matters as a rest."""


# --- writing ------------------------------------------------------------------------------------------


def write_livelink(take: Take, path: Path) -> int:
    """Write the motion of a take, relative to how its person rests; returns the number of frames.

    Sound, light and shifts of the head have no place in the format. Raises `OSError` when the file cannot be
    written.
    """
    rest = Reference.of(take.subject)
    frames, start_ns = 0, 0
    with path.open("w", newline="", encoding="ascii") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("Timecode", "BlendShapeCount", *COLUMNS))
        for event in take.events:
            if isinstance(event, Subject):
                rest = Reference.of(event)
            elif isinstance(event, FaceParams):
                start_ns = start_ns if frames else event.capture_ns
                time = timecode(event.capture_ns - start_ns)
                if event.confidence > 0:
                    values = _row(event, rest)
                    rows.writerow((time, len(values), *(f"{value:.10f}" for value in values)))
                else:
                    rows.writerow((time, 0))
                frames += 1
    return frames


def _row(params: FaceParams, rest: Reference) -> list[float]:
    motion = relative_motion(params, rest)
    gaze = motion[GAZE].reshape(2, 2)
    weights = np.clip(motion[EXPRESSION] + eye_look(gaze), 0, 1)
    (left_yaw, left_pitch), (right_yaw, right_pitch) = (-gaze + 0.0).tolist()
    return [
        *(float(weights[INDEX[name]]) for name in _APP_ORDER),
        *(-motion[HEAD] + 0.0).tolist(),
        *(left_yaw, left_pitch, 0.0, right_yaw, right_pitch, 0.0),
    ]


def timecode(time_ns: int) -> str:
    """HH:MM:SS:FF.mmm at 60 frames a second."""
    thousandths = round(time_ns * TIMECODE_RATE * 1000 / NS_PER_S)
    seconds, rest = divmod(thousandths, TIMECODE_RATE * 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour % 24:02}:{minute:02}:{second:02}:{rest // 1000:02}.{rest % 1000:03}"


# --- reading ------------------------------------------------------------------------------------------


def read_livelink(path: Path, *, estimate_rest: bool = True, sound: AudioFrame | None = None) -> Take:
    """A recording as a take of somebody with the average face.

    estimate_rest: the person's rest is read off the recording, because a phone lies below the face and a
    resting mouth reads more than 0: head and gaze are at rest at their median, each expression at its 10th
    percentile, up to 0.3. Without it the numbers are taken at their word. sound: recorded along, from the first
    row on, also where that shows no face yet. Raises `InputError` naming the line.
    """
    places, codes, values, kept = _table(path)
    since_first_ns = _times_ns(path, codes)
    # A face is what a performance begins with.
    lead_ns = int(since_first_ns[1])
    times_ns = since_first_ns[1:] - lead_ns
    columns = {name: values[:, i] for i, name in enumerate(places)}
    expression = np.zeros((len(times_ns), EXPRESSIONS), np.float32)
    for name, i in INDEX.items():
        column = columns.get(name[0].upper() + name[1:])
        if column is not None:
            expression[:, i] = np.clip(column, 0, 1)
    none = np.zeros(len(times_ns), np.float32)
    head = -np.stack([columns.get(name, none) for name in _HEAD_COLUMNS], -1)
    if set(_EYE_COLUMNS[:2]) <= set(columns):
        gaze = -np.stack(
            [columns.get(f"{s}Eye{a}", none) for s in ("Left", "Right") for a in ("Yaw", "Pitch")], -1
        )
    else:
        gaze = _gaze_of(expression)
    fps = _rate(path, times_ns)
    subject = _subject(head[kept], gaze[kept], expression[kept], estimate_rest)
    faces = _faces(times_ns, head, gaze, expression, kept)
    if sound is None:
        return Take(subject, fps, None, faces)
    return Take(subject, fps, SoundFormat.of(sound), _with_sound(faces, sound, lead_ns))


def _table(path: Path) -> tuple[list[str], list[str], Float, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Names of the columns; timecodes, of the first row of all and then of N; (N, columns) float32, the last row
    repeated where the face was lost; (N,) bool, where it was not. The N begin with the first face.
    """
    codes: list[str] = []
    numbers = array("f")
    kept: list[bool] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            header = [name.strip() for name in next(rows, [])]
            if len(header) < 3 or header[0].lower() != "timecode" or "JawOpen" not in header:
                raise InputError(
                    f"{path} is not a Live Link Face recording: its first line should be "
                    "Timecode,BlendShapeCount,EyeBlinkLeft,..."
                )
            names = header[2:]
            last: array[float] | None = None
            for row in rows:
                if len(row) == len(header):
                    try:
                        last = array("f", map(float, row[2:]))
                    except ValueError:
                        raise InputError(f"{path}, line {rows.line_num}: this row has no numbers.") from None
                elif len(row) < 2 or row[1].strip() != "0":
                    if not row:
                        continue
                    raise InputError(
                        f"{path}, line {rows.line_num}: {len(row)} values where {len(header)} belong."
                    )
                if not codes:
                    codes.append(row[0])
                if last is not None:
                    codes.append(row[0])
                    numbers.extend(last)
                    kept.append(len(row) == len(header))
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from None
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"{path} is no table of text. Give a file that ends in {SUFFIX}.") from None
    if not kept:
        raise InputError(f"{path} holds no frame with a face. Record it anew.")
    values = np.frombuffer(numbers, np.float32).reshape(len(kept), len(names))
    if not np.isfinite(values).all():
        raise InputError(f"{path} holds numbers that are not finite. Record it anew.")
    return names, codes, values, np.array(kept)


def _times_ns(path: Path, codes: list[str]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """From the first of them on, growing, past midnight too."""
    fields = []
    for code in codes:
        found = _TIMECODE.fullmatch(code.strip())
        if not found:
            raise InputError(f"{path}: '{code}' is no timecode HH:MM:SS:FF.")
        fields.append((3600 * int(found[1]) + 60 * int(found[2]) + int(found[3]), float(found[4])))
    rate = _timecode_rate(fields)
    times_ns = np.array(
        [second * NS_PER_S + round(frame / rate * NS_PER_S) for second, frame in fields], np.int64
    )
    midnights = np.concatenate([[0], np.cumsum(np.diff(times_ns) < -_DAY_NS // 2)])
    times_ns = times_ns + midnights * _DAY_NS
    return np.asarray(np.maximum.accumulate(times_ns - times_ns[0]), np.int64)


def _rate(path: Path, times_ns: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
    """Frames per second by the median interval; 30 for a single frame."""
    if len(times_ns) < 2:
        return 30.0
    interval_ns = float(np.median(np.diff(times_ns)))
    # Timecodes are rounded.
    if not 0.99 * NS_PER_S / _FASTEST <= interval_ns <= 1.01 * NS_PER_S / _SLOWEST:
        raise InputError(
            f"{path}: its timecodes lie {interval_ns / 1e6:g} ms apart, which is no recording of {_SLOWEST} to "
            f"{_FASTEST} frames per second. Export it anew."
        )
    return NS_PER_S / interval_ns


def _timecode_rate(fields: list[tuple[int, float]]) -> int:
    """Frames in a second, from how the count starts over; the app's 60 where no second ends."""
    steps = [b[1] - a[1] for a, b in pairwise(fields) if b[0] == a[0] and b[1] > a[1]]
    drops = [a[1] - b[1] for a, b in pairwise(fields) if b[0] == a[0] + 1]
    if not steps or not drops:
        return TIMECODE_RATE
    rate = float(np.median(drops) + np.median(steps))
    return min(_RATES, key=lambda known: abs(known - rate))


def _gaze_of(expression: Float) -> Float:
    """(N, 52) -> (N, 4) gaze, radians, from the eyeLook weights alone."""
    slight = eye_look(np.full((2, 2), 0.01, np.float32)) / np.float32(0.01)
    per_radian = slight[[INDEX["eyeLookOutLeft"], INDEX["eyeLookUpLeft"]]]
    look = {name[7:]: expression[:, i] for name, i in INDEX.items() if name.startswith("eyeLook")}
    yaws = look["OutLeft"] - look["InLeft"], look["InRight"] - look["OutRight"]
    pitches = look["UpLeft"] - look["DownLeft"], look["UpRight"] - look["DownRight"]
    gaze = np.stack([yaws[0], pitches[0], yaws[1], pitches[1]], -1) / np.tile(per_radian, 2)
    return np.asarray(gaze, np.float32)


def _subject(head: Float, gaze: Float, expression: Float, estimate_rest: bool) -> Subject:
    """Somebody with the average face, in front of a phone."""
    rest = np.zeros(3, np.float32), np.zeros(4, np.float32), np.zeros(EXPRESSIONS, np.float32)
    if estimate_rest:
        neutral = np.minimum(np.percentile(expression, 10, axis=0), 0.3)
        rest = np.median(head, axis=0), np.median(gaze, axis=0), neutral
    angles, eyes, neutral = (np.asarray(value, np.float32) for value in rest)
    rotation = head_matrix(angles)
    return Subject(
        BUILT_IN,
        np.zeros(len(load_model(BUILT_IN).identity), np.float32),
        Camera.guess(640, 480),
        neutral=neutral,
        rest_rotation=axis_angle(rotation),
        rest_translation=_standing(rotation),
        rest_gaze=eyes.reshape(2, 2),
    )


def _standing(rotation: Float) -> Float:
    """(3,) cm: where the head is when it turns on a neck that keeps still."""
    return np.asarray(PIVOT + np.array([0, 0, -_DISTANCE_CM]) - rotation @ PIVOT, np.float32)


def _faces(
    times_ns: np.ndarray[tuple[int], np.dtype[np.int64]],
    head: Float,
    gaze: Float,
    expression: Float,
    kept: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> Iterator[FaceParams]:
    for index, time_ns in enumerate(times_ns.tolist()):
        rotation = head_matrix(head[index])
        yield FaceParams(
            time_ns,
            axis_angle(rotation),
            _standing(rotation),
            expression[index].copy(),
            np.array(gaze[index], np.float32).reshape(2, 2),
            confidence=float(kept[index]),
            index=index,
        )


def _with_sound(faces: Iterator[FaceParams], sound: AudioFrame, lead_ns: int) -> Iterator[Event]:
    """The sound in pieces between the frames, ahead of them by at most a tenth of a second. What was heard in the
    `lead_ns` before the first one is left out.
    """
    piece = max(sound.rate // 10, 1)
    place = -(-lead_ns * sound.rate // NS_PER_S)
    for face in faces:
        while (
            place < len(sound.samples)
            and (capture_ns := place * NS_PER_S // sound.rate - lead_ns) <= face.capture_ns
        ):
            yield AudioFrame(sound.samples[place : place + piece].copy(), sound.rate, capture_ns)
            place += piece
        yield face
