"""The driver: decides, frame by frame, what the avatar's face does.

It takes what the tracker (or a performance) says, transfers it to the avatar, shares the mouth out between what was
seen and what was heard (`drive.blending`), applies the controls, and fills in where nobody drives: it holds for a
moment, then eases into a face that breathes, blinks and, while a voice speaks, moves with it (`drive.liveliness`).
Everything depends on the frames and times handed in and on the seed, on nothing else.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from mien.clock import NS_PER_MS, NS_PER_S
from mien.controls import Controls, Mode
from mien.drive.blending import LOST_BELOW, Blending, belief, trust
from mien.drive.calibration import Calibration
from mien.drive.easing import HEAD_CHANNELS, MOUTH_CHANNELS, Ease, Schedule
from mien.drive.editing import Editor
from mien.drive.heard import Heard
from mien.drive.liveliness import Liveliness
from mien.drive.reach import Reach
from mien.drive.relighting import Relighting
from mien.drive.skin import SkinDetail
from mien.face.retargeting import (
    MOTION_SIZE,
    Motion,
    Reference,
    absolute_params,
    mirrored_motion,
    relative_motion,
    with_eye_contact,
)
from mien.face.subject import Subject
from mien.frames import FaceParams


class DriverState(StrEnum):
    """Who moves the avatar just now."""

    DRIVEN = "driven"
    HOLDING = "holding"
    IDLE = "idle"
    PAUSED = "paused"


_HOLD_MS = 400.0
_LOST = Schedule(_HOLD_MS, 1000, mouth=(150, 450), eyes=(0, 300))
_PAUSE = Schedule(0, 700, mouth=(0, 300), eyes=(0, 250))
_FIRST = Schedule(0, 600, mouth=(0, 300), eyes=(0, 300))
_SHORTEST_REGAIN_MS, _LONGEST_REGAIN_MS = 80.0, 250.0
_CHANGE = Schedule(0, 300)
"""Enrolled anew, recentred, another mode: what the input means jumps, the face must not."""

_SPOKEN = 0.5
"""Share of the mouth, times how sure it is that anything is said, from which on a voice drives."""


class Driver:
    """One session's driver. `step` runs on one lane at a time; the setters may be called from any thread.

    avatar_subject: the face that is moved, as its package describes it. fps: how often `step` is going to be
    called. seed: of the idle motion, so that two sessions don't blink together.
    """

    def __init__(self, avatar_subject: Subject, controls: Controls, fps: float = 25.0, seed: int = 0) -> None:
        self.avatar = avatar_subject
        """the face that is moved"""
        self._avatar = Reference.of(avatar_subject)
        self._controls = self._followed = controls
        self._editor = Editor(controls, avatar_subject)
        self._calibration = Calibration()
        self._reach = Reach()
        self._recentre = self._calibrate = False
        self._alive = Liveliness(seed)
        self._blending = Blending()
        self._spoken = 0.0
        self._relighting = Relighting()
        self._skin = SkinDetail(avatar_subject)
        self._frame_ns = round(NS_PER_S / fps)

        self._state = DriverState.IDLE
        self._person: Subject | None = None
        self._person_reference = self._avatar
        self._live: Motion = np.zeros(MOTION_SIZE, np.float32)
        self._ease: Ease | None = None
        self._out = self._alive.at(0, controls.alive, None, 1.0)
        self._velocity: Motion = np.zeros(MOTION_SIZE, np.float32)
        self._began_ns: int | None = None
        self._before_ns = self._stepped_ns = 0
        self._driven_ns: int | None = None
        self._epoch = 0

    @property
    def state(self) -> DriverState:
        """A face that a voice moves is driven, too."""
        unseen = self._state in {DriverState.HOLDING, DriverState.IDLE}
        return DriverState.DRIVEN if unseen and self._spoken > _SPOKEN else self._state

    def set_controls(self, controls: Controls) -> None:
        """In force from the next step on, eased in."""
        self._controls = controls

    def set_avatar(self, subject: Subject) -> None:
        """Another face goes on with the same motion from the next step on."""
        self.avatar = subject
        self._avatar = Reference.of(subject)
        self._editor.set_avatar(subject)
        self._skin.set_avatar(subject)

    def recentre(self) -> None:
        """What the driver's head and eyes do in the next few frames becomes their rest."""
        self._recentre = True

    def calibrate(self) -> None:
        """Like `recentre`, and how the face looks in the next second becomes its neutral expression."""
        self._calibrate = True

    def hush(self) -> None:
        """The voice was interrupted: the mouth closes within two frames."""
        self._blending.hush()

    def step(
        self,
        tracked: FaceParams | None,
        source: Subject | None,
        now_ns: int,
        index: int,
        heard: Heard | None = None,
    ) -> FaceParams:
        """One frame of the avatar.

        tracked: the driver's face under the driver's own camera; None when there is none just now (lost, or
        nobody there). source: whose face that is; None before enrolment, when the first frames serve as its
        rest. now_ns: engine time, growing from step to step; it paces all that happens without the driver. heard:
        what was heard at the moment of the picture; None when nothing was.
        The result carries the capture time and epoch of `tracked`, without it `now_ns` and the last epoch.
        """
        if self._began_ns is None:
            self._began_ns, self._stepped_ns = now_ns, now_ns - self._frame_ns
        self._before_ns, self._stepped_ns = self._stepped_ns, now_ns
        elapsed_s = max(now_ns - self._before_ns, 1) / NS_PER_S

        controls = self._controls
        self._editor.follow(controls, elapsed_s)
        if self._recentre:
            self._recentre = False
            self._calibration.recentre()
        if self._calibrate:
            self._calibrate = False
            self._calibration.neutral()
        if tracked is not None and tracked.epoch != self._epoch:
            self._epoch = tracked.epoch
            self._calibration.forget()
            self._reach = Reach()

        if controls.paused:
            heard = None
            self._pause()
        elif tracked is None or not self._drive(tracked, source, controls, now_ns):
            self._hold(now_ns)
        self._followed = controls

        alone = heard if self._state is not DriverState.DRIVEN else None
        idle = self._alive.at(now_ns - self._began_ns, controls.alive, alone, elapsed_s)
        target = _cast(controls.mode, self._live, idle) if self._state is DriverState.DRIVEN else idle
        if self._ease is not None and self._ease.done(now_ns):
            self._ease = None
        motion = target if self._ease is None else self._ease.at(now_ns, target)
        self._velocity = (motion - self._out) / np.float32(elapsed_s)
        self._out = motion

        seen = tracked if self._state is DriverState.DRIVEN else None
        motion = self._blending.step(motion, None if seen is None else trust(seen), heard, elapsed_s)
        confidence = 0.0 if seen is None else seen.confidence
        self._spoken = 0.0 if heard is None else heard.confidence * self._blending.share
        confidence = max(confidence, self._spoken)
        stamp = FaceParams(
            now_ns if tracked is None else tracked.capture_ns,
            confidence=confidence,
            index=index,
            epoch=self._epoch,
            detail=self._skin.step(seen, source, controls, self._blending.share, elapsed_s),
            detail_around=self._skin.around,
        )
        light = self._relighting.step(seen, source, controls, elapsed_s)
        return absolute_params(self._editor.apply(motion), self._avatar, stamp, light)

    # --- states -------------------------------------------------------------------------------------

    def _drive(self, tracked: FaceParams, source: Subject | None, controls: Controls, now_ns: int) -> bool:
        """Follow the driver; False when this frame cannot be followed."""
        if tracked.confidence < LOST_BELOW:
            return False
        person = self._calibration.observe(tracked, source)
        if person is None:
            return False
        if person is not self._person:
            if self._person is not None and not np.array_equal(person.neutral, self._person.neutral):
                self._reach.calibrated()
            self._person_reference = Reference.of(person)
        motion = relative_motion(tracked, self._reach.adapted(self._person_reference, tracked))
        if controls.mirror:
            motion = mirrored_motion(motion)

        if self._state is not DriverState.DRIVEN:
            self._begin(self._regaining(now_ns))
            self._state, self._live = DriverState.DRIVEN, motion
        elif person is not self._person or controls.mirror != self._followed.mirror:
            self._begin(_CHANGE)
            self._live = motion
        else:
            if controls.mode != self._followed.mode:
                self._begin(_CHANGE)
            self._live = self._live + (motion - self._live) * np.float32(min(belief(tracked), 1.0))
        self._person, self._driven_ns = person, now_ns
        return True

    def _hold(self, now_ns: int) -> None:
        """Nobody drives: keep still for a moment, it may be a dropped frame; then idle."""
        if self._state is DriverState.DRIVEN:
            self._begin(_LOST)
            self._state = DriverState.HOLDING
        elif self._state is DriverState.PAUSED:
            self._state = DriverState.IDLE
        lost_ns = now_ns - (self._driven_ns or 0)
        if self._state is DriverState.HOLDING and lost_ns >= _HOLD_MS * NS_PER_MS:
            self._state = DriverState.IDLE

    def _pause(self) -> None:
        """From here on nothing of the driver is looked at, and what was known is wiped."""
        if self._state is not DriverState.PAUSED:
            self._begin(_PAUSE)
            self._state = DriverState.PAUSED
            self._live = np.zeros(MOTION_SIZE, np.float32)

    def _begin(self, schedule: Schedule) -> None:
        """Leave the last frame's motion, from its own time on: a passage that began now would repeat it."""
        if self._stepped_ns == self._began_ns:
            return  # nothing has been shown yet that could jump
        self._ease = Ease(self._out, self._velocity, self._before_ns, schedule)

    def _regaining(self, now_ns: int) -> Schedule:
        """After a dropped frame the face catches up at once, after a real loss within a quarter second."""
        if self._driven_ns is None:
            return _FIRST
        gap_ms = (now_ns - self._driven_ns) / NS_PER_MS
        return Schedule(0, min(max(gap_ms, _SHORTEST_REGAIN_MS), _LONGEST_REGAIN_MS))


def _cast(mode: Mode, live: Motion, idle: Motion) -> Motion:
    """Who plays which part: the driver or the idle face."""
    if mode == "face":
        return with_eye_contact(np.where(HEAD_CHANNELS, idle, live), live)
    if mode == "dubbing":
        return np.where(MOUTH_CHANNELS, live, idle)
    return live
