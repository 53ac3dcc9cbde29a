"""`mien warm`: compile what is compiled just in time, so that the first start is as fast as the tenth."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from pathlib import Path

import typer

import mien
from mien.config import cache_dir
from mien.plugins import Registry, missing_imports, resolve


def warm() -> None:
    """Fill the JIT caches of all usable plugins and make the built-in avatar. Run once at install."""
    from mien.avatar.making import builtin_avatar
    from mien.config import load_config
    from mien.stage import Kind

    registry = Registry.discover()
    for plugin in registry.plugins:
        if plugin.warm and not missing_imports(plugin):
            resolve(plugin.warm)()
            typer.echo(f"warm: {plugin.name}")
    if any(not offer.missing for offer in registry.offers(Kind.MAKER)):
        builtin_avatar(registry, load_config(), typer.echo)
        typer.echo("warm: the built-in avatar")
    marker = _marker()
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()


async def warm_on_first_start() -> None:
    """Run `mien warm` if this installation never was warmed, as after a plain `pip install`.

    In a process of its own: compiling would hold the interpreter for seconds at a time. That it fails is no
    reason not to start; what is cold is then compiled on the way.
    """
    if _marker().exists():
        return
    typer.echo("First start: compiling and making the built-in avatar; half a minute, only this once ...")
    code = "from mien.cli.warm import warm; warm()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _marker() -> Path:
    """Says that this installation, under this Python, has been warmed."""
    installation = f"{mien.__version__} {Path(mien.__file__).parent} {sys.version}"
    return cache_dir() / f"warm-{hashlib.sha256(installation.encode()).hexdigest()[:16]}"
