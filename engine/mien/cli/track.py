"""`mien track`: the coefficients of every frame of a clip, for replay."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import Assignments, ConfigFile
from mien.cli.paths import check_clip, check_out
from mien.config import Config, load_config
from mien.errors import InputError


def track(
    clip: Annotated[Path, typer.Argument(metavar="CLIP")],
    out: Annotated[Path, typer.Option("--out", metavar="NAME.performance", help="The performance to write.")],
    config: ConfigFile = None,
    assignments: Assignments = None,
) -> None:
    """Track the face in a clip and write a performance that `run` and `render` can replay."""
    from mien.cli.offline import run_offline
    from mien.face.performance import SUFFIX

    settings = load_config(config, assignments or ())
    check_clip(clip)
    if clip.suffix == SUFFIX:
        raise InputError(f"{clip} is a performance already: it says what a face does. Give a clip.")
    if out.suffix != SUFFIX and not out.is_dir():
        # By its name `run` and `render` know what a file is.
        raise InputError(f"{out} would not be known as a performance. Name it {out.stem}{SUFFIX}.")
    check_out(out, clip)
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
