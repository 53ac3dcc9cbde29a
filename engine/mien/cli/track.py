"""`mien track`: the coefficients of every frame of a clip, for replay."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import Assignments, ConfigFile
from mien.config import Config, load_config


def track(
    clip: Annotated[Path, typer.Argument(metavar="CLIP")],
    out: Annotated[Path, typer.Option("--out", metavar="NAME.performance", help="The performance to write.")],
    config: ConfigFile = None,
    assignments: Assignments = None,
) -> None:
    """Track the face in a clip and write a performance that `run` and `render` can replay."""
    asyncio.run(_track(load_config(config, assignments or ()), clip, out))


async def _track(config: Config, clip: Path, out: Path) -> None:
    from mien.cli.offline import check_paths, offline_session, print_notices, run_through
    from mien.drive.recorder import Recorder

    check_paths(out, clip)
    async with offline_session(config, None) as (engine, session):
        flush = print_notices(session)
        source = engine.file_source(clip)()
        recorder = Recorder(out, source)
        session.on_tracked = recorder.tracked
        await run_through(session, source, f"Tracking {clip.name}", ((recorder, ""),))
        await session.remove_output(recorder)
        flush()
    lost = f", {recorder.without_face} without a face" if recorder.without_face else ""
    typer.echo(f"Wrote {out}: {recorder.frames} frames{lost}.")
