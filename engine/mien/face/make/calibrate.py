"""Calibrates the authored expressions with what real faces do (after Li, Weise and Pauly 2010,
"Example-based facial rigging").

Frames of many people are laid on the mean face and their own neutral is subtracted. Then by turns: weights of
every frame under the present shapes, drawn to MediaPipe's own blendshape scores so that names keep their
meaning; shapes that explain the frames better, drawn to the authored ones and kept to where those move skin.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.face.make.neutral import aligned, calmness, upright
from mien.face.make.topology import COUNT
from mien.face.make.tracks import Track
from mien.face.model import FACE_OVAL
from mien.face.rig import ARKIT_NAMES, INDEX, MIRROR

Doubles = NDArray[np.float64]

AS_AUTHORED = (
    "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
    "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "jawForward", "mouthClose",
    "cheekPuff", "noseSneerLeft", "noseSneerRight", "cheekSquintLeft", "cheekSquintRight", "tongueOut",
)  # fmt: skip
"""Too rare in the clips, unseen by MediaPipe's scores, or determined by geometry."""
TO_AUTHORED = 120.0
TO_SCORES = 0.35
DEPTH_TRUST = 0.5
"""MediaPipe's depth is a guess: half of what it says is taken over."""


def examples(tracks: list[Track], mean: Doubles, per_clip: int = 120) -> tuple[Doubles, Doubles]:
    """Displacements (N, 468, 3) cm on the mean face and scores (N, 52), both less each person's neutral."""
    moved, scored = [], []
    for track in tracks:
        if len(track.points) < 20:
            continue
        points, calm = upright(track.points), calmness(track)
        placed = np.stack([aligned(frame, mean)[:COUNT] for frame in points])
        rest = np.argsort(calm)[: max(8, len(calm) // 20)]
        across = points[:, 263] - points[:, 33]
        frontal = np.abs(across[:, 2]) < 0.35 * np.linalg.norm(across, axis=1)
        difference = placed - placed[rest].mean(axis=0)
        # The liveliest frames, so that a long calm clip doesn't outweigh a short lively one.
        liveliest = np.argsort(-np.linalg.norm(difference, axis=(1, 2)) * frontal)[:per_clip]
        evenly = np.linspace(0, len(points) - 1, per_clip // 2).astype(int)
        chosen = np.unique(np.concatenate([liveliest, evenly]))
        chosen = chosen[frontal[chosen]]
        moved.append(difference[chosen])
        scored.append((track.scores - track.scores[rest].mean(axis=0))[chosen])
    return np.concatenate(moved), np.concatenate(scored).astype(np.float64)


def calibrated(
    authored: Doubles, moved: Doubles, scores: Doubles, mirror: NDArray[np.int64], rounds: int = 4
) -> Doubles:
    """authored: (52, 468, 3) -> the same, calibrated."""
    free = np.array([name not in AS_AUTHORED for name in ARKIT_NAMES])
    masks = _masks(authored)
    trust = np.ones(COUNT)
    trust[list(FACE_OVAL)] = 0.1
    data = np.concatenate([moved, moved[:, mirror] * (-1, 1, 1)])
    hint = np.concatenate([scores, scores[:, list(MIRROR)]])
    seen = hint.std(axis=0) > 0.02
    shapes = authored.copy()
    for _ in range(rounds):
        weights = _weights(shapes, data, hint, seen, trust)
        power = (weights**2).sum(axis=0)
        gram = weights.T @ weights
        gram[np.diag_indices(len(gram))] += TO_AUTHORED
        wanted = weights.T @ data.reshape(len(data), -1) + TO_AUTHORED * authored.reshape(len(authored), -1)
        better = np.linalg.solve(gram, wanted).reshape(authored.shape)
        step = (better - authored) * masks[:, :, None] * (1, 1, DEPTH_TRUST)
        step[~free | (power < 3)] = 0
        shapes = authored + (step + step[list(MIRROR)][:, mirror] * (-1, 1, 1)) / 2
    return shapes


def _masks(authored: Doubles) -> Doubles:
    """(52, 468) 1 where a shape moves skin by more than a fifth of its largest motion, fading to 0."""
    size = np.linalg.norm(authored, axis=2)
    share = (size / size.max(axis=1, keepdims=True).clip(1e-6) / 0.2).clip(0, 1)
    return np.asarray(share * share * (3 - 2 * share))


def _weights(
    shapes: Doubles, data: Doubles, hint: Doubles, seen: NDArray[np.bool_], trust: Doubles
) -> Doubles:
    """(N, 52) in [0, 1.2]: projected coordinate descent for all frames at once."""
    lens = np.sqrt(trust)[:, None] * (1, 1, np.sqrt(DEPTH_TRUST))
    basis = (shapes * lens).reshape(len(shapes), -1)
    gram = basis @ basis.T
    right = (data * lens).reshape(len(data), -1) @ basis.T
    pull = TO_SCORES * np.where(seen, np.diag(gram).clip(0.5), 0) + 0.05
    gram[np.diag_indices(len(gram))] += pull
    right += np.where(seen, pull, 0) * hint.clip(0, 1)
    weights = hint.clip(0, 1).copy()
    used = [k for k in range(len(gram)) if k != INDEX["tongueOut"]]
    for _ in range(40):
        for k in used:
            weights[:, k] += (right[:, k] - weights @ gram[:, k]) / gram[k, k]
            weights[:, k] = weights[:, k].clip(0, 1.2)
    return weights


def expression_weights(shapes: Doubles, moved: Doubles, scores: Doubles) -> Doubles:
    """(N, 52) weights of displacements (N, 468, 3), drawn to MediaPipe's scores (N, 52)."""
    trust = np.ones(COUNT)
    trust[list(FACE_OVAL)] = 0.1
    return _weights(shapes, moved, scores, np.ones(len(shapes), bool), trust)


def explained(shapes: Doubles, moved: Doubles, scores: Doubles) -> float:
    """Share of the examples' motion that `shapes` explain at their best (x and y, less the oval)."""
    trust = np.ones(COUNT)
    trust[list(FACE_OVAL)] = 0.1
    weights = _weights(shapes, moved, scores, np.zeros(len(shapes), bool), trust)
    rest = moved - np.tensordot(weights, shapes, 1)
    lens = trust[:, None] * (1, 1, 0)
    return float(1 - (rest**2 * lens).sum() / (moved**2 * lens).sum())
