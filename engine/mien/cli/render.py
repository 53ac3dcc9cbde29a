"""`mien render`: the same pipeline offline, every frame."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Annotated, Any

import typer

import mien
from mien.cli.options import Assignments, ConfigFile, Size
from mien.cli.paths import check_clip, check_out, write_whole
from mien.config import Config, load_config
from mien.errors import InputError, MediaError, NoFaceError

DEMO = "demo"
"""Instead of a file: one round of the built-in demo performance."""


def render(
    drive: Annotated[
        str, typer.Option("--drive", metavar="CLIP|PERFORMANCE|demo", help="What drives the avatar.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="OUT.mp4", help="The video to write.")],
    avatar: Annotated[str, typer.Option("--avatar", metavar="PACKAGE", help="Who is shown.")] = "builtin",
    report: Annotated[
        Path | None, typer.Option("--report", metavar="OUT.json", help="Per-stage times, frames, faces lost.")
    ] = None,
    size: Size = None,
    mirror: Annotated[bool, typer.Option("--mirror", help="Move like a mirror image.")] = False,
    config: ConfigFile = None,
    assignments: Assignments = None,
) -> None:
    """Render an avatar driven by a clip or a performance into a video, with the clip's sound."""
    settings = load_config(config, assignments or (), {"video.size": size, "run.mirror": mirror or None})
    from mien.cli.offline import run_offline
    from mien.plugins import Registry

    Registry.discover().check_settings(settings)
    if drive != DEMO:
        check_clip(Path(drive))
    check_out(out, Path(drive), Path(avatar))
    if report is not None:
        check_out(report, Path(drive), Path(avatar))
        if report.absolute() == out.absolute():
            raise InputError(f"--report {report} is the video itself; name another file.")
    run_offline(_render(settings, avatar, drive, out, report))


async def _render(config: Config, avatar: str, drive: str, out: Path, report: Path | None) -> None:
    from mien.cli.offline import frames_of, offline_session, print_notices, run_through
    from mien.stage import Kind

    async with offline_session(config, avatar) as (engine, session):
        flush = print_notices(session)
        registry = engine.registry
        source = registry.create(Kind.SOURCE, DEMO) if drive == DEMO else engine.file_source(Path(drive))()
        pictures = await run_through(session, source, f"Rendering {out.name}", (engine.output(str(out)),))
        flush()
        if not pictures:
            raise MediaError(f"{drive} holds no pictures. Give a clip with pictures or a performance.")
        if session.frames_without_face == pictures:
            raise NoFaceError(
                f"{drive}: no face was found in any of its {pictures} frames, so nothing drives the avatar. "
                "Use a clip that shows a face."
            )
        summary = _summary(config, session.snapshot(), pictures, session.frames_without_face)
    if report is not None:
        write_whole(report, json.dumps(summary, indent=2) + "\n")
    typer.echo(f"Wrote {out}: {frames_of(pictures, session.frames_without_face)}.")


def _summary(config: Config, snapshot: dict[str, Any], pictures: int, lost: int) -> dict[str, Any]:
    return {
        "mien": mien.__version__,
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "size": config.video.size,
        "frames": pictures,
        "faces_lost": lost,
        "stages_ms": {
            name: figures
            for name, figures in snapshot["latency_ms"].items()
            if name in {"track", "drive", "render"}
        },
    }
