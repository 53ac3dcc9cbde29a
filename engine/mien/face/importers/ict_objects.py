"""Reads ICT-FaceKit as its publishers host it: a folder of OBJ files.

`FaceXModel` of github.com/ICT-VGL/ICT-FaceKit holds `generic_neutral_mesh.obj`, `identity000.obj` ...
`identity099.obj` and 53 expressions under ARKit's names (`browDown_L.obj`), each the neutral mesh with one mode
at weight 1, and `vertex_indices.json` (landmarks, names). Which vertices and polygons are what, is from its README.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import PackageError
from mien.face.importers.raw import MODES

NEUTRAL = "generic_neutral_mesh.obj"
INDICES = "vertex_indices.json"
_MOST_BYTES = 32 << 20

PARTS: dict[str, tuple[int, int]] = {
    "face": (9409, 9230),
    "head_neck": (1839, 1914),
    "mouth_socket": (2046, 2082),
    "eye_socket_l": (384, 404),
    "eye_socket_r": (384, 404),
    "gums_tongue": (2977, 2972),
    "teeth": (4412, 4490),
    "eyeball_l": (1570, 1598),
    "eyeball_r": (1570, 1598),
    "lacrimal_l": (204, 163),
    "lacrimal_r": (204, 163),
    "eyeblend_l": (24, 15),
    "eyeblend_r": (24, 15),
    "eyeocc_l": (152, 128),
    "eyeocc_r": (152, 128),
    "lash_l": (684, 540),
    "lash_r": (684, 540),
}
"""Number of vertices and polygons, one part after the other."""


def recognises(path: Path) -> bool:
    """Whether a folder is (or holds) ICT-FaceKit's OBJ files."""
    return _folder(path) is not None


def _folder(path: Path) -> Path | None:
    for folder in (path, path / "FaceXModel"):
        if (folder / NEUTRAL).is_file():
            return folder
    return None


def read_arrays(path: Path, modes: int = MODES) -> dict[str, NDArray[Any]]:
    """The arrays that `mien.face.importers.ict` makes a model of. Raises PackageError."""
    folder = _folder(path)
    if folder is None:
        raise PackageError(f"{path}: there is no {NEUTRAL} in it. Name ICT-FaceKit's folder FaceXModel.")
    neutral = _vertices(folder / NEUTRAL)
    count = sum(vertices for vertices, _ in PARTS.values())
    if len(neutral) != count:
        raise PackageError(
            f"{folder / NEUTRAL}: {len(neutral)} vertices, ICT-FaceKit has {count}. Get a fresh copy."
        )
    polygons, uv = _polygons(folder / NEUTRAL, count)
    listed = _listed(folder / INDICES, count)
    identities = sorted(folder.glob("identity[0-9][0-9][0-9].obj"))
    if not identities:
        raise PackageError(f"{folder}: there is no identity000.obj. Get a fresh copy of ICT-FaceKit.")
    names = listed["expressions"]
    triangles, starts = _triangles(polygons)
    return {
        "neutral": neutral,
        "identity": np.stack([_mode(file, neutral) for file in identities[:modes]]),
        "expr": np.stack([_mode(folder / f"{name}.obj", neutral) for name in names]),
        "expr_names": np.array(names),
        "tri": triangles,
        "uv_v": uv,
        "region_names": np.array(tuple(PARTS)),
        "region_vert": np.cumsum([0, *(vertices for vertices, _ in PARTS.values())]),
        "region_tri": starts,
        "lmk68": np.array(listed["idx_to_landmark_verts"], np.int64),
    }


def _lines(path: Path) -> list[bytes]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise PackageError(
                f"{path}: {path.stat().st_size >> 20} MB is too large for a mesh of ICT-FaceKit."
            )
        return path.read_bytes().splitlines()
    except OSError as error:
        raise PackageError(
            f"{path}: cannot be read ({error.strerror}). Get a fresh copy of ICT-FaceKit."
        ) from error


def _numbers(path: Path, lines: list[bytes], width: int) -> NDArray[np.float32]:
    try:
        numbers = np.array(b" ".join(lines).split(), np.float32).reshape(len(lines), -1)
    except ValueError as error:
        raise PackageError(f"{path}: not a readable OBJ file ({error}). Get a fresh copy.") from error
    if numbers.shape[1] < width or not np.isfinite(numbers).all():
        raise PackageError(f"{path}: vertices are not {width} finite numbers each. Get a fresh copy.")
    return numbers[:, :width]


def _vertices(path: Path) -> NDArray[np.float32]:
    return _numbers(path, [line[2:] for line in _lines(path) if line.startswith(b"v ")], 3)


def _mode(path: Path, neutral: NDArray[np.float32]) -> NDArray[np.float32]:
    points = _vertices(path)
    if points.shape != neutral.shape:
        raise PackageError(
            f"{path}: {len(points)} vertices, {NEUTRAL} has {len(neutral)}. Get a fresh copy of ICT-FaceKit."
        )
    return points - neutral


def _polygons(path: Path, count: int) -> tuple[list[list[int]], NDArray[np.float32]]:
    """Corners of every polygon, from 0; and a texture coordinate for every vertex."""
    lines = _lines(path)
    coordinates = _numbers(path, [line[3:] for line in lines if line.startswith(b"vt ")] or [b"0 0"], 2)
    uv = np.zeros((count, 2), np.float32)
    polygons = []
    try:
        for line in lines:
            if not line.startswith(b"f "):
                continue
            corners = [corner.split(b"/") for corner in line.split()[1:]]
            polygon = [int(corner[0]) - 1 for corner in corners]
            if min(polygon) < 0 or max(polygon) >= count or len(polygon) < 3:
                raise PackageError(f"{path}: {line.decode()!r} is no polygon of this mesh. Get a fresh copy.")
            polygons.append(polygon)
            for vertex, corner in zip(polygon, corners, strict=True):
                if len(corner) > 1 and corner[1]:
                    uv[vertex] = coordinates[int(corner[1]) - 1]
    except (ValueError, IndexError) as error:
        raise PackageError(f"{path}: not a readable OBJ file ({error}). Get a fresh copy.") from error
    wanted = sum(number for _, number in PARTS.values())
    if len(polygons) != wanted:
        raise PackageError(f"{path}: {len(polygons)} polygons, ICT-FaceKit has {wanted}. Get a fresh copy.")
    return polygons, uv


def _triangles(polygons: list[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Fans, and where each part's triangles start."""
    fans = [[(p[0], p[i], p[i + 1]) for i in range(1, len(p) - 1)] for p in polygons]
    ends = np.cumsum([0, *(len(fan) for fan in fans)])
    starts = ends[np.cumsum([0, *(number for _, number in PARTS.values())])]
    return np.array([triangle for fan in fans for triangle in fan], np.int64), starts


def _listed(path: Path, count: int) -> dict[str, list[Any]]:
    try:
        listed = json.loads(b"\n".join(_lines(path)))
        names, landmarks = listed["expressions"], listed["idx_to_landmark_verts"]
        good = (
            len(landmarks) == 68
            and all(isinstance(v, int) and 0 <= v < count for v in landmarks)
            and all(isinstance(name, str) and name.replace("_", "").isalnum() for name in names)
        )
    except (ValueError, KeyError, TypeError) as error:
        raise PackageError(f"{path}: not ICT-FaceKit's ({error!r}). Get a fresh copy.") from error
    if not good:
        raise PackageError(f"{path}: not 68 landmarks of this mesh and names of files. Get a fresh copy.")
    return {"expressions": names, "idx_to_landmark_verts": landmarks}
