"""Records what a tracker sees as a performance."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

from mien.errors import MediaError, NoFaceError
from mien.face.performance import PerformanceWriter, SoundFormat
from mien.face.subject import Subject
from mien.frames import AudioFrame, FaceParams, VideoFrame
from mien.roles import only_sound
from mien.stage import Output, Source, Tracked
from mien.trace import Passage

_MOST_FPS, _USUAL_FPS = 240.0, 25.0


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
        # What came before the file could be begun: it needs a subject and the format of the sound.
        self._early: list[tuple[int, int, FaceParams | None, Subject | None]] = []
        self._early_sound: list[AudioFrame] = []
        self._lock = threading.Lock()

    def tracked(self, tracked: Tracked, passage: Passage) -> None:
        """Take what the tracker said about one picture; called on a lane, in order."""
        with self._lock:
            self.frames += 1
            self.without_face += tracked.params is None
            self._subject = self._subject or tracked.subject
            self._early.append((passage.index, passage.capture_ns, tracked.params, tracked.subject))
            self._begin()

    async def video(self, frame: VideoFrame) -> None:
        raise NotImplementedError("a performance holds no pictures")

    async def audio(self, frame: AudioFrame) -> None:
        """Raises `MediaError` when sound is all there is."""
        if only_sound(self._source):
            raise MediaError(
                f"{self._source.info.title} has sound but no pictures. Give a clip that shows a face."
            )
        with self._lock:
            self._early_sound.append(frame)
            self._begin()

    async def close(self) -> None:
        """Finish the file. Raises `NoFaceError` when no picture showed a face; then nothing is written."""
        with self._lock:
            if self._last is None and not any(params for _, _, params, _ in self._early):
                raise NoFaceError(
                    f"{self._source.info.title}: no face was found in any of its {self.frames} frames. "
                    "Use a clip that shows a face."
                )
            self._silent = not self._early_sound
            self._begin()
            if self._writer is not None:
                self._writer.close()

    async def abandon(self) -> None:
        """Leave nothing behind."""
        with self._lock:
            if self._writer is not None:
                self._writer.abandon()

    def _begin(self) -> None:
        if self._writer is None:
            info = self._source.info
            expected = info.audio_rate is not None and not self._silent
            if self._subject is None or (expected and not self._early_sound):
                return
            sound = None
            if self._early_sound:
                first = self._early_sound[0]
                sound = SoundFormat(first.rate, first.samples.shape[1])
            self._last = next((params for _, _, params, _ in self._early if params), None)
            # Clips that browsers record claim their time base as their rate: 1000.
            fps = info.fps if info.fps and info.fps <= _MOST_FPS else _USUAL_FPS
            self._writer = PerformanceWriter(self._path, self._subject, fps, sound)
        for index, capture_ns, params, subject in self._early:
            if subject is not None:
                self._writer.set_subject(subject)
            self._last = params or self._last
            if self._last is not None:
                confidence = params.confidence if params else 0.0
                self._writer.add(
                    dataclasses.replace(self._last, capture_ns=capture_ns, index=index, confidence=confidence)
                )
        self._early.clear()
        for frame in self._early_sound:
            self._writer.add_sound(frame)
        self._early_sound.clear()
