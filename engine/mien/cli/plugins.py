"""`mien plugins`: what is installed, by kind."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mien.installation import command_here
from mien.plugins import Registry
from mien.stage import Kind


def plugins(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what is installed, by kind, the preferred one first. Stages and services are kinds."""
    registry = Registry.discover()
    rows = [
        {
            "kind": kind.value,
            "name": offer.provides.name,
            "plugin": offer.plugin.name,
            "summary": offer.provides.summary,
            "usable": not offer.missing,
            "install": command_here(offer.plugin.install) if offer.missing else "",
        }
        for kind in Kind
        for offer in registry.offers(kind)
    ]
    broken = [{"plugin": b.name, "reason": b.reason} for b in registry.broken]
    if as_json:
        typer.echo(json.dumps({"offers": rows, "broken": broken}, indent=2))
        return
    table = Table("kind", "name", "plugin", "what it is", box=None, header_style="bold", pad_edge=False)
    for row in rows:
        what = str(row["summary"]) if row["usable"] else f"not usable; {row['install']}"
        # As Text, because the brackets of `mien[av]` would be taken for markup.
        table.add_row(str(row["kind"]), str(row["name"]), str(row["plugin"]), Text(what))
    console = Console()
    console.print(table)
    for sick in broken:
        console.print(f"plugin {sick['plugin']} cannot be loaded: {sick['reason']}", markup=False)
