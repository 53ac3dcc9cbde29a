"""Makes avatars with whichever maker is installed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mien.avatar import builtin
from mien.avatar.fitted import stamped
from mien.avatar.manifest import checked_title
from mien.avatar.package import Avatar, Consent
from mien.avatar.portrait import read_portrait
from mien.clock import OfflineClock
from mien.config import Config
from mien.context import Services, StageContext
from mien.errors import NoFaceError
from mien.plugins import Registry
from mien.stage import Kind, Maker


@contextmanager
def chosen_maker(
    registry: Registry, config: Config, tell: Callable[[str], None]
) -> Iterator[tuple[Maker, StageContext]]:
    """The configured maker, not opened, and a context with services of its own, closed on leaving.

    Raises `PluginError` or `MissingExtraError` when there is none.
    """
    offer = registry.find(Kind.MAKER, config.use.maker or None)
    maker: Maker = registry.create(Kind.MAKER, offer.provides.name)
    services = Services(registry, config)
    try:
        yield (
            maker,
            StageContext(OfflineClock(), config, services, tell, live=False, plugin=offer.plugin.name),
        )
    finally:
        services.close()


def make_avatar(
    registry: Registry,
    config: Config,
    image: bytes | Path,
    consent: Consent,
    title: str,
    tell: Callable[[str], None],
) -> Avatar:
    """Make an avatar out of a picture: encoded, or a file. Takes seconds of CPU: not for the event loop.

    Raises `MediaError` for what is no picture, `NoFaceError` when it shows no face, `PackageError` for a title that
    no package can hold.
    """
    checked_title(title)
    portrait = read_portrait(image, notice=tell)

    def tell_of_it(text: str) -> None:
        # The maker knows pixels only; who gave several photos wants to know which.
        tell(f"{image}: {text}" if isinstance(image, Path) else text)

    with chosen_maker(registry, config, tell_of_it) as (maker, context):
        try:
            maker.open(context)
            content = maker.make(portrait.pixels, portrait.alpha)
        except NoFaceError as error:
            raise NoFaceError(f"{image}: {error}" if isinstance(image, Path) else str(error)) from None
        finally:
            maker.close()
    return Avatar.new(dataclasses.replace(stamped(content), title=title or content.title), consent)


def builtin_avatar(registry: Registry, config: Config, tell: Callable[[str], None]) -> Avatar:
    """The astronaut: from the user's cache folder, or made now."""
    with chosen_maker(registry, config, tell) as (maker, context):
        return builtin.builtin_avatar(maker, context)


def builtin_is_made(registry: Registry, config: Config) -> bool:
    """Whether `builtin_avatar` would find the astronaut in the cache folder."""
    with chosen_maker(registry, config, lambda _: None) as (maker, context):
        return builtin.cached_path(maker, context).exists()
