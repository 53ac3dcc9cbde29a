"""What `mien run` does: one live session, what it shows, and what it tells on the terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import typer

from mien.avatar.package import Avatar
from mien.cli.absence import FaceWatch
from mien.cli.machine import gpu, microphone
from mien.cli.warm import warm_for
from mien.config import Config
from mien.engine import MAIN, Engine
from mien.errors import MienError
from mien.plugins import Registry
from mien.session import Session
from mien.stage import Check, Gateway, Kind, Output


class Live:
    """One run, from the first word on the terminal to the last."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._engine: Engine | None = None
        self._gateway: Gateway | None = None
        self._written: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []

    def may_leave(self) -> bool:
        """Whether nothing is being written that would be lost if the process ended now."""
        sessions = self._engine.sessions.values() if self._engine is not None else ()
        return not self._written and not any(session.snapshot()["recording"] for session in sessions)

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
        address = ""
        if "web" in config.run.out:
            self._gateway = engine.registry.create(Kind.GATEWAY, config.use.gateway or None)
            address = await self._gateway.start(engine)
        make_source = engine.source_factory(config.run.source)
        outputs = [(spec, *engine.output(spec)) for spec in config.run.out if spec != "web"]
        avatar: Avatar | None = None
        if config.run.avatar == "builtin":
            engine.registry.find(Kind.MAKER, config.use.maker or None)
        else:
            avatar = await engine.load_avatar(config.run.avatar)
        _tell_missing(await asyncio.to_thread(_devices, engine.registry))
        await warm_for(engine.registry, config)
        session = await engine.open_session(MAIN, avatar=avatar)
        session.on_tracked = FaceWatch(session).tracked
        self._hold(_tell_notices(session), "notices")
        await self._write_to(session, outputs)
        if config.run.source == "auto" and not engine.has_camera():
            typer.echo("No camera, so the built-in demo performance drives.")
        # What was asked for by name is there from the start, or nothing is; later the session goes on without.
        await session.drive(make_source, must_open=config.run.source != "auto")
        if address:
            typer.echo(f"Watch at {address}")
        typer.echo("Ctrl-C ends it.")
        if any(not offer.missing for offer in engine.registry.offers(Kind.LANDMARKER)):
            self._hold(session.warm(), "warm-up")

    async def _write_to(self, session: Session, outputs: list[tuple[str, Output, str]]) -> None:
        for spec, output, plugin in outputs:
            await session.add_output(output, plugin)
            typer.echo(f"Writing to {spec}.")
            self._written.append(spec)

    def _hold(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def _stop(self, engine: Engine) -> None:
        for task in self._tasks:
            task.cancel()
        # Side by side: viewers need not wait for a tracker that is still being opened.
        ended = asyncio.gather(*self._tasks, return_exceptions=True)
        if self._gateway is not None:
            await self._gateway.stop()
        await ended
        try:
            await engine.close_session(MAIN)  # raises what hinders the outputs from being finished
        finally:
            await engine.close()
        for spec in self._written:
            if Path(spec).is_file():
                typer.echo(f"Wrote {spec}.")


def _devices(registry: Registry) -> list[Check]:
    return [*registry.devices(), microphone(), gpu()]


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
