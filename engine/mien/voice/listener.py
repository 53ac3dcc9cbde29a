"""The default listener: a voice in, the mouth that speaks with it out."""

from __future__ import annotations

import math
from collections import deque
from pathlib import Path

import numpy as np

from mien.clock import NS_PER_MS, NS_PER_S
from mien.errors import ConfigError, StageError
from mien.frames import EXPRESSIONS, AudioFrame, FaceParams, Float
from mien.stage import Context, Kind, Listener
from mien.voice.activity import Activity
from mien.voice.articulation import decode, rounded, spoken
from mien.voice.features import CENTRE_MS, HOP_MS, Features
from mien.voice.network import AHEAD, STEP, WEIGHTS, VoiceNetwork
from mien.voice.resample import Resampler

_HOP_NS = round(HOP_MS * NS_PER_MS)
_KEPT = STEP * AHEAD + 1
"""Frames whose loudness is remembered: as many as an answer may be behind."""
_LEAD = 7
"""Frames that lips may move before their sound: 60 ms."""
_GAP_NS = 60 * NS_PER_MS
"""Time stamps that are off by more are not jitter: sound is missing, or came twice. What was heard is forgotten."""
_FOLLOWED = 0.02
"""Share of a smaller deviation that is followed per frame of sound: clocks drift, packets jitter."""
_RESAMPLER_MS = 2.0
"""What the resampler may hold back, at any rate (`Resampler.latency_ms`)."""


class SpeechListener(Listener):
    """Log-mel features, a network over the last second of them, and a verdict on whether a voice speaks.

    All of it is a function of the samples and their time stamps: however the sound is cut into frames, the answers
    are the same. Answers come every frame interval, and at the exact times of features, 10 ms apart, so at 30 fps
    they alternate between 30 and 40 ms.
    """

    def __init__(self) -> None:
        self._network: VoiceNetwork | None = None
        self._look_ahead_ms = 0.0
        self._interval_ns = 0
        self._activity = Activity(0.0)
        self._forget()

    def open(self, context: Context) -> None:
        """Raises `ConfigError` when `voice.model` is no such network, and what the runtime raises."""
        settings = context.voice
        model = WEIGHTS if settings.model is None else settings.model.expanduser()
        if settings.model is not None and not model.is_file():
            raise ConfigError(
                f"voice.model: there is no file {model}. Make one with `python -m mien_train voice`, or leave it out."
            )
        reach = min(int((settings.look_ahead_ms - CENTRE_MS - _RESAMPLER_MS) // (STEP * HOP_MS)), AHEAD)
        self._look_ahead_ms = reach * STEP * HOP_MS + CENTRE_MS + _RESAMPLER_MS
        self._interval_ns = round(NS_PER_S / context.fps)
        self._activity = Activity(settings.hangover_ms)
        self._network = VoiceNetwork(context.service(Kind.RUNTIME), reach, Path(model))
        self._network.answer()  # the first run of a network takes longest: not at the first word
        self._forget()

    def close(self) -> None:
        if self._network is not None:
            self._network.close()
            self._network = None

    @property
    def look_ahead_ms(self) -> float:
        return self._look_ahead_ms

    def reset(self) -> None:
        self._forget()

    def process(self, frame: AudioFrame) -> list[FaceParams]:
        """Raises `MediaError` for a rate that no sound card has."""
        if self._network is None:
            raise StageError("listen", "the listener was not opened.")
        if not len(frame.samples):
            return []
        self._keep_time(frame)
        assert self._resampler is not None  # noqa: S101 - `_keep_time` made it
        self._samples += len(frame.samples)
        steps = (
            self._step(self._network, block, frame.epoch) for block in self._resampler.push(frame.samples)
        )
        return [answer for answer in steps if answer is not None]

    def _forget(self) -> None:
        self._resampler: Resampler | None = None
        self._features = Features()
        self._loud: deque[bool] = deque([False] * _KEPT, maxlen=_KEPT)
        self._samples = 0
        self._blocks = 0
        self._began_ns = 0.0
        self._answered_ns: int | None = None
        self._activity.reset()
        if self._network is not None:
            self._network.reset()

    def _keep_time(self, frame: AudioFrame) -> None:
        """Relate samples to engine time; begin anew where time stamps leap or the rate changes."""
        if self._resampler is not None:
            off_ns = frame.capture_ns - (self._began_ns + self._samples * NS_PER_S / self._resampler.rate)
            if abs(off_ns) > _GAP_NS or frame.rate != self._resampler.rate:
                self._forget()
            else:
                self._began_ns += _FOLLOWED * off_ns
        if self._resampler is None:
            self._resampler = Resampler(frame.rate)
            self._began_ns = float(frame.capture_ns)

    def _step(self, network: VoiceNetwork, block: Float, epoch: int) -> FaceParams | None:
        """One block of 10 ms further; an answer when one is due."""
        network.push(self._features.push(block))
        self._blocks += 1
        self._loud.append(self._activity.push(self._features.loudness))
        behind_ns = (CENTRE_MS + network.delay_ms) * NS_PER_MS
        time_ns = round(self._began_ns + self._blocks * _HOP_NS - behind_ns)
        if time_ns < self._began_ns or not self._due(time_ns):
            return None
        elapsed_ms = HOP_MS if self._answered_ns is None else (time_ns - self._answered_ns) / NS_PER_MS
        self._answered_ns = time_ns
        code, probability = network.answer()
        amount = self._activity.step(self._loud_about(network.reach), probability, elapsed_ms)
        if amount == 0.0 or not math.isfinite(float(code.sum())):
            return FaceParams(
                time_ns, expression=np.zeros(EXPRESSIONS, np.float32), confidence=0.0, epoch=epoch
            )
        expression = decode(rounded(spoken(code)) * np.float32(amount))
        return FaceParams(time_ns, expression=expression, confidence=amount, epoch=epoch)

    def _loud_about(self, reach: int) -> bool:
        """Whether there is sound at the moment in question or just after it: lips part before they are heard."""
        now = _KEPT - 1 - STEP * reach
        return any(self._loud[i] for i in range(now, min(now + _LEAD, _KEPT)))

    def _due(self, time_ns: int) -> bool:
        """Answers keep to a grid of frame intervals from the first one on, to the nearest 10 ms."""
        if self._answered_ns is None:
            self._grid_ns = time_ns
            return True
        if time_ns + _HOP_NS // 2 < self._grid_ns + self._interval_ns:
            return False
        self._grid_ns += self._interval_ns
        return True
