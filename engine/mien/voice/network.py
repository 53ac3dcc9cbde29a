"""Runs the exported network over a sliding window of features."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.errors import ConfigError
from mien.frames import Float
from mien.stage import Runtime
from mien.voice.articulation import CODE
from mien.voice.features import BANDS, HOP_MS

STEP = 2
"""Frames of features per step of the network: it looks at sound in steps of 20 ms."""
BEHIND, AHEAD = 12, 5
"""Steps before and after its own that an answer may depend on directly (by attention)."""
WINDOW = BEHIND + 1 + AHEAD
MEMORY = 16
"""Steps that the embedding of each of these looks further back."""
SPAN_FRAMES = STEP * (WINDOW + MEMORY)
"""Frames that the network is given."""

WEIGHTS = Path(__file__).with_name("voice.onnx")

_SILENT = -3.2
"""What a feature is in silence."""


class VoiceNetwork:
    """Answers for one frame at a time, `reach` steps behind the newest one.

    runtime: what runs it. reach: steps, 0 to AHEAD. Raises `ConfigError` when `model` is another kind of network, and
    `MediaError` when the file cannot be read.
    """

    def __init__(self, runtime: Runtime, reach: int, model: Path = WEIGHTS) -> None:
        self._network = runtime.load(model)
        takes = {"features": (1, SPAN_FRAMES, BANDS), "reach": (1,)}
        gives = {"code": (1, len(CODE) + 1)}
        for does, wanted, specs in (
            ("takes", takes, self._network.inputs),
            ("gives", gives, self._network.outputs),
        ):
            for name, shape in wanted.items():
                if name in specs and specs[name].accepts(shape):
                    continue
                self._network.close()
                found = ", ".join(f"{key} {value.shape}" for key, value in specs.items())
                raise ConfigError(
                    f"{model} does not read voices: it {does} {found}, not {name} {shape}. "
                    "Use a file made by `python -m mien_train voice`, or leave voice.model empty."
                )
        self.reach = reach
        self._reach = np.array([reach], np.int64)
        self._frames: Float = np.full((1, SPAN_FRAMES, BANDS), _SILENT, np.float32)

    @property
    def delay_ms(self) -> float:
        """How far the middle of the frame that `answer` is for lies behind that of the newest frame."""
        return self.reach * STEP * HOP_MS

    def reset(self) -> None:
        """Forget what was heard."""
        self._frames[:] = _SILENT

    def push(self, frame: Float) -> None:
        """frame: (64,) float32."""
        self._frames[:, :-1] = self._frames[:, 1:]
        self._frames[0, -1] = frame

    def answer(self) -> tuple[Float, float]:
        """((10,) code, probability that a voice speaks) of the moment `delay_ms` before the newest frame."""
        window = self._frames
        late = STEP * (AHEAD - self.reach)
        if late:
            # The frame in question always has the same place; what is not there yet is masked in the network.
            window = np.concatenate([window[:, late:], np.repeat(window[:, -1:], late, axis=1)], axis=1)
        values = self._network.run({"features": window, "reach": self._reach})["code"][0]
        return values[: len(CODE)], float(values[len(CODE)])

    def close(self) -> None:
        self._network.close()
