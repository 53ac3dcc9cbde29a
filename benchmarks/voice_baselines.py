"""Two ways to move a mouth by sound that need no training of ours: what a listener has to be better than."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.drive.loop import TICKS_PER_S
from mien.drive.speech import Phoneme
from mien.frames import Float
from mien.voice.articulation import CHANNEL
from mien.voice.features import loudness
from mien.voice.resample import BLOCK, RATE
from mien_train.corpus import FRAME_OFFSET_S, curves_of, mel_of
from mien_train.phonetics import arpabet

LOOK_AHEAD_S = 0.12
_REMEMBERED_S = 0.8
"""Phonemes further back don't move the mouth any more."""
_CLOSED_BELOW = 4.0
"""The energy-driven mouth opens with loudness, from that far below the loudest (natural log of power, 17 dB)."""


def energy_opening(sound: Float, times_s: Float) -> Float:
    """The mouth opens as loud as the sound is, smoothed over 50 ms; what most avatars without a model do."""
    level = loudness(mel_of(sound))
    top = np.percentile(level, 95)
    opening = np.clip(1 + (level - top) / _CLOSED_BELOW, 0, 1)
    smooth = np.convolve(opening, np.hanning(7) / np.hanning(7).sum(), "same")
    at = np.arange(len(smooth)) * BLOCK / RATE + FRAME_OFFSET_S
    return np.interp(times_s, at, smooth).astype(np.float32)


class PhonemeMouth:
    """PocketSphinx recognises phonemes (its own en-us model), which move the mouth as the training's do."""

    def __init__(self) -> None:
        import pocketsphinx

        model = Path(pocketsphinx.get_model_path()) / "en-us"
        self._decoder = pocketsphinx.Decoder(
            hmm=str(model / "en-us"), allphone=str(model / "en-us-phone.lm.bin"), lw=2.0, beam=1e-20, pbeam=1e-20,
            loglevel="FATAL",
        )  # fmt: skip

    def opening(self, sound: Float, times_s: Float) -> Float:
        """Recognises the whole sound at once: with all the look-ahead there is, and time to change its mind."""
        self._decoder.start_utt()
        self._decoder.process_raw(_pcm(sound), full_utt=True)
        self._decoder.end_utt()
        phonemes = _phonemes(self._decoder.seg())
        code, _ = curves_of(phonemes, len(sound) / RATE, np.random.default_rng(0))
        at = np.arange(len(code)) / TICKS_PER_S
        return np.interp(times_s, at, code[:, CHANNEL["opening"]]).astype(np.float32)

    def live_opening(self, sound: Float, times_s: Float) -> Float:
        """Answers for each moment when the sound has come as far as the listener may wait, for ever."""
        found = np.zeros(len(times_s), np.float32)
        pcm, fed = _pcm(sound), 0
        self._decoder.start_utt()
        for index, time_s in enumerate(times_s):
            until = 2 * round((time_s + LOOK_AHEAD_S) * RATE)
            if until > fed and fed < len(pcm):
                self._decoder.process_raw(pcm[fed:until])
                fed = until
            start_s = max(float(time_s) - _REMEMBERED_S, 0.0)
            recent = [
                replace(p, start_s=max(p.start_s - start_s, 0.0), end_s=p.end_s - start_s)
                for p in _phonemes(self._decoder.seg())
                if p.end_s > start_s
            ]
            code, _ = curves_of(recent, float(time_s) - start_s + LOOK_AHEAD_S, np.random.default_rng(0))
            found[index] = code[round((float(time_s) - start_s) * TICKS_PER_S), CHANNEL["opening"]]
        self._decoder.end_utt()
        return found


def _pcm(sound: Float) -> bytes:
    return (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()


_LONG_S = 0.1
"""A vowel that long is taken for a stressed one."""


def _phonemes(segments: Iterable[Any] | None) -> list[Phoneme]:
    """What was recognised so far: segments follow one another without a gap, silence and noises (SIL, +SPN+) too."""
    ends = ((segment.word, (segment.end_frame + 1) / 100) for segment in segments or ())
    return arpabet(ends, long_s=_LONG_S)
