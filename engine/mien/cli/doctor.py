"""`mien doctor`: what this machine has, what is missing, and the command that mends it."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import sys
from typing import Annotated

import typer
from rich.console import Console

import mien
from mien.plugins import Registry
from mien.stage import Check


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List devices, plugins and missing extras, with the exact command that mends each."""
    checks = [_machine(), *Registry.discover().checks()]
    if as_json:
        typer.echo(json.dumps({"checks": [dataclasses.asdict(check) for check in checks]}, indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    width = max(len(check.name) for check in checks)
    for check in checks:
        mark = "[green]ok[/]     " if check.ok else "[yellow]missing[/]"
        console.print(f"{mark} [bold]{check.name:{width}}[/]  {check.detail}")
        if check.mend:
            console.print(f"        {'':{width}}  → {check.mend}", markup=False)


def _machine() -> Check:
    detail = (
        f"mien {mien.__version__}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    )
    return Check("machine", sys.version_info >= (3, 11), detail)
