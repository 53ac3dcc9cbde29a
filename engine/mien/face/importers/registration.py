"""Lays mien-head over the skin of another model: a similarity, then its identity modes, then freely.

The free step is non-rigid ICP with decreasing stiffness (Amberg, Romdhani and Vetter 2007, "Optimal step
nonrigid ICP", section 3; here the stiffness is the Laplacian of the displacements, and correspondences are
mostly point to plane, so that the mesh may glide to where the shape of the face pulls it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, diags_array, identity
from scipy.sparse.linalg import splu

from mien.errors import PackageError
from mien.face.importers.surface import Doubles, Nearest, Surface
from mien.face.landmark_basis import MESH
from mien.face.model import INNER_LIPS, LIDS, MOUTH_INSIDE, FaceModel, Region
from mien.face.normals import vertex_normals
from mien.face.similarity import similarity
from mien.frames import Float

_NOSE_TIP = 1
_STIFFNESS = (60.0, 20.0, 6.0, 2.0, 0.6, 0.2)
_ROUNDS = 3
_GLIDE = 0.05
"""Weight of point to point beside point to plane."""
_ANCHOR_WEIGHT = 3.0
_MODES_SIGMA_CM = 0.3
_FAR_CM = 1.5
_LOST_CM = 0.8
"""When mien-head lies this far off on average after a similarity, it is not a face, or looks elsewhere."""


@dataclass(frozen=True, slots=True)
class Registration:
    """mien-head as it lies over another model, in that model's frame.

    points: (V, 3) float64, all of mien-head's vertices, cm. rotation: (3, 3), scale, offset: (3,): what takes
    mien-head's frame there. residual: (S,) cm, how far the skin's vertices still are from the surface.
    """

    points: Doubles
    rotation: Doubles
    scale: float
    offset: Doubles
    residual: Doubles

    def turned(self, displacements: Float) -> Doubles:
        """mien-head's displacements (..., 3) as they are over there."""
        return np.asarray(self.scale * (displacements @ self.rotation.T))


def register(
    head: FaceModel,
    surface: Surface,
    *,
    eyes: NDArray[np.floating[Any]] | None = None,
    anchors: Mapping[int, NDArray[np.floating[Any]]] | None = None,
) -> Registration:
    """Lay `head` over `surface`, which looks along +z with y up.

    eyes: (2, 3) centres of the eyeballs, left and right, if known. anchors: MediaPipe landmark -> where it is, for
    as many as are known. Raises PackageError when there is no face to be found.
    """
    work = _Registering(head, surface, eyes, anchors or {})
    work.start()
    work.modes()
    work.freely()
    return work.result()


