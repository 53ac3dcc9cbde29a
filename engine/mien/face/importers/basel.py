"""Reads the Basel Face Models.

2009 (Paysan, Knothe, Amberg, Romdhani and Vetter 2009, "A 3D face model for pose and illumination invariant face
recognition"), `01_MorphableModel.mat`, MATLAB 5, described in the README of its download:

    shapeMU (3V, 1), shapePC (3V, 199), shapeEV (199, 1)   micrometres; x, y, z of each vertex in turn; EV are
                                                           standard deviations
    texMU (3V, 1), texPC (3V, 199), texEV (199, 1)         0..255
    tl (T, 3)                                              corners, counted from 1

2017 and 2019 (Gerig et al. 2018, "Morphable face models: an open framework"), HDF5 in the layout of
github.com/unibas-gravis/scalismo:

    shape/model/mean (3V,), pcaBasis (3V, K), pcaVariance (K,)     mm, the basis orthonormal
    shape/representer/points (3, V), cells (3, T)
    color/model/..., expression/model/...                          the same; colours 0..1
    metadata/landmarks/json                                        named points on the mean, where there are any
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from mien.errors import MissingExtraError, PackageError
from mien.face.importers.raw import ALBEDO_MODES, MODES, Parts, RawModel
from mien.face.importers.unpickling import MOST_BYTES
from mien.frames import Float

_SOURCE = "Basel Face Model {year}, University of Basel; licence of faces.dmi.unibas.ch"
_HDF = b"\x89HDF\r\n\x1a\n"
_UM_PER_CM, _MM_PER_CM = 1e4, 10.0

_LANDMARKS = {
    "center.nose.tip": 1, "center.chin.tip": 152,
    "right.eye.corner_outer": 33, "right.eye.corner_inner": 133,
    "left.eye.corner_outer": 263, "left.eye.corner_inner": 362,
    "right.eye.top": 159, "right.eye.bottom": 145, "left.eye.top": 386, "left.eye.bottom": 374,
    "right.lips.corner": 61, "left.lips.corner": 291,
    "center.lips.upper.outer": 0, "center.lips.upper.inner": 13,
    "center.lips.lower.inner": 14, "center.lips.lower.outer": 17,
    "right.lips.philtrum_ridge": 37, "left.lips.philtrum_ridge": 267,
    "right.nose.wing.outer": 129, "left.nose.wing.outer": 358,
}  # fmt: skip
"""Scalismo's names among MediaPipe's points."""


def is_hdf(path: Path) -> bool:
    """Whether a file is HDF5 (as MATLAB 7.3's are too, after a preface)."""
    with path.open("rb") as file:
        return _HDF in (file.read(8), file.seek(512) and file.read(8))


def read_2009(path: Path, modes: int = MODES) -> RawModel:
    """Raises PackageError, MissingExtraError for a MATLAB 7.3 file without h5py."""
    parts = Parts(path, "the Basel Face Model 2009", _mat(path))
    size = len(parts.floats("shapeMU", None, 1))
    count = size // 3
    deviations = parts.floats("shapeEV", None, 1)[:, 0]
    basis = parts.floats("shapePC", size, len(deviations))
    spread = parts.floats("texEV", None, 1)[:, 0]
    colours = parts.floats("texPC", size, len(spread))
    return RawModel(
        name="bfm2009",
        source=_SOURCE.format(year=2009),
        mean=parts.floats("shapeMU", size, 1).reshape(-1, 3) / np.float32(_UM_PER_CM),
        triangles=parts.indices("tl", count, None, 3, first=1),
        identity=_modes(basis, deviations / np.float32(_UM_PER_CM), modes),
        expression=np.zeros((0, count, 3), np.float32),
        expression_names=(),
        albedo_mean=parts.floats("texMU", size, 1).reshape(-1, 3) / np.float32(255),
        albedo=_modes(colours, spread / np.float32(255), ALBEDO_MODES),
    )


def read_later(path: Path, modes: int = MODES) -> RawModel:
    """2017 and 2019. Raises PackageError, MissingExtraError without h5py."""
    parts = Parts(path, "a Basel Face Model", _h5(path))
    mean, deviations, basis = _linear(parts, "shape")
    count = mean.size // 3
    year = 2019 if "2019" in path.name else 2017
    name = f"bfm{year}"
    shift, strengths, moves = _linear(parts, "expression")
    tint, spread, colours = _linear(parts, "color")
    if shift.size != mean.size or tint.size != mean.size:
        raise parts.wrong("shape, color and expression differ in their number of vertices")
    bright = np.float32(255 if tint.max() > 2 else 1)
    return RawModel(
        name=name,
        source=_SOURCE.format(year=year),
        # A face is shape plus expression, each with a mean of its own.
        mean=(mean + shift).reshape(-1, 3) / np.float32(_MM_PER_CM),
        triangles=np.ascontiguousarray(parts.indices("shape/representer/cells", count, 3, None).T),
        identity=_modes(basis, deviations / np.float32(_MM_PER_CM), modes),
        expression=_modes(moves, strengths / np.float32(_MM_PER_CM), MODES),
        expression_names=tuple(f"{name}_{k:02d}" for k in range(min(MODES, moves.shape[1]))),
        albedo_mean=tint.reshape(-1, 3) / bright,
        albedo=_modes(colours, spread / bright, ALBEDO_MODES),
        anchors=_anchors(parts, mean + shift),
    )


def _modes(basis: Float, deviations: Float, most: int) -> Float:
    """basis: (3V, K), deviations: (K,) -> (min(K, most), V, 3) per standard deviation."""
    kept = (basis[:, :most] * deviations[:most]).T
    return np.ascontiguousarray(kept.reshape(len(kept), -1, 3), np.float32)


def _linear(parts: Parts, group: str) -> tuple[Float, Float, Float]:
    """Mean (3V,), standard deviations (K,) and basis (3V, K) of a group."""
    mean = parts.floats(f"{group}/model/mean", None)
    variance = parts.floats(f"{group}/model/pcaVariance", None)
    if len(mean) % 3 or variance.min(initial=0) < 0:
        raise parts.wrong(f"{group}/model is not three numbers per vertex and variances")
    return mean, np.sqrt(variance), parts.floats(f"{group}/model/pcaBasis", len(mean), len(variance))


def _anchors(parts: Parts, mean: Float) -> dict[int, Float]:
    """The named landmarks that MediaPipe has too. They lie on the mean without expression; so near is enough."""
    try:
        listed = (
            json.loads(parts.text("metadata/landmarks/json")) if "metadata/landmarks/json" in parts else []
        )
        found = {
            _LANDMARKS[entry["id"]]: np.array(entry["coordinates"], np.float32) / np.float32(_MM_PER_CM)
            for entry in listed
            if entry.get("id") in _LANDMARKS
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise parts.wrong(f"metadata/landmarks/json is not a list of landmarks ({error})") from error
    if any(place.shape != (3,) or not np.isfinite(place).all() for place in found.values()):
        raise parts.wrong("metadata/landmarks/json has coordinates that are not three numbers")
    low, high = (f(mean.reshape(-1, 3), axis=0) / _MM_PER_CM for f in (np.min, np.max))
    if any((place < low - 1).any() or (place > high + 1).any() for place in found.values()):
        raise parts.wrong("metadata/landmarks/json has points that lie off the face")
    return found


def _mat(path: Path) -> dict[str, Any]:
    if is_hdf(path):
        # MATLAB 7.3 stores arrays by columns, so they come out turned.
        return {key: value.T if hasattr(value, "T") else value for key, value in _h5(path).items()}
    from scipy.io import loadmat

    wanted = ["shapeMU", "shapePC", "shapeEV", "texMU", "texPC", "texEV", "tl"]
    try:
        # Only numbers are asked for: no MATLAB objects, and nothing is executed.
        return dict(loadmat(path, variable_names=wanted, chars_as_strings=False, struct_as_record=True))
    except Exception as error:
        raise PackageError(f"{path}: not a readable MATLAB file ({error}). Get a fresh copy.") from error


def _h5(path: Path) -> dict[str, Any]:
    try:
        h5py: Any = importlib.import_module("h5py")
    except ImportError as error:
        raise MissingExtraError(
            f"{path}: reading HDF5 needs h5py, which is not installed. Run: pip install h5py"
        ) from error
    try:
        with h5py.File(path, "r") as file:
            wanted: dict[str, Any] = {}

            def want(name: str, item: Any) -> None:
                # Text of any length only alone: a list of it could name the same piece over and over.
                if isinstance(item, h5py.Dataset) and (
                    item.dtype.kind in "fiuS" or (item.dtype.kind == "O" and item.size == 1)
                ):
                    wanted[name] = item

            file.visititems(want)
            size = sum((item.size or 0) * item.dtype.itemsize for item in wanted.values())
            # What is compressed, or was never written, says so in few bytes.
            if size > MOST_BYTES:
                raise PackageError(f"{path}: unpacks to {size >> 20} MB, no face model is that large.")
            return {name: item[()] for name, item in wanted.items()}
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise PackageError(f"{path}: not a readable HDF5 file ({error}). Get a fresh copy.") from error
