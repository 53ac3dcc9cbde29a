"""What a face does by itself, as much of each as is wanted: blinks, saccades, breathing, and nods while it speaks."""

from __future__ import annotations

import math

import numpy as np

from mien.controls import Alive
from mien.drive.accents import Accents
from mien.drive.eyes import eyes_in_head
from mien.drive.heard import Heard
from mien.drive.idle import blinking, idle_layers
from mien.drive.loop import LoopedMotion
from mien.face.retargeting import EXPRESSION, GAZE, HEAD, SHIFT, Motion
from mien.face.rig import INDEX

_USUAL_RANK, _TALKING_RANK = 0.5, 0.75
"""People blink half as often again while they speak (Bentivoglio et al. 1997)."""
_LIDS = [INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]
_SQUINTS = [INDEX["eyeSquintLeft"], INDEX["eyeSquintRight"]]
_TALKING = 0.5


class Liveliness:
    """One face's. The same for the same seed, voice, times and amounts."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._layers = idle_layers(seed)
        self._made: dict[tuple[float, float], tuple[LoopedMotion, LoopedMotion]] = {}
        self._blinks(1.0)  # which takes some milliseconds
        self._accents = Accents(seed)
        self._talkative = False

    def at(self, time_ns: int, alive: Alive, heard: Heard | None, elapsed_s: float) -> Motion:
        """The motion at `time_ns` after the beginning. heard: the voice that drives alone; None when it doesn't."""
        layers = self._layers
        motion = layers.posture.at(time_ns)
        if (accents := self._accents.step(time_ns, heard, elapsed_s)) is not None:
            motion += np.float32(alive.nods) * accents
        motion[GAZE] += np.float32(alive.saccades) * layers.looks.at(time_ns)
        _breathe(motion, alive.breathing * float(layers.breath.at(time_ns)[0]))
        _blink(motion, self._lids(time_ns, alive.blinks))
        return motion

    def _lids(self, time_ns: int, amount: float) -> float:
        """How far they are closed by blinks."""
        lids, extra = (float(track.at(time_ns)[0]) for track in self._blinks(amount))
        if extra == 0:  # one that has begun is ended
            self._talkative = self._accents.speaking > _TALKING
        return max(lids, extra) if self._talkative else lids

    def _blinks(self, amount: float) -> tuple[LoopedMotion, LoopedMotion]:
        """The lids in the usual blinks, and in those that come on top while it speaks; made once for each tenth."""
        ranks = usual, more = _ranks(amount)
        if ranks not in self._made:
            blinks = self._layers.blinks
            self._made[ranks] = (
                blinking(self._seed, blinks, 0.0, usual),
                blinking(self._seed, blinks, usual, more),
            )
        return self._made[ranks]


def _ranks(amount: float) -> tuple[float, float]:
    """Below which ranks there are blinks, and more while it speaks. In tenths, of which there are few."""
    return round(_USUAL_RANK * amount, 1), min(round(_TALKING_RANK * amount, 1), 1.0)


def _breathe(motion: Motion, chest: float) -> None:
    """The head goes along with the chest, and the eyes stay where they look."""
    pitch = math.radians(0.25) * chest
    motion[HEAD.start + 1] += pitch
    motion[GAZE][[1, 3]] -= pitch
    motion[SHIFT.start + 1] += 0.05 * chest
    motion[SHIFT.start + 2] -= 0.001 * chest


def _blink(motion: Motion, lids: float) -> None:
    if lids > 0:
        straight = np.zeros(1, np.float32)
        motion[GAZE] += eyes_in_head(straight, straight, straight, straight, np.full(1, lids, np.float32))[0]
        face = motion[EXPRESSION]
        face[_LIDS] = lids
        face[_SQUINTS] += 0.12 * lids
