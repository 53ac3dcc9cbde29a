"""Reflectance of a person's face in few numbers: 26 fields over the mesh, each in three colours.

Public models take their albedo basis from scans under controlled light; `mien-head` ships none, and its users could
not be given one. What stands in for it is *procedural*: one field per thing that has a colour of its own (skin, lips,
brows, whites of the eyes, irises, ...) and the smoothest functions on the face (`skin_modes`) for what varies slowly
(cheeks, beard shadow, forehead). It carries a person's colouring, not pores and moles; it is no prior of how people
look, either: every face that can be painted with it is as likely as any other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.face.model import BROWS, EYES, LIDS, OUTER_LIPS, FaceModel, Region
from mien.face.outline import enclosed
from mien.face.skin_modes import skin_modes
from mien.frames import Float

SMOOTH = 16
"""Smooth fields, the constant among them."""
_IRIS, _PUPIL = np.radians(27.0), np.radians(11.0)
_SOFT_CM = 0.15
FIELD_NAMES = (
    *(f"skin {k}" for k in range(SMOOTH)),
    "lips", "brows", "eye sockets", "lashes", "whites", "irises", "pupils", "mouth", "teeth", "scalp and neck",
)  # fmt: skip
_RIDGE = 1e-3
_AVERAGE_SKIN = np.array([0.68, 0.52, 0.45], np.float32)
_USUAL = {"whites": (0.72, 0.68, 0.66), "irises": (0.3, 0.24, 0.2), "pupils": (0.06, 0.05, 0.05),
          "mouth": (0.3, 0.12, 0.12), "teeth": (0.78, 0.74, 0.68)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reflectance:
    """fields: (26, V) float32, order of `FIELD_NAMES`. average: (V, 3), the colours that coefficients add to."""

    fields: Float
    average: Float

    @classmethod
    def of(cls, model: FaceModel) -> Reflectance:
        """Make the fields for a model; takes half a second, keep the result."""
        fields = np.concatenate([skin_modes(model, SMOOTH), _parts(model)])
        average = np.zeros((len(model.mean), 3), np.float32) + _AVERAGE_SKIN
        for name, colour in _USUAL.items():
            cover = fields[FIELD_NAMES.index(name)][:, None]
            average += cover * (np.array(colour, np.float32) - average)
        return cls(np.asarray(fields, np.float32), average)

    def albedo(self, coefficients: Float) -> Float:
        """coefficients: (78,) -> (V, 3) float32 in [0, 1]."""
        colours = self.average + self.fields.T @ coefficients.reshape(-1, 3)
        return np.asarray(np.clip(colours, 0.01, 1), np.float32)

    def coefficients(self, albedo: Float, weight: Float) -> Float:
        """The coefficients (78,) that come closest to `albedo` (V, 3); weight: (V,), 0 where it is not known."""
        rows = self.fields.astype(np.float64)
        weighted = rows * (weight / max(float(weight.sum()), 1e-9))
        matrix = weighted @ rows.T + _RIDGE * np.eye(len(rows))
        found = np.linalg.solve(matrix, weighted @ (albedo - self.average))
        return np.asarray(found.reshape(-1), np.float32)


def _parts(model: FaceModel) -> Float:
    """(10, V) how much each vertex belongs to what has a colour of its own, 0 to 1."""
    region = model.vertex_region
    face = region == Region.FACE
    marks = model.landmarks.apply(model.mean)

    def within(outline: tuple[int, ...], grown_cm: float = 0.0) -> Float:
        inside = _signed_distance(marks[list(outline), :2], model.mean[:, :2]) + grown_cm
        return np.asarray(face * np.clip(0.5 + inside / _SOFT_CM, 0, 1), np.float32)

    lips = within(OUTER_LIPS)
    brows = np.maximum(*(within(outline, 0.1) for outline in BROWS))
    near = np.maximum(*(within(outline, 0.9) for outline in LIDS))
    lashes = np.maximum(*(within(outline, 0.12) for outline in LIDS))
    angle = np.linalg.norm(model.uv - 0.5, axis=1) * np.pi
    ball = np.isin(region, EYES)
    pupil = ball * np.clip((_PUPIL - angle) / 0.05 + 0.5, 0, 1)
    iris = ball * np.clip((_IRIS - angle) / 0.05 + 0.5, 0, 1) - pupil
    white = ball - iris - pupil
    mouth = np.isin(region, (Region.MOUTH_SOCKET, Region.GUMS, Region.TONGUE))
    teeth = region == Region.TEETH
    around = np.isin(region, (Region.HEAD, Region.NECK))
    parts = [lips, brows, near, lashes, white, iris, pupil, mouth, teeth, around]
    return np.asarray(np.stack(parts), np.float32)


def _signed_distance(outline: Float, points: Float) -> Float:
    """(P,) distance of points (P, 2) from a closed outline (N, 2), positive inside."""
    ends = np.roll(outline, -1, axis=0)
    along = ends - outline
    to = points[:, None] - outline
    share = np.clip((to * along).sum(axis=2) / np.maximum((along**2).sum(axis=1), 1e-9), 0, 1)
    distance = np.linalg.norm(to - share[..., None] * along, axis=2).min(axis=1)
    return np.asarray(np.where(enclosed(points, outline), distance, -distance), np.float32)
