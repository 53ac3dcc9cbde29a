"""The engine: the lanes that all sessions share, the plugins, and room for so many sessions and no more."""

from __future__ import annotations

import asyncio
import difflib
import itertools
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import scipy.linalg  # noqa: F401 - brings its own BLAS, which must be loaded to be limited
from threadpoolctl import threadpool_limits

from mien.avatar.making import builtin_avatar
from mien.avatar.package import Avatar, load_avatar
from mien.avatar.workshop import Workshop
from mien.clock import Clock, SystemClock
from mien.config import Config
from mien.errors import CapacityError, ConfigError, InputError
from mien.lane import Lanes
from mien.plugins import Registry
from mien.session import Session
from mien.sources import SourceFactory
from mien.stage import Kind, Output, Source

log = logging.getLogger(__name__)

MAIN = "main"
"""Name of the session that is opened first and that everybody means who names none."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")


class Engine:
    """Opens and closes sessions. Everything is made here and handed down; nothing is global."""

    def __init__(
        self,
        config: Config,
        registry: Registry | None = None,
        clock: Clock | None = None,
        *,
        live: bool = True,
    ) -> None:
        self.config = config
        self.registry = registry or Registry.discover()
        _check_names(config, self.registry)
        self.clock = clock or SystemClock()
        # Lanes are the parallelism. BLAS would wake a pool of its own for every small product and let it spin:
        # a third of all CPU time on two cores.
        self._blas = threadpool_limits(limits=1, user_api="blas")
        self.lanes = Lanes(config.lanes)
        self._workshop = Workshop(self.registry, config, self.lanes)
        self.live = live
        self.default_avatar: Avatar | None = None
        """what a session shows that is opened without one"""
        self._sessions: dict[str, Session] = {}
        self._opening: dict[str, asyncio.Event] = {}
        self._closing = False
        self._numbers = itertools.count(1)
        self._share_lanes()

    @property
    def sessions(self) -> Mapping[str, Session]:
        return MappingProxyType(self._sessions)

    @property
    def opening(self) -> tuple[str, ...]:
        """Names of the sessions that are being opened just now."""
        return tuple(self._opening)

    async def session(self, name: str) -> Session | None:
        """The session of that name, awaited while it is being opened; None when there is none."""
        if (opening := self._opening.get(name)) is not None:
            await opening.wait()
        return self._sessions.get(name)

    @property
    def max_sessions(self) -> int:
        return self.config.max_sessions

    async def open_session(
        self,
        name: str = "",
        *,
        source: str | None = None,
        avatar: Avatar | None = None,
        needs_avatar: bool = True,
    ) -> Session:
        """Open a session under `name` (made up when empty), driven by the source that `source` describes.

        Raises `CapacityError` when the engine is full or closes, `InputError` when the name is taken or unfit,
        and what the avatar's renderer raises.
        """
        self._check_open()
        name = name or next(n for i in self._numbers if (n := f"s{i}") not in self._sessions)
        if not _NAME.fullmatch(name):
            raise InputError(f"'{name}' cannot name a session: use letters, digits, '-' and '_', at most 32.")
        if name in self._sessions or name in self._opening:
            raise InputError(f"There is already a session called '{name}'.")
        if len(self._sessions) + len(self._opening) >= self.max_sessions:
            raise CapacityError(
                f"This engine runs {self.max_sessions} sessions at once and all are taken. Close one, or "
                "raise engine.max_sessions if the machine has cores to spare."
            )
        self._opening[name] = asyncio.Event()
        try:
            if avatar is None and needs_avatar:
                avatar = self.default_avatar or await self.load_avatar(self.config.run.avatar)
            session = Session(
                name,
                config=self.config,
                registry=self.registry,
                lanes=self.lanes,
                workshop=self._workshop,
                clock=self.clock,
                avatar=avatar,
                live=self.live,
            )
            try:
                await session.open()
                if source is not None:
                    await session.drive(self.source_factory(source))
                self._check_open()
            except BaseException:
                await session.close(abandon=True)
                raise
            self._sessions[name] = session
            self._share_lanes()
            return session
        finally:
            self._opening.pop(name).set()

    def _check_open(self) -> None:
        if self._closing:
            raise CapacityError("This engine is being closed and opens no more sessions. Start it anew.")

    def _share_lanes(self) -> None:
        """Live, a lane for each session, but one core for codecs and the network as long as that is enough.

        A frame's stages follow one another anyway. Where two frames of one session overlap, each slows the
        other down, and once they do they go on: on two cores 7 % of the frames were late with two lanes,
        0.3 % with one.
        """
        if self.live and not self.config.engine.lanes:
            self.lanes.width = max(self.lanes.count - 1, len(self._sessions))

    async def close_session(self, name: str, *, abandon: bool = False) -> None:
        """Close the session; ignored when there is none of that name."""
        session = self._sessions.pop(name, None)
        if session is not None:
            try:
                await session.close(abandon=abandon)
            finally:
                self._share_lanes()

    async def close(self) -> None:
        """Close all sessions and stop the lanes. What is being opened just now is awaited, then closed as well."""
        self._closing = True
        try:
            for opening in list(self._opening.values()):
                await opening.wait()
            closing = (self.close_session(name) for name in list(self._sessions))
            for error in await asyncio.gather(*closing, return_exceptions=True):
                if isinstance(error, BaseException):
                    log.error("a session did not close cleanly", exc_info=error)
        finally:
            await asyncio.to_thread(self.lanes.stop)
            self._blas.restore_original_limits()

    # --- names to things ------------------------------------------------------------------------------

    async def load_avatar(self, name: str) -> Avatar:
        """`builtin` or the path of a package. Raises `PackageError`, `ConsentError`."""
        if name == "builtin":
            return await asyncio.to_thread(builtin_avatar, self.registry, self.config, log.info)
        return await asyncio.to_thread(load_avatar, Path(name))

    def source_factory(self, spec: str) -> SourceFactory | None:
        """What `--source` means: `browser` (None: it comes by itself), `auto`, NAME[:ARGUMENT] of any installed
        source (`demo`, `camera`, `camera:/dev/video2`), or a file's path.
        """
        if spec == "browser":
            return None
        if spec == "auto":
            spec = "camera" if self.registry.sees("camera") else "demo"
        if (named := self._named(Kind.SOURCE, spec)) is None:
            return self.file_source(Path(spec))
        name, arguments = named
        # Found now, so that a missing dependency is told at once and not at the first frame.
        self.registry.find(Kind.SOURCE, name)
        return lambda: self._source(name, *arguments)

    def file_source(self, path: Path) -> SourceFactory:
        """A clip or a performance, told apart by the suffix."""
        if not path.is_file():
            names = ", ".join(offer.provides.name for offer in self.registry.offers(Kind.SOURCE))
            raise InputError(
                f"There is no file {path}. A source is a file, or one of: auto, browser, {names}."
            )
        name = "performance" if path.suffix == ".performance" else "file"
        self.registry.find(Kind.SOURCE, name)
        return lambda: self._source(name, str(path))

    def output(self, spec: str) -> tuple[Output, str]:
        """NAME[:ARGUMENT] of any installed output (`virtualcam`), or a file's path; not opened yet.

        Returns the output and the name of its plugin. Raises `InputError`, `PluginError`.
        """
        name, arguments = self._named(Kind.OUTPUT, spec) or ("file", (spec,))
        if name == "file" and re.fullmatch(r"\w+", spec):
            known = ", ".join(offer.provides.name for offer in self.registry.offers(Kind.OUTPUT))
            raise InputError(f"There is no output called '{spec}'. It is one of: web, {known}; or NAME.mp4.")
        offer = self.registry.find(Kind.OUTPUT, name)
        output: Output = self.registry.create(Kind.OUTPUT, name, *arguments)
        return output, offer.plugin.name

    def _named(self, kind: Kind, spec: str) -> tuple[str, tuple[str, ...]] | None:
        name, colon, argument = spec.partition(":")
        if any(offer.provides.name == name for offer in self.registry.offers(kind)):
            return name, (argument,) if colon else ()
        return None

    def _source(self, name: str, *arguments: str) -> Source:
        source: Source = self.registry.create(Kind.SOURCE, name, *arguments)
        return source


def _check_names(config: Config, registry: Registry) -> None:
    """Refuse names of stages and plugins that nobody provides, before anything is opened.

    Raises `PluginError`, `MissingExtraError` or `ConfigError`, with the nearest name.
    """
    for kind in Kind:
        if name := getattr(config.use, kind.value, ""):
            registry.find(kind, name)
    known = [plugin.name for plugin in registry.plugins] + [broken.name for broken in registry.broken]
    for name in config.plugin:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean '{close[0]}'?" if close else f"Installed: {', '.join(known)}."
            raise ConfigError(
                f"The configuration has a table [plugin.{name}], but there is no such plugin. {hint}"
            )
