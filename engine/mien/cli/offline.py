"""What `render` and `track` share: one offline session over a whole clip, with a progress bar."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mien.cli.signals import run_until_signal
from mien.clock import OfflineClock
from mien.config import Config
from mien.engine import Engine
from mien.session import Session
from mien.stage import Output, Source


def run_offline(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end; Ctrl-C ends it early, and nothing half-written stays behind.

    Raises `typer.Exit` with the shell's code for a process that a signal ended.
    """
    number = run_until_signal(work)
    if number is not None:
        typer.echo("Interrupted; nothing was written.", err=True)
        raise typer.Exit(128 + number)


@asynccontextmanager
async def offline_session(config: Config, avatar: str | None) -> AsyncIterator[tuple[Engine, Session]]:
    """An engine in virtual time with one session. Its outputs are finished when the body comes to its end, and
    removed on any error.
    """
    engine = Engine(config, clock=OfflineClock(), live=False)
    try:
        loaded = await engine.load_avatar(avatar) if avatar is not None else None
        session = await engine.open_session("offline", avatar=loaded, needs_avatar=loaded is not None)
        try:
            yield engine, session
        except BaseException:
            await engine.close_session("offline", abandon=True)
            raise
        await engine.close_session("offline")  # raises what hinders the outputs from being finished
    finally:
        await engine.close()


async def run_through(
    session: Session, source: Source, label: str, outputs: tuple[tuple[Output, str], ...] = ()
) -> int:
    """Take every frame of `source` through the session; returns how many pictures came out."""
    for output, plugin in outputs:
        await session.add_output(output, plugin)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(label, total=None)

        def tell(done: int) -> None:
            progress.update(task, completed=done, total=source.info.frames)

        return await session.run_to_end(source, tell)


def print_notices(session: Session) -> Callable[[], None]:
    """Return a function that prints the session's notices that have not been printed yet."""
    printed = 0

    def flush() -> None:
        nonlocal printed
        for notice in list(session.board.recent)[printed:]:
            typer.echo(notice.text, err=True)
            printed += 1

    return flush


def frames_of(count: int, without_face: int) -> str:
    """How many frames there were, for people."""
    lost = f", {without_face} without a face" if without_face else ""
    return f"{count} frame{'' if count == 1 else 's'}{lost}"
