"""`mien run`: the main job, live."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import Aspect, Assignments, Backdrop, ConfigFile, Fps, Size
from mien.cli.signals import run_until_signal
from mien.config import load_config


def run(
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="camera|PATH|browser|demo",
            help="What drives (default: a camera, or the demo).",
        ),
    ] = None,
    avatar: Annotated[
        str | None,
        typer.Option("--avatar", metavar="PACKAGE", help="Who is shown (default: the built-in one)."),
    ] = None,
    drive: Annotated[
        str | None,
        typer.Option(
            "--drive",
            metavar="auto|camera|voice|both",
            help="What moves the face (default: auto, whatever there is).",
        ),
    ] = None,
    microphone: Annotated[
        str | None,
        typer.Option(
            "--microphone",
            metavar="DEVICE",
            help="The voice: a microphone's number, name or part of it, or default.",
        ),
    ] = None,
    out: Annotated[
        list[str] | None,
        typer.Option(
            "--out",
            metavar="web|virtualcam|virtualmic|vmc://HOST:PORT|PATH",
            help="Where it goes; may be repeated (default: web).",
        ),
    ] = None,
    size: Size = None,
    aspect: Aspect = None,
    background: Backdrop = None,
    fps: Fps = None,
    budget_ms: Annotated[
        float | None, typer.Option("--budget-ms", metavar="MS", help="Latency a frame may use.")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to serve on.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to serve on; 0 takes a free one.")] = None,
    token: Annotated[str | None, typer.Option("--token", help="Bearer token that clients must send.")] = None,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", metavar="FILE")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE")] = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log to stderr.")] = False,
) -> None:
    """Animate an avatar live and stream it; Ctrl-C ends it."""
    logging.basicConfig(level=logging.INFO if verbose else logging.CRITICAL)
    settings = load_config(
        config,
        assignments or (),
        {
            "run.source": source,
            "run.avatar": avatar,
            "run.drive": drive,
            "run.microphone": _as_source(microphone),
            "run.out": tuple(out) if out else None,
            "video.size": size,
            "video.aspect": aspect,
            "run.background": background,
            "video.fps": fps,
            "video.budget_ms": budget_ms,
            "server.host": host,
            "server.port": port,
            "server.token": token,
            "server.tls_cert": tls_cert,
            "server.tls_key": tls_key,
        },
    )
    from mien.cli.live import Live

    live = Live(settings)
    run_until_signal(live.run(), live.saved)


def _as_source(device: str | None) -> str | None:
    """What `--microphone DEVICE` means as a source: `default` is the system's choice."""
    if not device or device.partition(":")[0] == "microphone":
        return device
    return "microphone" if device == "default" else f"microphone:{device}"
