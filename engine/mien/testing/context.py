"""A context for opening stages and services outside a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mien.avatar.package import Avatar
from mien.clock import Clock, OfflineClock
from mien.config import VoiceSection
from mien.errors import PluginError
from mien.stage import Kind


@dataclass
class FakeContext:
    """Implements `mien.stage.Context` with plain values.

    services: kind -> a function that makes the service; it is opened on first use and closed by `close`.
    """

    clock: Clock = field(default_factory=OfflineClock)
    settings: Mapping[str, Any] = field(default_factory=dict)
    fps: float = 25.0
    size: tuple[int, int] = (512, 512)
    live: bool = False
    face_model: str = "mien-head"
    voice: VoiceSection = field(default_factory=VoiceSection)
    avatar: Avatar | None = None
    services: Mapping[Kind, Callable[[], Any]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    _opened: dict[Kind, Any] = field(default_factory=dict)

    def service(self, kind: Kind) -> Any:
        if kind not in self._opened:
            if kind not in self.services:
                raise PluginError(f"This test context has no {kind}.")
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
