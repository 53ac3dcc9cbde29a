"""The driver: decides, frame by frame, what the avatar's face does."""

from __future__ import annotations

from enum import StrEnum

from mien.controls import Controls
from mien.face.subject import Subject
from mien.frames import FaceParams


class DriverState(StrEnum):
    """Who moves the avatar just now."""

    DRIVEN = "driven"
    HOLDING = "holding"
    IDLE = "idle"
    PAUSED = "paused"


class Driver:
    """Skeleton."""

    def __init__(
        self, avatar_subject: Subject, controls: Controls, fps: float = 25.0, seed: int = 0
    ) -> None:
        self._avatar = avatar_subject
        self._controls = controls
        self._state = DriverState.IDLE

    @property
    def state(self) -> DriverState:
        return self._state

    def set_controls(self, controls: Controls) -> None: ...

    def set_avatar(self, subject: Subject) -> None: ...

    def recentre(self) -> None: ...

    def step(
        self, tracked: FaceParams | None, source: Subject | None, now_ns: int, index: int
    ) -> FaceParams:
        rest = self._avatar
        return FaceParams(now_ns, rest.rest_rotation, rest.rest_translation, index=index)
