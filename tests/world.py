"""A small world for engine tests: virtual time, fake stages, a made-up avatar."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mien.avatar.package import Avatar, AvatarContent, Consent
from mien.clock import NS_PER_MS
from mien.config import load_config
from mien.engine import Engine
from mien.face.camera import Camera
from mien.face.subject import Subject
from mien.frames import AudioFrame, FaceParams, VideoFrame
from mien.plugins import Registry
from mien.stage import Kind, Plugin, Provides
from mien.testing.clock import VirtualClock
from mien.testing.stages import GreyRenderer, GreyTracker, LoudListener

MS = NS_PER_MS
INTERVAL = 40 * MS

CONSENT = Consent("a made-up face; nobody to ask", "nobody", "public-domain", "2026-01-01")


def avatar(title: str = "Nobody") -> Avatar:
    subject = Subject("mien-head", np.zeros(4, np.float32), Camera.guess(512, 512))
    return Avatar.new(AvatarContent("grey", "mien-head", subject, title=title), CONSENT)


def picture(index: int, grey: int = 128, start_ns: int = 0) -> VideoFrame:
    return VideoFrame(np.full((4, 4, 3), grey, np.uint8), start_ns + index * INTERVAL, index=index)


def pose(index: int, jaw: float = 0.5, start_ns: int = 0) -> FaceParams:
    expression = np.zeros(52, np.float32)
    expression[17] = jaw
    return FaceParams(start_ns + index * INTERVAL, expression=expression, index=index)


def beep(index: int, start_ns: int = 0, level: float = 0.1) -> AudioFrame:
    return AudioFrame(np.full((960, 1), level, np.float32), 48000, start_ns + index * 20 * MS)


def failing_at(call: int) -> Callable[[object], None]:
    """For `before_track` or `before_render`: raises at that one call of all stages together."""
    calls = itertools.count(1)

    def before(given: object) -> None:
        if next(calls) == call:
            raise RuntimeError("out of memory")

    return before


@dataclass
class World:
    """An engine whose stages are fakes; `trackers`, `renderers` and `listeners` collect the instances as they are
    made.
    """

    engine: Engine
    clock: VirtualClock
    trackers: list[GreyTracker] = field(default_factory=list)
    renderers: list[GreyRenderer] = field(default_factory=list)
    listeners: list[LoudListener] = field(default_factory=list)


class FakeRegistry(Registry):
    """A registry whose factories are plain callables."""

    def __init__(self, factories: dict[tuple[Kind, str], Callable[..., Any]]) -> None:
        self._factories = factories
        super().__init__(
            [Plugin("fake", "fakes", tuple(Provides(kind, name, "fake:fake") for kind, name in factories))]
        )

    def create(self, kind: Kind, name: str | None = None, *arguments: Any) -> Any:
        return self._factories[kind, self.find(kind, name).provides.name](*arguments)


@asynccontextmanager
async def world(
    *settings: str,
    before_track: Callable[[VideoFrame], None] = lambda frame: None,
    before_render: Callable[[FaceParams], None] = lambda params: None,
    before_listen: Callable[[AudioFrame], None] = lambda frame: None,
    look_ahead_ms: float = 120.0,
    live: bool = True,
    clock: Any = None,
) -> AsyncIterator[World]:
    made: dict[str, Any] = {}

    def tracker() -> GreyTracker:
        made["world"].trackers.append(GreyTracker(before_track))
        return made["world"].trackers[-1]

    def renderer() -> GreyRenderer:
        made["world"].renderers.append(GreyRenderer(before_render))
        return made["world"].renderers[-1]

    def listener() -> LoudListener:
        made["world"].listeners.append(LoudListener(look_ahead_ms, before_listen))
        return made["world"].listeners[-1]

    registry = FakeRegistry(
        {
            (Kind.TRACKER, "grey"): tracker,
            (Kind.RENDERER, "grey"): renderer,
            (Kind.LISTENER, "loud"): listener,
        }
    )
    clock = clock or VirtualClock()
    engine = Engine(load_config(None, settings), registry, clock, live=live)
    if isinstance(clock, VirtualClock):
        clock._settled = lambda: engine.lanes.idle
    engine.default_avatar = avatar()
    made["world"] = World(engine, clock)
    try:
        yield made["world"]
    finally:
        await engine.close()
