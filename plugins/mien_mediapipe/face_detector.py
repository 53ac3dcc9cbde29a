"""MediaPipe's face detectors: a picture to boxes with eyes.

Bazarevsky et al. 2019, "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import atan2
from typing import Any

from mien.frames import Bytes
from mien_mediapipe.graph import Graph
from mien_mediapipe.region import Region

# A detection's box is tighter than the landmarks' square: forehead and chin lie outside of it.
_MARGIN = 1.5
_OVERLAP = 0.3


class Range(Enum):
    """Which faces a detector is for."""

    NEAR = "short_range"
    """faces that fill a good part of the picture, as in front of a webcam; 2 ms"""
    FAR = "full_range"
    """also faces of a twentieth of the picture's width; 5 ms"""

    @property
    def size(self) -> int:
        """Side in px of the picture that the network sees."""
        return 128 if self is Range.NEAR else 192


def _config(which: Range, min_score: float) -> str:
    calculator = "FaceDetectionShortRange" if which is Range.NEAR else "FaceDetectionFullRange"
    return f"""
input_stream: "image"
output_stream: "detections"
node {{
  calculator: "{calculator}"
  input_stream: "IMAGE:image"
  output_stream: "DETECTIONS:detections"
  node_options {{ [type.googleapis.com/mediapipe.FaceDetectionOptions] {{
    min_score_thresh: {min_score} delegate {{ xnnpack {{ num_threads: 1 }} }} }} }}
}}
"""


@dataclass(frozen=True, slots=True)
class Detection:
    """A face's place: the square to show to the mesh network, and a score in [0, 1]."""

    region: Region
    score: float


class FaceDetector:
    """One detection network, loaded. Not thread-safe."""

    def __init__(self, which: Range, min_score: float = 0.5) -> None:
        self._size = which.size
        self._graph = Graph(_config(which, min_score), ("detections",), (self._size, self._size))

    def find(self, pixels: Bytes, region: Region | None = None) -> list[Detection]:
        """Look for faces in an upright or rotated square of the picture, (H, W, 3) uint8 RGB.

        Without a `region`, in the square around the whole picture. Returns the largest first.
        """
        from mediapipe.python import packet_getter

        if region is None:
            height, width = pixels.shape[:2]
            region = Region(width / 2, height / 2, max(width, height))
        packet = self._graph.run(region.crop(pixels, self._size)).get("detections")
        if packet is None:
            return []
        found = [_detection(one, region) for one in packet_getter.get_proto_list(packet)]
        return sorted(found, key=lambda one: -one.region.side)

    def close(self) -> None:
        self._graph.close()


def _detection(message: Any, seen: Region) -> Detection:
    """Detection message, in fractions of the square `seen` -> px of the picture."""
    box = message.location_data.relative_bounding_box
    right_eye, left_eye, *_ = message.location_data.relative_keypoints
    x, y = seen.to_picture() @ (box.xmin + box.width / 2, box.ymin + box.height / 2, 1.0)
    angle = atan2(left_eye.y - right_eye.y, left_eye.x - right_eye.x)
    side = _MARGIN * max(box.width, box.height) * seen.side
    return Detection(Region(float(x), float(y), side, angle + seen.angle), float(message.score[0]))


def distinct(detections: list[Detection]) -> list[Detection]:
    """Keep the better of detections that overlap; largest first."""
    kept: list[Detection] = []
    for one in sorted(detections, key=lambda one: -one.score):
        if all(_overlap(one.region, other.region) < _OVERLAP for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda one: -one.region.side)


def _overlap(a: Region, b: Region) -> float:
    """Intersection over union of the squares, as if upright."""
    wide = min(a.x + a.side / 2, b.x + b.side / 2) - max(a.x - a.side / 2, b.x - b.side / 2)
    high = min(a.y + a.side / 2, b.y + b.side / 2) - max(a.y - a.side / 2, b.y - b.side / 2)
    if wide <= 0 or high <= 0:
        return 0.0
    return wide * high / (a.side**2 + b.side**2 - wide * high)
