"""The face that nobody drives: it breathes, blinks, looks at the viewer and shifts a little.

It is made of layers, so that `drive.liveliness` can give more of one and less of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mien.drive.eyes import Fixation, blink_shape, blink_times, eyes_in_head, fixation_tracks
from mien.drive.loop import Loop, LoopedMotion, Move
from mien.face.retargeting import EXPRESSION, GAZE, HEAD, MOTION_SIZE, SHIFT
from mien.face.rig import INDEX
from mien.frames import Float

IDLE_S = 96.0
"""Long enough that nobody notices the return."""

BLINKS_PER_MINUTE = 15.0


def breathing(loop: Loop, rng: np.random.Generator, period_s: float = 4.2) -> Float:
    """The chest, -1 to 1: about 14 breaths a minute, none like the other; out slower than in."""
    cycles = round(loop.duration_s / period_s)
    phase = 2 * np.pi * (cycles * loop.time_s / loop.duration_s) + loop.noise(rng, 0.02, 0.1, 0.5)
    return np.asarray(np.sin(phase + 0.35 * np.sin(phase)), dtype=np.float32)


class IdleLayers(NamedTuple):
    """What an idle face is made of; the sum of all is the whole. blinks: when, s, each with a rank from 0 to 1: of a
    rate of two times the usual all are made, of the usual those with a rank below a half.
    """

    posture: LoopedMotion
    """(62,) a motion"""
    breath: LoopedMotion
    """(1,) the chest, -1 to 1"""
    looks: LoopedMotion
    """(4,) the gaze of a head that is straight"""
    blinks: tuple[tuple[float, float], ...]


@lru_cache(maxsize=4)
def idle_layers(seed: int) -> IdleLayers:
    """The same for the same seed."""
    rng = np.random.default_rng([seed, 1])
    loop = Loop(IDLE_S)
    breath = breathing(loop, rng)
    nothing = loop.zeros()

    yaw, pitch, roll = (_posture(loop, rng, degrees) for degrees in (2.2, 1.1, 1.0))
    glances, turns = _glances(loop, rng)
    yaw = yaw + turns
    look_yaw, look_pitch = fixation_tracks(loop, rng, glances)
    away = [look.start_s + 0.02 for look in glances[1:] if rng.random() < 0.6]
    times = blink_times(loop, rng, np.full(loop.ticks, BLINKS_PER_MINUTE - 2, np.float32), away)

    posture = np.zeros((loop.ticks, MOTION_SIZE), np.float32)
    posture[:, HEAD] = np.radians(np.stack([yaw, pitch, roll], axis=-1))
    posture[:, SHIFT.start] = loop.noise(rng, 0.03, 0.3, 0.12) + 0.03 * yaw
    posture[:, SHIFT.start + 1] = loop.noise(rng, 0.03, 0.3, 0.04)
    posture[:, SHIFT.start + 2] = loop.noise(rng, 0.03, 0.2, 0.004)
    posture[:, GAZE] = eyes_in_head(nothing, nothing, yaw, pitch, nothing)
    _stirrings(loop, rng, posture[:, EXPRESSION])

    looks = eyes_in_head(look_yaw, look_pitch, nothing, nothing, nothing)
    more = blink_times(loop, rng, np.full(loop.ticks, BLINKS_PER_MINUTE, np.float32))
    ranked = [(time_s, rng.uniform(0.0, 0.5)) for time_s in times]
    ranked += [
        (time_s, rng.uniform(0.5, 1.0)) for time_s in more if all(abs(time_s - t) > 0.7 for t in times)
    ]
    return IdleLayers(
        LoopedMotion(loop, posture),
        LoopedMotion(loop, breath[:, None].copy()),
        LoopedMotion(loop, looks),
        tuple(sorted(ranked)),
    )


def blinking(seed: int, blinks: Sequence[tuple[float, float]], least: float, most: float) -> LoopedMotion:
    """(1,) the lids, 0 to 1, in those of `blinks` (`IdleLayers`) with a rank from `least` to below `most`."""
    rng = np.random.default_rng([seed, 4])
    loop = Loop(IDLE_S)
    lids = loop.zeros()
    for time_s, rank in blinks:
        shape = blink_shape(rng)
        if least <= rank < most:
            loop.add(lids, time_s, shape)
    return LoopedMotion(loop, np.minimum(lids, 1.0)[:, None])


def _posture(loop: Loop, rng: np.random.Generator, degrees: float) -> Float:
    """Now and then a new posture, and slow sway about it."""
    moves = []
    now = rng.uniform(2, 5)
    while now < loop.duration_s - 3:
        moves.append(Move(now, rng.uniform(-1.2, 1.2) * degrees, rng.uniform(0.9, 1.8)))
        now += rng.uniform(4, 10)
    moves[-1] = moves[-1]._replace(value=0.0)
    return loop.moves(moves) + loop.noise(rng, 0.07, 1.1, 0.4 * degrees)


def _glances(loop: Loop, rng: np.random.Generator) -> tuple[list[Fixation], Float]:
    """Mostly at the viewer; a few times a minute somewhere else for a second, the head following in part."""
    looks, moves = [Fixation(0.0, 0.0, 0.0)], []
    now = rng.uniform(6, 10)
    while now < loop.duration_s - 4:
        yaw, pitch = np.clip(rng.normal([0, -1], [9, 4]), -13, 13)
        stay_s = rng.uniform(0.7, 1.8)
        looks += [Fixation(now, yaw, pitch), Fixation(now + stay_s, 0.0, 0.0)]
        moves += [Move(now + 0.07, 0.3 * yaw, 0.45), Move(now + stay_s + 0.08, 0.0, 0.6)]
        now += rng.uniform(8, 16)
    return looks, loop.moves(moves)


def _stirrings(loop: Loop, rng: np.random.Generator, face: Float) -> None:
    """Small things that a resting face does: the corners of the mouth, a brow, lips pressed, a swallow."""
    for names, amount, every_s in (
        (("mouthSmileLeft", "mouthSmileRight", "cheekSquintLeft", "cheekSquintRight"), 0.1, 17.0),
        (("browInnerUp", "browOuterUpLeft", "browOuterUpRight"), 0.09, 14.0),
        (("mouthPressLeft", "mouthPressRight", "mouthRollLower"), 0.16, 23.0),
        (("mouthShrugLower", "mouthFrownLeft", "mouthFrownRight"), 0.08, 31.0),
    ):
        now = rng.uniform(0.2, 1.0) * every_s
        while now < loop.duration_s:
            attack_s, hold_s, release_s = rng.uniform(0.3, 0.7), rng.uniform(0.2, 1.8), rng.uniform(0.7, 1.4)
            size = amount * rng.uniform(0.5, 1.2)
            for name in names:
                own = size * rng.uniform(0.7, 1.1)
                start_s = now + rng.uniform(0, 0.06)
                loop.bump(face[:, INDEX[name]], start_s, attack_s, hold_s, release_s, own)
            now += every_s * rng.uniform(0.6, 1.4)
