"""Training the listener's network from nothing, and fitting it to one person."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from mien.context import PlainContext
from mien.errors import MediaError
from mien.stage import Kind, Runtime
from mien_train.corpus import Clip, clips_of, english, synthetic, tracked
from mien_train.export import export
from mien_train.learning import Batches, fit, gains_of
from mien_train.model import VoiceNet
from mien_train.recipe import SPEEDS, gather, spoken, track

_UNHEARD = 40
"""Sentences of each kind that only tell how far the network moves."""
_ADAPTED = ("answer", "value", "query", "place")
"""What a person's own clip changes: how what is heard becomes motion, not how it is heard."""
KEPT_UP = 60
"""Synthetic sentences that are learned beside it."""


def train(
    out: Path,
    data: Path | None,
    cache: Path,
    *,
    steps: int,
    sentences: int,
    seed: int,
    mandarin: bool,
    tell: Callable[[str], None],
) -> None:
    """Write `out` (ONNX) and the torch weights beside it (`.pt`), from which `adapt_to` goes on."""
    runtime = _ready(out)
    reproducible(seed)
    corpora = gather(data, cache, sentences, seed, mandarin, tell)
    tell("Minutes to learn from: " + ", ".join(f"{n} {m:.0f}" for n, m in corpora.minutes.items()))
    net = VoiceNet()
    batches = Batches(
        ((corpora.synthetic, 3), (corpora.english, 3), (corpora.tracked, 5), (corpora.curves, 2)), seed
    )
    _fit(net, batches, steps, tell)
    net.gains.copy_(gains_of(net, [*synthetic(_UNHEARD, seed + 100), *english(_UNHEARD, seed + 101)]))
    _write(net, out, runtime, {"seed": str(seed), "steps": str(steps), "mandarin": str(mandarin)}, tell)


def adapt_to(
    clip: Path,
    out: Path,
    base: Path,
    cache: Path,
    *,
    steps: int,
    seed: int,
    tell: Callable[[str], None],
) -> None:
    """Fit the layers that turn what is heard into motion to the person in `clip`, between whose crops synthetic
    speech keeps what the clip doesn't show. base: `.pt` of `train`. Raises `MediaError` for a clip without a face.
    """
    runtime = _ready(out)
    net = restored(base)
    seen = clips_of(clip.stem, tracked(track(clip, cache, tell)), np.random.default_rng(seed), SPEEDS)
    adapt(net, seen, spoken(KEPT_UP, seed, tell), steps=steps, seed=seed, tell=tell)
    _write(net, out, runtime, {"adapted": "to one person", "steps": str(steps)}, tell)


def restored(base: Path) -> VoiceNet:
    """The network of a `.pt` that `train` wrote. Raises `MediaError` when it is missing."""
    if not base.is_file():
        raise MediaError(
            f"--base {base} is missing. Give the .pt file that training wrote beside the network."
        )
    net = VoiceNet()
    net.load_state_dict(torch.load(base, weights_only=True))
    return net


def adapt(
    net: VoiceNet,
    seen: Sequence[Clip],
    beside: tuple[Sequence[Clip], Sequence[Clip]],
    *,
    steps: int,
    seed: int,
    tell: Callable[[str], None],
) -> None:
    """Fit `net` in place to the person in `seen`. beside: synthetic speech of both kinds (`recipe.spoken`)."""
    reproducible(seed)
    for name, parameter in net.named_parameters():
        parameter.requires_grad = name.startswith(_ADAPTED)
    made, plain = beside
    _fit(net, Batches(((made, 2), (plain, 1), (seen, 7)), seed), steps, tell, rate=1e-3)


def _ready(out: Path) -> Runtime:
    """What the network will be compared with, and a place to write it: missed before the training, not after it."""
    from mien.plugins import Registry

    out.parent.mkdir(parents=True, exist_ok=True)
    runtime: Runtime = Registry.discover().create(Kind.RUNTIME)
    return runtime


def reproducible(seed: int) -> None:
    """Let all that torch does by chance follow from `seed`, and the same sums be made in the same order."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # sums in another order are other sums
    torch.use_deterministic_algorithms(True)


def _fit(
    net: VoiceNet, batches: Batches, steps: int, tell: Callable[[str], None], rate: float = 2.5e-3
) -> None:
    began = time.process_time()

    def report(step: int, losses: dict[str, float], _: VoiceNet) -> None:
        figures = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
        tell(f"{step:5d} / {steps}  {figures}  {time.process_time() - began:.0f} s CPU")

    fit(net, batches, steps, report, rate)


def _write(
    net: VoiceNet, out: Path, runtime: Runtime, notes: dict[str, str], tell: Callable[[str], None]
) -> None:
    weights = out.with_suffix(".pt")
    torch.save(net.state_dict(), weights)
    runtime.open(PlainContext())
    try:
        worst = export(net, out, runtime, notes)
    finally:
        runtime.close()
    tell(f"Wrote {out} ({out.stat().st_size / 1e6:.2f} MB; differs from torch by {worst:.1g}) and {weights}.")
