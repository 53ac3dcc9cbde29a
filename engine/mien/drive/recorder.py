"""Records what a tracker sees as a performance."""

from __future__ import annotations

import dataclasses
import heapq
import tempfile
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from mien.errors import MediaError, NoFaceError, PackageError
from mien.face.subject import Subject
from mien.frames import AudioFrame, FaceParams, VideoFrame
from mien.performance.pcm import SoundFormat, to_pcm16
from mien.performance.writer import PerformanceWriter
from mien.roles import only_sound
from mien.stage import Output, Source, Tracked
from mien.trace import Passage

_MOST_FPS, _USUAL_FPS = 240.0, 25.0
_EARLY_BYTES = 1 << 24
"""Sound before the first face that is kept in memory: three minutes of mono, the rest waits on disk."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the tracker said about one picture."""

    index: int
    capture_ns: int
    params: FaceParams | None
    subject: Subject | None


class Recorder(Output):
    """An output for the sound of a clip, and the place where the tracker's results go.

    One frame is written for each picture: where no face was found, the last one seen with confidence 0
    (before the first face: the first one seen). `source` is the clip, opened by then.
    """

    def __init__(self, path: Path, source: Source) -> None:
        self.frames = self.without_face = 0
        self._path = path
        self._source = source
        self._silent = False
        self._writer: PerformanceWriter | None = None
        self._subject: Subject | None = None
        self._last: FaceParams | None = None
        # What came before the file could be begun: it needs a face, its subject, and the format of the sound.
        self._early: list[_Seen] = []
        self._early_sound = _EarlySound(path)
        self._lock = threading.Lock()

    def tracked(self, tracked: Tracked, passage: Passage) -> None:
        """Take what the tracker said about one picture; called on a lane, in order."""
        with self._lock:
            self.frames += 1
            self.without_face += tracked.params is None
            self._subject = self._subject or tracked.subject
            self._last = self._last or tracked.params
            self._take(_Seen(passage.index, passage.capture_ns, tracked.params, tracked.subject))

    async def video(self, frame: VideoFrame) -> None:
        raise NotImplementedError("a performance holds no pictures")

    async def audio(self, frame: AudioFrame) -> None:
        """Raises `MediaError` when sound is all there is."""
        if only_sound(self._source):
            raise MediaError(
                f"{self._source.info.title} has sound but no pictures. Give a clip that shows a face."
            )
        with self._lock:
            self._take(frame)

    async def close(self) -> None:
        """Finish the file. Raises `NoFaceError` when no picture showed a face; then nothing is written."""
        with self._lock:
            if self._last is None:
                self._early_sound.close()
                raise NoFaceError(
                    f"{self._source.info.title}: no face was found in any of its {self.frames} frames. "
                    "Use a clip that shows a face."
                )
            self._silent = True  # whatever was announced: nothing more is to come
            self._begin()
            if self._writer is not None:
                self._writer.close()

    async def abandon(self) -> None:
        """Leave nothing behind."""
        with self._lock:
            self._early_sound.close()
            if self._writer is not None:
                self._writer.abandon()

    def _take(self, event: _Seen | AudioFrame) -> None:
        if self._writer is not None:
            self._write(self._writer, event)
        elif isinstance(event, AudioFrame):
            self._early_sound.add(event)
            self._begin()
        else:
            self._early.append(event)
            self._begin()

    def _begin(self) -> None:
        """Begin the file with what is waiting, as soon as enough is known."""
        info, sound = self._source.info, self._early_sound.form
        expected = info.audio_rate is not None and not self._silent
        if self._writer or self._subject is None or self._last is None or (expected and sound is None):
            return
        # Clips that browsers record claim their time base as their rate: 1000.
        fps = info.fps if info.fps and info.fps <= _MOST_FPS else _USUAL_FPS
        self._writer = PerformanceWriter(self._path, self._subject, fps, sound)
        early: tuple[Iterable[_Seen | AudioFrame], ...] = (self._early, self._early_sound)
        for event in heapq.merge(*early, key=attrgetter("capture_ns")):
            self._write(self._writer, event)
        self._early.clear()
        self._early_sound.close()

    def _write(self, writer: PerformanceWriter, event: _Seen | AudioFrame) -> None:
        if isinstance(event, AudioFrame):
            writer.add_sound(event)
            return
        if event.subject is not None:
            writer.set_subject(event.subject)
        self._last = event.params or self._last
        assert self._last is not None  # noqa: S101 - without a face no file is begun
        confidence = event.params.confidence if event.params else 0.0
        writer.add(
            dataclasses.replace(
                self._last, capture_ns=event.capture_ns, index=event.index, confidence=confidence
            )
        )


class _EarlySound:
    """Sound that waits for its file, as that will hold it: a clip may show no face for an hour.

    path: the file, beside which lies what is too much for the memory.
    """

    def __init__(self, path: Path) -> None:
        self.form: SoundFormat | None = None
        self._path = path
        self._pieces: list[tuple[int, int]] = []  # capture time ns, bytes
        self._pcm = tempfile.SpooledTemporaryFile(_EARLY_BYTES, dir=str(path.parent))  # noqa: SIM115 - see `close`

    def add(self, sound: AudioFrame) -> None:
        """Raises `PackageError` when there is no room, `ValueError` when the format changes."""
        self.form = self.form or SoundFormat.of(sound)
        if SoundFormat.of(sound) != self.form:
            raise ValueError(f"the sound is no longer {self.form}")
        pcm = to_pcm16(sound.samples)
        try:
            self._pcm.write(pcm)
        except OSError as error:
            raise PackageError(
                f"Cannot write {self._path}: {error.strerror}. Choose a folder that exists and has room."
            ) from None
        self._pieces.append((sound.capture_ns, len(pcm)))

    def __iter__(self) -> Iterator[AudioFrame]:
        self._pcm.seek(0)
        for capture_ns, size in self._pieces:
            assert self.form is not None  # noqa: S101 - the first piece has set it
            yield self.form.frame(self._pcm.read(size), capture_ns)

    def close(self) -> None:
        """Give the room back."""
        self._pieces.clear()
        self._pcm.close()
