"""What a person at the page, the command line or a configuration file can set while a session runs."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from mien.config import Aspect, Light, plainly
from mien.errors import ConfigError
from mien.face.emotions import NAMES as EMOTION_NAMES
from mien.face.rig import ARKIT_NAMES

Mode = Literal["full", "face", "dubbing"]
"""What the driver's face moves (Deep Video Portraits, section 6): everything; everything but the head;
the mouth alone. What it does not move, the idle motion does.
"""

_LISTED = 24
"""So many names a message lists at most."""

Strength = Annotated[float, Field(ge=0, le=2)]
Weight = Annotated[float, Field(ge=-1, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Settings(BaseModel):
    """Immutable, and a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class HeadOffset(_Settings):
    """Turns the head, degrees. yaw: to the subject's left; pitch: up; roll: crown to the subject's right."""

    yaw: Annotated[float, Field(ge=-45, le=45)] = 0.0
    pitch: Annotated[float, Field(ge=-45, le=45)] = 0.0
    roll: Annotated[float, Field(ge=-45, le=45)] = 0.0


class GazeOffset(_Settings):
    """Turns both eyes, degrees. yaw: to the subject's left; pitch: up."""

    yaw: Annotated[float, Field(ge=-40, le=40)] = 0.0
    pitch: Annotated[float, Field(ge=-40, le=40)] = 0.0


class BackgroundChoice(_Settings):
    """What stands behind the person; the picture of mode `image` is handed to the session apart.

    colour: of mode `colour`; with `transparent`, what is shown where there is no alpha channel.
    """

    mode: Literal["keep", "blur", "colour", "image", "transparent"] = "keep"
    colour: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] = "#008000"

    @property
    def rgb(self) -> tuple[int, int, int]:
        red, green, blue = bytes.fromhex(self.colour[1:])
        return red, green, blue

    @classmethod
    def named(cls, name: str) -> BackgroundChoice:
        """What `--background` means: keep, blur, transparent, a colour as #RRGGBB, else the path of a picture.

        Raises `ConfigError` when it begins like a colour and is none.
        """
        if name in ("keep", "blur", "transparent"):
            return cls.model_validate({"mode": name})
        if not name.startswith("#"):
            return cls(mode="image")
        try:
            return cls(mode="colour", colour=name)
        except ValidationError:
            raise ConfigError(f"{name} is no colour. Write it as #RRGGBB, for example #00b140.") from None


class Alive(_Settings):
    """How much of each the face does by itself: 0 none, 1 as people do, 2 twice that.

    nods: of the head and brows, on stressed syllables, while the voice alone drives.
    """

    blinks: Strength = 1.0
    saccades: Strength = 1.0
    nods: Strength = 1.0
    breathing: Strength = 1.0


class Controls(_Settings):
    """All of it, with the values that a session starts with.

    paused: freeze to idle; nothing of the driver's face shows. mirror: move like a mirror image.
    expression: ARKit name -> weight added on top. emotion: name -> how much of it is mixed into the face
    (`mien.face.emotions`). head_strength, expression_strength: how far the
    driver's motion is exaggerated (1: as it is); a blink stays a full blink at any strength. light_strength: how
    far the light `driver` goes. alive: what the face does by itself, while nobody or a voice alone drives. aspect:
    the picture's shape; its height stays.
    """

    paused: bool = False
    mirror: bool = False
    mode: Mode = "full"
    head: HeadOffset = HeadOffset()
    gaze: GazeOffset = GazeOffset()
    expression: dict[str, Weight] = Field(default_factory=dict)
    emotion: dict[str, Share] = Field(default_factory=dict)
    head_strength: Strength = 1.0
    expression_strength: Strength = 1.0
    background: BackgroundChoice = BackgroundChoice()
    light: Light = "portrait"
    light_strength: Share = 1.0
    alive: Alive = Alive()
    aspect: Aspect = "square"

    @field_validator("expression")
    @classmethod
    def _known_expressions(cls, value: dict[str, float]) -> dict[str, float]:
        return _all_known(value, ARKIT_NAMES, "ARKit expression")

    @field_validator("emotion")
    @classmethod
    def _known_emotions(cls, value: dict[str, float]) -> dict[str, float]:
        return _all_known(value, EMOTION_NAMES, "emotion")

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Controls:
        """Validate untrusted values. Raises `ConfigError` that names the key and the mend."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise ConfigError(_explain(error.errors()[0])) from None

    def patched(self, patch: Mapping[str, Any]) -> Controls:
        """These controls with `patch` merged in after RFC 7396 (JSON Merge Patch).

        Nested objects are merged key by key; null sets a value back to its default and takes an
        expression or emotion out. Raises `ConfigError`; then nothing has changed.
        """
        return self.parse(_merged(self.model_dump(), patch))


def _merged(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            below = result.get(key)
            result[key] = _merged(below if isinstance(below, Mapping) else {}, value)
        else:
            result[key] = value
    return result


def _all_known(value: dict[str, float], known: tuple[str, ...], what: str) -> dict[str, float]:
    """`value`, its keys all among `known`. Raises ValueError that names the first which is not, and its nearest."""
    for name in value:
        if name not in known:
            raise ValueError(f"“{name}” is no {what}{_nearest(name, known)}")
    return value


def _nearest(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean “{close[0]}”?"
    return f"; known: {', '.join(known)}" if len(known) <= _LISTED else ""


def _explain(detail: ErrorDetails) -> str:
    """One validation error in a plain sentence."""
    path = [str(part) for part in detail["loc"]]
    name = "controls." + ".".join(path)
    if detail["type"] == "extra_forbidden":
        group = Controls.model_fields[path[0]].annotation if len(path) > 1 else Controls
        known = group.model_fields if isinstance(group, type) and issubclass(group, BaseModel) else {}
        return f"{name} is not a setting{_nearest(path[-1], tuple(known)) or '.'}"
    message = plainly(detail["msg"])
    given = detail["input"]
    return f"{name}: {message}." if isinstance(given, Mapping) else f"{name}: {message} (got {given!r})."
