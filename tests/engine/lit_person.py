"""Pictures of a made-up person with known colours, under known light."""

from __future__ import annotations

import numpy as np

from mien.face.camera import Camera, rotation_matrix
from mien.face.light import ambient, shade
from mien.face.model import PosedFace, load_model
from mien.face.normals import vertex_normals
from mien.face.reflectance import Reflectance
from mien.frames import EXPRESSIONS, Bytes, Float
from mien.render.projection import lens_of, pose_matrix, to_clip
from mien.testing.context import FakeContext
from mien_raster.rasterizer import NumbaRasterizer

CAMERA = Camera.guess(320, 320)
HOME = (0.0, 0.0, -60.0)


def lamp(
    x: float, y: float, z: float, *, ambience: float = 0.7, colour: tuple[float, ...] = (1, 1, 1)
) -> Float:
    """(9, 3) float32: white ambience, and a lamp in that direction, as strong as the vector is long."""
    light = ambient(ambience)
    light[1:4] += np.outer((y, z, x), colour).astype(np.float32)
    return light


class LitPerson:
    """Of the built-in model; `seed` chooses face and colours."""

    def __init__(self, seed: int = 5) -> None:
        rng = np.random.default_rng(seed)
        self.model = load_model()
        self.reflectance = Reflectance.of(self.model)
        identity = 0.6 * rng.standard_normal(len(self.model.identity))
        self.face = PosedFace(self.model, identity.astype(np.float32), np.zeros((478, 3), np.float32))
        colours = np.zeros((len(self.reflectance.fields), 3), np.float32)
        colours[0] = -0.15, -0.12, -0.1
        colours[1:16] = 0.02 * rng.standard_normal((15, 3))
        self.albedo = self.reflectance.albedo(colours.reshape(-1))
        self.noise = rng
        self.rasterizer = NumbaRasterizer()
        self.rasterizer.open(FakeContext())

    def seen(self, light: Float, turn: tuple[float, ...] = (0, 0, 0)) -> tuple[Bytes, Float]:
        """The picture, with a camera's noise, and the landmarks (478, 3) in it."""
        rotation, place = rotation_matrix(np.array(turn, np.float32)), np.array(HOME, np.float32)
        vertices = self.face.vertices(np.zeros(EXPRESSIONS, np.float32), np.zeros((2, 2), np.float32))
        normals = np.asarray(vertex_normals(vertices, self.model.triangles) @ rotation.T, np.float32)
        clip = np.empty((len(vertices), 4), np.float32)
        to_clip(vertices, pose_matrix(rotation, place), lens_of(CAMERA), clip)
        hits = self.rasterizer.rasterize(clip[None], self.model.triangles, CAMERA.height, CAMERA.width)
        colours = shade(self.albedo, normals, light)[None]
        picture = self.rasterizer.interpolate(colours, hits, self.model.triangles)[0] * 255
        picture[hits.triangle[0] < 0] = 80
        noisy = picture + self.noise.standard_normal(picture.shape)
        points = self.model.landmarks.apply(vertices) @ rotation.T + place
        px = CAMERA.project(np.asarray(points, np.float32))
        return noisy.clip(0, 255).round().astype(np.uint8), np.column_stack([px, np.zeros(478)]).astype(
            np.float32
        )
