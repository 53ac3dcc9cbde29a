"""Reading and writing face models: one `.npz`, floats as float16, the expression basis without zeros.

The layout is described in `docs/face-model.md`. Nothing in a file is executed, and sizes are checked
before anything is unpacked.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import PackageError
from mien.face.model import Embedding, ExpressionMapping, FaceModel, Region, SparseBasis
from mien.face.rig import ARKIT_NAMES
from mien.frames import EXPRESSIONS
from mien.wholefile import whole_file

FORMAT = 1
MOST_BYTES = 512 * 2**20
"""Unpacked; the largest public 3DMMs are well below."""


def array_names(path: Path) -> frozenset[str]:
    """What an `.npz` holds, without reading it. Raises PackageError when it is not one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return frozenset(name.removesuffix(".npy") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile) as error:
        raise PackageError(f"{path}: not a readable .npz ({error}). Get a fresh copy of the file.") from error


def is_own(path: Path) -> bool:
    """Whether an `.npz` is in the layout of this module, whatever it is called. Raises PackageError."""
    return "format" in array_names(path)


def read_arrays(path: Path, *only: str) -> dict[str, NDArray[Any]]:
    """All arrays of an `.npz`, or those named. Raises PackageError when it is not one, is damaged or unreasonably
    large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MOST_BYTES:
            raise PackageError(f"{path}: unpacks to {size >> 20} MB, no face model is that large.")
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in only or stored.files}
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise PackageError(
            f"{path}: not a readable face model ({error}). Get a fresh copy of the file."
        ) from error


def write(model: FaceModel, path: Path, *, compress: bool = True) -> None:
    """Writes `model`; the file appears whole or not at all. Without `compress` it is larger and read quicker."""
    sparse = model.sparse
    arrays: dict[str, NDArray[Any]] = {
        "format": np.array(FORMAT, np.int32),
        "name": np.array(model.name),
        "source": np.array(model.source),
        "expression_names": np.array(ARKIT_NAMES),
        "mean": model.mean,
        "triangles": model.triangles.astype(np.uint16 if len(model.mean) < 2**16 else np.int32),
        "uv": model.uv.astype(np.float16),
        "identity": model.identity.astype(np.float16),
        "identity_names": np.array(model.identity_names),
        "expression_starts": sparse.starts,
        "expression_rows": sparse.rows.astype(np.uint16 if len(model.mean) < 2**16 else np.int32),
        "expression_deltas": sparse.deltas.astype(np.float16),
        "triangle_region": model.triangle_region,
        "vertex_region": model.vertex_region,
        "eye_centres": model.eye_centres,
        "eye_radius": np.array(model.eye_radius, np.float32),
        "pivot": model.pivot,
    }
    for key, embedding in (("landmarks", model.landmarks), ("landmarks68", model.landmarks68)):
        arrays[f"{key}_vertices"] = embedding.vertices
        arrays[f"{key}_weights"] = embedding.weights
        arrays[f"{key}_trust"] = embedding.trust
    if model.albedo_mean is not None and model.albedo is not None:
        arrays["albedo_mean"] = model.albedo_mean.astype(np.float16)
        arrays["albedo"] = model.albedo.astype(np.float16)
    if model.mapping is not None:
        arrays["own_names"] = np.array(model.mapping.names)
        arrays["own_taken"] = np.array(model.mapping.taken, str)
        arrays["own_of_arkit"] = model.mapping.to_own
        arrays["arkit_of_own"] = model.mapping.from_own
        arrays["own_error"] = model.mapping.error
    with whole_file(path) as partial, partial.open("wb") as file:
        (np.savez_compressed if compress else np.savez)(file, **arrays)


def read(path: Path) -> FaceModel:
    """Reads and checks a model. Raises PackageError."""
    arrays = read_arrays(path)
    field = _Fields(path, arrays)
    version = field.integers("format").item()
    if version > FORMAT:
        raise PackageError(
            f"{path}: face model format {version}, this mien reads up to {FORMAT}. Update mien."
        )
    if field.names("expression_names") != ARKIT_NAMES:
        raise PackageError(
            f"{path}: expression_names are not the {EXPRESSIONS} ARKit names in Apple's order."
        )
    mean = field.floats("mean", None, 3)
    count = len(mean)
    sparse = SparseBasis(
        field.integers("expression_starts", EXPRESSIONS + 1),
        field.indices("expression_rows", count, None),
        field.floats("expression_deltas", None, 3),
    )
    steps = np.diff(sparse.starts)
    if sparse.starts[0] != 0 or (steps < 0).any() or not (
        sparse.starts[-1] == len(sparse.rows) == len(sparse.deltas)
    ):  # fmt: skip
        raise PackageError(f"{path}: expression_starts do not match expression_rows. Get a fresh copy.")
    names = field.names("identity_names")
    triangles = field.indices("triangles", count, None, 3)
    return FaceModel(
        name=str(field.get("name")),
        mean=mean,
        triangles=triangles,
        uv=field.floats("uv", count, 2),
        identity=field.floats("identity", len(names), count, 3),
        identity_names=names,
        expression=sparse.dense(count),
        triangle_region=field.indices("triangle_region", len(Region), len(triangles)).astype(np.int8),
        vertex_region=field.indices("vertex_region", len(Region), count).astype(np.int8),
        landmarks=field.embedding("landmarks", 478, count),
        landmarks68=field.embedding("landmarks68", 68, count),
        eye_centres=field.floats("eye_centres", 2, 3),
        eye_radius=float(field.floats("eye_radius")),
        pivot=field.floats("pivot", 3),
        source=str(field.get("source")),
        albedo_mean=field.floats("albedo_mean", count, 3) if "albedo_mean" in arrays else None,
        albedo=field.floats("albedo", None, count, 3) if "albedo_mean" in arrays else None,
        mapping=_mapping(field) if "own_names" in arrays else None,
        sparse=sparse,
    )


def _mapping(field: _Fields) -> ExpressionMapping:
    names = field.names("own_names")
    return ExpressionMapping(
        names=names,
        to_own=field.floats("own_of_arkit", EXPRESSIONS, len(names)),
        from_own=field.floats("arkit_of_own", len(names), EXPRESSIONS),
        error=field.floats("own_error", EXPRESSIONS),
        taken=field.names("own_taken"),
    )


class _Fields:
    """The arrays of one file, checked as they are asked for."""

    def __init__(self, path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._path = path
        self._arrays = arrays

    def get(self, key: str) -> NDArray[Any]:
        if key not in self._arrays:
            raise PackageError(f"{self._path}: {key} is missing, so this is not a face model of mien.")
        return self._arrays[key]

    def _shaped(self, key: str, kinds: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
        array = self.get(key)
        fits = array.ndim == len(shape) and all(
            want in (None, have) for want, have in zip(shape, array.shape, strict=True)
        )
        if array.dtype.kind not in kinds or not fits:
            wanted = "x".join("any" if n is None else str(n) for n in shape) or "scalar"
            raise PackageError(
                f"{self._path}: {key} is {array.dtype} {array.shape}, expected {wanted}. Get a fresh copy."
            )
        return array

    def floats(self, key: str, *shape: int | None) -> NDArray[np.float32]:
        array = np.ascontiguousarray(self._shaped(key, "f", shape), np.float32)
        # One pass and no array of flags: whatever isn't finite makes the sum not finite.
        if not np.isfinite(array.sum()):
            raise PackageError(f"{self._path}: {key} holds values that are not finite. Get a fresh copy.")
        return array.reshape(self.get(key).shape)

    def integers(self, key: str, *shape: int | None) -> NDArray[np.int32]:
        return np.ascontiguousarray(self._shaped(key, "iu", shape), np.int32)

    def names(self, key: str) -> tuple[str, ...]:
        return tuple(str(name) for name in self._shaped(key, "U", (None,)))

    def indices(self, key: str, below: int, *shape: int | None) -> NDArray[np.int32]:
        array = self.integers(key, *shape)
        if array.size and (array.min() < 0 or array.max() >= below):
            raise PackageError(f"{self._path}: {key} points outside of 0..{below - 1}. Get a fresh copy.")
        return array

    def embedding(self, key: str, landmarks: int, count: int) -> Embedding:
        return Embedding(
            self.indices(f"{key}_vertices", count, landmarks, 3),
            self.floats(f"{key}_weights", landmarks, 3),
            self.floats(f"{key}_trust", landmarks),
        )
