"""What stages are handed when they open: the session's clock, sizes, avatar and services."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mien.avatar.package import Avatar
from mien.clock import Clock, OfflineClock
from mien.config import Aspect, Config, VideoSection, VoiceSection
from mien.errors import PluginError
from mien.face.assets import BUILT_IN
from mien.plugins import Registry
from mien.stage import Kind, Opened


class Services:
    """The services of one stage, each made and opened when it is first asked for. Thread-safe."""

    def __init__(self, registry: Registry, config: Config) -> None:
        self._registry = registry
        self._config = config
        self._opened: dict[Kind, Opened] = {}
        self._lock = threading.RLock()

    def get(self, kind: Kind, context: StageContext) -> Any:
        """Return the service of that kind. Raises `PluginError`, `MissingExtraError`."""
        with self._lock:
            if kind not in self._opened:
                name = getattr(self._config.use, kind.value, "") or None
                offer = self._registry.find(kind, name)
                service = self._registry.create(kind, offer.provides.name)
                try:
                    service.open(context.of_plugin(offer.plugin.name))
                except BaseException:
                    service.close()
                    raise
                self._opened[kind] = service
            return self._opened[kind]

    def close(self) -> None:
        """Close them, the last opened first."""
        with self._lock:
            while self._opened:
                self._opened.popitem()[1].close()


@dataclass
class PlainContext:
    """Implements `mien.stage.Context` with plain values, for opening stages and services outside of a session.

    services: kind -> a function that makes the service; it is opened on first use and closed by `close`.
    """

    clock: Clock = field(default_factory=OfflineClock)
    settings: Mapping[str, Any] = field(default_factory=dict)
    fps: float = 25.0
    size: tuple[int, int] = (512, 512)
    live: bool = False
    face_model: str = BUILT_IN
    voice: VoiceSection = field(default_factory=VoiceSection)
    avatar: Avatar | None = None
    services: Mapping[Kind, Callable[[], Any]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    _opened: dict[Kind, Any] = field(default_factory=dict)

    def service(self, kind: Kind) -> Any:
        if kind not in self._opened:
            if kind not in self.services:
                raise PluginError(f"This context has no {kind}.")
            service = self.services[kind]()
            service.open(self)
            self._opened[kind] = service
        return self._opened[kind]

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def close(self) -> None:
        """Close every service that was asked for."""
        while self._opened:
            self._opened.popitem()[1].close()


@dataclass(frozen=True, slots=True)
class StageContext:
    """Implements `mien.stage.Context` for one stage of a session."""

    clock: Clock
    config: Config
    services: Services
    tell: Callable[[str], None]
    live: bool = True
    avatar: Avatar | None = None
    plugin: str = ""

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.config.plugin.get(self.plugin, {})

    @property
    def fps(self) -> float:
        return self.config.video.fps

    @property
    def size(self) -> tuple[int, int]:
        return self.config.video.picture

    @property
    def face_model(self) -> str:
        return self.config.use.face_model

    @property
    def voice(self) -> VoiceSection:
        return self.config.voice

    def service(self, kind: Kind) -> Any:
        return self.services.get(kind, self)

    def notice(self, text: str) -> None:
        self.tell(text)

    def of_plugin(self, name: str) -> StageContext:
        """The same context with the settings of plugin `name`."""
        return replace(self, plugin=name)

    def with_avatar(self, avatar: Avatar | None) -> StageContext:
        """The same context for another avatar."""
        return replace(self, avatar=avatar)

    def with_video(self, video: VideoSection) -> StageContext:
        """The same context for other pictures."""
        return replace(self, config=self.config.model_copy(update={"video": video}))

    def of_shape(self, aspect: Aspect) -> StageContext:
        """The same context for pictures of that shape; their height stays."""
        return self.with_video(self.config.video.model_copy(update={"aspect": aspect}))

    def with_services(self, services: Services) -> StageContext:
        """The same context with other services."""
        return replace(self, services=services)
