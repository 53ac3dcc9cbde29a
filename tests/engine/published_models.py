"""Small files in the layouts that others publish face models in, made of mien-head as somebody else would have
meshed it: another person, other proportions, other units, vertices in another order.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat
from scipy.sparse import csc_matrix

from mien.face.model import FaceModel, Region, load_model
from mien.face.rig import INDEX

SOLID = ("eyeBlinkLeft", "eyeBlinkRight")
"""What the synthetic expression bases cannot say, as FLAME's can hardly."""


class Somebody:
    """mean: (V, 3) cm of skin (and eyeballs at the end, where asked for), identity: (20, V, 3), shapes: (52, V, 3),
    landmarks: (468, 3) where they truly are.
    """

    def __init__(self, *, eyes: bool, seed: int = 5) -> None:
        self.head: FaceModel = load_model()
        rng = np.random.default_rng(seed)
        skin = np.flatnonzero(np.isin(self.head.vertex_region, (Region.FACE, Region.HEAD, Region.NECK)))
        self.count = len(skin)
        order = rng.permutation(skin)
        if eyes:
            self.balls = [np.flatnonzero(self.head.vertex_region == eye) for eye in (6, 7)]
            order = np.concatenate([order, *self.balls])
        place = np.full(len(self.head.mean), -1)
        place[order] = np.arange(len(order))
        triangles = place[self.head.triangles]
        self.triangles = triangles[(triangles >= 0).all(axis=1)]
        self.weights = rng.normal(size=len(self.head.identity)).astype(np.float32)
        whole = self.reshaped(self.head.shape(self.weights))
        self.mean = whole[order]
        self.identity = self.head.identity[:, order]
        self.shapes = self.head.expression[:, order]
        self.landmarks = whole[self.head.landmarks.vertices[:468, 0]]
        self.eye_centres = self.reshaped(self.head.placed_eyes(self.head.shape(self.weights)))
        self.order, self.place = order, place

    def reshaped(self, points: np.ndarray) -> np.ndarray:
        """Longer and narrower than any of mien-head's modes makes it, leaning, elsewhere."""
        bent = points * (0.97, 1.05, 1.02) + 0.15 * np.sin(points[:, [1, 2, 0]] / 3)
        lean = np.radians(6)
        turn = np.array([[1, 0, 0], [0, np.cos(lean), -np.sin(lean)], [0, np.sin(lean), np.cos(lean)]])
        return np.asarray(bent @ turn.T + (0.4, 2.0, 6.0), np.float32)

    def basis(self, count: int) -> np.ndarray:
        """(count, V, 3) cm: mixtures of the shapes, less `SOLID` and the jaw, strongest first."""
        rng = np.random.default_rng(9)
        plain = [k for name, k in INDEX.items() if name not in SOLID and not name.startswith("jaw")]
        mixed = np.tensordot(rng.normal(size=(count, len(plain))), self.shapes[plain], 1)
        return np.asarray(mixed / np.sqrt(1 + np.arange(count))[:, None, None], np.float32)


@contextlib.contextmanager
def chumpy() -> Iterator[types.ModuleType]:
    """A stand-in of the package whose objects FLAME's pickles hold, there while they are written."""
    modules = {name: types.ModuleType(name) for name in ("chumpy", "chumpy.ch", "chumpy.reordering")}

    def kind(module: str, name: str) -> type:
        made = type(
            name, (), {"__module__": module, "__init__": lambda self, **state: vars(self).update(state)}
        )
        setattr(modules[module], name, made)
        return made

    kind("chumpy.ch", "Ch")
    kind("chumpy.reordering", "Select")
    sys.modules.update(modules)
    try:
        yield modules["chumpy"]
    finally:
        for name in modules:
            del sys.modules[name]


