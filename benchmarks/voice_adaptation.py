"""How much better the listener reads one person after it was adapted to them: each third of a clip of somebody whom
it has never heard, with what was learned from the other two (`mien_train.voice.adapt`, as `--adapt` does it).

The thirds share a room, a microphone and a camera, so part of what is gained may be theirs.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mien.plugins import Registry
from mien.stage import Kind
from mien.testing.context import FakeContext
from mien_train.__main__ import SHIPPED
from mien_train.corpus import Clip, Tracked, clips_of, tracked
from mien_train.export import export
from mien_train.recipe import SPEEDS, spoken, track
from mien_train.voice import KEPT_UP, adapt, restored

CLIP = "room_24s_720p"
THIRDS = 3
STEPS, SEED = 300, 11
"""As the command has them."""


def adaptation(
    data: Path, cache: Path, judge: Callable[[Path | None, Tracked], float], tell: Callable[[str], None]
) -> dict[str, Any]:
    """judge(network, seen): the correlation of the mouth in `seen`, by a network or, for None, the shipped one."""
    take = track(data / "talk" / f"{CLIP}.mp4", cache, tell)
    length_s = float(tracked(take).times_s[-1])
    edges_s = np.linspace(0, length_s, THIRDS + 1)
    edges_s[-1] = np.inf
    beside = spoken(KEPT_UP, SEED, tell)
    before, after = [], []
    for held_out in range(THIRDS):
        rng = np.random.default_rng(SEED)
        learned: list[Clip] = []
        for third in sorted(set(range(THIRDS)) - {held_out}):
            learned += clips_of(CLIP, tracked(take, edges_s[third], edges_s[third + 1]), rng, SPEEDS)
        net = restored(SHIPPED)
        adapt(net, learned, beside, steps=STEPS, seed=SEED, tell=tell)
        unheard = tracked(take, edges_s[held_out], edges_s[held_out + 1])
        with tempfile.TemporaryDirectory() as folder:
            network = Path(folder) / "adapted.onnx"
            runtime = Registry.discover().create(Kind.RUNTIME)
            runtime.open(FakeContext())
            try:
                export(net, network, runtime, {})
            finally:
                runtime.close()
            before.append(judge(None, unheard))
            after.append(judge(network, unheard))
    return {
        "clip": CLIP,
        "learned_s": round(length_s * (THIRDS - 1) / THIRDS, 1),
        "steps": STEPS,
        "before": before,
        "after": after,
        "mean_before": statistics.mean(before),
        "mean_after": statistics.mean(after),
    }
