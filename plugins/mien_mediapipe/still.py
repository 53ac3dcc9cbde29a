"""Finding the faces in a single picture, with effort: small faces, tight crops, paintings, busts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mien.frames import Bytes
from mien.stage import FaceLandmarks
from mien_mediapipe.face_detector import Detection, FaceDetector, distinct
from mien_mediapipe.face_mesh import FaceMesh
from mien_mediapipe.region import Region

_MIN_SCORE = 0.5
_SETTLE = 3  # times that the region is drawn around the landmarks found in it
_CROPS = ((0.0, 0.0, 1.0), (0.01, 0.0, 0.92), (-0.01, 0.0, 1.08), (0.0, 0.01, 0.96), (0.0, -0.01, 1.04))
_TURNS = (0.0, 0.6, -0.6)  # radians: heads lean in pictures
_FEW = 10  # squares to search up to which the near detector is worth its time, too
_MIN_SIDE = 12.0  # px; smaller faces say nothing


class StillSearch:
    """Searches coarse to fine, and stops at the first scale at which a face is sure.

    Borrows the networks of a landmarker.
    """

    def __init__(self, mesh: FaceMesh, near: FaceDetector, far: FaceDetector) -> None:
        self._mesh = mesh
        self._near = near
        self._far = far

    def find(self, pixels: Bytes) -> list[FaceLandmarks]:
        """pixels: (H, W, 3) uint8 RGB, any size -> all faces found, largest first."""
        for regions in _scales(pixels.shape[1], pixels.shape[0]):
            found: list[Detection] = []
            for region in regions:
                found += self._far.find(pixels, region)
                if len(regions) <= _FEW:
                    found += self._near.find(pixels, region)
            faces = [self._settle(pixels, one.region) for one in distinct(found)]
            sure = _unlike([face for face in faces if face is not None])
            if sure:
                return sorted(sure, key=lambda face: -Region.around(face.points).side)
        return []

    def _settle(self, pixels: Bytes, region: Region) -> FaceLandmarks | None:
        """Landmarks in and around `region`, averaged over slightly different crops; None: no face."""
        if region.side < _MIN_SIDE:
            return None
        for _ in range(_SETTLE):
            points, score = self._mesh.find(pixels, region)
            if score < _MIN_SCORE:
                return None
            region = Region.around(points)
        views = [self._mesh.find(pixels, region.nudged(*crop)) for crop in _CROPS]
        points = np.median([points for points, _ in views], axis=0).astype(np.float32)
        return FaceLandmarks(points, float(np.median([score for _, score in views])))


def _scales(width: int, height: int) -> Iterator[list[Region]]:
    """Squares to search, coarse to fine: the whole picture (and beyond, for tight crops), then tiles."""
    whole = Region(width / 2, height / 2, max(width, height))
    yield [whole, whole.scaled(1.6)]
    yield [Region(whole.x, whole.y, scale * whole.side, turn) for turn in _TURNS for scale in (0.8, 1.2, 2.2)]
    for parts in (2, 4, 8):
        side = whole.side / parts
        if side < 4 * _MIN_SIDE:
            return
        yield [
            Region(x, y, side)
            for y in np.arange(side / 2, max(height - side / 2, side / 2) + 1, side / 2)
            for x in np.arange(side / 2, max(width - side / 2, side / 2) + 1, side / 2)
        ]


def _unlike(faces: list[FaceLandmarks]) -> list[FaceLandmarks]:
    """Drop faces that settled on the same place."""
    kept: list[FaceLandmarks] = []
    for face in sorted(faces, key=lambda face: -face.score):
        region = Region.around(face.points)
        if not any(region.inside(Region.around(other.points)) for other in kept):
            kept.append(face)
    return kept
