"""People whose performances are recorded."""

from __future__ import annotations

import numpy as np

from mien.face.camera import Camera
from mien.face.subject import Subject
from mien.frames import Float


def plain(epoch: int = 0, **rest: Float) -> Subject:
    """Somebody average who rests straight and without expression, but for what `rest` says."""
    camera = Camera(640, 480, 900.0, 300.0, 240.0)
    return Subject("mien-head", np.zeros(3, np.float32), camera, epoch=epoch, **rest)


def somebody(epoch: int = 0) -> Subject:
    """Somebody of whom nothing is average or round; another one every epoch."""
    rng = np.random.default_rng(epoch)
    return Subject(
        "mien-head",
        rng.normal(size=20).astype(np.float32),
        Camera(640, 480, 1280.5, 320.25, 240),
        offsets=rng.normal(size=(478, 3)).astype(np.float32),
        neutral=(0.2 * rng.random(52)).astype(np.float32),
        rest_rotation=np.array([0.1, -0.1, 0.02], np.float32),
        rest_translation=np.array([1, 2, -70], np.float32),
        epoch=epoch,
    )
