"""The landmarker service: finds faces, and follows the largest from picture to picture."""

from __future__ import annotations

import cv2

from mien.errors import PluginError
from mien.frames import Bytes
from mien.stage import Context, FaceLandmarks, Landmarker
from mien_mediapipe.face_detector import Detection, FaceDetector, Range, distinct
from mien_mediapipe.face_mesh import FaceMesh
from mien_mediapipe.region import Region
from mien_mediapipe.still import StillSearch

_MIN_SCORE = 0.5
_LOOK_EVERY = 25  # pictures between looks at the whole picture while a face is followed
_SLACK = 0.015  # of the region's side: more than a still face's landmarks wander
_LARGER = 1.5  # how much larger another face must be to be followed instead
_AGAIN = 0.6  # how much smaller a face may be that is taken up again where it was lost


class MediaPipeLandmarker(Landmarker):
    """MediaPipe's face mesh with irises.

    While a face is followed, its region comes from the landmarks before; every second or so one look at
    the whole picture counts faces and notices a much larger one. A lost face is looked for in every
    picture, so it is found again in the first picture that shows it.
    """

    def __init__(self) -> None:
        self._mesh: FaceMesh | None = None
        self._detectors: tuple[FaceDetector, ...] = ()
        self._still: StillSearch | None = None
        self._faces = 0
        self.reset()

    def open(self, context: Context) -> None:
        cv2.setNumThreads(1)  # lanes are the parallelism; OpenCV's own pool spins beside them
        self._mesh = FaceMesh()
        self._detectors = (FaceDetector(Range.NEAR), FaceDetector(Range.FAR))
        self._still = StillSearch(self._mesh, *self._detectors)

    def close(self) -> None:
        for detector in self._detectors:
            detector.close()
        if self._mesh is not None:
            self._mesh.close()
        self._detectors, self._mesh, self._still = (), None, None

    def reset(self) -> None:
        self._region: Region | None = None
        self._last: Region | None = None
        self._since_look = 0
        self._found: list[Detection] = []
        """What the look under way found so far."""
        self._faces = 0

    @property
    def faces(self) -> int:
        """How many faces the last look at the whole picture found."""
        return self._faces

    def detect(self, pixels: Bytes) -> list[FaceLandmarks]:
        """The followed face, or nothing. See `mien.stage.Landmarker`."""
        self._since_look += 1
        if self._region is not None and self._since_look >= _LOOK_EVERY:
            self._glance(pixels)
        face = self._follow(pixels)
        if face is None and self._look(pixels):
            face = self._follow(pixels)
        if face is None:
            return []
        self._faces = max(self._faces, 1)
        return [face]

    def detect_still(self, pixels: Bytes) -> list[FaceLandmarks]:
        """All faces in a single picture, largest first; leaves the followed face alone."""
        if self._still is None:
            raise PluginError("The MediaPipe landmarker is closed.")
        return self._still.find(pixels)

    def _follow(self, pixels: Bytes) -> FaceLandmarks | None:
        if self._mesh is None:
            raise PluginError("The MediaPipe landmarker is closed.")
        if self._region is None:
            return None
        points, score = self._mesh.find(pixels, self._region)
        if score < _MIN_SCORE:
            self._region = None
            return None
        self._region = self._region.drawn_towards(Region.around(points), _SLACK)
        self._last = self._region
        return FaceLandmarks(points, score)

    def _glance(self, pixels: Bytes) -> None:
        """Look at the whole picture beside the face that is followed: with one detector in each picture, as both
        together would make one in every `_LOOK_EVERY` late.
        """
        self._found += self._detectors[self._since_look - _LOOK_EVERY].find(pixels)
        if self._since_look - _LOOK_EVERY == len(self._detectors) - 1:
            self._choose(self._found)

    def _look(self, pixels: Bytes) -> bool:
        """Look at the whole picture; choose whom to follow. True when there is somebody."""
        return self._choose([one for detector in self._detectors for one in detector.find(pixels)])

    def _choose(self, found: list[Detection]) -> bool:
        """Of what the detectors found in a look, whom to follow. True when there is somebody."""
        self._since_look, self._found = 0, []
        regions = [one.region for one in distinct(found)]
        self._faces = len(regions)
        if self._region is not None:
            others = [one for one in regions if not one.inside(self._region)]
            if others and others[0].side > _LARGER * self._region.side:
                self._region = others[0]
            return True
        if regions:
            self._region = regions[0]
            known = [one for one in regions if self._last is not None and one.inside(self._last)]
            if known and known[0].side > _AGAIN * regions[0].side:
                self._region = known[0]
        return bool(regions)
