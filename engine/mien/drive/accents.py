"""What the head and the brows add to speech: nods on stressed syllables, and the sway of somebody who talks.

Speakers mark stress with the head, most with a small nod down on the syllable (Hadar et al. 1983; Munhall et al.
2004), some of it with the brows; between accents the head of a speaker is never as still as that of a listener.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mien.clock import NS_PER_S
from mien.drive.following import covered
from mien.drive.heard import Heard
from mien.drive.loop import Loop, LoopedMotion, minimum_jerk
from mien.face.retargeting import EXPRESSION, GAZE, HEAD, MOTION_SIZE, SHIFT, Motion
from mien.face.rig import INDEX

_FAST_S, _SLOW_S = 0.035, 1.2
"""Over these times loudness is smoothed: a syllable, and what it stands out from."""
_STANDS_OUT, _STANDS_BACK = 0.16, 0.04
_PAUSE_S = 0.42
"""Between two nods, at least."""
_MARKED = 0.75
"""Share of the stressed syllables that are marked at all."""
_BROWS = (("browInnerUp", 0.24), ("browOuterUpLeft", 0.2), ("browOuterUpRight", 0.18))
_RAISED = 0.4
"""Share of the nods that the brows go with."""
_BEGINS_S, _ENDS_S = 0.25, 0.9
"""How fast the head begins to sway when somebody speaks, and how slowly it comes to rest."""
_SPEAKING = 0.12
_STILL = 1e-3
_SWAY_S = 61.0


class _Nod(NamedTuple):
    start_ns: int
    attack_s: float
    release_s: float
    head: tuple[float, float, float]
    """yaw, pitch, roll, degrees"""
    brows: float


class Accents:
    """Follows a voice and moves head and brows with it. The same for the same seed, voice and times."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._sway = _sway(seed)
        self._nods: list[_Nod] = []
        self._count = 0
        self._fast = self._slow = 0.0
        self._ready = True
        self._last_ns = -NS_PER_S
        self.speaking = 0.0
        """0 (silent) to 1"""

    def step(self, time_ns: int, heard: Heard | None, elapsed_s: float) -> Motion | None:
        """The motion to be added at `time_ns`, which grows from step to step; None when there is none."""
        intensity = heard.intensity * min(heard.confidence * 2.0, 1.0) if heard is not None else 0.0
        self._follow(time_ns, intensity, elapsed_s)
        if self.speaking < _STILL and not self._nods:
            return None
        motion: Motion = self._sway.at(time_ns) * np.float32(self.speaking)
        head = np.zeros(3, np.float32)
        for nod in self._nods:
            t = (time_ns - nod.start_ns) / NS_PER_S
            phase = np.array([t / nod.attack_s, (t - nod.attack_s) / nod.release_s])
            rise, fall = minimum_jerk(phase).tolist()
            head += np.float32(rise - fall) * np.array(nod.head, np.float32)
            for name, amount in _BROWS if nod.brows else ():
                motion[EXPRESSION.start + INDEX[name]] += nod.brows * amount * (rise - fall)
        head = np.radians(head)
        motion[HEAD] += head
        motion[GAZE] -= head[[0, 1, 0, 1]]  # the eyes stay where they look
        self._nods = [n for n in self._nods if (time_ns - n.start_ns) / NS_PER_S < n.attack_s + n.release_s]
        return motion

    def _follow(self, time_ns: int, intensity: float, elapsed_s: float) -> None:
        self._fast += (intensity - self._fast) * covered(elapsed_s, _FAST_S)
        self._slow += (intensity - self._slow) * covered(elapsed_s, _SLOW_S)
        talks = self._fast > _SPEAKING
        goal = 1.0 if talks else 0.0
        self.speaking += (goal - self.speaking) * covered(elapsed_s, _BEGINS_S if talks else _ENDS_S)
        over = self._fast - self._slow
        if over < _STANDS_BACK:
            self._ready = True
        elif over > _STANDS_OUT and self._ready and time_ns - self._last_ns > _PAUSE_S * NS_PER_S:
            self._ready = False
            self._accent(time_ns, min(over / 0.4, 1.0))

    def _accent(self, time_ns: int, strength: float) -> None:
        self._count += 1
        rng = np.random.default_rng([self._seed, 5, self._count])
        if rng.random() > _MARKED:
            return
        self._last_ns = time_ns
        size = strength * rng.uniform(0.6, 1.1)
        head = (rng.normal(0, 1.5) * size, -3.6 * size, rng.normal(0, 1.3) * size)
        brows = size if rng.random() < _RAISED else 0.0
        self._nods.append(_Nod(time_ns, rng.uniform(0.13, 0.18), rng.uniform(0.28, 0.45), head, brows))


@lru_cache(maxsize=4)
def _sway(seed: int) -> LoopedMotion:
    """Of somebody who talks all the time; another length than the idle face's, so that both don't repeat together."""
    rng = np.random.default_rng([seed, 6])
    loop = Loop(_SWAY_S)
    head = np.stack([loop.noise(rng, 0.2, 1.2, degrees) for degrees in (1.7, 1.1, 1.2)], axis=-1)
    samples = np.zeros((loop.ticks, MOTION_SIZE), np.float32)
    samples[:, HEAD] = np.radians(head)
    samples[:, SHIFT.start] = 0.05 * loop.delayed(head[:, 0], 0.15)
    samples[:, GAZE] = -samples[:, HEAD][:, [0, 1, 0, 1]]
    for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"):
        samples[:, EXPRESSION.start + INDEX[name]] = np.maximum(loop.noise(rng, 0.15, 1.0, 0.05), 0)
    return LoopedMotion(loop, samples)
