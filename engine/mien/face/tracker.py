"""The engine's own tracker: any landmarker, then the model fit, enrolment and filtering."""

from __future__ import annotations

import numpy as np

from mien.clock import NS_PER_S
from mien.errors import StageError
from mien.face.camera import Camera
from mien.face.enrolment import Enrolment
from mien.face.filtering import FaceFilter
from mien.face.fitting import Fit, Fitter
from mien.face.model import FaceModel, load_model
from mien.face.rig import INDEX
from mien.face.subject import Subject
from mien.frames import FaceParams, Float, VideoFrame
from mien.stage import Context, FaceLandmarks, Kind, Landmarker, Tracked, Tracker

_BLINKS = [INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]
_GOOD_ERROR, _BAD_ERROR = 0.025, 0.08
"""Of the eye distance: a fit that is to be trusted, and one that isn't."""
_JUMP, _OTHER_SIZE = 0.7, 1.5
"""Of the face's size: a face that is further off than this from one picture to the next, or so many times larger or
smaller, may be somebody else's. Heads that touch are about this far apart."""
_STRANGER_FRAMES = 12
"""Frames after re-acquisition over which a face is judged to be somebody else's."""
_STRANGER_ERROR = 1.8
"""Times the error that the person was enrolled with."""


class LandmarkTracker(Tracker):
    """Pictures in, `FaceParams` of the followed face out, under `Camera.guess` of the picture's size.

    Who it is, is learned on the way: a first guess from the first picture, the `Subject` proper after a
    second, refined from then on (`Acquaintance`). A face that comes back after a loss, or is suddenly
    elsewhere, is checked against the one that was known.
    """

    def __init__(self) -> None:
        self._model: FaceModel | None = None
        self._landmarker: Landmarker | None = None
        self._known: Acquaintance | None = None
        self._filter = FaceFilter()
        self._last: Float | None = None
        self._epoch = 0

    def open(self, context: Context) -> None:
        self._model = load_model(context.face_model)
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
        if known is None or not known.matches(frame.width, frame.height):
            known = self._meet(self._model, frame)
        fit = known.see(face.points, frame.capture_ns)
        if known.is_stranger():
            known = self._meet(self._model, frame)
            fit = known.see(face.points, frame.capture_ns)
        self._epoch = known.subject.epoch
        params = self._filter(_params(fit, known.subject, face.score, frame))
        return Tracked(params, known.subject, count, face.points)

    def _meet(self, model: FaceModel, frame: VideoFrame) -> Acquaintance:
        """Somebody new, or from a new camera."""
        self._known = Acquaintance(model, Camera.guess(frame.width, frame.height), self._epoch)
        self._filter.reset()
        return self._known

    def _forget(self) -> None:
        self._known = None
        self._last = None
        self._filter.reset()

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
    moved = float(np.linalg.norm(points[:, :2].mean(axis=0) - last[:, :2].mean(axis=0)))
    return moved > _JUMP * before or max(size, before) > _OTHER_SIZE * min(size, before)


def _size(points: Float) -> float:
    """The longer side of the box around them, px."""
    return float(np.ptp(points[:, :2], axis=0).max())


class Acquaintance:
    """One person in front of one camera: fits every frame, and gets to know the face meanwhile.

    The work of enrolment is spread: at most one key frame of it is done per frame.
    """

    def __init__(self, model: FaceModel, camera: Camera, epoch: int) -> None:
        self.camera = camera
        self._fitter = Fitter(model, camera)
        self._enrolment = Enrolment(model, camera)
        self._subject: Subject | None = None
        self._epoch = epoch
        self._started_ns = 0
        self._key_ns = 0
        self._published = 0
        self._since_new_key = 0
        self._check: list[float] | None = None

    @property
    def subject(self) -> Subject:
        """The person as known now. Raises NoFaceError before the first `see`."""
        return self._subject if self._subject is not None else self._enrolment.subject(self._epoch)

    def is_stranger(self) -> bool:
        """Whether the face that came back after `lost` is that of somebody else. Asked after each frame;
        answers once enough of them were seen.
        """
        if self._check is None or len(self._check) < _STRANGER_FRAMES:
            return False
        error = float(np.median(self._check))
        self._check = None
        return error > _STRANGER_ERROR * self._enrolment.error + 0.005

    def matches(self, width: int, height: int) -> bool:
        """Whether pictures of that size come from the same camera."""
        return (self.camera.width, self.camera.height) == (width, height)

    def lost(self) -> None:
        """The face is, or was, out of sight: what is seen next may be somebody else's."""
        if self._published >= len(_PUBLISH_AFTER_S):
            self._check = []

    def see(self, points: Float, capture_ns: int) -> Fit:
        """points: (478, 3) px -> the fit, with the face as known."""
        if self._subject is None:
            self._started_ns = self._key_ns = capture_ns
            self._enrolment.offer(points, calm=True)
            self._enrolment.run(_FIRST_ROUNDS)
            self._publish()
        fit = self._fitter.fit(points)
        if self._check is not None:
            self._check.append(fit.error)
        else:
            self._learn(points, fit, capture_ns)
        return fit

    def _learn(self, points: Float, fit: Fit, capture_ns: int) -> None:
        age_s = (capture_ns - self._started_ns) / NS_PER_S
        calm = age_s <= _PUBLISH_AFTER_S[-1]
        later_ns = _KEY_EVERY_NS if age_s < _GETTING_TO_KNOW_S else _LATER_KEY_EVERY_NS
        pause_ns = _CALM_EVERY_NS if calm else later_ns
        if (
            capture_ns - self._key_ns >= pause_ns
            and fit.error < _BAD_ERROR
            and self._enrolment.offer(points, fit, calm=calm)
        ):
            self._since_new_key = 0
            self._key_ns = capture_ns
        if self._since_new_key >= _ROUNDS_PER_KEY:
            return
        if not self._enrolment.step():
            return
        self._since_new_key += 1
        if self._published < len(_PUBLISH_AFTER_S):
            if age_s >= _PUBLISH_AFTER_S[self._published]:
                self._publish()
        elif self._since_new_key == _ROUNDS_PER_KEY:
            self._publish()

    def _publish(self) -> None:
        self._published += 1
        self._epoch += 1
        self._subject = self._enrolment.subject(self._epoch)
        self._fitter.use(self._subject)


_FIRST_ROUNDS = 3
_PUBLISH_AFTER_S = (0.0, 0.4, 1.0)
"""When the `Subject` is handed out: at once, as a guess; then better founded; then proper."""
_CALM_EVERY_NS = NS_PER_S // 10
_KEY_EVERY_NS = NS_PER_S // 2
_LATER_KEY_EVERY_NS = 5 * NS_PER_S
_GETTING_TO_KNOW_S = 10.0
_ROUNDS_PER_KEY = 3


def _params(fit: Fit, subject: Subject, score: float, frame: VideoFrame) -> FaceParams:
    """The fit as the engine hands it on: closed lids read 1 for this person, and trust has a number."""
    expression = fit.expression.copy()
    rest = subject.neutral[_BLINKS]
    expression[_BLINKS] = rest + (1 - rest) * fit.closed
    doubt = (fit.error - _GOOD_ERROR) / (_BAD_ERROR - _GOOD_ERROR)
    return FaceParams(
        capture_ns=frame.capture_ns,
        rotation=fit.rotation,
        translation=fit.translation,
        expression=expression,
        gaze=fit.gaze,
        confidence=score * min(max(1 - doubt, 0.05), 1.0),
        index=frame.index,
        epoch=frame.epoch,
    )


def warm() -> None:
    """Compile every kernel on the way of a tracked frame: importing them does."""
