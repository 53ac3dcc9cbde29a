"""What runtimes check alike before they run a network, so that their errors read alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError, MediaError, StageError
from mien.stage import TensorSpec


def refuse_unknown(precision: str, known: Collection[str]) -> None:
    """Raises `ConfigError` when `precision` is not among `known`."""
    if precision not in known:
        raise ConfigError(f"There is no precision '{precision}'. Known: {', '.join(known)}.")


def name_of(model: Path | bytes) -> str:
    """What a network is called in errors. Raises `MediaError` when there is no such file."""
    if isinstance(model, bytes):
        return "The network"
    if not model.is_file():
        raise MediaError(f"There is no network {model}. Give the path of an .onnx file.")
    return str(model)


def no_numbers(network: str, name: str, kind: str) -> MediaError:
    """The error about an input or output that is no array of numbers."""
    return MediaError(f"{network} cannot be used: its '{name}' is of the type {kind}, no array of numbers.")


def checked(inputs: Mapping[str, Any], specs: Mapping[str, TensorSpec]) -> dict[str, NDArray[Any]]:
    """The inputs as contiguous arrays on the CPU, in the order of `specs`.

    Raises `StageError` naming the input that is missing, unknown, or of another shape or type.
    """
    if unknown := [name for name in inputs if name not in specs]:
        raise StageError("runtime", f"the network has no input '{unknown[0]}'; it takes {', '.join(specs)}.")
    arrays = {}
    for name, spec in specs.items():
        if name not in inputs:
            raise StageError("runtime", f"the network's input '{name}' {_written(spec)} is missing.")
        array = np.ascontiguousarray(inputs[name])
        if not spec.accepts(array.shape) or array.dtype != spec.dtype:
            raise StageError(
                "runtime",
                f"the network's input '{name}' is {_written(spec)}, not {array.dtype} {array.shape}.",
            )
        arrays[name] = array
    return arrays


def _written(spec: TensorSpec) -> str:
    sizes = ", ".join("any" if size is None else str(size) for size in spec.shape)
    return f"{spec.dtype} ({sizes})"