class _Registering:
    """One registration under way. `own` are the skin's points in mien-head's frame, `now` in the other's."""

    def __init__(
        self,
        head: FaceModel,
        surface: Surface,
        eyes: NDArray[np.floating[Any]] | None,
        anchors: Mapping[int, NDArray[np.floating[Any]]],
    ) -> None:
        self.head, self.surface = head, surface
        self.eyes = None if eyes is None else np.asarray(eyes, np.float64)
        self.skin = np.flatnonzero(head.vertex_region == Region.FACE)
        place = np.full(len(head.mean), -1)
        place[self.skin] = np.arange(len(self.skin))
        chosen = (place[head.triangles] >= 0).all(axis=1) & (head.triangle_region == Region.FACE)
        self.triangles = place[head.triangles[chosen]]
        self.rank = np.array(list(anchors), np.int64)
        self.anchors = np.array([anchors[k] for k in anchors], np.float64).reshape(-1, 3)
        # The landmarks of the mesh are vertices of mien-head's skin.
        self.anchored = place[head.landmarks.vertices[self.rank, 0]]
        self.identity = np.zeros(len(head.identity), np.float64)
        self.own = np.asarray(head.mean[self.skin], np.float64)
        self.rotation, self.scale, self.offset = np.eye(3), 1.0, np.zeros(3)
        self.now = self.own.copy()

    def start(self) -> None:
        """From each of several first guesses to the similarity near it; the one that fits best is kept."""
        found = []
        for guess in self._guesses():
            self.scale, self.rotation, self.offset = guess
            self._place()
            self.rigidly()
            near = self._nearest()
            lost = (near.agreement < 0.5) | (near.distance > _FAR_CM)
            found.append(
                (
                    float(np.where(lost, _FAR_CM, near.distance).mean()),
                    (self.scale, self.rotation, self.offset),
                )
            )
        misfit, (self.scale, self.rotation, self.offset) = min(found, key=lambda one: one[0])
        self._place()
        if misfit > _LOST_CM:
            raise PackageError(
                "no face was found on its surface: it should look along +z, y up. Get a fresh copy of the file."
            )

    def _guesses(self) -> list[tuple[float, Doubles, Doubles]]:
        guesses: list[tuple[float, Doubles, Doubles]] = []
        if len(self.rank) >= 3:
            guesses.append(similarity(self.own[self.anchored], self.anchors))
        # Of a frontal face the tip of the nose is foremost. The middle is that of the sides.
        points = self.surface.points[np.unique(self.surface.triangles)]
        middle = (points[:, 0].max() + points[:, 0].min()) / 2
        central = points[np.abs(points[:, 0] - middle) < 2.5]
        if not len(central):
            raise PackageError("its surface has no middle, so it is no face. Get a fresh copy of the file.")
        nose = central[central[:, 2].argmax()] - self.head.mean[_NOSE_TIP]
        guesses.append((1.0, np.eye(3), np.asarray(nose, np.float64)))
        if self.eyes is not None:
            guesses.append((1.0, np.eye(3), self.eyes.mean(axis=0) - self.head.eye_centres.mean(axis=0)))
        return guesses

    def rigidly(self) -> None:
        """By a similarity alone, to the nearest points in turns (iterative closest point)."""
        facing = vertex_normals(self.own, self.triangles)
        some = slice(None, None, 6)
        for _ in range(30):
            near = self.surface.nearest(self.now[some], facing[some] @ self.rotation.T)
            weights = self._trusted(near)
            own, goals = self.own[some], near.points
            if self.eyes is not None:
                own = np.concatenate([own, self.head.eye_centres])
                goals = np.concatenate([goals, self.eyes])
                weights = np.append(weights, [weights.sum() / 20] * 2)
            if len(self.rank):
                own = np.concatenate([own, self.own[self.anchored]])
                goals = np.concatenate([goals, self.anchors])
                weights = np.append(weights, np.full(len(self.rank), weights.sum() / 50))
            self.scale, self.rotation, self.offset = similarity(own, goals, weights)
            self._place()

    def modes(self) -> None:
        """mien-head's identity, by ridge regression against the plane of the nearest point."""
        modes = self.head.identity[:, self.skin].astype(np.float64)
        for _ in range(12):
            near = self._nearest()
            weights = self._trusted(near)
            facing = vertex_normals(self.now, self.triangles) @ self.rotation
            goals = (near.points - self.offset) @ self.rotation / self.scale
            mean = self.head.mean[self.skin]
            rows = (modes * facing).sum(axis=2).T
            aims = ((goals - mean) * facing).sum(axis=1)
            if len(self.rank):
                at = (self.anchors - self.offset) @ self.rotation / self.scale - mean[self.anchored]
                rows = np.concatenate([rows, modes[:, self.anchored].reshape(len(modes), -1).T])
                aims = np.append(aims, at.ravel())
                weights = np.append(weights, np.full(3 * len(self.rank), 10.0))
            # A point counts as one in thirty: neighbours say the same.
            system = (rows * weights[:, None]).T @ rows / 30 + _MODES_SIGMA_CM**2 * np.eye(len(modes))
            self.identity = np.linalg.solve(system, (rows * weights[:, None]).T @ aims / 30)
            self.own = mean + np.tensordot(self.identity, modes, 1)
            self._place()
            near = self._nearest()
            self.scale, self.rotation, self.offset = similarity(self.own, near.points, self._trusted(near))
            self._place()

    def freely(self) -> None:
        """A goal moves a point along the surface's normal, and little within the surface: so x, y and z can be
        solved for apart, with one factorisation.
        """
        smooth = self._laplacian()
        bending = (smooth.T @ smooth).tocsc()
        start = self.now.copy()
        for stiffness in _STIFFNESS:
            for _ in range(_ROUNDS):
                near = self._nearest()
                weights = self._trusted(near)
                corners = self.surface.normals[self.surface.triangles[near.triangle]]
                facing = (corners * near.weights[:, :, None]).sum(axis=1)
                facing /= np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-12)
                towards = near.points - self.now
                along = (towards * facing).sum(axis=1, keepdims=True) * facing
                aims = weights[:, None] * (self.now + along + _GLIDE * (towards - along) - start)
                for place, goal in zip(self.anchored, self.anchors, strict=True):
                    aims[place] += _ANCHOR_WEIGHT * (goal - start[place])
                    weights[place] += _ANCHOR_WEIGHT
                system = stiffness * bending + diags_array(weights + 1e-9, format="csc")
                solver = splu(system.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
                self.now = start + solver.solve(aims)

    def result(self) -> Registration:
        near = self._nearest()
        modelled = self.head.mean + np.tensordot(self.identity, self.head.identity, 1)
        whole = self.scale * (modelled @ self.rotation.T) + self.offset
        moved = np.zeros_like(whole)
        moved[self.skin] = self.now - whole[self.skin]
        landmarks = self.head.landmarks.vertices[:MESH, 0]
        moved[np.isin(self.head.vertex_region, MOUTH_INSIDE)] = moved[landmarks[list(INNER_LIPS)]].mean(
            axis=0
        )
        for side, lids in enumerate(LIDS):
            ball = self.head.vertex_region == (Region.EYE_LEFT, Region.EYE_RIGHT)[side]
            moved[ball] = moved[landmarks[list(lids)]].mean(axis=0)
        # Behind the face the head follows the nearest of its rim, as far as that goes.
        rest = np.flatnonzero(np.isin(self.head.vertex_region, (Region.HEAD, Region.NECK)))
        from scipy.spatial import cKDTree

        away, rim = cKDTree(whole[self.skin]).query(whole[rest], 12)
        share = 1 / (0.1 + away)
        share /= share.sum(axis=1, keepdims=True)
        moved[rest] = (share[..., None] * moved[self.skin[rim]]).sum(axis=1)
        return Registration(
            whole + moved,
            self.rotation,
            self.scale,
            self.offset,
            np.where(near.agreement > 0.3, near.distance, np.nan),
        )

    def _place(self) -> None:
        self.now = self.scale * (self.own @ self.rotation.T) + self.offset

    def _nearest(self) -> Nearest:
        return self.surface.nearest(self.now, vertex_normals(self.now, self.triangles))

    def _trusted(self, near: Nearest) -> Doubles:
        """Weights (N,) of correspondences: none for what lies far off or faces another way (Tukey's)."""
        reach = max(0.4, min(_FAR_CM, 3 * float(np.median(near.distance))))
        close = (1 - (near.distance / reach).clip(0, 1) ** 2) ** 2
        return np.asarray(close * (near.agreement > 0.5))

    def _laplacian(self) -> csr_array:
        count = len(self.skin)
        ends = np.concatenate(
            [self.triangles[:, [0, 1]], self.triangles[:, [1, 2]], self.triangles[:, [2, 0]]]
        )
        ends = np.unique(np.sort(ends, axis=1), axis=0)
        both = np.concatenate([ends, ends[:, ::-1]])
        graph = coo_array((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(count, count)).tocsr()
        degree = np.maximum(graph.sum(axis=1), 1)
        return csr_array(identity(count) - diags_array(1 / degree) @ graph)
