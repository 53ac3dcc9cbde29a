"""Implements the service `runtime` with OpenVINO's CPU device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from mien.config import read_table
from mien.errors import MediaError
from mien.stage import Context, Network, Runtime, TensorSpec
from mien.tensors import checked, name_of, no_numbers, refuse_unknown
from mien_openvino.settings import Settings

PRECISIONS = {"fp32": "f32", "fp16": "f16", "int8": "f32"}
"""What is not quantised in the file is computed in that type; f16 only where the processor has it."""


class OpenVino(Runtime):
    """Networks in ONNX or OpenVINO's own format, on one thread of the CPU unless told otherwise."""

    def __init__(self) -> None:
        self._threads = 1
        self._core: openvino.Core | None = None

    def open(self, context: Context) -> None:
        self._threads = read_table(Settings, context.settings, "openvino").threads
        self._core = openvino.Core()

    def load(self, model: Path | bytes, *, precision: str = "fp32") -> Network:
        refuse_unknown(precision, PRECISIONS)
        assert self._core is not None, "opened first"  # noqa: S101
        name = name_of(model)
        hints = {
            "INFERENCE_NUM_THREADS": self._threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
            "ENABLE_CPU_PINNING": False,
        }
        try:
            read = self._core.read_model(model if isinstance(model, bytes) else str(model))
            return _Loaded(self._core.compile_model(read, "CPU", hints), name)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise MediaError(f"{name} is no network that OpenVINO can run: {reason}") from error

    def close(self) -> None:
        self._core = None


class _Loaded(Network):
    def __init__(self, compiled: openvino.CompiledModel, name: str) -> None:
        self._request = compiled.create_infer_request()
        self.inputs = {port.any_name: _spec(port, name) for port in compiled.inputs}
        self.outputs = {port.any_name: _spec(port, name) for port in compiled.outputs}

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        found = self._request.infer(checked(inputs, self.inputs), share_inputs=True)
        return {name: np.array(found[name]) for name in self.outputs}


def _spec(port: Any, network: str) -> TensorSpec:
    shape = tuple(None if size.is_dynamic else size.get_length() for size in port.partial_shape)
    dtype = np.dtype(port.element_type.to_dtype())
    if dtype.kind not in "biuf":
        raise no_numbers(network, port.any_name, port.element_type.get_type_name())
    return TensorSpec(shape, dtype)
