"""The demo performance: a lively minute that everybody sees first, made by program.

`script` says what happens; here it becomes motion. The head goes from posture to posture in overshooting
moves, nods where speech is stressed, and never stands quite still; the eyes lead it; the mouth speaks.
"""

from __future__ import annotations

import numpy as np

from mien.drive import moods
from mien.drive.eyes import Fixation, blink_times, blinks, eyes_in_head, fixation_tracks
from mien.drive.idle import breathing
from mien.drive.loop import Loop, LoopedMotion, Move
from mien.drive.script import DURATION_S, LEANS, LINES, LOOKS, MOODS_PLAYED, NODS
from mien.drive.speech import Phoneme, articulate, timed
from mien.face.retargeting import EXPRESSION, GAZE, HEAD, MOTION_SIZE, SHIFT
from mien.face.rig import INDEX
from mien.frames import Float


def demo_motion(seed: int = 0) -> LoopedMotion:
    """The same for the same seed; another seed plays the same script with other details."""
    rng = np.random.default_rng([seed, 2])
    loop = Loop(DURATION_S)
    lines = [timed(line.words, line.start_s, rng, line.pace) for line in LINES]
    phonemes = [phoneme for line in lines for phoneme in line]
    accents = _accents(phonemes, rng)
    speaking = loop.zeros()
    for line in lines:
        loop.bump(speaking, line[0].start_s - 0.3, 0.3, line[-1].end_s - line[0].start_s, 0.4, 1.0)
    laugh = moods.laugh_pulse(loop, MOODS_PLAYED)
    breath = breathing(loop, rng)

    head = _head(loop, rng, accents, np.minimum(speaking, 1.0), laugh, breath)
    look_yaw, look_pitch = fixation_tracks(loop, rng, [Fixation(*look[:3]) for look in LOOKS])
    shifts = [
        look.start_s + 0.03
        for look, before in zip(LOOKS, (LOOKS[-1], *LOOKS), strict=False)
        if abs(look.yaw - before.yaw) > 9 and rng.random() < 0.75
    ]
    ends = [line[-1].end_s + 0.05 for line in lines if rng.random() < 0.7]
    rate = 14.0 + 8.0 * np.minimum(speaking, 1.0)
    lids = blinks(loop, rng, blink_times(loop, rng, rate, [*shifts, *ends]))

    samples = np.zeros((loop.ticks, MOTION_SIZE), np.float32)
    samples[:, HEAD] = np.radians(head)
    samples[:, SHIFT] = _shift(loop, rng, head, laugh, breath)
    samples[:, GAZE] = eyes_in_head(look_yaw, look_pitch, head[:, 0], head[:, 1], lids)
    samples[:, EXPRESSION] = _face(loop, rng, phonemes, accents, laugh, lids)
    return LoopedMotion(loop, samples)


def _accents(phonemes: list[Phoneme], rng: np.random.Generator) -> list[tuple[float, float]]:
    """Stressed syllables that the head and brows mark: when, s, and how strongly, 0 to 1."""
    return [
        (phoneme.middle_s, rng.uniform(0.35, 1.0))
        for phoneme, before in zip(phonemes[1:], phonemes, strict=False)
        if phoneme.stressed and not before.stressed and rng.random() < 0.85
    ]


def _head(
    loop: Loop,
    rng: np.random.Generator,
    accents: list[tuple[float, float]],
    speaking: Float,
    laugh: Float,
    breath: Float,
) -> Float:
    """(N, 3) float32, degrees: yaw, pitch, roll."""
    moves: tuple[list[Move], list[Move], list[Move]] = ([], [], [])
    before = LOOKS[-1]
    for look in LOOKS:
        goal = (look.share * look.yaw, look.share * look.pitch, look.roll + 0.08 * look.yaw)
        was = (before.share * before.yaw, before.share * before.pitch, before.roll + 0.08 * before.yaw)
        # The eyes go first. Larger turns take longer, but less than in proportion.
        start_s = look.start_s + (rng.uniform(0.06, 0.12) if abs(look.yaw - before.yaw) < 25 else 0.02)
        duration_s = 0.34 + 0.07 * np.sqrt(max(abs(a - b) for a, b in zip(goal, was, strict=True)) + 0.5)
        if look.yaw == look.pitch == 0:
            duration_s *= 1.2
        for axis, (end, begin) in enumerate(zip(goal, was, strict=True)):
            # A first move that goes a little too far or not far enough, then a small correction.
            reached = begin + (end - begin) * rng.uniform(0.92, 1.1)
            own_s = duration_s * rng.uniform(0.9, 1.3) * (1.5 if axis == 2 else 1.0)
            moves[axis].append(Move(start_s, reached, own_s))
            moves[axis].append(Move(start_s + 0.75 * own_s, end, rng.uniform(0.4, 0.6)))
        before = look
    head = np.stack([loop.moves(sorted(axis)) for axis in moves], axis=-1)

    for start_s, degrees, times, sideways in NODS:
        track = head[:, 0 if sideways else 1]
        now = start_s
        for repeat in range(times):
            size = degrees * 0.72**repeat * rng.uniform(0.85, 1.15) * (1 if sideways and repeat % 2 else -1)
            loop.bump(track, now, rng.uniform(0.15, 0.2), 0.02, rng.uniform(0.24, 0.32), size)
            now += rng.uniform(0.34, 0.42)
    for time_s, strength in accents:
        # Down on the beat, and a little sideways, never twice the same way.
        attack_s, release_s = rng.uniform(0.14, 0.2), rng.uniform(0.25, 0.42)
        start_s = time_s - attack_s + rng.normal(0.0, 0.02)
        for axis, degrees in ((1, -4.0), (0, rng.normal(0, 1.7)), (2, rng.normal(0, 1.5))):
            loop.bump(head[:, axis], start_s, attack_s, 0.0, release_s, degrees * strength)

    for axis, (still, talking) in enumerate(((1.1, 1.9), (0.7, 1.3), (0.8, 1.3))):
        head[:, axis] += loop.noise(rng, 0.06, 0.8, still) + speaking * loop.noise(rng, 0.25, 1.3, talking)
        head[:, axis] += loop.noise(rng, 1.5, 5.0, 0.04)
    head[:, 1] += 0.25 * breath + 1.6 * loop.smoothed(laugh, 0.05) * 0.6
    return np.stack([loop.smoothed(axis, 0.02) for axis in head.T], axis=-1)


