"""Reads FLAME 2020 and 2023 (Li, Bolkart, Black, Li and Romero 2017, "Learning a model of facial shape and
expression from 4D scans").

The files (`generic_model.pkl` of FLAME 2020; `flame2023.pkl`, `flame2023_Open.pkl`; or an `.npz` of the same arrays):

    v_template    (5023, 3)       m
    f             (9976, 3)       corners of the triangles
    shapedirs     (5023, 3, 400)  300 of identity, 100 of expression, per standard deviation
    posedirs      (5023, 3, 36)   pose correctives, 9 for each joint but the root
    J_regressor   (5, 5023)       joints out of vertices: root, neck, jaw, left eye, right eye
    weights       (5023, 5)       skinning
    kintree_table (2, 5)          parents

as the README of github.com/soubhiksanyal/FLAME_PyTorch and the README within FLAME's download describe them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.face.importers.raw import MODES, Eyeball, Parts, RawModel
from mien.face.importers.skinning import Jaw
from mien.face.importers.unpickling import read_pickle
from mien.face.modelfile import read_arrays
from mien.frames import Float

EXPRESSION = 100
_CM = 100.0
_JAW, _EYES = 2, (3, 4)


def recognises(keys: set[str]) -> bool:
    """Whether arrays of these names are a FLAME model."""
    return {"v_template", "shapedirs", "kintree_table"} <= keys


def named(path: Path) -> str:
    """The year is nowhere in the file."""
    return "flame2023" if "2023" in path.name else "flame2020"


def read(path: Path, modes: int = MODES) -> RawModel:
    """Raises PackageError."""
    values = read_arrays(path) if path.suffix == ".npz" else read_pickle(path)
    parts = Parts(path, "FLAME", values)
    if not recognises(set(values)):
        raise parts.wrong("v_template, shapedirs or kintree_table is missing")
    mean = _CM * parts.floats("v_template", None, 3)
    count = len(mean)
    joints = 5
    directions = parts.floats("shapedirs", count, 3, None)
    if directions.shape[2] <= EXPRESSION:
        raise parts.wrong(f"shapedirs has {directions.shape[2]} directions, FLAME has 400")
    # Whatever comes before the last hundred is identity: some files hold fewer of it.
    identity = _CM * directions[:, :, :-EXPRESSION].transpose(2, 0, 1)
    expression = _CM * directions[:, :, -EXPRESSION:].transpose(2, 0, 1)
    parents = parts.indices("kintree_table", 2**32, 2, joints)[0]
    if tuple(parents[1:]) != (0, 1, 1, 1):
        raise parts.wrong(f"kintree_table has the parents {parents.tolist()}, FLAME's are root, 0, 1, 1, 1")
    weights = parts.floats("weights", count, joints)
    places = parts.floats("J_regressor", joints, count) @ mean
    correctives = _CM * parts.floats("posedirs", count, 3, 9 * (joints - 1)).transpose(2, 0, 1)
    balls = [np.flatnonzero(weights[:, joint] > 0.5) for joint in _EYES]
    if any(len(ball) < 20 for ball in balls):
        raise parts.wrong("weights bind no eyeballs to the joints of the eyes")
    return RawModel(
        name=named(path),
        source="FLAME, Max Planck Institute for Intelligent Systems; licence of flame.is.tue.mpg.de",
        mean=mean,
        triangles=parts.indices("f", count, None, 3),
        identity=np.ascontiguousarray(identity[:modes], np.float32),
        expression=np.ascontiguousarray(expression, np.float32),
        expression_names=tuple(f"flame{k:02d}" for k in range(EXPRESSION)),
        eyes=(_eyeball(balls[0], places[_EYES[0]]), _eyeball(balls[1], places[_EYES[1]])),
        jaw=Jaw(mean, places[_JAW], weights[:, _JAW], correctives[9 * (_JAW - 1) : 9 * _JAW]),
    )


def _eyeball(vertices: NDArray[np.int64], centre: Float) -> Eyeball:
    return Eyeball(vertices, np.asarray(centre, np.float32))
