"""Hair and neck around the face, where the driver's own are known to go.

By themselves they go along with the head as a surface that was guessed from one photograph (`mien_photo.grid`). A
driver who drives a portrait of its own shows where they really go: the lattice of `FaceParams.detail` reaches beyond
the face. What it says there is relative to the rim of the face as the tracker has it (`mien.face.chart.with_rim`),
so that is also what it is put on here: each node of the grid that lies under the rim has a second place in space, on
its line of sight, as far away as the rim.
"""

from __future__ import annotations

import numpy as np

from mien.errors import PackageError
from mien.face.camera import rotation_matrix
from mien.face.chart import Lookup, with_rim
from mien.face.landmark_basis import MESH, LandmarkBasis
from mien.face.model import FaceModel
from mien.face.subject import Subject
from mien.frames import Float
from mien.render.projection import to_clip
from mien_photo.fading import fade

_FADE = 0.8
"""Outer share of the rim in which the grid goes over to its own ways."""


class Surroundings:
    """Of one avatar. Holds its own buffers: one per thread."""

    def __init__(self, still: Float, subject: Subject, model: FaceModel) -> None:
        """still: (G, 2) px, the nodes of the grid in the portrait. Raises `PackageError` when the face has no area."""
        from scipy.spatial import Delaunay, QhullError

        basis = LandmarkBasis.of(model)
        base = basis.shape(subject.identity, subject.offsets)[:MESH]
        expression = np.ascontiguousarray(basis.expression.transpose(0, 2, 1)[:, :MESH])
        posed = base + np.tensordot(subject.neutral, expression, 1)
        rotation = rotation_matrix(subject.rest_rotation)
        placed = with_rim(np.asarray(posed, np.float32)) @ rotation.T + subject.rest_translation
        seen = with_rim(subject.camera.project(np.asarray(placed[:MESH], np.float32))).astype(np.float64)
        try:
            net = Delaunay(seen)
        except (QhullError, ValueError) as error:  # no area; no numbers
            raise PackageError(
                "The photo avatar's face has no area as its camera sees it. "
                "Make it anew from its photo: mien avatar create PHOTO --out NAME.avatar"
            ) from error
        at = still.astype(np.float64)
        triangle = net.find_simplex(at)
        self._nodes = np.flatnonzero(triangle >= 0)
        triangle, at = triangle[self._nodes], at[self._nodes]
        turn = net.transform[triangle]
        two = np.einsum("nij,nj->ni", turn[:, :2], at - turn[:, 2])
        shares = np.column_stack([two, 1 - two.sum(axis=1)])[..., None].astype(np.float32)
        corners = net.simplices[triangle]

        def at_nodes(points: Float) -> Float:
            return np.asarray((points[corners] * shares).sum(axis=1), np.float32)

        self._chart = Lookup.of(at_nodes(with_rim(basis.mean[:MESH, :2])))
        out = (np.where(corners < MESH, 0, 1) * shares[..., 0]).sum(axis=1)
        self._weights = fade((1 - out) / _FADE)[:, None]
        away = -at_nodes(placed[:, 2:])
        camera = subject.camera
        ray = np.column_stack(
            [(at - (camera.cx, camera.cy)) * (1, -1) / camera.focal, np.full(len(at), -1.0)]
        )
        # The rim goes with the oval in proportion, so what an expression does to a node is the same on any face.
        unmoved = with_rim(np.zeros((MESH, 3), np.float32))
        self._moves = np.stack([at_nodes(with_rim(one) - unmoved) for one in expression])
        resting = (ray * away - subject.rest_translation) @ rotation
        self._places = np.asarray(resting - np.tensordot(subject.neutral, self._moves, 1), np.float32)
        self._clip = np.empty((len(at), 4), np.float32)

    def follow(
        self, expression: Float, detail: Float, share: float, pose: Float, lens: Float, grid: Float
    ) -> None:
        """Move the nodes of `grid`, (G, 4) in clip space, to where `detail` has them; see `FaceParams`.

        share: 0 to 1, how far; pose: (3, 4) of the head; lens: (5,), see `projection.lens_of`.
        """
        places = self._places + np.tensordot(expression, self._moves, 1)
        places[:, :2] += self._chart(detail)
        clip = self._clip
        to_clip(places, pose, lens, clip)
        near = grid[self._nodes]
        # In the picture, not in clip space: what lies at other depths goes straight from one place to the other.
        depth, weight = near[:, 3:], self._weights * np.float32(share)
        near[:, :2] += weight * (clip[:, :2] * (depth / np.maximum(clip[:, 3:], np.float32(1))) - near[:, :2])
        grid[self._nodes] = near
