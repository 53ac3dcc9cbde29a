"""`mien run`: the main job, live."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import Assignments, ConfigFile, Fps, Size
from mien.cli.signals import run_until_signal
from mien.config import Config, load_config
from mien.errors import MienError


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
    out: Annotated[
        list[str] | None,
        typer.Option(
            "--out", metavar="web|virtualcam|PATH", help="Where it goes; may be repeated (default: web)."
        ),
    ] = None,
    size: Size = None,
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
            "run.out": tuple(out) if out else None,
            "video.size": size,
            "video.fps": fps,
            "video.budget_ms": budget_ms,
            "server.host": host,
            "server.port": port,
            "server.token": token,
            "server.tls_cert": tls_cert,
            "server.tls_key": tls_key,
        },
    )
    run_until_signal(_run(settings))


async def _run(config: Config) -> None:
    from mien.cli.warm import warm_on_first_start
    from mien.engine import MAIN, Engine
    from mien.stage import Gateway, Kind

    engine = Engine(config)
    gateway: Gateway | None = None
    tasks: list[asyncio.Task[None]] = []
    written: list[str] = []
    try:
        await warm_on_first_start()
        if "web" in config.run.out:
            # Bind before anything slow: a port in use is told at once.
            gateway = engine.registry.create(Kind.GATEWAY, config.use.gateway or None)
            address = await gateway.start(engine)
        make_source = engine.source_factory(config.run.source)
        session = await engine.open_session(MAIN)
        tasks.append(asyncio.create_task(_print_notices(session.notices()), name="notices"))
        for spec in config.run.out:
            if spec != "web":
                output, plugin = engine.output(spec)
                await session.add_output(output, plugin)
                typer.echo(f"Writing to {spec}.")
                written.append(spec)
        if config.run.source == "auto" and not engine.has_camera():
            typer.echo(
                "No camera found: the built-in demo performance drives. `mien doctor` says what is missing."
            )
        # What was asked for by name is there from the start, or nothing is; later the session goes on without.
        await session.drive(make_source, must_open=config.run.source != "auto")
        if gateway is not None:
            typer.echo(f"Watch at {address}")
        typer.echo("Ctrl-C ends it.")
        if any(not offer.missing for offer in engine.registry.offers(Kind.LANDMARKER)):
            tasks.append(asyncio.create_task(session.warm(), name="warm-up"))
        await asyncio.Event().wait()  # until a signal cancels it
    except MienError:
        written.clear()
        await engine.close_session(MAIN, abandon=True)
        raise
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if gateway is not None:
            await gateway.stop()
        try:
            await engine.close_session(MAIN)  # raises what hinders the outputs from being finished
        finally:
            await engine.close()
        for spec in written:
            if Path(spec).is_file():
                typer.echo(f"Wrote {spec}.")


async def _print_notices(notices: AsyncIterator[dict[str, str]]) -> None:
    async for notice in notices:
        typer.echo(notice["text"], err=notice["level"] != "info")
