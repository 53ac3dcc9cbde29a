"""Batches, losses and the loop that fits `VoiceNet` to clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mien.frames import Float
from mien.voice.articulation import CHANNEL, CODE
from mien.voice.features import BANDS, normalised
from mien.voice.network import AHEAD, BEHIND, STEP, WINDOW
from mien_train.corpus import Clip, mel_of
from mien_train.degrade import noises
from mien_train.model import VoiceNet

CROP = 320
"""Frames of features in one example: 3.2 s, most of which are answered for."""

ANSWERED = slice(STEP * BEHIND + STEP - 1, CROP - STEP * AHEAD, STEP)
"""The frames of an example that the network answers for."""

_SCALE = {"jaw": 1.0, "opening": 3.0, "pucker": 1.5, "funnel": 1.2, "spread": 1.0, "lower": 1.0, "upper": 1.0,
          "tuck": 1.0, "press": 0.6, "tongue": 0.5}  # fmt: skip
"""How much each part of the code matters where its true size is known."""
_COURSE = {"jaw": 0.3, "opening": 1.0, "pucker": 0.25, "funnel": 0.15, "spread": 0.15, "lower": 0.1, "upper": 0.05,
           "press": 0.1}  # fmt: skip
"""And where only its course is."""
_SURE = 0.3
"""Differences of size below that count by their square, beyond it by themselves."""


@dataclass(frozen=True, slots=True)
class Batch:
    """features (B, CROP, 64), code (B, A, 10), speaking (B, A), exact (B,) bool, reach (B,)."""

    features: Tensor
    code: Tensor
    speaking: Tensor
    exact: Tensor
    reach: Tensor


class _Choice:
    """Clips, each with its share of all that is in them."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self.clips = tuple(clips)
        lengths = np.array([len(clip.mel) for clip in clips], float)
        self.shares = lengths / lengths.sum()


