"""What `mien run` does: one live session, what it shows, and what it tells on the terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import typer

from mien.avatar.package import Avatar
from mien.cli.absence import FaceWatch
from mien.cli.listening import keep_listening, voice_factory
from mien.cli.machine import gpu, with_microphone
from mien.cli.paths import check_out
from mien.cli.warm import warm_for
from mien.config import Config
from mien.engine import MAIN, Engine
from mien.errors import MienError
from mien.plugins import Registry
from mien.session import Session
from mien.stage import Check, Gateway, Kind, Output

FILES = {"file", "performance"}
"""Sources and outputs whose argument is a file's path."""


class Live:
    """One run, from the first word on the terminal to the last."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._engine: Engine | None = None
        self._gateway: Gateway | None = None
        self._written: dict[str, Output] = {}
        """path -> what writes there: files, which nobody else would finish; a device ends with its session"""
        self._saved = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def saved(self) -> None:
        """Return when nothing is being written that would be lost if the process ended now."""
        sessions = self._engine.sessions.values() if self._engine is not None else ()
        if self._written or any(session.recording for session in sessions):
            await self._saved.wait()

    async def run(self) -> None:
        """Until it is cancelled. Raises `MienError`; then nothing half-written is left."""
        registry = Registry.discover()
        registry.check_settings(self._config)
        engine = self._engine = Engine(self._config, registry)
        try:
            await self._start(engine)
            await asyncio.Event().wait()  # until a signal cancels it
        except MienError:
            self._written.clear()
            await engine.close_session(MAIN, abandon=True)
            raise
        finally:
            await self._stop(engine)

    async def _start(self, engine: Engine) -> None:
        """What may be refused comes first, what takes long comes last."""
        config = self._config
        check_files(engine.registry, config)
        address = ""
        if "web" in config.run.out:
            self._gateway = engine.registry.create(Kind.GATEWAY, config.use.gateway or None)
            address = await self._gateway.start(engine)
        make_source = engine.source_factory(self._source)
        make_voice = await asyncio.to_thread(voice_factory, engine, config.run)
        outputs = [(spec, *engine.output(spec)) for spec in config.run.out if spec != "web"]
        avatar: Avatar | None = None
        if config.run.avatar == "builtin":
            engine.registry.find(Kind.MAKER, config.use.maker or None)
        else:
            avatar = await engine.load_avatar(config.run.avatar)
        _tell_missing(await asyncio.to_thread(_devices, engine.registry))
        await warm_for(engine.registry, config)
        session = await open_main(engine, avatar)
        session.on_tracked = FaceWatch(session).tracked
        self._hold(_tell_notices(session), "notices")
        await self._write_to(session, outputs, engine.registry)
        if self._source == "auto" and not engine.registry.sees("camera"):
            typer.echo("No camera, so the built-in demo performance drives.")
        # What was asked for by name is there from the start, or nothing is; later the session goes on without.
        await session.drive(make_source, must_open=self._source != "auto")
        if make_voice is not None:
            self._hold(keep_listening(session, make_voice, engine.clock), "microphone")
        elif config.run.drive in {"voice", "both"} and make_source is None:
            typer.echo("No microphone: speak on the page, or with `mien speak`.")
        if address:
            typer.echo(f"Watch at {address}")
        typer.echo("Ctrl-C ends it.")
        if any(not offer.missing for offer in engine.registry.offers(Kind.LANDMARKER)):
            self._hold(session.warm(), "warm-up")

    @property
    def _source(self) -> str:
        """What drives; where a voice alone is to, neither a camera nor the demo is begun unasked."""
        run = self._config.run
        return "browser" if run.drive == "voice" and run.source == "auto" else run.source

    async def _write_to(
        self, session: Session, outputs: list[tuple[str, Output, str]], registry: Registry
    ) -> None:
        for spec, output, plugin in outputs:
            await session.add_output(output, plugin)
            typer.echo(f"Writing to {spec}.")
            if path := _file_of(registry, Kind.OUTPUT, spec):
                self._written[path] = output

    def _hold(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def _stop(self, engine: Engine) -> None:
        for task in self._tasks:
            task.cancel()
        # Every step is taken, whatever the others raise, the last one here first; the last error is raised. Files
        # come first, then viewers: neither waits for a tracker that is still being opened.
        async with AsyncExitStack() as steps:
            steps.push_async_callback(engine.close)
            steps.push_async_callback(engine.close_session, MAIN)
            steps.push_async_callback(_ended, self._tasks)
            if self._gateway is not None:
                steps.push_async_callback(self._gateway.stop)
            steps.callback(self._saved.set)
            for session in engine.sessions.values():
                steps.push_async_callback(session.stop_recording)
            main = engine.sessions.get(MAIN)
            for path, output in reversed(self._written.items()):
                steps.push_async_callback(_finish, main, path, output)


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


async def _finish(session: Session | None, path: str, output: Output) -> None:
    """Raises what hinders the file from being finished. session: None when somebody has closed it, and its files."""
    if session is not None:
        await session.remove_output(output)
    if Path(path).is_file():
        typer.echo(f"Wrote {path}.")


async def open_main(engine: Engine, avatar: Avatar | None) -> Session:
    """The session of this run. The gateway serves already: a client who was quicker and has taken its name, or the
    last room, gives way.
    """
    while MAIN in (taken := [*engine.sessions, *engine.opening]) or len(taken) >= engine.max_sessions:
        early = MAIN if MAIN in taken else taken[-1]
        await engine.session(early)  # it may still be opening, and can't be closed before
        await engine.close_session(early)
    return await engine.open_session(MAIN, avatar=avatar)


def check_files(registry: Registry, config: Config) -> None:
    """Refuse files that have no place to be written to or would overwrite what is read, before anything is opened."""
    inputs = [_file_of(registry, Kind.SOURCE, config.run.source), config.run.avatar]
    for spec in config.run.out:
        if spec != "web" and (path := _file_of(registry, Kind.OUTPUT, spec)):
            check_out(Path(path), *(Path(read) for read in inputs if read))


def _file_of(registry: Registry, kind: Kind, spec: str) -> str:
    """The path that `--source` or `--out` names, plainly or as in `file:PATH`; empty where it names a device."""
    name, _, argument = spec.partition(":")
    if all(name != offer.provides.name for offer in registry.offers(kind)):
        return spec
    return argument if name in FILES else ""


def _devices(registry: Registry) -> list[Check]:
    return [*with_microphone(registry.devices()), gpu()]


def _tell_missing(checks: list[Check]) -> None:
    """A line for each; nothing where nothing is missing."""
    missing = [check for check in checks if not check.ok]
    if not missing:
        return
    typer.echo("Missing here, and not needed:")
    width = max(len(check.name) for check in missing)
    for check in missing:
        mend = f" → {check.mend}" if check.mend else ""
        typer.echo(f"  {check.name:{width}}  {check.detail}{mend}")


async def _tell_notices(session: Session) -> None:
    for notice in list(session.board.recent):  # from before anybody listened
        typer.echo(notice.text, err=notice.level != "info")
    async for notice in session.board.listen():
        typer.echo(notice.text, err=notice.level != "info")
