"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
Size = Annotated[int | None, typer.Option("--size", metavar="PX", help="Side of the square picture.")]
Fps = Annotated[float | None, typer.Option("--fps", metavar="N", help="Pictures per second.")]
