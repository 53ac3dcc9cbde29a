"""What drives the avatars of contact sheets: clips of people, the built-in demo, or nobody."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mien.clock import NS_PER_S
from mien.controls import Controls
from mien.drive.demo import demo_motion
from mien.drive.sources import demo_subject
from mien.driver import Driver
from mien.errors import MediaError, NoFaceError
from mien.face.choosing import farthest_apart
from mien.face.retargeting import Reference, absolute_params
from mien.face.subject import Subject
from mien.frames import Bytes, FaceParams, Float, VideoFrame
from mien.stage import Renderer, Tracker
from mien_photo import crop

DEMO, NOBODY = "demo", "nobody"
_FPS = 25.0
_DRIVER_SIDE = 512
"""px of the pictures of the driver."""


@dataclass(frozen=True, slots=True)
class Move:
    """One frame of a driver. params: None where no face was seen; subject: whose face it is."""

    params: FaceParams | None
    subject: Subject | None
    at_ns: int


@dataclass(frozen=True, slots=True)
class Take:
    """A whole performance. instants: the frames to be looked at, in order; seen: what the driver looked like then,
    none where nobody was filmed.
    """

    name: str
    moves: tuple[Move, ...]
    instants: tuple[int, ...]
    seen: tuple[Bytes, ...]


def demo(instants: int) -> Take:
    """The built-in demo performance."""
    motion, subject = demo_motion(), demo_subject()
    reference = Reference.of(subject)
    moves = []
    for index in range(round(motion.duration_s * _FPS)):
        at_ns = round(index * NS_PER_S / _FPS)
        params = absolute_params(motion.at(at_ns), reference, FaceParams(at_ns, index=index))
        moves.append(Move(params, subject, at_ns))
    return Take(DEMO, tuple(moves), _telling(moves, instants), ())


def nobody(instants: int, seconds: float = 12.0) -> Take:
    """An avatar left to itself, after a second."""
    moves = [Move(None, None, round(index * NS_PER_S / _FPS)) for index in range(round(seconds * _FPS))]
    chosen = np.linspace(_FPS, len(moves) - 1, instants).astype(int)
    return Take(NOBODY, tuple(moves), tuple(chosen.tolist()), ())


def filmed(path: Path, tracker: Tracker, instants: int, seconds: float) -> Take:
    """The first `seconds` of a clip, tracked frame by frame as live. Raises `MediaError`, `NoFaceError`."""
    moves: list[Move] = []
    square: crop.Square | None = None
    for index, (pixels, at_ns) in enumerate(frames(path, seconds)):
        tracked = tracker.process(VideoFrame(pixels, at_ns, index=index))
        moves.append(Move(tracked.params, tracked.subject, at_ns))
        if square is None and tracked.landmarks is not None:
            square = crop.choose(tracked.landmarks, pixels.shape[1], pixels.shape[0])
    tracker.reset()
    if square is None:
        raise NoFaceError(
            f"{path}: no face was found, so nothing drives the avatar. Use a clip that shows one."
        )
    chosen = _telling(moves, instants)
    seen = [
        _head(pixels, square) for index, (pixels, _) in enumerate(frames(path, seconds)) if index in chosen
    ]
    return Take(path.stem, tuple(moves), chosen, tuple(seen))


def perform(take: Take, subject: Subject, renderer: Renderer) -> list[Bytes]:
    """The avatar of `subject` driven by a take through the live driver, at its instants."""
    driver = Driver(subject, Controls(), _FPS)
    pictures = []
    for index, move in enumerate(take.moves):
        params = driver.step(move.params, move.subject, move.at_ns, index)
        if index in take.instants:
            pictures.append(renderer.process(params).pixels.copy())
    return pictures


def frames(path: Path, seconds: float = math.inf) -> Iterator[tuple[Bytes, int]]:
    """The pictures of the first `seconds` of a clip, RGB, each with its time in ns. Raises `MediaError`."""
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise MediaError(f"{path} cannot be read as a video. Give a clip, for example an MP4.")
    frame_ns = int(NS_PER_S / (capture.get(cv2.CAP_PROP_FPS) or _FPS))
    at_ns = 0
    try:
        while at_ns < seconds * NS_PER_S:
            read, frame = capture.read()
            if not read:
                break
            yield np.ascontiguousarray(frame[..., ::-1]), at_ns
            at_ns += frame_ns
    finally:
        capture.release()


def _head(picture: Bytes, square: crop.Square) -> Bytes:
    """Head and shoulders, as an avatar would show them."""
    cut = crop.cut(picture, square)
    return np.asarray(cv2.resize(cut, (_DRIVER_SIDE, _DRIVER_SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _telling(moves: list[Move], count: int) -> tuple[int, ...]:
    """Instants as unlike each other as the performance has them, in order: where something can go wrong."""
    known = [i for i, move in enumerate(moves) if move.params is not None]
    where = np.stack([_features(moves[i].params) for i in known])
    chosen = farthest_apart(where - np.median(where, axis=0), count)
    return tuple(sorted(known[i] for i in chosen))


def _features(params: FaceParams | None) -> Float:
    """Expression, head (20 degrees count like one weight) and gaze."""
    if params is None:
        raise ValueError("a frame without a face has no features")
    parts = params.expression, params.rotation / np.float32(0.35), params.gaze.ravel()
    return np.asarray(np.concatenate(parts), np.float32)
