"""`mien assets`: face models by others, listed, downloaded, imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Face models by others: list, download, import.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the face models that mien knows or that are installed."""
    from rich.console import Console
    from rich.table import Table

    from mien.face.importers.store import listed

    rows = listed()
    if as_json:
        typer.echo(json.dumps({"assets": rows}, indent=2))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("name", "installed", "licence, checksum", "where"):
        table.add_column(heading, overflow="fold")  # an address or a checksum that is cut is of no use
    for row in rows:
        size = f"{int(row['bytes']) / 2**20:.1f} MB" if row["installed"] else "no"
        licence = "\n".join(str(row[key]) for key in ("licence", "checksum") if row[key])
        table.add_row(str(row["name"]), size, licence, str(row["where"]))
    Console(highlight=False).print(table)


@app.command("get")
def get(name: Annotated[str, typer.Argument(metavar="NAME", help="As `mien assets list` names it.")]) -> None:
    """Download an open model, or say where to register for it."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from mien.face.importers.store import download

    with Progress(TextColumn("Downloading"), BarColumn(), DownloadColumn(), transient=True) as bar:
        task = bar.add_task("", total=None)
        path, report = download(
            name,
            tell=bar.console.print,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    _tell(report.lines(), path, report.name)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file (or folder) of its publishers.")],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What to call it (default: what it is).")
    ] = None,
    modes: Annotated[
        int, typer.Option("--modes", min=1, metavar="N", help="Identity modes to keep, at most.")
    ] = 100,
) -> None:
    """Make a face model of a file that you have. It may be of ICT-FaceKit, FLAME or Basel."""
    from mien.face.importers.store import add

    path, report = add(file, name, modes)
    _tell(report.lines(), path, report.name)


def _tell(lines: list[str], path: Path, name: str) -> None:
    for line in lines:
        typer.echo(line)
    typer.echo(f"Wrote {path}. Use it: mien run --set use.face_model={name}")
