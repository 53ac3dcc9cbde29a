"""`mien warm`: compile what is compiled just in time, so that the first start is as fast as the tenth."""

from __future__ import annotations

import asyncio
import hashlib
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

import mien
from mien.config import Config, cache_dir
from mien.errors import MienError
from mien.plugins import Registry, missing_imports, resolve

KERNELS, AVATAR = "kernels", "avatar"

_CHILD = (sys.executable, "-c", "from mien.cli.main import run_app; run_app()", "warm")


def warm(
    parts: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
) -> None:
    """Fill the JIT caches of all usable plugins and make the built-in avatar. Run once at install.

    parts: which of `KERNELS` and `AVATAR`; then the configuration is read from standard input, as JSON.
    """
    from mien.avatar.making import builtin_avatar
    from mien.config import load_config
    from mien.stage import Kind

    registry = Registry.discover()
    if not parts or KERNELS in parts:
        for plugin in registry.plugins:
            if plugin.warm and not missing_imports(plugin):
                resolve(plugin.warm)()
                typer.echo(f"warm: {plugin.name}")
        marker = _marker()
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    if not parts or AVATAR in parts:
        config = Config.model_validate_json(sys.stdin.read()) if parts else load_config()
        if any(not offer.missing for offer in registry.offers(Kind.MAKER)):
            builtin_avatar(registry, config, typer.echo)
            typer.echo("warm: the built-in avatar")


async def warm_for(registry: Registry, config: Config) -> None:
    """Do what of `mien warm` this start of `run` still wants: all of it after a plain `pip install`, the built-in
    avatar after an update.

    In a process of its own: compiling would hold the interpreter for seconds at a time, and a process can be
    given up at once, as a thread cannot. That it fails is no reason not to start; what is cold is then done on
    the way.
    """
    cold = not _marker().exists()
    parts = [KERNELS] if cold else []
    # To look for the avatar in the cache loads its maker, which compiles for long where all is cold.
    if config.run.avatar == "builtin" and (cold or await asyncio.to_thread(_lacks_builtin, registry, config)):
        parts.append(AVATAR)
    if not parts:
        return
    what = {KERNELS: "compiling", AVATAR: "making the built-in avatar"}
    doing = " and ".join(what[part] for part in parts)
    typer.echo(f"{doing.capitalize()}; up to half a minute, only this once ...")
    with (
        tempfile.TemporaryFile() as settings
    ):  # not a pipe, which a process that is given up would leave open
        settings.write(config.model_dump_json().encode())
        settings.seek(0)
        process = await asyncio.create_subprocess_exec(
            *_CHILD,
            *parts,
            stdin=settings,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # the terminal's Ctrl-C is ours to handle
        )
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
            for part in cache_dir().glob(f".*.{process.pid}.part"):
                part.unlink(missing_ok=True)


def _lacks_builtin(registry: Registry, config: Config) -> bool:
    from mien.avatar.making import builtin_is_made

    try:
        return not builtin_is_made(registry, config)
    except MienError:
        return False  # opening the session says what is wrong


def _marker() -> Path:
    """Says that this installation, under this Python, has been warmed."""
    installation = f"{mien.__version__} {Path(mien.__file__).parent} {sys.version}"
    return cache_dir() / f"warm-{hashlib.sha256(installation.encode()).hexdigest()[:16]}"