class Batches:
    """Examples by chance, degraded by chance; the same ones for the same seed.

    groups: (clips, examples per batch). nobody: log-mel of sounds that no mouth belongs to; made when not given.
    """

    def __init__(
        self, groups: Sequence[tuple[Sequence[Clip], int]], seed: int, nobody: Sequence[Float] = ()
    ) -> None:
        self._groups = [(_Choice(clips), count) for clips, count in groups if clips and count]
        self._rng = np.random.default_rng(seed)
        self._noises = list(nobody) or [mel_of(sound) for sound in noises(self._rng)]
        self._voices = [clip.mel for choice, _ in self._groups for clip in choice.clips if clip.exact]

    def draw(self) -> Batch:
        rows = [self._example(choice) for choice, count in self._groups for _ in range(count)]
        rows.append(self._nobody())
        features, code, speaking, exact = zip(*rows, strict=True)
        # Most people will run with the whole look-ahead; the shorter ones are learned beside it.
        reach = np.where(
            self._rng.random(len(rows)) < 0.5, AHEAD, self._rng.integers(1, AHEAD + 1, len(rows))
        )
        return Batch(
            torch.from_numpy(np.stack(features)),
            torch.from_numpy(np.stack(code)[:, ANSWERED]),
            torch.from_numpy(np.stack(speaking)[:, ANSWERED]),
            torch.tensor(exact),
            torch.from_numpy(reach),
        )

    def _example(self, choice: _Choice) -> tuple[Float, Float, Float, bool]:
        clip = choice.clips[int(self._rng.choice(len(choice.clips), p=choice.shares))]
        mel, code, speaking = clip.mel, clip.code, clip.speaking
        if len(mel) < CROP:
            short = CROP - len(mel)
            mel = np.concatenate([np.full((short, BANDS), mel.min(), np.float32), mel])
            code = np.concatenate([np.repeat(code[:1], short, 0), code])
            speaking = np.concatenate([np.zeros(short, np.float32), speaking])
        first = int(self._rng.integers(0, len(mel) - CROP + 1))
        part = slice(first, first + CROP)
        return self._disturbed(mel[part], clip.level), code[part], speaking[part], clip.exact

    def _nobody(self) -> tuple[Float, Float, Float, bool]:
        """Noise, tones, music or silence, to which a mouth stays shut."""
        mel = (
            self._cut(self._noises)
            if self._rng.random() < 0.85
            else np.full((CROP, BANDS), -18.0, np.float32)
        )
        features = normalised(mel, -6.0 + self._rng.normal(0, 1.5))
        return features, np.zeros((CROP, len(CODE)), np.float32), np.zeros(CROP, np.float32), True

    def _cut(self, choices: list[Float]) -> Float:
        mel = choices[int(self._rng.integers(len(choices)))]
        if len(mel) < CROP:
            mel = np.tile(mel, (CROP // len(mel) + 1, 1))
        first = int(self._rng.integers(0, len(mel) - CROP + 1))
        return mel[first : first + CROP]

    def _disturbed(self, mel: Float, level: float) -> Float:
        rng = self._rng
        if rng.random() < 0.7:
            mel = _other_throat(mel, rng.uniform(0.86, 1.16))
        if rng.random() < 0.7:  # another microphone: a gentle curve over the bands
            x = np.linspace(-1, 1, BANDS, dtype=np.float32)
            a, b, c = rng.normal(0, (0.8, 0.5, 0.4))
            mel = mel + np.float32(a) * x + np.float32(b) * (x * x - 0.4) + np.float32(c) * np.sin(3 * x)
        if rng.random() < 0.55:
            noise = self._cut(self._noises if rng.random() < 0.75 else self._voices)
            below = rng.uniform(2.0, 9.0)  # 9 to 39 dB under the voice
            top = float(np.percentile(noise, 97))
            mel = np.logaddexp(mel, noise + np.float32(level - below - top))
        if rng.random() < 0.3:  # bands that are missing
            width = int(rng.integers(2, 9))
            start = int(rng.integers(0, BANDS - width))
            mel = mel.copy()
            mel[:, start : start + width] = mel[:, start : start + width].min()
        return normalised(mel.astype(np.float32), level + float(rng.normal(0, 0.8)))


def _other_throat(mel: Float, factor: float) -> Float:
    """The same said by a longer or shorter vocal tract: the bands move up or down (Eide and Gish 1996)."""
    at = np.clip(np.arange(BANDS) * factor, 0, BANDS - 1.001)
    low = at.astype(int)
    share = (at - low).astype(np.float32)
    return np.asarray(mel[:, low] * (1 - share) + mel[:, low + 1] * share)


def loss_of(answer: Tensor, batch: Batch) -> dict[str, Tensor]:
    """answer: (B, A, 11). Exact examples: size, speed and closed lips; the others: only the course."""
    code, logit = answer[..., : len(CODE)], answer[..., len(CODE)]
    exact = batch.exact
    weight = torch.tensor([_SCALE[name] for name in CODE])
    wanted, said = batch.code[exact], code[exact]
    opening, speaking = CHANNEL["opening"], batch.speaking[exact]
    # A reader of lips sees one thing before all others: whether the lips met.
    shut = ((wanted[..., opening] < 0.04) & (speaking > 0.5)).float()
    emphasis = torch.ones_like(wanted)
    emphasis[..., opening] += 3 * shut
    emphasis[..., CHANNEL["press"]] += 2 * shut
    # Where it is unsure what is seen, the mean of the possible says more than their median, which is rest.
    apart = torch.nn.functional.smooth_l1_loss(said, wanted, reduction="none", beta=_SURE)
    size = (emphasis * weight * apart).mean()
    speed = (weight * ((said[:, 2:] - said[:, :-2]) - (wanted[:, 2:] - wanted[:, :-2])).abs()).mean()
    voice = torch.nn.functional.binary_cross_entropy_with_logits(logit[exact], speaking)
    losses = {"size": size, "speed": speed, "voice": voice}
    if (~exact).any():
        course = torch.zeros(())
        for name, share in _COURSE.items():
            place = CHANNEL[name]
            course = course + share * (
                1 - _correlation(code[~exact][..., place], batch.code[~exact][..., place])
            )
        losses["course"] = course
    return losses


def _correlation(one: Tensor, other: Tensor) -> Tensor:
    """Mean Pearson correlation over the rows (B, A), those that move more counting more."""
    one, other = one - one.mean(1, keepdim=True), other - other.mean(1, keepdim=True)
    spread = other.std(1)
    values = (one * other).mean(1) / (one.std(1) * spread + 1e-3)
    return (values * spread).sum() / (spread.sum() + 1e-6)


SHARES = {"size": 50.0, "speed": 8.0, "voice": 0.3, "course": 1.0}
"""Of the parts in the whole loss."""


_SMOOTHED = 0.99
"""Share of the mean of the weights that a step leaves as it was (Polyak and Juditsky 1992)."""


def fit(
    net: VoiceNet,
    batches: Batches,
    steps: int,
    report: Callable[[int, dict[str, float], VoiceNet], None],
    rate: float = 2.5e-3,
) -> None:
    """Train in place: AdamW, one cycle of the rate; what remains is the running mean of the weights.

    report: called every 100 steps with the mean losses and that running mean.
    """
    trained = [p for p in net.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)
    smooth = torch.optim.swa_utils.AveragedModel(
        net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(_SMOOTHED), use_buffers=True
    )
    sums: dict[str, float] = {}
    _train_mode(net)
    for step in range(1, steps + 1):
        batch = batches.draw()
        losses = loss_of(net(batch.features, batch.reach), batch)
        total = torch.stack([SHARES[name] * value for name, value in losses.items()]).sum()
        optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        schedule.step()
        smooth.update_parameters(net)
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        if step % 100 == 0:
            report(step, {name: value / 100 for name, value in sums.items()}, smooth.module)
            sums.clear()
    net.load_state_dict(smooth.module.state_dict())
    net.eval()


def _train_mode(net: VoiceNet) -> None:
    """As `net.train()`, but what is frozen stays as it is, running means of its normalisation included."""
    net.train()
    for module in net.modules():
        own = list(module.parameters(recurse=False))
        if own and not any(parameter.requires_grad for parameter in own):
            module.eval()


_LEAST_GAIN, _MOST_GAIN = 1.0, 1.5


def gains_of(net: VoiceNet, clips: Sequence[Clip]) -> Tensor:
    """(10,): by how much the net moves less than the mouths of `clips`, which it has not heard, within reason."""
    said, wanted = [], []
    with torch.no_grad():
        for clip in clips:
            steps = len(clip.mel) // STEP
            if steps < WINDOW:
                continue
            features = torch.from_numpy(normalised(clip.mel[: STEP * steps], clip.level))[None]
            said.append(net(features, torch.tensor([AHEAD]))[0, :, : len(CODE)].clamp(0, 1))
            answered = slice(STEP * BEHIND + STEP - 1, STEP * (steps - AHEAD), STEP)
            wanted.append(torch.from_numpy(clip.code[answered]))
    ratio = torch.cat(wanted).square().mean(0).sqrt() / (torch.cat(said).square().mean(0).sqrt() + 1e-3)
    return ratio.clamp(_LEAST_GAIN, _MOST_GAIN)
