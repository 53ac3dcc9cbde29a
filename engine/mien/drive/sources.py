"""Sources of motion that nobody performs just now: recorded performances, and the built-in demo."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from mien.clock import NS_PER_S
from mien.drive.demo import demo_motion
from mien.drive.eyes import rest_vergence
from mien.drive.loop import LoopedMotion, minimum_jerk
from mien.face.camera import Camera
from mien.face.model import load_model
from mien.face.retargeting import Reference, absolute_params
from mien.face.subject import Subject
from mien.frames import AudioFrame, FaceParams, Float
from mien.performance.reader import PerformanceReader
from mien.stage import Context, MediaInfo, Source

T = TypeVar("T")

_SEAM_S = 0.4
"""When a recording starts over, its first frames come out of the last one over this time."""


class PerformanceSource(Source):
    """Replays a `.performance` file: live in its own time, over and over; offline once, as fast as taken."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._reader: PerformanceReader | None = None
        self._context: Context | None = None
        self._subject: Subject | None = None

    async def open(self, context: Context) -> None:
        """Raises `PackageError`. A file that was cut off is played as far as it goes, with a notice."""
        self._context = context
        self._reader = PerformanceReader(self._path)
        self._subject = self._reader.subject
        if self._reader.notice:
            context.notice(self._reader.notice)

    @property
    def info(self) -> MediaInfo:
        reader = self._reader
        if reader is None:
            return MediaInfo(title=self._path.name)
        return MediaInfo(
            fps=reader.fps,
            frames=len(reader),
            duration_s=reader.duration_s,
            audio_rate=reader.sound.rate if reader.sound else None,
            title=self._path.name,
        )

    @property
    def subject(self) -> Subject | None:
        return self._subject

    async def frames(self) -> AsyncIterator[AudioFrame | FaceParams]:
        reader, context = _opened(self._reader), _opened(self._context)
        begin_ns = context.clock.now_ns() if context.live else 0
        duration_ns = round(reader.duration_s * NS_PER_S)
        index = 0
        last: FaceParams | None = None
        while True:
            seam, first_ns = last, None
            self._subject = reader.subject
            for event in reader.events():
                if isinstance(event, Subject):
                    self._subject = event
                    continue
                first_ns = event.capture_ns if first_ns is None else first_ns
                offset_ns = max(event.capture_ns - first_ns, 0)
                await context.clock.sleep_until(begin_ns + offset_ns)
                stamp_ns = context.clock.now_ns() if context.live else offset_ns
                if isinstance(event, AudioFrame):
                    # Sound is counted in samples, not by when a timer fired.
                    yield replace(event, capture_ns=begin_ns + offset_ns)
                    continue
                last = replace(event, capture_ns=stamp_ns, index=index)
                if seam is not None and offset_ns < _SEAM_S * NS_PER_S:
                    last = _between(seam, last, offset_ns / (_SEAM_S * NS_PER_S))
                index += 1
                yield last
            if not context.live:
                return
            begin_ns += duration_ns

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


class DemoSource(Source):
    """The built-in demo performance: live for ever, offline one round."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._motion: LoopedMotion | None = None
        self._context: Context | None = None
        self._subject: Subject | None = None

    async def open(self, context: Context) -> None:
        self._context = context
        self._motion = demo_motion(self._seed)
        self._subject = demo_subject()

    @property
    def info(self) -> MediaInfo:
        fps = self._context.fps if self._context else None
        seconds = self._motion.duration_s if self._motion else None
        frames = round(fps * seconds) if fps and seconds else None
        return MediaInfo(fps=fps, frames=frames, duration_s=seconds, title="demo performance")

    @property
    def subject(self) -> Subject | None:
        return self._subject

    async def frames(self) -> AsyncIterator[FaceParams]:
        motion, subject, context = _opened(self._motion), _opened(self._subject), _opened(self._context)
        reference = Reference.of(subject)
        begin_ns = context.clock.now_ns() if context.live else 0
        count = round(motion.duration_s * context.fps)
        index = 0
        while context.live or index < count:
            at_ns = round(index * NS_PER_S / context.fps)
            await context.clock.sleep_until(begin_ns + at_ns)
            now_ns = context.clock.now_ns() if context.live else at_ns
            # A late tick plays what is due now: the performance keeps its pace whatever the machine does.
            playing_ns = now_ns - begin_ns
            yield absolute_params(motion.at(playing_ns), reference, FaceParams(now_ns, index=index))
            index = max(index + 1, round(playing_ns * context.fps / NS_PER_S))

    async def close(self) -> None:
        self._motion = None


def demo_subject() -> Subject:
    """The demo's nobody: the built-in head's mean face, 60 cm in front of a webcam, at rest at zeros.

    The eyes meet at the camera.
    """
    identity = np.zeros(len(load_model("mien-head").identity), np.float32)
    return Subject("mien-head", identity, Camera.guess(640, 480), rest_gaze=rest_vergence())


def _between(start: FaceParams, end: FaceParams, phase: float) -> FaceParams:
    """`end`, on the way there from `start`: every group in proportion (both are near, so angles may)."""
    share = np.float32(minimum_jerk(np.array(phase)))

    def mixed(a: Float, b: Float) -> Float:
        return np.asarray(a + (b - a) * share, dtype=np.float32)

    return replace(
        end,
        rotation=mixed(start.rotation, end.rotation),
        translation=mixed(start.translation, end.translation),
        expression=mixed(start.expression, end.expression),
        gaze=mixed(start.gaze, end.gaze),
    )


def _opened(value: T | None) -> T:
    if value is None:
        raise RuntimeError("the source has not been opened")
    return value
