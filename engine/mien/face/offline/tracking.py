"""Offline tracking of one person in one clip: what is shared over the clip first, then every frame.

    see(...)     every frame     landmarks
    plan()                       focal length, a first subject, key frames
    keep(...)    the key frames  their pixels
    meet(...)                    identity, offsets, focal length, albedo      (`bundle`)
    solve(...)   every frame     pose, expression, light                      (`frame`)
    result()                     smoothed over the clip                       (`smoothing`)

No step needs what another frame's `solve` found, so a run can be interrupted and gone on with at any frame, to the same
result. The steps are plain calls with pixels; whoever reads the clip calls them (`mien.cliptracking`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import NoFaceError
from mien.face.camera import Camera, axis_angle
from mien.face.choosing import farthest_apart
from mien.face.enrolment import enrol
from mien.face.eyelids import with_lids
from mien.face.fitting import Fit, Fitter
from mien.face.focal import FocalEstimate, estimate_focal
from mien.face.light import ambient
from mien.face.model import FaceModel, PosedFace
from mien.face.offline.bundle import Bundle, KeyFrame
from mien.face.offline.crop import Crop, cut, seen_by
from mien.face.offline.frame import FrameSolver
from mien.face.offline.picture import FrameState, Person, Photometry
from mien.face.offline.shape import ShapeFields
from mien.face.offline.smoothing import packed, smoothed, smoothed_lids
from mien.face.reflectance import Reflectance
from mien.face.subject import Subject
from mien.face.subject_json import subject_from_json, subject_to_json
from mien.frames import Bytes, FaceParams, Float
from mien.stage import Rasterizer

LEVELS = (256, 512)
"""Sides of the square around the face, px, coarse to fine."""
KEY_FRAMES = 14
PAINT_FRAMES = 24
"""Frames besides the key frames that the albedo is taken from, evenly spread."""
_ENROL_FRAMES = 120
_CALM_PERCENTILE = 30
"""Of each weight, as in live enrolment: somebody who talks still passes through rest."""
_LONGEST_GAP_NS = 200_000_000


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the landmark pass saw in one frame; points: (478, 3) px."""

    capture_ns: int
    points: Float
    confidence: float


