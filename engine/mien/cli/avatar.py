"""`mien avatar create` and `mien avatar show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import Assignments, ConfigFile
from mien.cli.paths import check_out
from mien.errors import InputError

app = typer.Typer(help="Make avatar packages and look inside.", no_args_is_help=True, rich_markup_mode=None)


@app.command("create")
def create(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="A picture of a face.")],
    out: Annotated[Path, typer.Option("--out", metavar="NAME.avatar", help="The package to write.")],
    consent: Annotated[
        str,
        typer.Option(
            "--consent",
            metavar="self|FILE",
            help="'self' if the picture shows you, or a text file with the person's written consent.",
        ),
    ],
    title: Annotated[str, typer.Option("--title", help="Shown on the page (default: the file's name).")] = "",
    config: ConfigFile = None,
    assignments: Assignments = None,
) -> None:
    """Turn a photo into an avatar package."""
    from mien.avatar.consent import read_consent
    from mien.avatar.making import make_avatar
    from mien.avatar.manifest import MAX_SHORT
    from mien.avatar.package import SUFFIX, save_avatar
    from mien.config import load_config
    from mien.plugins import Registry

    settings = load_config(config, assignments or ())
    if out.suffix != SUFFIX and not out.is_dir():
        raise InputError(f"{out} would not be known as an avatar. Name it {out.stem}{SUFFIX}.")
    check_out(out, photo)
    record = read_consent(consent)
    registry = Registry.discover()
    registry.check_settings(settings)
    avatar = make_avatar(registry, settings, photo, record, title or photo.stem[:MAX_SHORT], _tell)
    save_avatar(avatar, out)
    typer.echo(f"Wrote {out}. Try it: mien run --avatar {out}")


@app.command("show")
def show(package: Annotated[Path, typer.Argument(metavar="NAME.avatar", help="The package.")]) -> None:
    """Print what is inside a package."""
    from mien.avatar.describe import describe
    from mien.avatar.package import load_avatar

    typer.echo(describe(load_avatar(package)))


def _tell(text: str) -> None:
    typer.echo(text, err=True)
