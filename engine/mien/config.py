"""Typed settings: one TOML file, every key overridable on the command line.

Order, later wins: defaults, `mien.toml` of the user's configuration folder, `mien.toml` of the current
folder (or the file given with `--config`), `--set SECTION.KEY=VALUE`, the command's own options.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mien.errors import ConfigError

FILE_NAME = "mien.toml"

M = TypeVar("M", bound=BaseModel)

Light = Literal["portrait", "driver"]
"""What lights the avatar: what lit its portrait; or that, changed as the light on the driver's face changes."""

Aspect = Literal["square", "16:9"]
"""The shape of the picture."""

Drive = Literal["auto", "camera", "voice", "both"]
"""Who moves the face, see `RunSection.drive`."""


class Section(BaseModel):
    """Base of all sections: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EngineSection(Section):
    """Threads and room."""

    lanes: Annotated[int, Field(ge=0, le=64)] = 0
    """worker threads at work at once; 0: one per session, and all cores but one (offline: all) if that is more"""
    max_sessions: Annotated[int, Field(ge=0, le=256)] = 0
    """sessions at once; 0: one per core, at least two"""
    seed: int = 7
    """of everything random: blinks, saccades, idle motion"""


class VideoSection(Section):
    """The pictures that go out."""

    size: Annotated[int, Field(ge=128, le=1024, multiple_of=2)] = 512
    """height of the picture, px; its width, too, where it is square"""
    aspect: Aspect = "square"
    """the page can change it"""
    fps: Annotated[float, Field(ge=1, le=60)] = 25.0
    budget_ms: Annotated[float, Field(ge=5, le=2000)] = 80.0
    """latency a frame may use from capture to its last packet"""
    adaptive: bool = True
    """let the governor lower the quality to hold the budget"""

    @property
    def picture(self) -> tuple[int, int]:
        """Width and height, px; both even, as video codecs want them."""
        return (self.size if self.aspect == "square" else round(self.size * 8 / 9) * 2), self.size


class RunSection(Section):
    """What `mien run` does when it isn't told."""

    source: str = "auto"
    """auto (a camera if there is one, else the demo), camera, camera:DEVICE, browser, demo, or a file"""
    avatar: str = "builtin"
    """builtin (the astronaut), or a package"""
    out: tuple[str, ...] = ("web",)
    """any of web, virtualcam, or a file to write"""
    background: str = "keep"
    """keep, blur, transparent, a colour as #RRGGBB, or a picture's path; the page can change it"""
    mirror: bool = False
    light: Light = "portrait"
    drive: Drive = "auto"
    """camera: what is seen. voice: what is heard, nothing is looked at. both: they stand in for each other. auto: what
    the source has pictures of, with the voice where one comes beside it; the voice where there are no pictures"""
    microphone: str = ""
    """the voice beside the source: microphone, microphone:DEVICE; empty: none"""

    @field_validator("background")
    @classmethod
    def _one_that_can_be(cls, name: str) -> str:
        if name.startswith("#"):
            from mien.controls import BackgroundChoice  # not needed otherwise, and commands start quickly

            try:
                BackgroundChoice.named(name)
            except ConfigError as error:
                raise ValueError(str(error)) from None
        return name


class VoiceSection(Section):
    """How a voice is listened to."""

    look_ahead_ms: Annotated[float, Field(ge=40, le=120)] = 120.0
    """sound that may be waited for beyond the moment of a picture; less is quicker and less sure"""
    hangover_ms: Annotated[float, Field(ge=0, le=2000)] = 220.0
    """for so long after its last sound a voice counts as speaking; then the mouth eases shut"""
    model: Path | None = None
    """a network made by `python -m mien_train voice`, such as one adapted to a person; none: the one that ships"""


class UseSection(Section):
    """Which stage or service to use where several are installed; empty: the best."""

    face_model: str = "mien-head"
    """mien-head, or what `mien assets list` shows as installed"""
    tracker: str = ""
    listener: str = ""
    renderer: str = ""
    maker: str = ""
    landmarker: str = ""
    segmenter: str = ""
    rasterizer: str = ""
    runtime: str = ""
    encoder: str = ""
    gateway: str = ""


