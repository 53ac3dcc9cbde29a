"""Eyes as they move by themselves: blinks, fixations joined by saccades, and vergence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mien.drive.loop import TICKS_PER_S, Loop, Move, minimum_jerk
from mien.frames import Float

EYE_DISTANCE_CM = 6.3
VIEWER_DISTANCE_CM = 60.0
"""Where the face that is looked at is: behind the camera, as in a call."""


_CONVERGED = math.atan(EYE_DISTANCE_CM / 2 / VIEWER_DISTANCE_CM)


def rest_vergence() -> Float:
    """(2, 2) gaze, radians, of eyes that meet at the viewer."""
    return np.array([[-_CONVERGED, 0.0], [_CONVERGED, 0.0]], np.float32)


class Fixation(NamedTuple):
    """From `start_s` on the eyes look at a direction in the room, degrees from the viewer: yaw to the
    subject's left, pitch up. Directions further than a few degrees off are looked at far away.
    """

    start_s: float
    yaw: float
    pitch: float


def blink_times(
    loop: Loop, rng: np.random.Generator, per_minute: Float, wanted_s: Sequence[float] = ()
) -> list[float]:
    """When to blink, s, ascending: at the wanted times, and in between at `per_minute` (a track).

    Spontaneous intervals are skewed: most are shorter than the mean, a few are long (log-normal, after
    Bentivoglio et al. 1997: about 17 a minute at rest, 26 in conversation), none below 0.7 s, some double.
    """
    wanted_s = sorted(wanted % loop.duration_s for wanted in wanted_s)
    spread = 0.5
    times: list[float] = []
    now = 0.0
    for until in (*wanted_s, loop.duration_s):
        while True:
            mean_s = 60.0 / float(per_minute[round(now * TICKS_PER_S) % loop.ticks])
            following = now + max(0.7, rng.lognormal(math.log(mean_s) - spread * spread / 2, spread))
            if following > until - 0.7:
                break
            now = following
            times.append(now)
            if rng.random() < 0.08 and now < until - 1.2:
                now += rng.uniform(0.35, 0.5)
                times.append(now)
        if until < loop.duration_s and (not times or until - times[-1] > 0.3):
            times.append(until)
            now = until
    return times


def blink_shape(rng: np.random.Generator) -> Float:
    """The lids' way in one blink, one value per tick, 0 open to 1 closed.

    Closing takes 80 to 100 ms and opening, which ends slowly, about twice as long (VanderWerf et al. 2003).
    """
    closing_s, closed_s, opening_s = rng.uniform(0.08, 0.1), rng.uniform(0.03, 0.06), rng.uniform(0.16, 0.21)
    t = np.arange(round((closing_s + closed_s + opening_s) * TICKS_PER_S) + 1) / TICKS_PER_S
    opened = np.clip((t - closing_s - closed_s) / opening_s, 0, 1)
    shape = minimum_jerk(t / closing_s) - minimum_jerk(opened**0.8)
    return shape.astype(np.float32)


def blinks(loop: Loop, rng: np.random.Generator, times_s: Sequence[float]) -> Float:
    """The track of the lids, 0 to 1."""
    track = loop.zeros()
    for time_s in times_s:
        loop.add(track, time_s, blink_shape(rng))
    return np.minimum(track, 1.0)


def saccade_s(degrees: float) -> float:
    """How long a saccade takes: the main sequence (Bahill et al. 1975)."""
    return 0.021 + 0.0022 * abs(degrees)


def fixation_tracks(
    loop: Loop, rng: np.random.Generator, fixations: Sequence[Fixation]
) -> tuple[Float, Float]:
    """Where the eyes look in the room, degrees: yaw and pitch tracks.

    Between the given fixations the eyes wander a little on what they look at (from eye to eye to mouth of
    the viewer), and drift.
    """
    wandering: list[Fixation] = []
    for index, (start_s, yaw, pitch) in enumerate(fixations):
        wandering.append(Fixation(start_s, yaw, pitch))
        following = fixations[(index + 1) % len(fixations)].start_s
        end_s = following if following > start_s else following + loop.duration_s
        now = start_s + rng.uniform(0.5, 1.4)
        while now < end_s - 0.3:
            wandering.append(Fixation(now, yaw + rng.normal(0, 1.1), pitch + rng.normal(-0.3, 0.7)))
            now += rng.gamma(3.0, 0.3)
    tracks = []
    for axis in (1, 2):
        moves = []
        before = wandering[-1]
        for fixation in wandering:
            jump = math.hypot(fixation.yaw - before.yaw, fixation.pitch - before.pitch)
            moves.append(Move(fixation.start_s % loop.duration_s, fixation[axis], saccade_s(jump)))
            before = fixation
        moves.sort()
        tracks.append(loop.moves(moves) + loop.noise(rng, 0.1, 3.0, 0.12))
    return tracks[0], tracks[1]


def eyes_in_head(yaw: Float, pitch: Float, head_yaw: Float, head_pitch: Float, closed: Float) -> Float:
    """(N, 4) float32, radians, the `GAZE` part of a motion: what the turn of the head leaves to the eyes.

    That the eyes stay on their target while the head moves (the vestibulo-ocular reflex) and lead it when it
    changes follows by itself. During a blink they dip down and towards the nose (Riggs et al. 1987). At rest
    the eyes meet at the viewer; looking away they part, since what is there is further off.
    """
    straight = math.degrees(_CONVERGED)
    away = np.clip((np.hypot(yaw, pitch) - 4.0) / 10.0, 0, 1) * straight * 0.7
    dip = closed * closed
    vertical = pitch - head_pitch - 2.0 * dip
    left = yaw - head_yaw + away - 1.0 * dip
    right = yaw - head_yaw - away + 1.0 * dip
    degrees = np.stack([left, vertical, right, vertical], axis=-1)
    return np.asarray(np.radians(degrees), dtype=np.float32)
