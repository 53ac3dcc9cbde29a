"""`mien track`: the coefficients of every frame of a clip, for replay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import Assignments, ConfigFile
from mien.cli.paths import check_clip, check_out
from mien.config import Config, load_config
from mien.errors import InputError

if TYPE_CHECKING:
    from mien.engine import Engine


class Quality(StrEnum):
    """How much work a frame is worth."""

    LIVE = "live"
    HIGH = "high"


def track(
    clip: Annotated[Path, typer.Argument(metavar="CLIP", help="A clip that shows a face.")],
    out: Annotated[Path, typer.Option("--out", metavar="NAME.performance", help="The performance to write.")],
    quality: Annotated[
        Quality,
        typer.Option(
            "--quality",
            help="live: as a camera is tracked. high: also by the pixels, with light and albedo; slow, can be resumed.",
        ),
    ] = Quality.LIVE,
    overlay: Annotated[
        Path | None,
        typer.Option("--overlay", metavar="OUT.mp4", help="The clip with the mesh over it (quality high)."),
    ] = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
) -> None:
    """Write down the motion of the face in a clip. `run` and `render` replay that performance."""
    from mien.cli.offline import run_offline
    from mien.performance.records import SUFFIX
    from mien.plugins import Registry

    settings = load_config(config, assignments or ())
    Registry.discover().check_settings(settings)
    check_clip(clip)
    if clip.suffix == SUFFIX:
        raise InputError(f"{clip} is a performance already: it says what a face does. Give a clip.")
    if out.suffix != SUFFIX and not out.is_dir():
        # By its name `run` and `render` know what a file is.
        raise InputError(f"{out} would not be known as a performance. Name it {out.stem}{SUFFIX}.")
    check_out(out, clip)
    if overlay is not None:
        if quality is not Quality.HIGH:
            raise InputError("--overlay shows what offline tracking found. Add --quality high.")
        if overlay.suffix.lower() != ".mp4":
            raise InputError(f"{overlay} would not be an MP4 file. Name it {overlay.stem}.mp4.")
        check_out(overlay, clip)
    if quality is Quality.HIGH:
        _track_closely(settings, clip, out, overlay)
    else:
        run_offline(_track(settings, clip, out))


async def _track(config: Config, clip: Path, out: Path) -> None:
    from mien.cli.offline import frames_of, offline_session, print_notices, run_through
    from mien.drive.recorder import Recorder

    async with offline_session(config, None) as (engine, session):
        flush = print_notices(session)
        source = engine.file_source(clip)()
        recorder = Recorder(out, source)
        session.on_tracked = recorder.tracked
        await run_through(session, source, f"Tracking {clip.name}", ((recorder, ""),))
        await session.remove_output(recorder)
        flush()
    typer.echo(f"Wrote {out}: {frames_of(recorder.frames, recorder.without_face)}.")


def _track_closely(config: Config, clip: Path, out: Path, overlay: Path | None) -> None:
    from mien.cli.signals import run_until_signal
    from mien.face.offline.checkpoint import SUFFIX

    number = run_until_signal(_solve(config, clip, out, overlay))
    if number is not None:
        kept = out.with_name(out.name + SUFFIX)
        what = f"the same command goes on from {kept.name}" if kept.exists() else "nothing was written"
        typer.echo(f"Interrupted; {what}.", err=True)
        raise typer.Exit(128 + number)


async def _solve(config: Config, clip: Path, out: Path, overlay: Path | None) -> None:
    from mien.cli.offline import frames_of
    from mien.cliptracking import ClipTracking
    from mien.clock import OfflineClock
    from mien.engine import Engine
    from mien.face.offline.checkpoint import Checkpoint, fingerprint

    engine = Engine(config, clock=OfflineClock(), live=False)
    try:
        checkpoint = Checkpoint.beside(out, fingerprint(clip, **_makers(engine)))
        with _progress() as tell:
            tracking = ClipTracking(engine, clip, checkpoint, tell, _once(), overlay)
            try:
                resumed = await tracking.run()
                recorder = await tracking.write(out)
            finally:
                tracking.close()
        checkpoint.remove()
    finally:
        await engine.close()
    again = " (went on from an earlier run)" if resumed else ""
    typer.echo(f"Wrote {out}: {frames_of(recorder.frames, recorder.without_face)}{again}.")
    if overlay is not None:
        typer.echo(f"Wrote {overlay}: the mesh over the clip.")


def _makers(engine: Engine) -> dict[str, str]:
    """What besides the clip a checkpoint depends on. Raises `ConfigError`, `PackageError`, `PluginError`."""
    from mien.avatar.fitted import fingerprint
    from mien.stage import Kind

    use = engine.config.use
    landmarker = engine.registry.find(Kind.LANDMARKER, use.landmarker or None)
    return {
        "model": use.face_model,
        "model_fingerprint": fingerprint(use.face_model),
        "landmarker": landmarker.provides.name,
    }


def _once() -> Callable[[str], None]:
    """Prints notices, each of them once: the clip is read several times."""
    told: set[str] = set()

    def tell(text: str) -> None:
        if text not in told:
            told.add(text)
            typer.echo(text, err=True)

    return tell


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar for each step of the work; nothing where nobody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:26}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        numbers: dict[str, TaskID] = {}

        def tell(step: str, done: int, total: int | None) -> None:
            if step not in numbers:
                numbers[step] = bars.add_task(step, total=total)
            bars.update(numbers[step], completed=done, total=total)

        yield tell