class OfflineTracking:
    """One person over one clip. Not thread-safe.

    usable: which frames the shared unknowns may be estimated from, by index; all without it (benchmarks hold some out).
    """

    def __init__(
        self, model: FaceModel, rasterizer: Rasterizer, *, usable: Callable[[int], bool] = lambda _: True
    ) -> None:
        self.model = model
        self.sightings: dict[int, Sighting] = {}
        self.solved: dict[int, tuple[FrameState, Float]] = {}
        self.person: Person | None = None
        self.focal: FocalEstimate | None = None
        self.keys: tuple[int, ...] = ()
        self._rasterizer = rasterizer
        self._usable = usable
        self._reflectance = Reflectance.of(model)
        self._shaping: list[int] = []
        self._key_frames: dict[int, KeyFrame] = {}
        self._guess: Camera | None = None
        self._subject: Subject | None = None
        self._light = ambient()
        self._fits: dict[int, Fit] = {}
        self._photometry = Photometry(model, rasterizer)
        self._solver = FrameSolver(model, self._photometry)

    # --- what is shared ---------------------------------------------------------------------------------

    def see(self, index: int, sighting: Sighting) -> None:
        """A frame that shows the face; frames without one are left out."""
        self.sightings[index] = sighting

    def plan(self, camera: Camera) -> Subject:
        """Estimate the lens and a first subject from the landmarks, and choose `keys`. `camera`: the guess that the
        estimate starts from. Raises `NoFaceError` when no frame showed a face.
        """
        usable = [index for index in sorted(self.sightings) if self._usable(index)]
        if not usable:
            raise NoFaceError("No face was found in any frame. Use a clip that shows one.")
        few = usable[:: max(len(usable) // _ENROL_FRAMES, 1)]
        self._guess = camera
        self.focal = estimate_focal(self.model, camera, [self.sightings[i].points for i in few])
        self._subject = enrol(self.model, self.focal.camera, [self.sightings[i].points for i in few])
        self._fits = self._fit_landmarks(self._subject, few)
        good = float(np.median([fit.error for fit in self._fits.values()])) * 2
        clear = [index for index, fit in self._fits.items() if fit.error < good]
        places = [np.concatenate([2 * self._fits[i].rotation, self._fits[i].expression]) for i in clear]
        self._shaping = [clear[i] for i in farthest_apart(np.array(places), KEY_FRAMES)]
        others = [clear[i] for i in np.linspace(0, len(clear) - 1, PAINT_FRAMES).round().astype(int)]
        self.keys = tuple(sorted({*self._shaping, *others}))
        return self._subject

    def keep(self, index: int, pixels: Bytes) -> None:
        """The pixels of one of `keys`."""
        if self._subject is None:
            raise ValueError("plan comes first")
        points = self.sightings[index].points
        crop = cut(pixels, self._subject.camera, points, LEVELS[0])
        self._key_frames[index] = KeyFrame(crop, points, FrameState.of(self._fits[index], ambient()))

    def meet(self, progress: Callable[[float], None] = lambda _: None) -> Person:
        """Estimate what all frames share from the kept key frames; `progress` is told the share that is done."""
        if self._subject is None or self._guess is None or not self._key_frames:
            raise ValueError("plan and keep come first")
        bundle = Bundle(self.model, self._rasterizer, ShapeFields.of(self.model), self._reflectance)
        shaping = [self._key_frames[index] for index in self._shaping]
        person = bundle.solve(self._subject, shaping, self._guess, lambda share: progress(0.7 * share))
        # More frames for the albedo, in which that one's mistakes average out.
        camera = person.subject.camera
        fits = self._fit_landmarks(person.subject, list(self.keys))
        light = np.mean([key.state.light for key in shaping], axis=0).astype(np.float32)
        everything = []
        for number, (index, key) in enumerate(sorted(self._key_frames.items())):
            if index not in self._shaping:
                lens = seen_by(key.crop.camera, self._subject.camera, camera)
                key.crop = Crop(key.crop.colours, lens)
                start = FrameState.of(fits[index], light)
                key.state = self._solver.solve(person, [key.crop], key.points, camera, start).state
            everything.append(key)
            progress(0.7 + 0.25 * (number + 1) / len(self._key_frames))
        bundle.paint(person, everything)
        self._light = np.mean([key.state.light for key in everything], axis=0).astype(np.float32)
        self._key_frames.clear()
        return self._use(person)

    def _use(self, person: Person) -> Person:
        """Take the person for known: the reflectance follows from the albedo, the landmark fits from the shape."""
        subject = person.subject
        # The expression at rest was read off the first subject's fits; in terms of the new shape it is another.
        few = self._fit_landmarks(subject, sorted(self._fits))
        calm = np.percentile([fit.expression for fit in few.values()], _CALM_PERCENTILE, axis=0)
        neutral = np.where(subject.neutral > 0, calm, 0).astype(np.float32)
        coefficients = self._reflectance.coefficients(
            person.albedo[: len(self.model.mean)], person.trust[: len(self.model.mean)]
        )
        light = self._light.copy()
        for array in (neutral, coefficients, light):
            array.setflags(write=False)
        person.subject = replace(
            subject,
            neutral=neutral,
            reflectance=coefficients,
            focal_confidence=0.0 if self.focal is None else self.focal.confidence,
            rest_light=light,
            epoch=1,
        )
        self._fits = self._fit_landmarks(person.subject, sorted(self.sightings))
        self.person = person
        return person

    # --- every frame ------------------------------------------------------------------------------------

    @property
    def waiting(self) -> list[int]:
        """Frames with a face that are still to be solved."""
        return [index for index in sorted(self.sightings) if index not in self.solved]

    def start(self, index: int) -> FrameState:
        """Where `solve` begins: the landmark fit, under the clip's light."""
        return FrameState.of(self._fits[index], self._light)

    def solve(
        self, index: int, pixels: Bytes, used: Callable[[int], NDArray[np.bool_]] | None = None
    ) -> FrameState:
        """Solve one frame. used: side of a level -> (side, side), which pixels may be looked at (benchmarks hold some
        out). Raises ValueError before `meet`.
        """
        if self.person is None:
            raise ValueError("meet comes first")
        camera, points = self.person.subject.camera, self.sightings[index].points
        crops = [cut(pixels, camera, points, side) for side in LEVELS]
        allowed = None if used is None else [used(crop.camera.width) for crop in crops]
        solved = self._solver.solve(self.person, crops, points, camera, self.start(index), used=allowed)
        self.solved[index] = solved.state, packed(solved.information)
        return solved.state

    def result(self) -> tuple[Subject, dict[int, FaceParams]]:
        """The subject, and every solved frame, smoothed over stretches without a gap."""
        if self.person is None:
            raise ValueError("meet comes first")
        params: dict[int, FaceParams] = {}
        for stretch in self._stretches():
            states, information = zip(*(self.solved[index] for index in stretch), strict=True)
            closed = smoothed_lids(np.stack([self._fits[index].closed for index in stretch]))
            for index, state, lids in zip(stretch, smoothed(states, information), closed, strict=True):
                params[index] = self._params(index, state, lids)
        return self.person.subject, params

    def _stretches(self) -> list[list[int]]:
        stretches: list[list[int]] = []
        before = None
        for index in sorted(self.solved):
            now = self.sightings[index].capture_ns
            if before is None or now - before > _LONGEST_GAP_NS:
                stretches.append([])
            stretches[-1].append(index)
            before = now
        return stretches

    def _params(self, index: int, state: FrameState, closed: Float) -> FaceParams:
        sighting, person = self.sightings[index], self.person
        assert person is not None  # noqa: S101 - its only caller has asked
        return FaceParams(
            capture_ns=sighting.capture_ns,
            rotation=axis_angle(state.rotation),
            translation=state.translation,
            expression=with_lids(state.expression, person.subject.neutral, closed),
            gaze=state.gaze,
            light=state.light,
            confidence=sighting.confidence,
            index=index,
            epoch=0,
        )

    def _fit_landmarks(self, subject: Subject, indices: list[int]) -> dict[int, Fit]:
        fitter = Fitter(self.model, subject.camera, subject)
        return {index: fitter.fit(self.sightings[index].points) for index in indices}

    # --- to be gone on with -----------------------------------------------------------------------------

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything that was worked out, as plain arrays."""
        seen = sorted(self.sightings)
        held: dict[str, NDArray[Any]] = {
            "seen": np.array(seen, np.int64),
            "capture_ns": np.array([self.sightings[i].capture_ns for i in seen], np.int64),
            "points": np.array([self.sightings[i].points for i in seen], np.float32),
            "confidence": np.array([self.sightings[i].confidence for i in seen], np.float32),
        }
        if self.person is None:
            return held
        done = sorted(self.solved)
        held |= {
            "subject": np.array(json.dumps(subject_to_json(self.person.subject))),
            "albedo": self.person.albedo, "trust": self.person.trust, "light": self._light,
            "done": np.array(done, np.int64),
            "information": np.array([self.solved[i][1] for i in done], np.float32),
        }  # fmt: skip
        for name in ("rotation", "translation", "expression", "gaze", "light"):
            held[f"frame_{name}"] = np.array([getattr(self.solved[i][0], name) for i in done], np.float32)
        return held

    def restore(self, held: Mapping[str, NDArray[Any]]) -> None:
        """Go on from `arrays`. Raises KeyError or ValueError when they are not what it makes."""
        for i, index in enumerate(held["seen"].tolist()):
            self.sightings[index] = Sighting(
                int(held["capture_ns"][i]), held["points"][i], float(held["confidence"][i])
            )
        if "subject" not in held:
            return
        subject = subject_from_json(json.loads(str(held["subject"])))
        self._light = held["light"]
        self.person = Person(
            subject, PosedFace(self.model, subject.identity, subject.offsets), held["albedo"], held["trust"]
        )
        self._fits = self._fit_landmarks(subject, sorted(self.sightings))
        for i, index in enumerate(held["done"].tolist()):
            names = ("rotation", "translation", "expression", "gaze", "light")
            state = FrameState(*(held[f"frame_{name}"][i].copy() for name in names))
            self.solved[index] = state, held["information"][i]
