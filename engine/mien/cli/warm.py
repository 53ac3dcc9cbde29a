"""`mien warm`: compile what is compiled just in time, so that the first start is as fast as the tenth."""

from __future__ import annotations

import typer

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
