"""Options that several commands share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from mien.config import Config
from mien.errors import InputError

DEFAULT = Config()
"""What holds where neither a file nor an option says otherwise."""

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings file (default: ./mien.toml if there)."),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="SECTION.KEY=VALUE", help="Override any setting, for example video.fps=30."
    ),
]
Size = Annotated[
    int | None,
    typer.Option("--size", metavar="PX", help=f"Height of the picture (default: {DEFAULT.video.size})."),
]
Aspect = Annotated[
    str | None,
    typer.Option("--aspect", metavar="square|16:9", help="Shape of the picture (default: square)."),
]
Backdrop = Annotated[
    str | None,
    typer.Option(
        "--background",
        metavar="keep|blur|transparent|#RRGGBB|PICTURE",
        help="What stands behind the person (default: keep).",
    ),
]
Fps = Annotated[
    float | None,
    typer.Option("--fps", metavar="N", help=f"Pictures per second (default: {DEFAULT.video.fps:g})."),
]
Amounts = list[str] | None
"""Each NAME=NUMBER, see `amounts`."""


def amounts(values: Amounts, example: str) -> dict[str, float]:
    """Name -> number of options that were given as NAME=NUMBER. Raises `InputError` that shows `example`."""
    result = {}
    for text in values or ():
        name, equals, amount = text.partition("=")
        try:
            value = float(amount)
        except ValueError:
            value = math.nan
        if not equals or not math.isfinite(value):
            raise InputError(f"'{text}' is not NAME=NUMBER, for example {example}.")
        result[name.strip()] = value
    return result
