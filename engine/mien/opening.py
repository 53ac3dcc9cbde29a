"""Opens compute stages beside the lanes, each with services of its own, and closes them together.

A stage that is restarted so gets fresh services as well: a landmarker whose graph has died does not come back by
being asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from mien.avatar.package import Avatar
from mien.config import Config
from mien.context import Services, StageContext
from mien.lane import Lanes
from mien.plugins import Registry
from mien.stage import Background, Kind, Listener, Opened, Renderer, Source, Tracker
from mien.tasks import to_end

S = TypeVar("S", bound=Opened)
T = TypeVar("T")


class Opening:
    """For one session. `close` may be called on any thread, the rest on the event loop."""

    def __init__(self, registry: Registry, config: Config, lanes: Lanes) -> None:
        self._registry = registry
        self._config = config
        self._lanes = lanes
        self._services: dict[Opened, Services] = {}

    async def tracker(self, context: StageContext) -> Tracker:
        """The configured tracker, opened. Raises `PluginError` and what its `open` raises."""
        name = self._config.use.tracker or None
        tracker: Tracker = self._registry.create(Kind.TRACKER, name)
        return await self._open(tracker, context, self._registry.find(Kind.TRACKER, name).plugin.name)

    async def listener(self, context: StageContext) -> Listener:
        """The configured listener, opened. Raises `PluginError` and what its `open` raises."""
        name = self._config.use.listener or None
        listener: Listener = self._registry.create(Kind.LISTENER, name)
        return await self._open(listener, context, self._registry.find(Kind.LISTENER, name).plugin.name)

    async def renderer(self, context: StageContext, avatar: Avatar, background: Background) -> Renderer:
        """The renderer that `avatar` was made for (or the configured one), opened, with `background` behind it."""
        name = self._config.use.renderer or avatar.content.renderer
        renderer: Renderer = self._registry.create(Kind.RENDERER, name)
        plugin = self._registry.find(Kind.RENDERER, name).plugin.name
        context = context.with_avatar(avatar)
        return await self._open(renderer, context, plugin, lambda: renderer.set_background(background))

    def context_for(self, source: Source, context: StageContext) -> StageContext:
        """`context` with the settings of the plugin that provides `source`; none for one made by hand."""
        factory = f"{type(source).__module__}:{type(source).__qualname__}"
        offers = self._registry.offers(Kind.SOURCE)
        plugin = next((offer.plugin.name for offer in offers if offer.provides.factory == factory), "")
        return context.of_plugin(plugin)

    def close(self, stage: Opened | None) -> None:
        """Close the stage, then its services; None is ignored."""
        if stage is None:
            return
        services = self._services.pop(stage, None)
        try:
            stage.close()
        finally:
            if services is not None:
                services.close()

    async def beside(self, function: Callable[[], T]) -> T:
        """Run `function`, which takes long, beside the lanes. Returns when it has ended, also when it is cancelled."""
        return await to_end(self._lanes.run(function))

    async def _open(
        self, stage: S, context: StageContext, plugin: str, then: Callable[[], None] = lambda: None
    ) -> S:
        services = self._services[stage] = Services(self._registry, self._config)
        context = context.of_plugin(plugin).with_services(services)

        def opening() -> None:
            stage.open(context)
            then()

        try:
            await self.beside(opening)
        except BaseException:
            await asyncio.to_thread(self.close, stage)
            raise
        return stage
