"""`mien render`: the same pipeline offline, every frame."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

import mien
from mien.cli.options import Amounts, Aspect, Assignments, Backdrop, ConfigFile, Size, amounts
from mien.cli.paths import check_clip, check_out, write_whole
from mien.config import Config, load_config
from mien.errors import InputError, MediaError, NoFaceError

DEMO = "demo"
"""Instead of a file: one round of the built-in demo performance."""


def render(
    drive: Annotated[
        str,
        typer.Option(
            "--drive",
            metavar="CLIP|PERFORMANCE|demo",
            help="What drives: a clip, a performance, or the built-in demo.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="OUT.mp4|.webm|.mov", help="The video to write.")],
    avatar: Annotated[
        str, typer.Option("--avatar", metavar="PACKAGE|builtin", help="Who is shown.")
    ] = "builtin",
    report: Annotated[
        Path | None, typer.Option("--report", metavar="OUT.json", help="Per-stage times, frames, faces lost.")
    ] = None,
    size: Size = None,
    aspect: Aspect = None,
    background: Backdrop = None,
    alpha: Annotated[
        str | None,
        typer.Option(
            "--alpha",
            metavar="side-by-side",
            help="Write a transparent background beside the colours, as grey.",
        ),
    ] = None,
    mirror: Annotated[bool, typer.Option("--mirror", help="Move like a mirror image.")] = False,
    light: Annotated[
        str | None,
        typer.Option(
            "--light",
            metavar="portrait|driver",
            help="Whether the face is lit as its portrait or as the driver (default: portrait).",
        ),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            "--mode",
            metavar="full|face|dubbing",
            help="What the driver moves: everything, all but the head, or the mouth alone (default: full).",
        ),
    ] = None,
    emotion: Annotated[
        Amounts,
        typer.Option(
            "--emotion", metavar="NAME=AMOUNT", help="Mix in an emotion, 0 to 1, for example happy=0.8."
        ),
    ] = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
) -> None:
    """Make a video of an avatar driven by a clip or a performance. It has the clip's sound, and every frame."""
    settings = load_config(
        config,
        assignments or (),
        {
            "video.size": size,
            "video.aspect": aspect,
            "run.mirror": mirror or None,
            "run.light": light,
            "run.background": background,
            "plugin.av.alpha": alpha,
        },
    )
    from mien.cli.offline import run_offline
    from mien.controls import Controls
    from mien.plugins import Registry

    Registry.discover().check_settings(settings)
    controls: dict[str, Any] = {"emotion": amounts(emotion, "happy=0.8")}
    if mode is not None:
        controls["mode"] = mode
    Controls.parse(controls)
    if drive != DEMO:
        check_clip(Path(drive))
    check_out(out, Path(drive), Path(avatar))
    if report is not None:
        check_out(report, Path(drive), Path(avatar))
        if report.absolute() == out.absolute():
            raise InputError(f"--report {report} is the video itself; name another file.")
    run_offline(_render(settings, avatar, drive, out, report, controls))


async def _render(
    config: Config, avatar: str, drive: str, out: Path, report: Path | None, controls: Mapping[str, Any]
) -> None:
    from mien.cli.offline import frames_of, offline_session, print_notices, run_through
    from mien.stage import Kind

    async with offline_session(config, avatar) as (engine, session):
        session.update_controls(controls)
        flush = print_notices(session)
        registry = engine.registry
        source = registry.create(Kind.SOURCE, DEMO) if drive == DEMO else engine.file_source(Path(drive))()
        output, plugin = engine.output(str(out))
        await session.add_output(output, plugin)
        if session.controls.background.mode == "transparent" and not output.takes_alpha:
            raise InputError(
                f"{out.name} keeps no alpha. Name it {out.stem}.webm (VP9) or {out.stem}.mov (ProRes 4444), or add "
                "--alpha side-by-side."
            )
        pictures = await run_through(session, source, f"Rendering {out.name}")
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
