"""Somebody drawn, whose eyes are known to look somewhere, in front of the real tracker."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mien.face.camera import Camera
from mien.face.make.shading import Look, Painter
from mien.face.model import FaceModel, PosedFace
from mien.face.retargeting import eye_look
from mien.face.tracker import LandmarkTracker
from mien.frames import Bytes, Float, VideoFrame
from mien.stage import Kind, Landmarker, Tracked
from mien.testing.context import FakeContext

FRAME_NS = 40_000_000
NOISE = 2
"""Grey levels that a picture differs by from frame to frame."""
AHEAD = np.zeros(2, np.float32)


class Sitter:
    """A face of a model, photographed, and the tracker that looks at the photographs. Close it."""

    def __init__(
        self,
        model: FaceModel,
        landmarker: Callable[[], Landmarker],
        camera: Camera,
        place: tuple[float, float, float],
        identity: Float | None = None,
        look: Look | None = None,
        seed: int = 0,
    ) -> None:
        """place: of the head, (3,) cm in camera space; identity: (I,), of the mean face without it."""
        if identity is None:
            identity = np.zeros(len(model.identity), np.float32)
        self.camera, self.place = camera, place
        self._face = PosedFace(model, identity)
        self._painter = Painter(model, look)
        self._rng = np.random.default_rng(seed)
        self._context = FakeContext(services={Kind.LANDMARKER: landmarker})
        self._tracker = LandmarkTracker()
        self._tracker.open(self._context)
        self._index = 0

    def photograph(
        self,
        gaze: Float = AHEAD,
        head: Float = AHEAD,
        place: tuple[float, float, float] | None = None,
        expression: Float | None = None,
    ) -> Bytes:
        """(H, W, 3) uint8 RGB. gaze, head: (2,) degrees, yaw and pitch; place: elsewhere for this picture; expression:
        (52,) besides the lids that follow the gaze.
        """
        turned = np.radians([gaze, gaze]).astype(np.float32)
        weights = eye_look(turned)
        if expression is not None:
            weights = np.minimum(weights + expression, np.float32(1))
        shape = self._face.vertices(weights, turned)
        where = np.array(self.place if place is None else place, np.float32)
        return self._painter.photograph(shape, self.camera, turn(head), where)

    def see(
        self,
        picture: Bytes,
        frames: int = 1,
        noise: int = 0,
        sent: Callable[[Bytes], Bytes] = lambda picture: picture,
    ) -> Tracked:
        """What the tracker makes of the last of `frames` copies, which differ by up to `noise` grey levels and are
        `sent` by the camera somehow.
        """
        for _ in range(frames):
            differing = self._rng.integers(-noise, noise + 1, picture.shape) if noise else 0
            shown = (picture.astype(np.int16) + differing).clip(0, 255).astype(np.uint8)
            tracked = self._tracker.process(
                VideoFrame(sent(shown), self._index * FRAME_NS, index=self._index)
            )
            self._index += 1
        return tracked

    def close(self) -> None:
        self._context.close()


def turn(head: Float) -> Float:
    """(2,) degrees, yaw and pitch -> (3,) float32 axis-angle."""
    return np.radians([-head[1], head[0], 0]).astype(np.float32)
