"""The command line: one module per command, no logic of their own."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated

import typer

import mien
from mien.cli import avatar, doctor, plugins, render, run, track, warm
from mien.errors import MienError

app = typer.Typer(
    name="mien",
    help="A photo comes alive: drive a portrait with a camera, a clip or a performance, in real time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run")(run.run)
app.command("render")(render.render)
app.command("track")(track.track)
app.add_typer(avatar.app, name="avatar")
app.command("doctor")(doctor.doctor)
app.command("plugins")(plugins.plugins)
app.command("warm", hidden=True)(warm.warm)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mien {mien.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def run_app() -> None:
    """The entry point: errors that a user can mend are one line on stderr, never a traceback."""
    try:
        app()
    except MienError as error:
        typer.echo(f"mien: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has left; nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
