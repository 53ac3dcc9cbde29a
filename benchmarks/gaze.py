"""Gaze on pictures of `mien-head` whose eyes are known to look somewhere, through the real landmarker."""

from __future__ import annotations

import numpy as np

from mien.face.camera import Camera
from mien.face.make.shading import Painter
from mien.face.model import PosedFace, load_model
from mien.face.retargeting import eye_look
from mien.face.tracker import LandmarkTracker
from mien.frames import Float, VideoFrame
from mien.stage import Kind
from mien.testing.context import FakeContext
from mien_mediapipe.landmarker import MediaPipeLandmarker

SIDE = 640
PLACE = (0.0, 1.5, -50.0)
"""Head in front of the camera, cm: its pupils are 161 px apart."""
ENROLLING, LOOKING = 26, 3
"""Frames that look into the camera at first, and frames of each glance, the last of which counts."""
GLANCES = 24
MOST_GAZE, MOST_TURN = 20.0, 12.0
"""Degrees: gazes are spread evenly over a disc of that radius, heads over a square."""


def _spread(rng: np.random.Generator) -> tuple[Float, Float]:
    """Yaw and pitch, degrees, of a head, and of a gaze in it."""
    reach, way = MOST_GAZE * np.sqrt(rng.random()), 2 * np.pi * rng.random()
    gaze = np.array([reach * np.cos(way), reach * np.sin(way)], np.float32)
    return rng.uniform(-MOST_TURN, MOST_TURN, 2).astype(np.float32), gaze


def gaze_errors(people: int = 3) -> Float:
    """(N, 2) degrees, yaw and pitch: the gaze tracked less the one shown, for every glance of every person."""
    model = load_model()
    painter, camera = Painter(model), Camera.guess(SIDE, SIDE)
    rng = np.random.default_rng(3)
    errors = []
    for person in range(people):
        identity = rng.normal(0, 0.8 if person else 0, len(model.identity)).astype(np.float32)
        face = PosedFace(model, identity)
        tracker = LandmarkTracker()
        context = FakeContext(services={Kind.LANDMARKER: MediaPipeLandmarker})
        tracker.open(context)
        index = 0
        straight = np.zeros(2, np.float32)
        for head, gaze in [(straight, straight), *(_spread(rng) for _ in range(GLANCES))]:
            turned = np.radians([gaze, gaze]).astype(np.float32)
            rotation = np.radians([-head[1], head[0], 0]).astype(np.float32)
            shape = face.vertices(eye_look(turned), turned)
            shown = painter.photograph(shape, camera, rotation, np.array(PLACE, np.float32)).astype(np.int16)
            for _ in range(LOOKING if index else ENROLLING):
                noisy = (shown + rng.integers(-2, 3, shown.shape)).clip(0, 255).astype(np.uint8)
                tracked = tracker.process(VideoFrame(noisy, index * 40_000_000, index=index))
                index += 1
            if index > ENROLLING:
                seen = tracked.params
                found = np.full(2, np.nan) if seen is None else np.degrees(seen.gaze.mean(axis=0))
                errors.append(found - gaze)
        context.close()
    return np.array(errors, np.float32)
