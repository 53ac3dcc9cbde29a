"""ICT-FaceKit (USC Institute for Creative Technologies, MIT licence) as a `FaceModel`.

Its publishers host a folder of OBJ files (`ict_objects`); other programs keep it as `ict_facekit.npz` (neutral, 100
identity modes, 53 expressions, region ranges) beside `ict_to_mediapipe.npz` (where MediaPipe's 478 points lie on
it). Differences to ARKit's 52 names, and what is done about them: `browInnerUp` and `cheekPuff` are split in
halves (added up), there is no `tongueOut` (stays zero), and the eyeLook shapes move the eyeballs along with the lids
(the eyeballs' part is removed: the gaze turns them).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError, PackageError
from mien.face.importers.landmarks import Embedded, embed
from mien.face.importers.registration import register
from mien.face.importers.surface import Surface
from mien.face.landmark_basis import IRISES
from mien.face.model import EYES, Embedding, FaceModel, Region, eyeball_uv
from mien.face.modelfile import array_names, read_arrays
from mien.face.rig import ARKIT_NAMES
from mien.frames import Float

LANDMARK_FILE = "ict_to_mediapipe.npz"

_REGIONS = {
    "face": Region.FACE,
    "head_neck": Region.HEAD,
    "mouth_socket": Region.MOUTH_SOCKET,
    "gums_tongue": Region.GUMS,
    "teeth": Region.TEETH,
    "eyeball_l": Region.EYE_LEFT,
    "eyeball_r": Region.EYE_RIGHT,
}
"""What is kept. Eye sockets, lashes, tear lines and occlusion shells are aids of an offline renderer."""

_FACE_OVAL_68 = 17


def embedded(raw: dict[str, NDArray[Any]], head: FaceModel) -> tuple[dict[str, NDArray[Any]], Embedded]:
    """Where MediaPipe's points lie on ICT's arrays, by laying mien-head over the face. Raises PackageError."""
    neutral = np.asarray(raw["neutral"], np.float32)
    names = [str(name) for name in raw["region_names"]]
    vertices, triangles = raw["region_vert"], raw["region_tri"]

    def part(name: str, starts: NDArray[Any]) -> slice:
        return slice(int(starts[names.index(name)]), int(starts[names.index(name) + 1]))

    skin = np.concatenate([raw["tri"][part(name, triangles)] for name in ("face", "head_neck")])
    eyes = [_ball(neutral[part(f"eyeball_{side}", vertices)])[0] for side in "lr"]
    surface = Surface(neutral, skin)
    found = embed(head, register(head, surface, eyes=np.stack(eyes)), surface)
    points = found.mediapipe
    return {"tv": points.vertices.astype(np.int64), "bc": points.weights, "wt": points.trust}, found


def recognises(path: Path) -> bool:
    """Whether an `.npz` is in ICT-FaceKit's layout, whatever it is called. Raises PackageError."""
    names = array_names(path)
    return names >= {"region_names", "expr_names"} and "format" not in names


def read(path: Path) -> FaceModel:
    """Reads the `.npz` and, from beside it, the landmark embedding. Raises ConfigError, PackageError."""
    beside = path.with_name(LANDMARK_FILE)
    if not beside.is_file():
        raise ConfigError(f"{beside} does not exist; ICT-FaceKit needs it for MediaPipe's landmarks.")
    return made_of(path, read_arrays(path), read_arrays(beside))


def made_of(path: Path, raw: dict[str, NDArray[Any]], embedding: dict[str, NDArray[Any]]) -> FaceModel:
    """The model out of ICT's arrays and where MediaPipe's points lie. `path` is for errors: PackageError."""
    try:
        return _Reader(raw, embedding).model()
    except (KeyError, IndexError, ValueError) as error:
        raise PackageError(f"{path}: not ICT-FaceKit as expected ({error!r}). Get a fresh copy.") from error


