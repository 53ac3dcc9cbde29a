"""Implements the service `runtime` with ONNX Runtime's CPU provider."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as errors

from mien.config import read_table
from mien.errors import MediaError
from mien.stage import Context, Network, Runtime, TensorSpec
from mien.tensors import checked, name_of, no_numbers, refuse_unknown
from mien_onnxruntime.settings import Settings

PRECISIONS = ("fp32", "fp16", "int8")
"""All are taken: what is not quantised runs in fp32, which is faster here than emulating less."""

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(bool)": np.bool_,
}
_UNREADABLE = (
    errors.NoSuchFile,
    errors.InvalidProtobuf,
    errors.InvalidGraph,
    errors.InvalidArgument,
    errors.NotImplemented,
    errors.Fail,
)


class OnnxRuntime(Runtime):
    """Networks in ONNX, on one thread of the CPU unless told otherwise."""

    def __init__(self) -> None:
        self._threads = 1

    def open(self, context: Context) -> None:
        self._threads = read_table(Settings, context.settings, "onnxruntime").threads

    def load(self, model: Path | bytes, *, precision: str = "fp32") -> Network:
        refuse_unknown(precision, PRECISIONS)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # Threads that spin for work take the cores that lanes need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        name = name_of(model)
        try:
            session = onnxruntime.InferenceSession(
                model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
            )
        except _UNREADABLE as error:
            reason = str(error).splitlines()[0]
            raise MediaError(f"{name} is no network that ONNX Runtime can run: {reason}") from error
        return _Loaded(session, name)


class _Loaded(Network):
    def __init__(self, session: onnxruntime.InferenceSession, name: str) -> None:
        self._session = session
        self.inputs = {value.name: _spec(value, name) for value in session.get_inputs()}
        self.outputs = {value.name: _spec(value, name) for value in session.get_outputs()}
        self._names = list(self.outputs)

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        found = self._session.run(self._names, checked(inputs, self.inputs))
        return dict(zip(self._names, found, strict=True))


def _spec(value: Any, network: str) -> TensorSpec:
    if value.type not in _TYPES:
        raise no_numbers(network, value.name, value.type)
    shape = tuple(size if isinstance(size, int) else None for size in value.shape)
    return TensorSpec(shape, np.dtype(_TYPES[value.type]))
