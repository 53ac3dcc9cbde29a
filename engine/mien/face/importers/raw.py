"""What the reader of a published model hands on, before it becomes a `FaceModel`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import PackageError
from mien.face.importers.skinning import Jaw
from mien.face.importers.unpickling import MOST_BYTES
from mien.frames import Float

MODES = 100
"""Identity modes that are kept: what lies beyond is noise for what a camera sees, and slow to load."""
ALBEDO_MODES = 30


@dataclass(frozen=True, slots=True)
class Eyeball:
    """vertices: those of the mesh that belong to it, (N,); centre: (3,) cm."""

    vertices: NDArray[np.int64]
    centre: Float


@dataclass(frozen=True, slots=True)
class RawModel:
    """A model in cm, along head space's axes (x to the subject's left, y up, z out of the face), wherever its
    origin lies.

    mean: (V, 3) float32. triangles: (T, 3) int32. identity: (I, V, 3) float32 per standard deviation.
    expression: (K, V, 3) float32 per unit of the model's own K expression coefficients. albedo_mean, albedo:
    as in `FaceModel`. eyes: its eyeballs, left then right. jaw: how the jaw turns, where it is a joint.
    anchors: MediaPipe landmark -> (3,), for those that the file names.
    """

    name: str
    source: str
    mean: Float
    triangles: NDArray[np.int32]
    identity: Float
    expression: Float
    expression_names: tuple[str, ...]
    albedo_mean: Float | None = None
    albedo: Float | None = None
    eyes: tuple[Eyeball, Eyeball] | None = None
    jaw: Jaw | None = None
    anchors: Mapping[int, Float] = field(default_factory=dict)


class Parts:
    """The arrays of a published file, checked as they are asked for. Errors name the file and the array."""

    def __init__(self, path: Path, what: str, values: Mapping[str, Any]) -> None:
        self._path, self._what, self._values = path, what, values

    def wrong(self, reason: str) -> PackageError:
        return PackageError(
            f"{self._path}: {reason}. This is not {self._what} as published: get a fresh copy."
        )

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def text(self, key: str) -> str:
        """Text as HDF5 stores it: bytes, or an array of them."""
        value = self._values[key]
        raw = value if isinstance(value, (bytes, str)) else np.asarray(value).tobytes()
        return raw if isinstance(raw, str) else raw.decode(errors="replace").rstrip("\0")

    def floats(self, key: str, *shape: int | None) -> Float:
        """float32, finite, of that shape (None: any)."""
        array = self._array(key, "fiu", shape)
        result = np.ascontiguousarray(array, np.float32)
        if not np.isfinite(result.sum(dtype=np.float64)):
            raise self.wrong(f"{key} holds values that are not finite")
        return result

    def indices(self, key: str, below: int, *shape: int | None, first: int = 0) -> NDArray[np.int32]:
        """int32 from 0, out of a file that counts from `first`."""
        array = self._array(key, "iuf", shape).astype(np.int64) - first
        if array.size and (array.min() < 0 or array.max() >= below):
            raise self.wrong(f"{key} points outside of {first}..{below - 1 + first}")
        return np.ascontiguousarray(array, np.int32)

    def _array(self, key: str, kinds: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
        if key not in self._values:
            raise self.wrong(f"{key} is missing")
        value = self._values[key]
        sparse = hasattr(value, "toarray")
        array: Any = value if sparse else np.asarray(value)
        fits = array.ndim == len(shape) and all(
            want in (None, have) for want, have in zip(shape, array.shape, strict=True)
        )
        if array.dtype.kind not in kinds or not fits:
            wanted = " x ".join("any" if n is None else str(n) for n in shape)
            raise self.wrong(f"{key} is {array.dtype} {array.shape}, expected {wanted}")
        # Only now, for a few numbers may tell of a sparse array as large as memory.
        if sparse and math.prod(array.shape) * array.dtype.itemsize > MOST_BYTES:
            raise self.wrong(f"{key} is as large as {array.shape}")
        return np.asarray(array.toarray()) if sparse else array
