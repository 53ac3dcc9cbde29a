"""The engine's own tracker: any landmarker, then the model fit, enrolment and filtering."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mien.clock import NS_PER_S
from mien.errors import StageError
from mien.face.camera import Camera
from mien.face.chart import Chart
from mien.face.enrolment import Enrolment
from mien.face.eyelids import with_lids
from mien.face.filtering import FaceFilter
from mien.face.fitting import Fit, Fitter, Sight
from mien.face.focal import FocalSearch
from mien.face.iris import Irises
from mien.face.lighting import Lighting
from mien.face.lightpoints import LightPoints
from mien.face.model import FaceModel, load_model
from mien.face.mouth_sight import MouthSight
from mien.face.skin_motion import SkinMotion
from mien.face.spare import Spare
from mien.face.subject import Subject
from mien.frames import FaceParams, Float, VideoFrame
from mien.stage import Context, FaceLandmarks, Kind, Landmarker, Tracked, Tracker

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
        self._glances = 0

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
        self._glances += 1
        if closely or self._glances % _MOUTH_EVERY == 0:
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
    moved = float(np.linalg.norm(points[:, :2].mean(axis=0) - last[:, :2].mean(axis=0)))
    return moved > _JUMP * before or max(size, before) > _OTHER_SIZE * min(size, before)


def _size(points: Float) -> float:
    """The longer side of the box around them, px."""
    return float(np.ptp(points[:, :2], axis=0).max())


class Acquaintance:
    """One person in front of one camera: fits every frame, and gets to know the face meanwhile.

    The work of enrolment is spread: at most one key frame of it is done per frame, in a hurry per three.
    """

    def __init__(self, model: FaceModel, camera: Camera, epoch: int, person: int) -> None:
        self.camera = camera
        self.unfinished = False
        """Whether the face was lost before it was known: nobody could tell whether another one comes back."""
        self._fitter = Fitter(model, camera)
        self._model = model
        self._enrolment = Enrolment(model, camera)
        self._lens: FocalSearch | None = None
        self._lens_keys = self._lens_pause = self._lens_searches = 0
        self._focal_confidence = 0.0
        self._lighting = Lighting(model)
        self._subject: Subject | None = None
        self._epoch, self._person = epoch, person
        self._started_ns = 0
        self._key_ns = 0
        self._published = 0
        self._since_new_key = self._keys_seen = self._step_pause = 0
        self._check: list[float] | None = None
        self._fit: Fit | None = None
        self.light = self._lighting.rest
        """(9, 3), on the face in the frame that was seen last; zeros where it said nothing"""
        self._glances = 0
        self._skin = SkinMotion(model)
        self._irises = Irises()
        self.detail: Float | None = None
        """Of the frame that was seen last, see `FaceParams.detail`; None until a face at rest was seen."""
        self.detail_around = 0.0

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
        else:
            self.unfinished = True

    def see(self, points: Float, frame: VideoFrame, *, closely: bool = True) -> Fit:
        """points: (478, 3) px of the frame -> the fit, with the face as known. closely: look at the skin, too; without,
        there is no time to spare.
        """
        capture_ns = frame.capture_ns
        if self._subject is None:
            self._started_ns = self._key_ns = capture_ns
            self._enrolment.offer(points, calm=True)
            self._enrolment.run(_FIRST_ROUNDS)
            self._publish()
        steadied = self._skin.steadied(frame.pixels, points) if closely else points
        sight = Sight(np.ascontiguousarray(frame.pixels), self._irises) if closely else None
        fit = self._fit = self._fitter.fit(steadied, sight=sight)
        self.detail = self._skin.detail(self._fitter, fit) if closely else None
        self.detail_around = 0.0 if self.detail is None else self._skin.trust
        self._glances += 1
        if closely or self._subject is None or self._glances % _LIGHT_EVERY == 0:
            self.light = self._lit(steadied, fit, frame)
        if self._check is not None:
            self._check.append(fit.error)
        else:
            self._learn(steadied, fit, capture_ns, hurried=not closely)
            if closely and self._published >= len(_PUBLISH_AFTER_S):
                self._skin.offer(frame.pixels, points, self._fitter, self._fit, self.subject)
        return self._fit

    def _lit(self, points: Float, fit: Fit, frame: VideoFrame) -> Float:
        """The light on the face, (9, 3). The first frame that shows skin also tells its colour."""
        posed = self._fitter.posed(fit.expression)
        light = self._lighting.see(frame.pixels, points, posed, fit, frame.capture_ns)
        if self._lighting.rest.any() or fit.error > _BAD_ERROR:
            return light
        self._lighting.keep(calm=True)
        self._colour()
        return self._lighting.rest

    def _colour(self) -> None:
        """Learn the colours of the skin anew, and say them with the subject that is handed out next."""
        if self._subject is not None and self._lighting.learn():
            self._subject = replace(
                self._subject, reflectance=self._lighting.reflectance(), rest_light=self._lighting.rest
            )

    def _learn(self, points: Float, fit: Fit, capture_ns: int, *, hurried: bool) -> None:
        age_s = (capture_ns - self._started_ns) / NS_PER_S
        calm = age_s <= _PUBLISH_AFTER_S[-1]
        later_ns = _KEY_EVERY_NS if age_s < _GETTING_TO_KNOW_S else _LATER_KEY_EVERY_NS
        pause_ns = _CALM_EVERY_NS if calm else later_ns
        if (
            capture_ns - self._key_ns >= pause_ns
            and fit.error < _BAD_ERROR
            and self._enrolment.offer(points, fit, calm=calm)
        ):
            self._lighting.keep(calm=calm)
            self._since_new_key = 0
            self._keys_seen += 1
            self._key_ns = capture_ns
        if self._since_new_key >= _ROUNDS_PER_KEY:
            self._search_lens(age_s)
            return
        self._step_pause = 0 if calm or not hurried else (self._step_pause + 1) % _HURRIED_EVERY
        if self._step_pause or not self._enrolment.step():
            return
        self._since_new_key += 1
        if self._published < len(_PUBLISH_AFTER_S):
            if age_s >= _PUBLISH_AFTER_S[self._published]:
                self._publish()
        elif self._since_new_key == _ROUNDS_PER_KEY:
            self._publish()

    def _search_lens(self, age_s: float) -> None:
        """Look for the focal length, now and then, while there is nothing else to learn. A guess goes on to be used
        unless the poses say something, and what they say is another one.
        """
        self._lens_pause += 1
        if age_s < _LENS_AFTER_S or self._lens_pause < _LENS_EVERY:
            return
        self._lens_pause = 0
        if self._lens is None:
            if self._keys_seen != self._lens_keys and self._lens_searches < _LENS_SEARCHES:
                self._lens_keys = self._keys_seen
                self._lens = self._enrolment.focal_search()
            return
        if not self._lens.step():
            return
        found, self._lens = self._lens.estimate, None
        self._lens_searches += 1
        self._focal_confidence = found.confidence
        times = found.camera.focal / self.camera.focal
        if found.confidence >= _LENS_SURE and max(times, 1 / times) > _LENS_OTHER:
            self._enrolment.look_through(found.camera)
            self._since_new_key = _ROUNDS_PER_KEY - _LENS_ROUNDS

    def _publish(self) -> None:
        self._published += 1
        self._epoch += 1
        subject = replace(
            self._enrolment.subject(self._epoch), person=self._person, focal_confidence=self._focal_confidence
        )
        self._subject = subject
        if subject.camera == self.camera or self._fit is None:
            self._fitter.use(subject)
            now = self._fit
        else:
            depth = np.array([1, 1, subject.camera.focal / self.camera.focal], np.float32)
            self.camera = subject.camera
            self._fitter = Fitter(self._model, self.camera, subject)
            now = self._fit = replace(self._fit, translation=self._fit.translation * depth)
            self._fitter.resume(now)
        if now is not None:
            self._skin.settle(self._fitter, now)
        self._colour()


_FIRST_ROUNDS = 3
_PUBLISH_AFTER_S = (0.0, 0.4, 1.0)
"""When the `Subject` is handed out: at once, as a guess; then better founded; then proper."""
_CALM_EVERY_NS = NS_PER_S // 10
_KEY_EVERY_NS = NS_PER_S // 2
_LATER_KEY_EVERY_NS = 5 * NS_PER_S
_GETTING_TO_KNOW_S = 10.0
_ROUNDS_PER_KEY = 3
_HURRIED_EVERY = 3
"""Frames per step of the enrolment when time is short and the face is known: a step costs as much as the fit."""
_LIGHT_EVERY, _MOUTH_EVERY = 3, 2
"""Frames per look at what changes slowly, when time is short; a voice takes over a covered mouth within three."""
_LENS_AFTER_S = 5.0
_LENS_EVERY = 3
"""Frames per step of the search, which takes a millisecond or two."""
_LENS_SEARCHES = 3
_LENS_SURE = 0.85
"""Confidence from which on a focal length is believed: that of still heads is 0.75 to 0.8, whatever it is."""
_LENS_OTHER = 1.1
"""Times by which it must differ from the one in use: all who know the person have to get used to it."""
_LENS_ROUNDS = 6


def _params(fit: Fit, known: Acquaintance, score: float, frame: VideoFrame) -> FaceParams:
    """The fit as the engine hands it on: closed lids read 1 for this person, and trust has a number."""
    doubt = (fit.error - _GOOD_ERROR) / (_BAD_ERROR - _GOOD_ERROR)
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


def warm() -> None:
    """Compile every kernel on the way of a tracked frame: importing them does."""