def _shift(loop: Loop, rng: np.random.Generator, head: Float, laugh: Float, breath: Float) -> Float:
    """(N, 3) float32: the trunk goes along with large turns, late and softly; it breathes, leans, laughs."""
    lean = loop.zeros()
    for start_s, hold_s, amount in LEANS:
        loop.bump(lean, start_s, 0.8, hold_s, 1.0, amount)
    follow = loop.smoothed(loop.delayed(head[:, 0], 0.15), 0.15)
    shake = loop.smoothed(laugh, 0.03)
    sideways = 0.05 * follow - 0.05 * loop.smoothed(head[:, 2], 0.1) + loop.noise(rng, 0.04, 0.4, 0.15)
    upwards = loop.noise(rng, 0.05, 0.4, 0.05) + 0.05 * breath + 0.1 * shake
    away = lean + loop.noise(rng, 0.04, 0.3, 0.005)
    return np.stack([sideways, upwards, away], axis=-1, dtype=np.float32)


def _face(
    loop: Loop,
    rng: np.random.Generator,
    phonemes: list[Phoneme],
    accents: list[tuple[float, float]],
    laugh: Float,
    lids: Float,
) -> Float:
    """(N, 52) float32 ARKit weights."""
    mouth = articulate(loop, phonemes, rng)
    face = moods.play(loop, rng, MOODS_PLAYED)
    face[:, INDEX["jawOpen"]] += 0.1 * laugh

    # A pursed or closing mouth takes the smile back; a smile spreads what is said.
    rounded = np.minimum(mouth[:, INDEX["mouthPucker"]] + 0.6 * mouth[:, INDEX["mouthFunnel"]], 1.0)
    for name in ("mouthSmileLeft", "mouthSmileRight", "mouthDimpleLeft", "mouthDimpleRight"):
        face[:, INDEX[name]] *= 1.0 - 0.55 * rounded
    smile = face[:, INDEX["mouthSmileLeft"]].copy()
    mouth[:, INDEX["mouthPucker"]] *= 1.0 - 0.3 * smile
    face += mouth

    for time_s, strength in accents:
        if rng.random() < 0.5:
            attack_s, hold_s, release_s = (
                rng.uniform(0.12, 0.2),
                rng.uniform(0.0, 0.12),
                rng.uniform(0.25, 0.5),
            )
            for name, amount in (
                ("browInnerUp", 0.26),
                ("browOuterUpLeft", 0.24),
                ("browOuterUpRight", 0.21),
            ):
                start_s = time_s - attack_s - 0.04 + rng.uniform(0, 0.03)
                loop.bump(face[:, INDEX[name]], start_s, attack_s, hold_s, release_s, amount * strength)
    for side in ("Left", "Right"):
        blink = face[:, INDEX[f"eyeBlink{side}"]]
        blink += lids + 0.04 * loop.noise(rng, 0.1, 1.0, 0.5)
        face[:, INDEX[f"eyeSquint{side}"]] += 0.12 * lids
        face[:, INDEX[f"eyeWide{side}"]] *= 1.0 - lids
        face[:, INDEX[f"browDown{side}"]] += 0.05 * lids
    # Nothing on a living face is at exactly zero or a round number for long.
    for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight", "mouthSmileLeft", "mouthSmileRight"):
        face[:, INDEX[name]] += 0.03 + loop.noise(rng, 0.1, 1.5, 0.018)
    face = np.clip(face, 0.0, 1.0)
    face[:, INDEX["mouthClose"]] = np.minimum(face[:, INDEX["mouthClose"]], face[:, INDEX["jawOpen"]])
    return np.asarray(face, dtype=np.float32)
