"""One person before the tracker's camera: what is known of them, and how it grows from frame to frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mien.clock import NS_PER_S
from mien.face.camera import Camera
from mien.face.enrolment import Enrolment
from mien.face.fitting import Fit, Fitter, Sight
from mien.face.focal import FocalSearch
from mien.face.iris import Irises
from mien.face.lighting import Lighting
from mien.face.model import FaceModel
from mien.face.skin_motion import SkinMotion
from mien.face.subject import Subject
from mien.frames import Float, VideoFrame

BAD_ERROR = 0.08
"""Of the eye distance: a fit that isn't to be trusted."""
_STRANGER_FRAMES = 12
"""Frames after re-acquisition over which a face is judged to be somebody else's."""
_STRANGER_ERROR = 1.8
"""Times the error that the person was enrolled with."""
_FIRST_ROUNDS = 3
_PUBLISH_AFTER_S = (0.0, 0.4, 1.0)
"""When the `Subject` is handed out: at once, as a guess; then better founded; then proper."""
_CALM_EVERY_NS = NS_PER_S // 10
_KEY_EVERY_NS = NS_PER_S // 2
_LATER_KEY_EVERY_NS = 5 * NS_PER_S
_GETTING_TO_KNOW_S = 10.0
_ROUNDS_PER_KEY = 3
_TURNS = 3
_LIGHT, _STEP, _LENS = range(_TURNS)
"""What takes turns, a frame each: when time is short, a look at the light, which changes slowly, and a step of the
enrolment, which costs as much as the fit, where the face is known; always, a step of the search for the lens, which
takes a millisecond or two."""
_LENS_AFTER_S = 5.0
_LENS_SEARCHES = 3
_LENS_SURE = 0.85
"""Confidence from which on a focal length is believed: that of still heads is 0.75 to 0.8, whatever it is."""
_LENS_OTHER = 1.1
"""Times by which it must differ from the one in use: all who know the person have to get used to it."""
_LENS_ROUNDS = 6


class Acquaintance:
    """One person in front of one camera: fits every frame, and gets to know the face meanwhile.

    The work of enrolment is spread: at most one key frame of it is done per frame, in a hurry per three.
    """

    def __init__(self, model: FaceModel, camera: Camera, epoch: int, person: int) -> None:
        self.camera = camera
        self.frames = 0
        """How many were seen."""
        self.unfinished = False
        """Whether the face was lost before it was known: nobody could tell whether another one comes back."""
        self._fitter = Fitter(model, camera)
        self._model = model
        self._enrolment = Enrolment(model, camera)
        self._lens: FocalSearch | None = None
        self._lens_keys = self._lens_searches = 0
        self._focal_confidence = 0.0
        self._lighting = Lighting(model)
        self._subject: Subject | None = None
        self._epoch, self._person = epoch, person
        self._started_ns = 0
        self._key_ns = 0
        self._published = 0
        self._since_new_key = self._keys_seen = 0
        self._check: list[float] | None = None
        self._fit: Fit | None = None
        self.light = self._lighting.rest
        """(9, 3), on the face in the frame that was seen last; zeros where it said nothing"""
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
        pixels = np.ascontiguousarray(frame.pixels) if closely else frame.pixels  # decoders pad their rows
        steadied = self._skin.steadied(pixels, points) if closely else points
        sight = Sight(pixels, self._irises) if closely else None
        fit = self._fit = self._fitter.fit(steadied, sight=sight)
        self.detail = self._skin.detail(self._fitter, fit) if closely else None
        self.detail_around = self._skin.trust if closely else 0.0
        if closely or self._is_turn(_LIGHT):
            self.light = self._lit(steadied, fit, frame)
        if self._check is not None:
            self._check.append(fit.error)
        else:
            self._learn(steadied, fit, capture_ns, hurried=not closely)
            if closely and self._published >= len(_PUBLISH_AFTER_S):
                self._skin.offer(pixels, points, self._fitter, self._fit, self.subject)
        self.frames += 1
        return self._fit

    def _is_turn(self, work: int) -> bool:
        """Whether it is the turn of that work: `_LIGHT`, `_STEP` or `_LENS`."""
        return self.frames % _TURNS == work

    def _lit(self, points: Float, fit: Fit, frame: VideoFrame) -> Float:
        """The light on the face, (9, 3). The first frame that shows skin also tells its colour."""
        posed = self._fitter.posed(fit.expression)
        light = self._lighting.see(frame.pixels, points, posed, fit, frame.capture_ns)
        if self._lighting.rest.any() or fit.error > BAD_ERROR:
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
            and fit.error < BAD_ERROR
            and self._enrolment.offer(points, fit, calm=calm)
        ):
            self._lighting.keep(calm=calm)
            self._since_new_key = 0
            self._keys_seen += 1
            self._key_ns = capture_ns
        if self._since_new_key >= _ROUNDS_PER_KEY:
            self._search_lens(age_s)
            return
        if hurried and not calm and not self._is_turn(_STEP):
            return
        if not self._enrolment.step():
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
        if age_s < _LENS_AFTER_S or not self._is_turn(_LENS):
            return
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
