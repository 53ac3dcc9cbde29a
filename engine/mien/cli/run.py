"""`mien run`: the main job, live."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import DEFAULT, Aspect, Assignments, Backdrop, ConfigFile, Fps, Size
from mien.cli.signals import run_until_signal
from mien.config import load_config


def run(
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="camera|PATH|browser|demo",
            help="What drives: camera or camera:DEVICE, a clip or performance, browser (the page's camera), or the "
            "built-in demo (default: a camera if there is one, else the demo).",
        ),
    ] = None,
    avatar: Annotated[
        str | None,
        typer.Option(
            "--avatar",
            metavar="PACKAGE",
            help="Who is shown, as `mien avatar create` makes it (default: the built-in one).",
        ),
    ] = None,
    drive: Annotated[
        str | None,
        typer.Option(
            "--drive",
            metavar="auto|camera|voice|both",
            help="What moves the face: what is seen, what is heard, or both (default: auto, whatever there is).",
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
            help="Where it goes: the page, devices for call programs, a VTuber program, a video file; may be "
            "repeated (default: web).",
        ),
    ] = None,
    size: Size = None,
    aspect: Aspect = None,
    background: Backdrop = None,
    fps: Fps = None,
    budget_ms: Annotated[
        float | None,
        typer.Option(
            "--budget-ms",
            metavar="MS",
            help=f"Latency a frame may use (default: {DEFAULT.video.budget_ms:g}).",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            metavar="ADDRESS",
            help=f"Address to serve on (default: {DEFAULT.server.host}, this machine alone).",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="N",
            help=f"Port to serve on; 0 takes a free one (default: {DEFAULT.server.port}).",
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="TOKEN",
            help="What clients must know (default: nothing on this machine alone, else one is made up).",
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            "--tls-cert",
            metavar="FILE",
            help="Certificate for https, without which browsers elsewhere give no camera.",
        ),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", metavar="FILE", help="The certificate's private key.")
    ] = None,
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