class _Reader:
    """One conversion: ICT's arrays, and which of its vertices and triangles are kept."""

    def __init__(self, raw: dict[str, NDArray[Any]], embedding: dict[str, NDArray[Any]]) -> None:
        self.raw = raw
        self.embedding = embedding
        names = [str(name) for name in raw["region_names"]]
        spans = {name: (names.index(name), region) for name, region in _REGIONS.items()}
        by_vertex, by_triangle = raw["region_vert"], raw["region_tri"]
        self.span = {r: slice(int(by_vertex[i]), int(by_vertex[i + 1])) for i, r in spans.values()}
        faces = [slice(int(by_triangle[i]), int(by_triangle[i + 1])) for i, _ in spans.values()]
        triangles = np.concatenate([raw["tri"][f] for f in faces]).astype(np.int64)
        self.triangle_region = np.concatenate(
            [np.full(f.stop - f.start, r, np.int8) for f, (_, r) in zip(faces, spans.values(), strict=True)]
        )
        used = np.zeros(len(raw["neutral"]), bool)
        used[triangles.ravel()] = True
        used[embedding["tv"].ravel()] = True
        self.kept = np.flatnonzero(used)
        self.new = np.full(len(used), -1, np.int32)
        self.new[self.kept] = np.arange(len(self.kept), dtype=np.int32)
        self.triangles = self.new[triangles]

    def model(self) -> FaceModel:
        neutral = np.asarray(self.raw["neutral"], np.float32)
        eyes = [_ball(neutral[self.span[region]]) for region in (Region.EYE_LEFT, Region.EYE_RIGHT)]
        origin = (eyes[0][0] + eyes[1][0]) / 2
        centres = np.stack([centre - origin for centre, _ in eyes]).astype(np.float32)
        radius = float(np.mean([size for _, size in eyes]))
        mean = neutral[self.kept] - origin
        region = self._vertex_region(mean)
        identity = np.ascontiguousarray(self.raw["identity"][:, self.kept], np.float32)
        return FaceModel(
            name="ict-facekit",
            mean=mean,
            triangles=self.triangles,
            uv=self._uv(mean, region, centres),
            identity=identity,
            identity_names=tuple(f"ict{i:02d}" for i in range(len(identity))),
            expression=self._expression(region),
            triangle_region=self.triangle_region,
            vertex_region=region,
            landmarks=self._landmarks(mean, centres),
            landmarks68=self._landmarks68(),
            eye_centres=centres,
            eye_radius=radius,
            pivot=np.array([0, -8, -7], np.float32),
            source="ICT-FaceKit, USC Institute for Creative Technologies, MIT licence",
        )

    def _vertex_region(self, mean: Float) -> NDArray[np.int8]:
        region = np.full(len(mean), Region.FACE, np.int8)
        for value, span in self.span.items():
            inside = (self.kept >= span.start) & (self.kept < span.stop)
            region[inside] = value
        chin = mean[region == Region.FACE, 1].min()
        region[(region == Region.HEAD) & (mean[:, 1] < chin)] = Region.NECK
        below = (self.triangle_region == Region.HEAD) & (mean[self.triangles, 1].mean(axis=1) < chin)
        self.triangle_region[below] = Region.NECK
        return region

    def _uv(self, mean: Float, region: NDArray[np.int8], centres: Float) -> Float:
        """ICT's texture tiles on top of each other; eyeballs as `FaceModel` defines them."""
        uv = np.mod(np.asarray(self.raw["uv_v"], np.float32)[self.kept], 1)
        uv[:, 1] = 1 - uv[:, 1]
        for eye, centre in zip((Region.EYE_LEFT, Region.EYE_RIGHT), centres, strict=True):
            ball = region == eye
            uv[ball] = eyeball_uv(mean[ball] - centre)
        return np.ascontiguousarray(uv, np.float32)

    def _expression(self, region: NDArray[np.int8]) -> Float:
        own = {str(name): i for i, name in enumerate(self.raw["expr_names"])}
        shapes = self.raw["expr"][:, self.kept]
        basis = np.zeros((len(ARKIT_NAMES), len(self.kept), 3), np.float32)
        for i, name in enumerate(ARKIT_NAMES):
            plain = name.replace("Left", "_L").replace("Right", "_R")
            sided = name if name in own else plain
            for part in (sided,) if sided in own else (f"{name}_L", f"{name}_R"):
                if part in own:
                    basis[i] += shapes[own[part]]
        basis[:, (region == Region.EYE_LEFT) | (region == Region.EYE_RIGHT)] = 0
        return basis

    def _landmarks(self, mean: Float, centres: Float) -> Embedding:
        corners = self.new[self.embedding["tv"]].astype(np.int32)
        weights = np.asarray(self.embedding["bc"], np.float32)
        trust = np.minimum(np.asarray(self.embedding["wt"], np.float32), 1)
        for landmark, eye in zip(IRISES, EYES, strict=True):
            ball = self.new[self.span[eye]]
            ball = ball[ball >= 0]
            centre = centres[0 if eye == Region.EYE_LEFT else 1]
            away = mean[ball] - centre
            front = ball[np.argmax(away[:, 2] / np.linalg.norm(away, axis=1))]
            corners[landmark], weights[landmark] = front, (1, 0, 0)
        return Embedding(corners, weights, trust)

    def _landmarks68(self) -> Embedding:
        """ICT's own 60 (no inner lips), the last 8 from MediaPipe's embedding of the inner lips."""
        inner = [78, 82, 13, 312, 308, 317, 14, 87]
        corners = np.zeros((68, 3), np.int32)
        weights = np.tile(np.array([1, 0, 0], np.float32), (68, 1))
        corners[:60] = self.new[self.raw["lmk68"]][:60, None]
        corners[60:] = self.new[self.embedding["tv"][inner]]
        weights[60:] = self.embedding["bc"][inner]
        trust = np.ones(68, np.float32)
        trust[:_FACE_OVAL_68] = 0.3
        if (corners < 0).any():
            raise ValueError("lmk68 points at a vertex outside of the kept regions")
        return Embedding(corners, weights, trust)


def _ball(points: Float) -> tuple[Float, float]:
    """Centre and radius of an eyeball, by least squares over its vertices (N, 3)."""
    exact = points.astype(np.float64)
    system = np.concatenate([2 * exact, np.ones((len(exact), 1))], axis=1)
    x, y, z, rest = np.linalg.lstsq(system, (exact**2).sum(axis=1), rcond=None)[0]
    return np.array([x, y, z], np.float32), float(np.sqrt(rest + x * x + y * y + z * z))
