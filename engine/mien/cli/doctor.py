"""`mien doctor`: what this machine has, what is missing, and the command that mends it."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer
from rich.console import Console

from mien.installation import EVERYTHING, command_here
from mien.plugins import Registry, missing_imports


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what this machine has and lacks, and how to mend that. Devices, plugins and their libraries."""
    from mien.cli.machine import gpu, machine, with_microphone

    registry = Registry.discover()
    checks = [machine(), gpu(), *with_microphone(registry.checks())]
    if as_json:
        typer.echo(json.dumps({"checks": [dataclasses.asdict(check) for check in checks]}, indent=2))
        return
    console = Console(highlight=False, soft_wrap=True, markup=False)
    width = max(len(check.name) for check in checks)
    for check in checks:
        console.print("ok     " if check.ok else "missing", style="green" if check.ok else "yellow", end=" ")
        console.print(f"{check.name:{width}}", style="bold", end="")
        console.print(f"  {check.detail}")
        if check.mend:
            console.print(f"        {'':{width}}  → {check.mend}")
    if not all(check.ok for check in checks):
        console.print(
            "\nWhat is missing is needed only where it is used; the page needs no device of this machine."
        )
    if sum(bool(missing_imports(plugin)) for plugin in registry.plugins) > 1:
        console.print(f"\nAll that a desktop uses, at once: {command_here(EVERYTHING)}")
