"""A clapperboard: the mouth opens wide and a beep sounds at the same moments, to find them again at the other end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np

from mien.clock import NS_PER_MS, NS_PER_S
from mien.drive.sources import demo_subject
from mien.face.rig import INDEX
from mien.face.subject import Subject
from mien.frames import AudioFrame, FaceParams, Float
from mien.stage import Context, MediaInfo, Source

EVERY_NS, LASTS_NS = NS_PER_S, NS_PER_S // 5
RATE, CHUNK = 48_000, 960
_TONE_HZ = 1000.0


class FlashSource(Source):
    """Once a second, for a fifth of it: jawOpen 1 and a tone of 1 kHz; in between neither. Live only.

    sound_late_ms: how much too late the sound is, on purpose. voice: the sound alone; a listener has to open the mouth.
    """

    def __init__(self, sound_late_ms: float = 0.0, *, voice: bool = False) -> None:
        self._late_ns = round(sound_late_ms * NS_PER_MS)
        self._voice = voice
        self._context: Context | None = None

    async def open(self, context: Context) -> None:
        self._context = context

    @property
    def info(self) -> MediaInfo:
        return MediaInfo(audio_rate=RATE, title="flashes and beeps")

    @property
    def subject(self) -> Subject | None:
        return None if self._voice else demo_subject()

    async def frames(self) -> AsyncIterator[AudioFrame | FaceParams]:
        assert self._context is not None, "open the source first"  # noqa: S101
        clock, interval_ns = self._context.clock, round(NS_PER_S / self._context.fps)
        begin_ns = clock.now_ns()
        pictures = sounds = 0
        while True:
            picture_ns = pictures * interval_ns
            sound_ns = sounds * CHUNK * NS_PER_S // RATE
            # Sound can be handed over when the last of it is there.
            if not self._voice and picture_ns <= sound_ns + CHUNK * NS_PER_S // RATE:
                await clock.sleep_until(begin_ns + picture_ns)
                expression = np.zeros(52, np.float32)
                expression[INDEX["jawOpen"]] = float(picture_ns % EVERY_NS < LASTS_NS)
                yield FaceParams(begin_ns + picture_ns, expression=expression, index=pictures)
                pictures += 1
            else:
                await clock.sleep_until(begin_ns + sound_ns + CHUNK * NS_PER_S // RATE)
                yield AudioFrame(self._beep(sounds), RATE, begin_ns + sound_ns)
                sounds += 1

    def _beep(self, index: int) -> Float:
        at = index * CHUNK + np.arange(CHUNK)
        since_ns = at * NS_PER_S // RATE - self._late_ns
        tone = np.sin(2 * np.pi * _TONE_HZ * at / RATE) * (since_ns % EVERY_NS < LASTS_NS) * (since_ns >= 0)
        return np.asarray(0.8 * tone[:, None], np.float32)
