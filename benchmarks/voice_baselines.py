"""Two ways to move a mouth by sound that need no training of ours: what a listener has to be better than."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.drive.loop import TICKS_PER_S
from mien.drive.speech import Phoneme
from mien.frames import Float
from mien.voice.articulation import CHANNEL
from mien.voice.features import log_mel, loudness
from mien.voice.resample import BLOCK, RATE
from mien_train.corpus import FRAME_OFFSET_S, curves_of

LOOK_AHEAD_S = 0.12
_REMEMBERED_S = 0.8
"""Phonemes further back don't move the mouth any more."""
_CLOSED_BELOW = 4.0
"""The energy-driven mouth opens with loudness, from that far below the loudest (natural log of power, 17 dB)."""


def energy_opening(sound: Float, times_s: Float) -> Float:
    """The mouth opens as loud as the sound is, smoothed over 50 ms; what most avatars without a model do."""
    spans = np.lib.stride_tricks.sliding_window_view(np.concatenate([np.zeros(240, np.float32), sound]), 400)
    level = loudness(log_mel(spans[::BLOCK]))
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
        phonemes = [p for segment in self._decoder.seg() for p in _phonemes(segment)]
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
                for segment in self._decoder.seg() or ()
                for p in _phonemes(segment)
                if p.end_s > start_s
            ]
            code, _ = curves_of(recent, float(time_s) - start_s + LOOK_AHEAD_S, np.random.default_rng(0))
            found[index] = code[round((float(time_s) - start_s) * TICKS_PER_S), CHANNEL["opening"]]
        self._decoder.end_utt()
        return found


def _pcm(sound: Float) -> bytes:
    return (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()


_SAME = {
    "P": "B", "M": "B", "F": "V", "DH": "TH", "T": "D", "N": "D", "L": "D", "Z": "S", "ZH": "SH", "CH": "SH",
    "JH": "SH", "G": "K", "NG": "K", "Y": "IY",
}  # fmt: skip
_TWO = {"AY": ("AA", "IH"), "AW": ("AA", "UH"), "EY": ("EH", "IY"), "OW": ("AO", "UW"), "OY": ("AO", "IY")}


def _phonemes(segment: Any) -> list[Phoneme]:
    start_s, end_s = segment.start_frame / 100, (segment.end_frame + 1) / 100
    if not segment.word.isalpha():  # silence and noises: SIL, +SPN+
        return [Phoneme("_", start_s, end_s, stressed=False)]
    looks = _TWO.get(segment.word, (_SAME.get(segment.word, segment.word),))
    if looks == ("SIL",):
        looks = ("_",)
    length_s = (end_s - start_s) / len(looks)
    return [
        Phoneme(look, start_s + i * length_s, start_s + (i + 1) * length_s, stressed=end_s - start_s > 0.1)
        for i, look in enumerate(looks)
    ]
