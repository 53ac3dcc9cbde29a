"""A tracked frame in the groups of Deep Video Portraits (Kim et al. 2018, section 4).

The paper's face takes 261 numbers a frame: rotation 3, translation 3, identity 80, reflectance 80, expression 64, gaze
2 x 2, light 9 x 3. The groups are the same here, their sizes are the face model's: 20, 78 and 52 for `mien-head`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np

from mien.face.subject import Subject
from mien.frames import FaceParams, Float


@dataclass(frozen=True, slots=True)
class PortraitNumbers:
    """rotation: (3,) axis-angle, rad. translation: (3,) cm. identity: (I,), one unit = one standard deviation.
    reflectance: (78,), see `reflectance`. expression: (52,) ARKit weights. gaze: (4,) rad, yaw and pitch of the left,
    then of the right eye. light: (27,), see `light`: nine coefficients, each in red, green and blue.

    What they leave out of a `Subject` (per-landmark offsets, the camera) is the same in every frame.
    """

    rotation: Float
    translation: Float
    identity: Float
    reflectance: Float
    expression: Float
    gaze: Float
    light: Float

    @classmethod
    def of(cls, subject: Subject, params: FaceParams) -> PortraitNumbers:
        """Light is zero where it was not estimated, reflectance that of the average face."""
        return cls(
            rotation=params.rotation,
            translation=params.translation,
            identity=subject.identity,
            reflectance=subject.reflectance,
            expression=params.expression,
            gaze=params.gaze.reshape(-1),
            light=params.light.reshape(-1),
        )

    @classmethod
    def at(cls, events: Iterable[object], frame: int) -> PortraitNumbers | None:
        """Of the `frame`-th `FaceParams` among `events`, which refer to the `Subject` before them; None when there are
        fewer. Anything else is passed over.
        """
        subject: Subject | None = None
        for event in events:
            if isinstance(event, Subject):
                subject = event
            elif isinstance(event, FaceParams) and subject is not None:
                if frame == 0:
                    return cls.of(subject, event)
                frame -= 1
        return None

    def __iter__(self) -> Iterator[tuple[str, Float]]:
        """Name and numbers of each group, in order."""
        for group in fields(self):
            yield group.name, getattr(self, group.name)

    @property
    def sizes(self) -> dict[str, int]:
        """How many numbers each group has, in order."""
        return {name: len(group) for name, group in self}

    def vector(self) -> Float:
        """All of them, group after group, (sum of `sizes`,) float32."""
        return np.asarray(np.concatenate([group for _, group in self]), np.float32)
