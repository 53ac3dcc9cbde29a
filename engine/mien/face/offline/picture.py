"""A face drawn under its light and compared with the picture: the photometric term.

Deferred shading: the rasterizer says which point of the mesh each pixel shows, everything else follows from that
(albedo and spherical-harmonics shading at the corners, interpolated), and gradients go through the barycentrics to
whatever moves the vertices. Normal equations are made directly, pixel by pixel (`kernels.photometric_rows`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.face.camera import rotation_matrix
from mien.face.fitting import Fit
from mien.face.landmark_term import FRAME, Double
from mien.face.light import ambient, estimate_light, harmonics
from mien.face.model import FaceModel, PosedFace, Region
from mien.face.normals import vertex_normals
from mien.face.offline.crop import Crop
from mien.face.offline.kernels import albedo_equations, photometric_rows, weigh
from mien.face.offline.skin import AlbedoEstimate, Skin
from mien.face.subject import Subject
from mien.frames import Float
from mien.render.projection import lens_of, pose_matrix, to_clip
from mien.stage import Fragments, Rasterizer

_TOLERANCE = 0.08
"""Difference in colour at which a pixel counts half."""
_GRAZING, _FACING = 0.15, 0.5
"""Cosines of the angle to the line of sight: below the first a pixel says nothing, from the second on all."""
_LIGHT_PIXELS = 2500
_BLOCK = 4096


@dataclass(slots=True)
class FrameState:
    """One frame as it is known now; meanings as in `FaceParams`, the rotation as a matrix (3, 3)."""

    rotation: Float
    translation: Float
    expression: Float
    gaze: Float
    light: Float = field(default_factory=ambient)

    @classmethod
    def of(cls, fit: Fit, light: Float) -> FrameState:
        """What the landmarks alone say, under that light; nothing is shared with either."""
        rotation = np.ascontiguousarray(rotation_matrix(fit.rotation))
        return cls(rotation, fit.translation.copy(), fit.expression.copy(), fit.gaze.copy(), light.copy())

    def copy(self) -> FrameState:
        arrays = (self.rotation, self.translation, self.expression, self.gaze, self.light)
        return FrameState(*(array.copy() for array in arrays))


@dataclass(slots=True)
class Person:
    """What all frames share. albedo: (N, 3) about [0, 1], on the nodes of `Skin`; trust: (N,) how far it is known and
    holds, 0 to 1.
    """

    subject: Subject
    face: PosedFace
    albedo: Float
    trust: Float


@dataclass(frozen=True, slots=True)
class Drawn:
    """A person drawn into a crop. fine: the fragments in terms of the skin's triangles; picture: (S, S, 4) colour and
    trust; weight: (S, S), 0 where no skin is; shading: (N, 3); points: (V, 3) head space; normals: (V, 3) camera space.
    """

    fragments: Fragments
    fine: Fragments
    picture: Float
    weight: Float
    shading: Float
    points: Float
    normals: Float


class Photometry:
    """Draws and differentiates one model's faces. Not thread-safe."""

    def __init__(self, model: FaceModel, rasterizer: Rasterizer, shape: Float | None = None) -> None:
        """shape: (S, V, 3) displacement fields that frames share, for `equations` of more than one frame."""
        self.model = model
        self.skin = Skin(model)
        self._rasterizer = rasterizer
        fields = model.expression if shape is None else np.concatenate([model.expression, shape])
        self._columns = np.ascontiguousarray(fields.transpose(1, 2, 0), np.float32)
        self._clip = np.empty((len(model.mean), 4), np.float32)
        self._skin = np.asarray(model.triangle_region == Region.FACE)
        self._jacobian = np.empty((2 * _BLOCK, self._columns.shape[2] + 7), np.float32)
        self._frame_jacobian = np.empty((2 * _BLOCK, FRAME), np.float32)
        self._residual = np.empty(2 * _BLOCK, np.float32)

    def draw(
        self, person: Person, state: FrameState, crop: Crop, *, relight: bool = True,
        used: NDArray[Any] | None = None,
    ) -> Drawn:  # fmt: skip
        """Draw `person` as `state` has it under the crop's camera. `relight` estimates `state.light` anew first,
        drawn to what it was, from the pixels that may be `used`: (S, S) bool, all without it.
        """
        camera, triangles = crop.camera, self.model.triangles
        points = person.face.vertices(state.expression, state.gaze)
        normals = np.ascontiguousarray(vertex_normals(points, triangles) @ state.rotation.T)
        to_clip(points, pose_matrix(state.rotation, state.translation), lens_of(camera), self._clip)
        fragments = self._rasterizer.rasterize(self._clip[None], triangles, camera.height, camera.width)
        hit = fragments.triangle[0]
        skin = (hit >= 0) & self._skin[hit]

        seen = points @ state.rotation.T + state.translation
        facing = -(normals * seen).sum(axis=1) / np.linalg.norm(seen, axis=1)
        facing = np.clip((facing - _GRAZING) / (_FACING - _GRAZING), 0, 1)
        trust = person.trust * self.skin.spread(facing.astype(np.float32))
        fine = self.skin.refine(fragments)
        if relight:
            lit = skin if used is None else skin & used
            state.light = self._light(person, state, crop, fine, self.skin.spread(normals), trust, lit)
        shading = self.skin.spread(np.asarray(harmonics(normals) @ state.light, np.float32))
        attributes = np.concatenate([person.albedo * shading, trust[:, None]], axis=1)
        picture = self._rasterizer.interpolate(
            np.asarray(attributes[None], np.float32), fine, self.skin.triangles
        )[0]
        picture[~skin] = 0
        weight = np.empty(hit.shape, np.float32)
        weigh(crop.colours, picture, np.float32(_TOLERANCE), weight)
        return Drawn(fragments, fine, picture, weight, shading, points, normals)

    def equations(
        self, drawn: Drawn, state: FrameState, crop: Crop, *, shared: bool = False, used: NDArray[Any] | None = None,
        stride: int = 1,
    ) -> tuple[Double, Double, float]:  # fmt: skip
        """Matrix, right side and weighted mean square residual, per unit of pixel weight.

        Unknowns are those of `landmark_term.Linearised`; with `shared` all, else the frame's 58. used: (S, S) bool,
        pixels that may be looked at; stride: every so many pixels of those suffice.
        """
        weight = drawn.weight if used is None else np.where(used, drawn.weight, np.float32(0))
        pixels = np.flatnonzero(weight > 0)
        if stride > 1:
            # A fixed scatter of the pixels: regular strides would alias with the picture's rows.
            pixels = pixels[(pixels * 2654435761 % 4294967296) < 4294967296 // stride]
        jacobian = self._jacobian if shared else self._frame_jacobian
        size = jacobian.shape[1]
        matrix, right = np.zeros((size, size)), np.zeros(size)
        camera = crop.camera
        for start in range(0, len(pixels), _BLOCK):
            block = pixels[start : start + _BLOCK]
            rows, residual = jacobian[: 2 * len(block)], self._residual[: 2 * len(block)]
            photometric_rows(
                crop.colours, drawn.picture, drawn.weight, drawn.fragments.triangle[0],
                drawn.fragments.barycentric[0], block, self.model.triangles, drawn.points, self._columns,
                state.rotation, state.translation,
                np.float32(camera.focal), rows, residual,
            )  # fmt: skip
            matrix += rows.T @ rows
            right += residual @ rows
        flat = weight.reshape(-1)[pixels]
        off = (crop.colours - drawn.picture[:, :, :3]).reshape(-1, 3)[pixels]
        total = max(float(flat.sum()), 1e-6)
        return matrix / total, right / total, float((flat @ (off * off).mean(axis=1)) / total)

    def add_albedo(self, estimate: AlbedoEstimate, drawn: Drawn, crop: Crop) -> None:
        """Add what this picture says about the albedo."""
        albedo_equations(
            crop.colours, drawn.weight, drawn.fine.triangle[0], drawn.fine.barycentric[0],
            self.skin.triangles, drawn.shading, estimate.matrix, estimate.right,
        )  # fmt: skip

    def _light(
        self, person: Person, state: FrameState, crop: Crop, fragments: Fragments, normals: Float, trust: Float,
        skin: NDArray[Any],
    ) -> Float:  # fmt: skip
        pixels = np.flatnonzero(skin)
        pixels = pixels[:: max(len(pixels) // _LIGHT_PIXELS, 1)]
        corners = self.skin.triangles[fragments.triangle[0].reshape(-1)[pixels]]
        share = np.empty((len(pixels), 3), np.float32)
        share[:, :2] = fragments.barycentric[0].reshape(-1, 2)[pixels]
        share[:, 2] = 1 - share[:, 0] - share[:, 1]

        def at(values: Float) -> Float:
            return np.asarray((values[corners] * share[:, :, None]).sum(axis=1))

        known = at(trust[:, None])[:, 0] > 0.2
        if known.sum() < 50:
            return state.light
        turned = at(normals)
        turned /= np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), 1e-6)
        colours = crop.colours.reshape(-1, 3)[pixels]
        return estimate_light(turned[known], at(person.albedo)[known], colours[known], before=state.light)
