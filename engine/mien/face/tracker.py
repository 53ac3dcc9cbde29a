"""The engine's own tracker: any landmarker, then the model fit, enrolment and filtering."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mien.clock import NS_PER_S
from mien.errors import StageError
from mien.face.acquaintance import BAD_ERROR, Acquaintance
from mien.face.camera import Camera
from mien.face.chart import Chart
from mien.face.eyelids import with_lids
from mien.face.filtering import FaceFilter
from mien.face.fitting import Fit
from mien.face.lightpoints import LightPoints
from mien.face.model import FaceModel, load_model
from mien.face.mouth_sight import MouthSight
from mien.face.spare import Spare
from mien.frames import FaceParams, Float, VideoFrame
from mien.stage import Context, FaceLandmarks, Kind, Landmarker, Tracked, Tracker

_GOOD_ERROR = 0.025
"""Of the eye distance: a fit that is to be trusted. One of `BAD_ERROR` isn't."""
_JUMP, _OTHER_SIZE = 0.7, 1.5
"""Of the face's size: a face that is further off than this from one picture to the next, or so many times larger or
smaller, may be somebody else's. Heads that touch are about this far apart."""
_MOUTH_EVERY = 2
"""Frames per look at the mouth, when time is short; a voice takes over a covered one within three."""


class LandmarkTracker(Tracker):
    """Pictures in, `FaceParams` of the followed face out, under the camera of the subject: `Camera.guess` of the
    picture's size, until its poses tell the focal length.

    Who it is, is learned on the way: a first guess from the first picture, the `Subject` proper after a
    second, refined from then on (`Acquaintance`), with the colours of the skin; every frame says what light
    is on it (`Lighting`). A face that comes back after a loss, or is suddenly
    elsewhere, is checked against the one that was known.
    """

    def __init__(self) -> None:
        self._model: FaceModel | None = None
        self._landmarker: Landmarker | None = None
        self._known: Acquaintance | None = None
        self._filter = FaceFilter()
        self._mouth = MouthSight()
        self._last: Float | None = None
        self._epoch = self._person = 0
        self._spare = Spare(math.inf)
        self._mouth_seen = 1.0

    def open(self, context: Context) -> None:
        self._clock = context.clock
        self._spare = Spare(NS_PER_S / context.fps if context.live else math.inf)
        self._model = load_model(context.face_model)
        Chart.of(self._model)
        LightPoints.of(self._model)  # which takes a while: not to be done when the first face is seen
        self._landmarker = context.service(Kind.LANDMARKER)

    def close(self) -> None:
        self._landmarker = None
        self._forget()

    def reset(self) -> None:
        self._forget()
        if self._landmarker is not None:
            self._landmarker.reset()

    def process(self, frame: VideoFrame) -> Tracked:
        if self._landmarker is None or self._model is None:
            raise StageError("tracker", "used before it was opened")
        began_ns = self._clock.work_ns()
        faces = self._landmarker.detect(frame.pixels)
        count = max(len(faces), self._landmarker.faces)
        if not faces:
            if self._known is not None:
                self._known.lost()
            return Tracked(None, None if self._known is None else self._known.subject, 0)
        face = self._choose(faces)
        known = self._known
        if known is not None and self._last is not None and _elsewhere(face.points, self._last):
            # The landmarker goes over to somebody else in view within one picture, without an empty one.
            known.lost()
        self._last = face.points
        if known is None or known.unfinished or not known.matches(frame.width, frame.height):
            known = self._meet(self._model, frame)
        closely = self._spare.allowed
        fit = known.see(face.points, frame, closely=closely)
        if known.is_stranger():
            known = self._meet(self._model, frame)
            fit = known.see(face.points, frame)
        self._epoch = known.subject.epoch
        params = self._filter(_params(fit, known, face.score, frame))
        if closely or known.frames % _MOUTH_EVERY == 0:
            self._mouth_seen = self._mouth.see(frame.pixels, face.points)
        params = replace(params, mouth_confidence=self._mouth_seen)
        self._spare.note(self._clock.work_ns() - began_ns)
        return Tracked(params, known.subject, count, face.points)

    def _meet(self, model: FaceModel, frame: VideoFrame) -> Acquaintance:
        """Somebody new, or from a new camera."""
        self._person += 1
        self._known = Acquaintance(model, Camera.guess(frame.width, frame.height), self._epoch, self._person)
        self._filter.reset()
        self._mouth.reset()
        self._mouth_seen = 1.0
        return self._known

    def _forget(self) -> None:
        self._known = None
        self._last = None
        self._filter.reset()
        self._mouth.reset()

    def _choose(self, faces: list[FaceLandmarks]) -> FaceLandmarks:
        """The face nearest to the last one if any is near, else the largest (they come sorted)."""
        if self._last is None or len(faces) == 1:
            return faces[0]
        last = self._last[:, :2]
        size = _size(last)
        moved = [face.points[:, :2].mean(axis=0) - last.mean(axis=0) for face in faces]
        distances = np.linalg.norm(moved, axis=1)
        nearest = int(np.argmin(distances))
        return faces[nearest] if distances[nearest] < size else faces[0]


def _elsewhere(points: Float, last: Float) -> bool:
    """Whether the face jumped between two pictures, as one person's hardly does. Both: (478, 3) px."""
    size, before = _size(points), _size(last)
    across, down = np.ascontiguousarray((points[:, :2] - last[:, :2]).T)
    moved = math.hypot(across.mean(), down.mean())
    return moved > _JUMP * before or max(size, before) > _OTHER_SIZE * min(size, before)


def _size(points: Float) -> float:
    """The longer side of the box around them, px."""
    across, down = np.ascontiguousarray(points.T[:2])  # along which numpy is fast
    return max(float(across.max() - across.min()), float(down.max() - down.min()))


def _params(fit: Fit, known: Acquaintance, score: float, frame: VideoFrame) -> FaceParams:
    """The fit as the engine hands it on: closed lids read 1 for this person, and trust has a number."""
    doubt = (fit.error - _GOOD_ERROR) / (BAD_ERROR - _GOOD_ERROR)
    return FaceParams(
        capture_ns=frame.capture_ns,
        rotation=fit.rotation,
        translation=fit.translation,
        expression=with_lids(fit.expression, known.subject.neutral, fit.closed),
        gaze=fit.gaze,
        light=known.light,
        detail=known.detail,
        detail_around=known.detail_around,
        confidence=score * min(max(1 - doubt, 0.05), 1.0),
        index=frame.index,
        epoch=frame.epoch,
    )