def flame_arrays(somebody: Somebody) -> dict[str, Any]:
    """As the README of FLAME's download lists them; metres."""
    count = len(somebody.mean)
    jaw = -somebody.shapes[INDEX["jawOpen"], :, 1].clip(None, 0)
    weights = np.zeros((count, 5), np.float64)
    weights[:, 2] = (jaw / jaw.max()).clip(0, 1)
    weights[:, 1] = 1 - weights[:, 2]
    weights[somebody.count :] = 0
    weights[somebody.place[somebody.balls[0]], 3] = 1
    weights[somebody.place[somebody.balls[1]], 4] = 1
    joints = np.array([[0, -15, 0], [0, -10, 0], [0.4, -0.5, 1], [0, 0, 0], [0, 0, 0]], np.float64)
    joints[3:] = somebody.eye_centres
    # Barycentric in a tetrahedron of four far vertices: any place is a sum of vertices.
    far = [int(somebody.mean[:, k].argmax()) for k in range(3)] + [int(somebody.mean[:, 1].argmin())]
    corners = np.concatenate([somebody.mean[far].T, np.ones((1, 4))])
    regressor = np.zeros((5, count))
    regressor[:, far] = np.linalg.solve(corners, np.concatenate([joints.T, np.ones((1, 5))])).T
    directions = np.zeros((count, 3, 130), np.float64)
    directions[:, :, :20] = somebody.identity.transpose(1, 2, 0) / 100
    directions[:, :, 30:] = somebody.basis(100).transpose(1, 2, 0) / 100
    return {
        "v_template": somebody.mean.astype(np.float64) / 100,
        "f": somebody.triangles.astype(np.uint32),
        "shapedirs": directions,
        "posedirs": np.zeros((count, 3, 36)),
        "J_regressor": csc_matrix(regressor),
        "weights": weights,
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.int64),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


def write_flame(path: Path, **changes: Any) -> Somebody:
    """A `.pkl` as Python 2 wrote it, with chumpy's objects; or an `.npz`."""
    somebody = Somebody(eyes=True)
    arrays = flame_arrays(somebody) | changes
    if path.suffix == ".npz":
        arrays["J_regressor"] = arrays["J_regressor"].toarray()
        np.savez(path, **arrays)
        return somebody
    with chumpy() as stand_in:
        for key in ("v_template", "posedirs", "weights"):
            arrays[key] = stand_in_of(stand_in, "ch", "Ch")(x=arrays[key], _dirty_vars=set(), label=None)
        shape = arrays["shapedirs"].shape
        inner = stand_in_of(stand_in, "ch", "Ch")(x=arrays["shapedirs"])
        arrays["shapedirs"] = stand_in_of(stand_in, "reordering", "Select")(
            a=inner, idxs=np.arange(np.prod(shape)), preferred_shape=shape
        )
        path.write_bytes(pickle.dumps(arrays, protocol=2))
    return somebody


def stand_in_of(_package: types.ModuleType, module: str, name: str) -> Any:
    return getattr(sys.modules[f"chumpy.{module}"], name)


def write_basel_2009(path: Path, **changes: Any) -> Somebody:
    """`01_MorphableModel.mat`, as the README of its download lists it; micrometres, colours 0..255."""
    somebody = Somebody(eyes=False)
    size = 3 * len(somebody.mean)
    spread = np.full((20, 1), 2.0)
    arrays = {
        "shapeMU": somebody.mean.reshape(-1, 1) * 1e4,
        "shapePC": somebody.identity.reshape(20, -1).T * 1e4 / 2,
        "shapeEV": spread,
        "texMU": np.full((size, 1), 127.5, np.float32),
        "texPC": np.ones((size, 3), np.float32),
        "texEV": np.array([[25.5], [5.0], [1.0]], np.float32),
        "tl": somebody.triangles[:, [0, 2, 1]] + 1,
    }
    savemat(path, arrays | changes)
    return somebody


def write_basel_2019(path: Path, **changes: Any) -> Somebody:
    """Scalismo's HDF5; millimetres, colours 0..1."""
    import h5py

    somebody = Somebody(eyes=False)
    size = 3 * len(somebody.mean)
    named = {"center.nose.tip": 1, "right.eye.corner_outer": 33, "left.lips.corner": 291, "left.ear.top": 234}
    landmarks = [
        {"id": name, "coordinates": [float(c) for c in 10 * somebody.landmarks[k]]}
        for name, k in named.items()
    ]
    arrays = {
        "shape/model/mean": 10 * somebody.mean.ravel() - 1,
        "shape/model/pcaBasis": somebody.identity.reshape(20, -1).T / 3,
        "shape/model/pcaVariance": np.full(20, 900.0),
        "shape/representer/points": somebody.mean.T,
        "shape/representer/cells": somebody.triangles.T,
        "expression/model/mean": np.ones(size),
        "expression/model/pcaBasis": somebody.basis(60).reshape(60, -1).T,
        "expression/model/pcaVariance": np.full(60, 100.0),
        "color/model/mean": np.full(size, 0.5),
        "color/model/pcaBasis": np.ones((size, 2)),
        "color/model/pcaVariance": np.array([0.01, 0.0001]),
        "metadata/landmarks/json": json.dumps(landmarks),
    }
    with h5py.File(path, "w") as file:
        for key, value in (arrays | changes).items():
            if value is not None:
                file[key] = value
    return somebody
