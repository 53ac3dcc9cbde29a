"""`python -m mien_train voice`: make the network that listens."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.config import cache_dir
from mien.errors import MienError

SHIPPED = Path(__file__).with_name("voice.pt")
"""The weights behind the network that comes with mien."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback()
def options() -> None:
    """Train the networks that mien ships."""


@app.command()
def voice(
    out: Annotated[Path, typer.Option("--out", metavar="NAME.onnx", help="The network to write.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder with talk/, grid/ and audio2blendshape/; without it: synthetic speech only."
        ),
    ] = None,
    adapt: Annotated[
        Path | None,
        typer.Option(
            metavar="CLIP", help="Fit --base to the person in this clip (a minute of speech) instead."
        ),
    ] = None,
    base: Annotated[Path, typer.Option(metavar="NAME.pt", help="What to adapt.")] = SHIPPED,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Batches to learn from (3500; 300 to adapt).")
    ] = None,
    sentences: Annotated[int, typer.Option(min=8, help="Synthetic sentences.")] = 700,
    seed: Annotated[int, typer.Option(help="The same seed makes the same network.")] = 11,
    mandarin: Annotated[bool, typer.Option(help="Learn from audio2blendshape/, too.")] = True,
    cache: Annotated[Path | None, typer.Option(help="Where tracked clips are kept.")] = None,
) -> None:
    """Make a network that reads the motion of lips off a voice, and export it."""
    from mien_train.voice import adapt_to, train

    kept = cache or cache_dir() / "tracked"
    if adapt is not None:
        adapt_to(adapt, out, base, kept, steps=steps or 300, seed=seed, tell=typer.echo)
    else:
        train(
            out,
            data,
            kept,
            steps=steps or 3500,
            sentences=sentences,
            seed=seed,
            mandarin=mandarin,
            tell=typer.echo,
        )


if __name__ == "__main__":
    try:
        app()
    except MienError as error:
        sys.stderr.write(f"mien_train: {error}\n")
        sys.exit(error.exit_code)
