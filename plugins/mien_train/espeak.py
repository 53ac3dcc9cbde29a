"""Speech with the times of its phonemes, from the espeak-ng library (GPL-3, used as it is installed)."""

from __future__ import annotations

import ctypes
import ctypes.util
from dataclasses import dataclass

import numpy as np

from mien.errors import PluginError
from mien.frames import Float

_RETRIEVAL, _SYNCHRONOUS = 1, 2
_PHONEME_EVENTS, _IPA = 1, 2
_CHARS_UTF8 = 1
_LIST_TERMINATED, _PHONEME = 0, 7
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_POSITION_CHARACTER = 1


class _Identity(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Identity),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True, slots=True)
class Sound:
    """One phoneme: its IPA symbols ("" for a pause), and when it begins, s."""

    ipa: str
    start_s: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """samples: (N,) float32 in [-1, 1] at `rate` Hz. sounds: in order of time; the last one ends with the sound."""

    samples: Float
    rate: int
    sounds: tuple[Sound, ...]


class Speaker:
    """The library, which knows only one voice at a time and is not thread-safe."""

    def __init__(self) -> None:
        """Raises `PluginError` when the library is not there."""
        name = ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1"
        try:
            self._library = ctypes.CDLL(name)
        except OSError as error:
            raise PluginError("espeak-ng is missing. Install it with: sudo apt install espeak-ng") from error
        self._samples: list[Float] = []
        self._sounds: list[Sound] = []
        self._callback = _Callback(self._take)
        self.rate = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS | _IPA))
        if self.rate <= 0:
            raise PluginError("espeak-ng cannot find its data. Reinstall it with: sudo apt install espeak-ng")
        self._library.espeak_SetSynthCallback(self._callback)

    def say(
        self, text: str, voice: str, *, words_per_minute: int = 165, pitch: int = 50, pitch_range: int = 50
    ) -> Utterance:
        """voice: a language with a variant, for example "en-gb+f2"; pitch and pitch_range: 0 to 100.

        Raises `PluginError` for a voice that this installation lacks.
        """
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise PluginError(f"espeak-ng has no voice '{voice}'. `espeak-ng --voices` lists them.")
        for parameter, value in ((_RATE, words_per_minute), (_PITCH, pitch), (_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._samples, self._sounds = [], []
        encoded = text.encode()
        self._library.espeak_Synth(
            encoded, len(encoded) + 1, 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None
        )
        samples = np.concatenate(self._samples) if self._samples else np.zeros(0, np.float32)
        return Utterance(samples, self.rate, tuple(self._sounds))

    def _take(
        self, wave: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]
    ) -> int:
        index = 0
        while events[index].type != _LIST_TERMINATED:
            event = events[index]
            if event.type == _PHONEME:
                self._sounds.append(
                    Sound(event.id.string.decode(errors="ignore"), event.audio_position / 1000)
                )
            index += 1
        if wave and count > 0:
            pcm = np.ctypeslib.as_array(wave, (count,)).astype(np.float32)
            self._samples.append(pcm / 32768)
        return 0
