"""A made-up person with a patterned skin, drawn under known light: pictures of which everything is known."""

from __future__ import annotations

import numpy as np

from mien.face.camera import Camera, rotation_matrix
from mien.face.light import ambient
from mien.face.model import PosedFace, load_model
from mien.face.offline.crop import Crop
from mien.face.offline.picture import FrameState, Person, Photometry
from mien.face.rig import INDEX
from mien.face.subject import Subject
from mien.frames import EXPRESSIONS
from mien.testing.context import FakeContext
from mien_raster.rasterizer import NumbaRasterizer

SIDE = 160
CAMERA = Camera(SIDE, SIDE, 400.0, SIDE / 2, SIDE / 2)


def state(**weights):
    expression = np.zeros(EXPRESSIONS, np.float32)
    for name, weight in weights.items():
        expression[INDEX[name]] = weight
    light = ambient(0.9)
    light[1], light[3] = 0.2, 0.3
    return FrameState(
        np.ascontiguousarray(rotation_matrix(np.array([0.05, 0.2, -0.03]))),
        np.array([0.5, 0.2, -48], np.float32), expression, np.zeros((2, 2), np.float32), light,
    )  # fmt: skip


class Scene:
    """Somebody with a patterned skin, whose picture is a drawing."""

    def __init__(self):
        self.model = load_model()
        rasterizer = NumbaRasterizer()
        rasterizer.open(FakeContext())
        self.rasterizer = rasterizer
        self.photometry = Photometry(self.model, rasterizer)
        skin = self.photometry.skin
        places = skin.spread(self.model.mean)
        pattern = 0.5 + 0.2 * np.sin(3 * places[:, [0, 1, 0]] + 2 * places[:, [1, 2, 2]])
        subject = Subject(self.model.name, np.zeros(20, np.float32), CAMERA)
        face = PosedFace(self.model, subject.identity, subject.offsets)
        self.person = Person(subject, face, pattern.astype(np.float32), np.ones(len(skin), np.float32))

    def picture(self, seen):
        """The drawing (S, S, 3) of the person."""
        empty = Crop(np.zeros((SIDE, SIDE, 3), np.float32), CAMERA)
        drawn = self.photometry.draw(self.person, seen, empty, relight=False)
        return np.ascontiguousarray(drawn.picture[:, :, :3])

    def landmarks(self, seen):
        points = self.model.landmarks.apply(self.person.face.vertices(seen.expression, seen.gaze))
        return CAMERA.project(np.asarray(points @ seen.rotation.T + seen.translation, np.float32))
