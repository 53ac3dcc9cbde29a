"""A take: a performance on its way from one place to another, one event at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mien.errors import InputError
from mien.face.subject import Subject
from mien.frames import AudioFrame, FaceParams
from mien.performance.pcm import SoundFormat
from mien.performance.reader import PerformanceReader
from mien.performance.writer import PerformanceWriter

Event = FaceParams | AudioFrame | Subject
"""What a performance is made of, in the order of its file. A `Subject` holds for the frames that follow it."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The events of an open file, from the first each time."""

    reader: PerformanceReader

    def __iter__(self) -> Iterator[Event]:
        return self.reader.events()

    def since(self, start_s: float) -> Iterator[Event]:
        """Those from so long after the first frame on; what precedes is not decoded."""
        return self.reader.events(start_s)


@dataclass(frozen=True, slots=True)
class Take:
    """subject: whose face it is at the beginning. fps: nominal. sound: its format, None where there is none.

    events: consumed once, unless it is a list or `Recorded`. Frames come in order of time; sound may be ahead or
    behind.
    """

    subject: Subject
    fps: float
    sound: SoundFormat | None
    events: Iterable[Event]

    @classmethod
    def of(cls, reader: PerformanceReader) -> Take:
        """What an open performance file holds; it must stay open while the events are taken."""
        return cls(reader.subject, reader.fps, reader.sound, Recorded(reader))


def save_take(take: Take, path: Path) -> int:
    """Write a performance file; returns the number of frames.

    Raises `InputError` when there is not one frame, `PackageError` when the file cannot be written. Then
    nothing is left behind.
    """
    with PerformanceWriter(path, take.subject, take.fps, take.sound) as writer:
        for event in take.events:
            if isinstance(event, FaceParams):
                writer.add(event)
            elif isinstance(event, AudioFrame):
                writer.add_sound(event)
            else:
                writer.set_subject(event)
        if not writer.frames:
            raise InputError(f"Not one frame is left to write to {path.name}. Choose a longer stretch.")
    return writer.frames
