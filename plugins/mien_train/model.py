"""The network that reads a voice: audio embedding, 1x1 projection, attention over a window, code of the mouth.

After "Audio-driven neural rendering" (seed 003: an embedding per frame, projected by 1x1 convolutions, and T frames
weighed by attention into one vector), with two changes. The embedding is causal, so only the attention looks ahead,
and how far is a number that can be chosen at run time. And the weights of the attention depend on what is heard
now (a query) beside what is heard when, in several heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.voice.articulation import CODE
from mien.voice.features import BANDS
from mien.voice.network import BEHIND, STEP, WINDOW

HEADS = 4


class CausalConv(nn.Module):  # type: ignore[misc]
    """A convolution over time that sees the present and the past."""

    def __init__(self, inputs: int, outputs: int, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.reach = (width - 1) * dilation
        self.conv = nn.Conv1d(inputs, outputs, width, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        padded: Tensor = self.conv(functional.pad(x, (self.reach, 0)))
        return padded


class Block(nn.Module):  # type: ignore[misc]
    """Residual: normalise, convolve, bend, mix."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.conv = CausalConv(width, width, 3, dilation)
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        bent = functional.leaky_relu(self.conv(self.norm(x)), 0.1)
        mixed: Tensor = x + self.mix(bent)
        return mixed


class VoiceNet(nn.Module):  # type: ignore[misc]
    """features (B, STEP * S, 64) -> (B, S - WINDOW + 1, 11): the code (10) and the logit of speaking.

    Answer i is for the second frame of step i + BEHIND. reach: (B,) int64, how many steps beyond its own each may
    use, 0 to AHEAD. gains: what the code is multiplied by where it is used: a mean of what may be meant moves less
    than what is.
    """

    def __init__(self, width: int = 96, projected: int = 64, dilations: tuple[int, ...] = (1, 2, 4)) -> None:
        super().__init__()
        self.enter = nn.Conv1d(BANDS, width, 3 * STEP, stride=STEP)
        self.embedding = nn.Sequential(*(Block(width, dilation) for dilation in dilations))
        self.projection = nn.Sequential(nn.Conv1d(width, projected, 1), nn.LeakyReLU(0.1), nn.Dropout(0.1))
        self.query = nn.Linear(projected, projected)
        self.key = nn.Linear(projected, projected, bias=False)
        self.value = nn.Linear(projected, projected)
        self.place = nn.Parameter(torch.zeros(HEADS, WINDOW))
        nn.init.normal_(self.place, 0, 0.5)
        self.answer = nn.Sequential(
            nn.Linear(2 * projected, 128), nn.LeakyReLU(0.1), nn.Linear(128, 64), nn.LeakyReLU(0.1),
            nn.Linear(64, len(CODE) + 1),
        )  # fmt: skip
        self.register_buffer("gains", torch.ones(len(CODE)))

    def forward(self, features: Tensor, reach: Tensor) -> Tensor:
        p = self.projected(features)
        answers = p.shape[1] - WINDOW + 1
        keys, values = self.key(p).unfold(1, WINDOW, 1), self.value(p).unfold(1, WINDOW, 1)
        return self.attend(p[:, BEHIND : BEHIND + answers], keys, values, reach)

    def projected(self, features: Tensor) -> Tensor:
        """(B, STEP * S, 64) -> (B, S, P): what is heard in each step."""
        x = functional.pad(features.transpose(1, 2), (2 * STEP, 0))
        heard: Tensor = self.projection(self.embedding(self.enter(x)))
        return heard.transpose(1, 2)

    def attend(self, now: Tensor, keys: Tensor, values: Tensor, reach: Tensor) -> Tensor:
        """now: (B, A, P), keys and values: (B, A, P, WINDOW), reach: (B,) -> (B, A, 11)."""
        size = now.shape[2]
        heads = (-1, now.shape[1], HEADS, size // HEADS)
        query = self.query(now).view(*heads, 1)
        weight = (query * keys.reshape(*heads, WINDOW)).sum(3) * (size // HEADS) ** -0.5 + self.place
        beyond = torch.arange(WINDOW, device=now.device)[None, :] > BEHIND + reach[:, None]
        weight = weight.masked_fill(beyond[:, None, None, :], -1e4).softmax(-1)
        heard = (weight.unsqueeze(3) * values.reshape(*heads, WINDOW)).sum(-1).reshape(-1, now.shape[1], size)
        answer: Tensor = self.answer(torch.cat([now, heard], -1))
        return answer


class Live(nn.Module):  # type: ignore[misc]
    """What is exported: the answer for one moment, from the window that the live network is given.

    features: (B, SPAN_FRAMES, 64), reach: (1,) -> (B, 11), the code with its gains, the speaking as a probability.
    """

    def __init__(self, net: VoiceNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, features: Tensor, reach: Tensor) -> Tensor:
        p = self.net.projected(features)[:, -WINDOW:]
        keys, values = (layer(p).transpose(1, 2).unsqueeze(1) for layer in (self.net.key, self.net.value))
        answer = self.net.attend(p[:, BEHIND : BEHIND + 1], keys, values, reach)[:, 0]
        return torch.cat([answer[:, :-1] * self.net.gains, answer[:, -1:].sigmoid()], -1)
