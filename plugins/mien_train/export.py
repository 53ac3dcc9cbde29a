"""From torch to the ONNX file that ships, checked against torch on inputs that neither has seen."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch

from mien.errors import StageError
from mien.stage import Runtime
from mien.voice.features import BANDS
from mien.voice.network import AHEAD, SPAN_FRAMES
from mien_train.model import Live, VoiceNet

TOLERANCE = 2e-4
"""The code is in [0, 1]; a thousandth of it is beyond any eye."""


def export(net: VoiceNet, path: Path, runtime: Runtime, notes: dict[str, str]) -> float:
    """Write `path` and return the largest difference between `runtime` and torch. notes: kept in the file.

    Raises `StageError` when they differ by more than `TOLERANCE`; then nothing is written.
    """
    live = Live(net.eval()).eval()
    example = (torch.zeros(1, SPAN_FRAMES, BANDS), torch.tensor([AHEAD]))
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about itself
        torch.onnx.export(
            live, example, buffer, input_names=["features", "reach"], output_names=["code"],
            dynamic_axes={"features": {0: "batch"}, "code": {0: "batch"}}, opset_version=17, dynamo=False,
        )  # fmt: skip
    model = onnx.load_from_string(buffer.getvalue())
    onnx.helper.set_model_props(model, notes)
    model.producer_name = "mien"
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    worst = difference(live, data, runtime)
    if worst > TOLERANCE:
        raise StageError(
            "export", f"the exported network differs from torch by {worst:.2g}; nothing was written."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return worst


def difference(live: Live, data: bytes, runtime: Runtime, runs: int = 8) -> float:
    """The largest difference between the exported network and torch on random inputs."""
    network = runtime.load(data)
    rng = np.random.default_rng()
    worst = 0.0
    for _ in range(runs):
        features = rng.normal(-2, 0.8, (1, SPAN_FRAMES, BANDS)).astype(np.float32)
        reach = rng.integers(0, AHEAD + 1, 1)
        with torch.no_grad():
            wanted = live(torch.from_numpy(features), torch.from_numpy(reach)).numpy()
        worst = max(
            worst, float(np.abs(network.run({"features": features, "reach": reach})["code"] - wanted).max())
        )
    network.close()
    return worst