class ServerSection(Section):
    """The page and the network protocols."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8765
    """0: any free one"""
    token: str = ""
    """bearer token; off loopback one is made up when this is empty"""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    origins: tuple[str, ...] = ()
    """further origins that may talk to the server, besides its own"""
    ice_servers: tuple[str, ...] = ()
    """stun:... or turn:user:password@host:port?transport=udp, given to both sides"""
    codec: Literal["h264", "vp8"] = "h264"
    """preferred where the viewer takes both"""
    min_kbps: Annotated[int, Field(ge=50)] = 300
    start_kbps: Annotated[int, Field(ge=50)] = 1500
    max_kbps: Annotated[int, Field(ge=50)] = 2500


class Config(Section):
    """Everything that can be configured. `plugin` holds one free table per plugin, checked by itself."""

    engine: EngineSection = EngineSection()
    video: VideoSection = VideoSection()
    run: RunSection = RunSection()
    voice: VoiceSection = VoiceSection()
    use: UseSection = UseSection()
    server: ServerSection = ServerSection()
    plugin: dict[str, dict[str, Any]] = {}

    @property
    def lanes(self) -> int:
        return self.engine.lanes or max(2, os.cpu_count() or 1)

    @property
    def max_sessions(self) -> int:
        return self.engine.max_sessions or max(2, os.cpu_count() or 1)


def config_dir() -> Path:
    """Where the user's own `mien.toml` lies (XDG base directories)."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "mien"


def cache_dir() -> Path:
    """Where what can be made anew is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mien"


def data_dir() -> Path:
    """Where recordings go."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "mien"


def load_config(
    path: Path | None = None,
    assignments: Iterable[str] = (),
    options: Mapping[str, Any] | None = None,
) -> Config:
    """Read and merge all sources of settings.

    path: a file that must exist; None reads the usual places. assignments: "section.key=value", the value
    in TOML or a bare word. options: "section.key" -> value from the command's options, None ignored.
    Raises `ConfigError` naming the file or option, the key (with the nearest known one) and the value.
    """
    merged: dict[str, Any] = {}
    usual = (config_dir() / FILE_NAME, Path(FILE_NAME))
    files = [path] if path is not None else [p for p in usual if p.is_file()]
    for file in files:
        table = _read(file)
        _validate(table, str(file))
        _merge(merged, table)
    given: dict[str, str] = {}
    for assignment in assignments:
        key, value = _parse(assignment)
        given[key] = f"--set {assignment}"
        _put(merged, key, value, given[key])
    for key, value in (options or {}).items():
        if value is not None:
            given[key] = f"--{key.rpartition('.')[2].replace('_', '-')}"
            _put(merged, key, value, given[key])
    return _validate(merged, "the configuration", given)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no configuration file {file}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}.") from error
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from error


def _parse(assignment: str) -> tuple[str, Any]:
    key, equals, text = assignment.partition("=")
    if not equals or "." not in key:
        raise ConfigError(f"--set wants SECTION.KEY=VALUE, for example video.fps=30, not '{assignment}'.")
    try:
        return key.strip(), tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), text.strip()


def _put(table: dict[str, Any], dotted: str, value: Any, origin: str) -> None:
    *sections, key = dotted.split(".")
    place = table
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise ConfigError(f"{origin}: '{section}' is not a section.")
    place[key] = value


def _merge(into: dict[str, Any], table: Mapping[str, Any]) -> None:
    for key, value in table.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _validate(table: Mapping[str, Any], origin: str, given: Mapping[str, str] | None = None) -> Config:
    """given: "section.key" -> on the command line, which is named instead of `origin`."""
    try:
        return Config.model_validate(table)
    except ValidationError as error:
        dotted = ".".join(str(part) for part in error.errors()[0]["loc"][:2])
        raise ConfigError(explain(error, Config, (given or {}).get(dotted, origin))) from None


def read_table(model: type[M], table: Mapping[str, Any], plugin: str) -> M:
    """What is configured under `[plugin.NAME]`. Raises `ConfigError` that names the key, and the nearest where it is
    misspelt.
    """
    try:
        return model.model_validate(dict(table))
    except ValidationError as error:
        raise ConfigError(explain(error, model, f"[plugin.{plugin}]")) from None


def explain(error: ValidationError, model: type[BaseModel], origin: str) -> str:
    """The first complaint of a validation, in one sentence with the mend."""
    first = error.errors()[0]
    dotted = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _known_keys(model)
        bare = {key.rpartition(".")[2]: key for key in known}
        close = difflib.get_close_matches(dotted, known, n=1) or [
            bare[name] for name in difflib.get_close_matches(dotted.rpartition(".")[2], bare, n=1)
        ]
        hint = f" Did you mean '{close[0]}'?" if close else f" Known: {', '.join(known)}."
        return f"{origin}: there is no setting '{dotted}'.{hint}"
    return f"{origin}: {dotted} = {first['input']!r} is not acceptable: {plainly(first['msg'])}."


def plainly(message: str) -> str:
    """What pydantic says of a value, in words for people."""
    for theirs, ours in (
        ("Value error, ", ""),
        ("Input should", "it should"),
        ("greater than or equal to", "at least"),
        ("less than or equal to", "at most"),
    ):
        message = message.replace(theirs, ours)
    return message.removesuffix(".")


def _known_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            keys += _known_keys(kind, f"{prefix}{name}.")
        else:
            keys.append(f"{prefix}{name}")
    return keys
