"""The commands, one module each, with no logic of their own."""

from __future__ import annotations

from typing import Annotated

import typer

import mien
from mien.cli import assets, avatar, doctor, performance, plugins, render, run, speak, track, warm

app = typer.Typer(
    name="mien",
    help="A photo comes alive: drive a portrait with a camera, a clip or a performance, in real time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run")(run.run)
app.command("speak", short_help="Speak a sound file or standard input through a running session.")(
    speak.speak
)
app.command("render")(render.render)
app.command("track")(track.track)
app.add_typer(assets.app, name="assets")
app.add_typer(avatar.app, name="avatar")
app.add_typer(performance.app, name="performance")
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
