"""Recognises a published face model, and makes it one of mien's."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.errors import InputError, PackageError
from mien.face import modelfile
from mien.face.importers import basel, flame, ict, ict_objects
from mien.face.importers.assembling import assemble
from mien.face.importers.landmarks import Embedded
from mien.face.importers.raw import MODES, RawModel
from mien.face.model import ExpressionMapping, FaceModel, load_model
from mien.face.rig import ARKIT_NAMES


@dataclass(frozen=True, slots=True)
class Report:
    """What an import found. residual_percent: how far the landmarks lay off the model's surface before they were
    put on it, median and 95th percentile, in percent of the distance between the outer eye corners; None where the
    file says itself where they are. mapping: None where the model has ARKit's shapes, or none at all.
    """

    name: str
    source: str
    vertices: int
    triangles: int
    identity_modes: int
    albedo_modes: int
    residual_percent: tuple[float, float] | None
    mapping: ExpressionMapping | None
    still: tuple[str, ...]
    """shapes that move nothing"""

    @classmethod
    def of(cls, model: FaceModel, landmarks: Embedded | None) -> Report:
        residual = None
        if landmarks is not None:
            percent = 100 * landmarks.distance[:468] / landmarks.eyes_cm
            residual = float(np.median(percent)), float(np.percentile(percent, 95))
        return cls(
            name=model.name,
            source=model.source,
            vertices=len(model.mean),
            triangles=len(model.triangles),
            identity_modes=len(model.identity),
            albedo_modes=0 if model.albedo is None else len(model.albedo),
            residual_percent=residual,
            mapping=model.mapping,
            still=tuple(
                name for name, shape in zip(ARKIT_NAMES, model.expression, strict=True) if not shape.any()
            ),
        )

    def lines(self) -> list[str]:
        """For people."""
        told = [
            f"{self.name}: {self.source}",
            (
                f"{self.vertices:,} vertices, {self.triangles:,} triangles, {self.identity_modes} identity modes, "
                f"{self.albedo_modes} albedo modes"
            ),
        ]
        if self.residual_percent is not None:
            told.append(
                "Landmarks found by laying mien-head over it: {:.2f} % of the eye distance off the surface "
                "(median), {:.2f} % (95th percentile).".format(*self.residual_percent)
            )
        if self.mapping is not None:
            errors = sorted(zip(self.mapping.error, ARKIT_NAMES, strict=True))
            told.append(
                f"ARKit's shapes out of its {len(self.mapping.names)} expression coefficients: "
                f"{100 * float(np.median(self.mapping.error)):.0f} % missed (median)."
            )
            told += [
                "  " + ", ".join(f"{name} {100 * error:.0f} %" for error, name in errors[start : start + 5])
                for start in range(0, len(errors), 5)
            ]
            told.append(
                "Said in them and read back, a shape alone is off by {:.2f} (median); {} most, by {:.2f}.".format(
                    *_there_and_back(self.mapping)
                )
            )
            if self.mapping.taken:
                told.append(f"Too much is missed, so mien-head's are used: {', '.join(self.mapping.taken)}.")
        if self.still:
            told.append(f"Without motion: {', '.join(self.still)}.")
        return told


def _there_and_back(mapping: ExpressionMapping) -> tuple[float, str, float]:
    """How far weights, each alone at 1, are off on their way to the model's own coefficients and back: median, and the
    worst with its name.
    """
    alone = np.eye(len(ARKIT_NAMES), dtype=np.float32)
    off = np.abs(mapping.arkit(mapping.own(alone)) - alone).max(axis=1)
    return float(np.median(off)), ARKIT_NAMES[int(off.argmax())], float(off.max())


def import_model(path: Path, name: str | None = None, modes: int = MODES) -> tuple[FaceModel, Report]:
    """A face model out of what its publishers give: ICT-FaceKit's folder or `.npz`, FLAME's `.pkl` or `.npz`, Basel's
    `.mat` or `.h5`; or a file of mien's own format. Nothing in it is executed.

    name: what the model is called from now on. modes: at most that many of identity. Raises InputError for
    what is no model, PackageError for a damaged one, MissingExtraError when a reader is not installed.
    """
    model, landmarks = _imported(path, modes)
    model = dataclasses.replace(
        model,
        name=name or model.name,
        identity=model.identity[:modes],
        identity_names=model.identity_names[:modes],
    )
    return model, Report.of(model, landmarks)


def _imported(path: Path, modes: int) -> tuple[FaceModel, Embedded | None]:
    head = load_model()
    if path.is_dir():
        raw = ict_objects.read_arrays(path, modes)
        embedding, landmarks = ict.embedded(raw, head)
        return ict.made_of(path, raw, embedding), landmarks
    if not path.is_file():
        raise InputError(f"There is no file {path}. Check the path.")
    if path.suffix == ".npz":
        if modelfile.is_own(path):
            return modelfile.read(path), None
        if ict.recognises(path):
            return ict.read(path), None
    published = _published(path, modes)
    try:
        made = assemble(published, head)
    except PackageError as error:
        raise PackageError(f"{path}: {error}") from error
    return made.model, made.landmarks


def _published(path: Path, modes: int) -> RawModel:
    match path.suffix.lower():
        case ".pkl" | ".npz":
            return flame.read(path, modes)
        case ".mat":
            return basel.read_2009(path, modes)
        case ".h5" | ".hdf5":
            return basel.read_later(path, modes)
    raise InputError(
        f"{path}: not a face model that mien can import. It reads ICT-FaceKit's folder FaceXModel, FLAME's .pkl and "
        ".npz, and the Basel models' .mat and .h5."
    )
