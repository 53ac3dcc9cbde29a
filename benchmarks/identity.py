"""Whether an avatar goes on looking like its portrait while it is driven: cosine similarity of face embeddings.

MobileFaceNet (Chen et al. 2018) on faces aligned by five points, as ArcFace (Deng et al. 2019) lays them down. The
network is not part of the project; it is read from the assets folder.
"""

from __future__ import annotations

import statistics
from pathlib import Path

import cv2
import numpy as np
from skimage.transform import SimilarityTransform

from mien.avatar.package import Avatar
from mien.controls import Controls
from mien.driver import Driver
from mien.face.subject import Subject
from mien.face.tracker import LandmarkTracker
from mien.frames import Bytes, FaceParams, Float, VideoFrame
from mien.stage import Kind, Landmarker, Renderer
from mien.testing.context import FakeContext
from mien_mediapipe.landmarker import MediaPipeLandmarker
from mien_photo import takes

NETWORK = "mobilefacenet_112.onnx"
PORTRAITS = ("stock-emotions-a-3.jpg", "sad_happy1.png", "lp_s9.jpg", "sad_full4.jpeg")
"""Two photographs, a painting, a picture of another kind."""
CLIPS = ("expressive/expressive_d10.mp4", "expressive/grimaces_d6_33s.mp4", "expressive/strong_6s.mp4")
FRAMES = 20

_SIDE = 112
_PLACES = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    np.float32,
)
"""Where ArcFace wants both eyes, the tip of the nose and the corners of the mouth, px."""
_POINTS = (468, 473, 1, 61, 291)

Move = tuple[FaceParams | None, Subject | None, int]
"""A tracked frame: what the face does, whose it is, and when (ns)."""


class Likeness:
    """Embeds faces. Raises `cv2.error` when the network cannot be read."""

    def __init__(self, assets: Path) -> None:
        self._network = cv2.dnn.readNetFromONNX(str(assets / NETWORK))

    def embedding(self, picture: Bytes, points: Float) -> Float:
        """picture: (H, W, 3) uint8 RGB; points: (478, 2 or 3) px of it -> (128,) float32 of length 1."""
        found = SimilarityTransform.from_estimate(points[list(_POINTS), :2], _PLACES)
        face = cv2.warpAffine(picture, found.params[:2].astype(np.float32), (_SIDE, _SIDE))
        self._network.setInput(cv2.dnn.blobFromImage(face, 1 / 127.5, (_SIDE, _SIDE), (127.5,) * 3))
        vector = self._network.forward().ravel()
        return np.asarray(vector / np.linalg.norm(vector), np.float32)


def performed(path: Path) -> list[Move]:
    """A clip through the engine's own tracker, every frame of it."""
    context = FakeContext(services={Kind.LANDMARKER: MediaPipeLandmarker})
    tracker = LandmarkTracker()
    tracker.open(context)
    moves: list[Move] = []
    for index, (pixels, at_ns) in enumerate(takes.frames(path)):
        tracked = tracker.process(VideoFrame(pixels, at_ns, index=index))
        moves.append((tracked.params, tracked.subject, at_ns))
    tracker.close()
    context.close()
    return moves


def similarity(
    avatar: Avatar, renderer: Renderer, moves: list[Move], network: Likeness, landmarker: Landmarker
) -> float:
    """Mean over `FRAMES` evenly spaced frames of an avatar driven live. nan where no face was found in any."""
    portrait = avatar.content.images["portrait"]
    own = network.embedding(portrait, landmarker.detect_still(portrait)[0].points)
    chosen = set(np.linspace(0, len(moves) - 1, FRAMES).round().astype(int).tolist())
    driver = Driver(avatar.content.subject, Controls())
    found = []
    for index, (params, subject, at_ns) in enumerate(moves):
        drawn = driver.step(params, subject, at_ns, index)
        if index not in chosen:
            continue
        pixels = renderer.process(drawn).pixels
        faces = landmarker.detect_still(pixels)
        if faces:
            found.append(float(own @ network.embedding(pixels, faces[0].points)))
    return statistics.fmean(found) if found else float("nan")
