"""The driver: decides, frame by frame, what the avatar's face does.

It takes what the tracker (or a performance) says, transfers it to the avatar, applies the controls, and
fills in where nobody drives: it holds for a moment, then eases into an idle face that breathes and blinks.
Everything depends on the frames and times handed in and on the seed, on nothing else.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from mien.clock import NS_PER_MS, NS_PER_S
from mien.controls import Controls
from mien.drive.calibration import RestSampler
from mien.drive.easing import MOUTH_CHANNELS, Ease, Schedule
from mien.drive.idle import idle_motion
from mien.face.retargeting import (
    EXPRESSION,
    GAZE,
    HEAD,
    MOTION_SIZE,
    SHIFT,
    Motion,
    Reference,
    absolute_params,
    edited,
    mirrored_motion,
    relative_motion,
)
from mien.face.rig import INDEX
from mien.face.subject import Subject
from mien.frames import FaceParams, Float


class DriverState(StrEnum):
    """Who moves the avatar just now."""

    DRIVEN = "driven"
    HOLDING = "holding"
    IDLE = "idle"
    PAUSED = "paused"


_HOLD_MS = 400.0
_LOST = Schedule(_HOLD_MS, 1000, mouth=(150, 450), eyes=(0, 300))
_PAUSE = Schedule(0, 700, mouth=(0, 300), eyes=(0, 250))
_FIRST = Schedule(0, 600, mouth=(0, 250), eyes=(0, 250))
_REGAIN_MS = (80.0, 250.0)
_CHANGE = Schedule(0, 300)
"""Enrolled anew, recentred, another mode, mirrored: the meaning of the input jumps, the face must not."""
_CONTROLS_S = 0.08
"""Time constant with which sliders take effect: they arrive in steps."""
_TRUST = (0.1, 0.5)
"""Confidence at and below which a frame counts as lost, and from which on it is taken at its word."""


class Driver:
    """One session's driver. `step` runs on one lane at a time; the setters may be called from any thread."""

    def __init__(self, avatar_subject: Subject, controls: Controls, fps: float = 25.0, seed: int = 0) -> None:
        self._frame_ms = 1000.0 / fps
        self._idle = idle_motion(seed)
        self._avatar = Reference.of(avatar_subject)
        self._controls = controls
        self._recentre = False

        self._state = DriverState.IDLE
        self._live = _still()
        """the driver's own motion, as last known; zeros whenever it must not be known"""
        self._out = _still()
        self._velocity = _still()
        self._ease: Ease | None = None
        self._began_ns: int | None = None
        self._stepped_ns = 0
        self._seen_ns = 0
        self._epoch = 0

        self._applied = controls
        self._head_strength = controls.head_strength
        self._expression_strength = controls.expression_strength
        self._offset = _offset(controls)

        self._source: Subject | None = None
        """as the tracker gave it, or None before enrolment"""
        self._person: Subject | None = None
        """the source with the rest that is in force; None while it is unknown"""
        self._sampler: RestSampler | None = None
        self._recentred: Subject | None = None

    @property
    def state(self) -> DriverState:
        return self._state

    def set_controls(self, controls: Controls) -> None:
        """In force from the next step on, eased in."""
        self._controls = controls

    def set_avatar(self, subject: Subject) -> None:
        """Another face makes the same motion from the next step on."""
        self._avatar = Reference.of(subject)

    def recentre(self) -> None:
        """What the driver's head and eyes do in the next few frames becomes their rest."""
        self._recentre = True

    def step(
        self, tracked: FaceParams | None, source: Subject | None, now_ns: int, index: int
    ) -> FaceParams:
        """One frame of the avatar.

        tracked: the driver's face, under the driver's own camera; None when there is none just now (lost, or
        nobody). source: whose face that is; None before enrolment: then the first frames serve as its rest.
        now_ns: engine time, growing from step to step; paces all transitions. The result carries the
        capture time and epoch of `tracked`, or `now_ns` and the last epoch without one.
        """
        elapsed_s = max(now_ns - self._stepped_ns, 1) / NS_PER_S if self._began_ns is not None else 0.0
        if self._began_ns is None:
            self._began_ns = now_ns
        self._stepped_ns = now_ns
        if tracked is not None:
            self._epoch, captured_ns = self._follow_epoch(tracked.epoch), tracked.capture_ns
        else:
            captured_ns = now_ns

        self._apply_controls(elapsed_s, now_ns)
        idle = self._idle.at(now_ns - self._began_ns)
        if self._controls.paused:
            self._pause(now_ns)
            confidence = 0.0
        else:
            confidence = self._observe(tracked, source, now_ns)
        target = self._target(idle)

        motion = target
        if self._ease is not None:
            motion = self._ease.at(now_ns, target)
            if self._ease.done(now_ns):
                self._ease = None
                if self._state is DriverState.HOLDING:
                    self._state = DriverState.IDLE
        if elapsed_s > 0:
            self._velocity = (motion - self._out) / np.float32(elapsed_s)
        self._out = motion

        shown = edited(motion, self._head_strength, self._expression_strength, self._offset)
        stamp = FaceParams(captured_ns, confidence=confidence, index=index, epoch=self._epoch)
        return absolute_params(shown, self._avatar, stamp)
