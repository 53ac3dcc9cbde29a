"""What `render` and `track` share: one offline session over a whole clip, with a progress bar."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mien.clock import OfflineClock
from mien.config import Config
from mien.engine import Engine
from mien.session import Session
from mien.stage import Output, Source


@asynccontextmanager
async def offline_session(config: Config, avatar: str | None) -> AsyncIterator[tuple[Engine, Session]]:
    """An engine in virtual time with one session. On any error, half-written outputs are removed."""
    engine = Engine(config, clock=OfflineClock(), live=False)
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    if task is not None:
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, task.cancel)
    try:
        loaded = await engine.load_avatar(avatar) if avatar is not None else None
        session = await engine.open_session("offline", avatar=loaded, needs_avatar=loaded is not None)
        try:
            yield engine, session
        except BaseException:
            await engine.close_session("offline", abandon=True)
            raise
    finally:
        await engine.close()


async def run_through(
    session: Session, source: Source, label: str, outputs: tuple[tuple[Output, str], ...] = ()
) -> int:
    """Take every frame of `source` through the session; returns how many pictures came out."""
    for output, plugin in outputs:
        await session.add_output(output, plugin)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as progress:
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


def check_paths(out: Path, drive: Path) -> None:
    """Raises `InputError` when there is no input, no place for the output, or both are the same file."""
    from mien.errors import InputError

    if not drive.is_file():
        raise InputError(f"There is no file {drive}. Check the path.")
    if out.exists() and out.samefile(drive):
        raise InputError(f"--out {out} is the clip itself; name another file.")
    if not out.parent.is_dir():
        raise InputError(f"There is no folder {out.parent} to write {out.name} into.")
