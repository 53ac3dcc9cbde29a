"""Plugin discovery by entry points in the group `mien.plugins`; the engine's own come through it too."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from typing import Any

from mien.config import Config, read_table
from mien.errors import ConfigError, MissingExtraError, PluginError
from mien.installation import EVERYTHING, command_here
from mien.libraries import install_line, library_in, missing_library
from mien.stage import Check, Kind, Plugin, Provides

GROUP = "mien.plugins"


@dataclass(frozen=True, slots=True)
class Broken:
    """An entry point whose descriptor could not be loaded."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Offer:
    """One stage or service and the plugin that it comes from."""

    plugin: Plugin
    provides: Provides

    @property
    def missing(self) -> tuple[str, ...]:
        """The import names that the plugin needs and this machine lacks."""
        return missing_imports(self.plugin)


def missing_imports(plugin: Plugin) -> tuple[str, ...]:
    """The import names in `plugin.requires` that cannot be found."""
    return tuple(name for name in plugin.requires if not _importable(name))


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def resolve(reference: str) -> Any:
    """Import "module:attribute"."""
    module, _, attribute = reference.partition(":")
    return getattr(importlib.import_module(module), attribute)


class Registry:
    """What all installed plugins offer."""

    def __init__(self, plugins: Iterable[Plugin], broken: Iterable[Broken] = ()) -> None:
        self.plugins = tuple(plugins)
        self.broken = tuple(broken)
        self._offers = [Offer(plugin, provides) for plugin in self.plugins for provides in plugin.provides]

    @classmethod
    def discover(cls) -> Registry:
        """Load the descriptor behind every entry point; a broken one is listed, not raised."""
        plugins: list[Plugin] = []
        broken: list[Broken] = []
        for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
            try:
                plugin = entry.load()
            except Exception as error:  # noqa: BLE001 - a stranger's module may raise anything
                broken.append(Broken(entry.name, f"{type(error).__name__}: {error}"))
                continue
            if isinstance(plugin, Plugin):
                plugins.append(plugin)
            else:
                broken.append(
                    Broken(entry.name, f"{entry.value} is a {type(plugin).__name__}, not a mien.stage.Plugin")
                )
        return cls(plugins, broken)

    def offers(self, kind: Kind) -> list[Offer]:
        """Everything of that kind: usable ones first, then by rank."""
        found = [offer for offer in self._offers if offer.provides.kind is kind]
        return sorted(found, key=lambda o: (bool(o.missing), -o.provides.rank, o.provides.name))

    def find(self, kind: Kind, name: str | None = None) -> Offer:
        """The named one, or the best usable one.

        Raises `PluginError` when there is none of that name or kind, `MissingExtraError` with the install
        line when its dependency is missing.
        """
        offers = self.offers(kind)
        if name is not None:
            named = [offer for offer in offers if offer.provides.name == name]
            if not named:
                raise PluginError(
                    _unknown(kind, name, [offer.provides.name for offer in offers], self.broken)
                )
            offers = named
        if not offers:
            raise PluginError(f"No installed plugin provides a {kind}. `mien doctor` shows how to get one.")
        best = offers[0]
        if best.missing:
            raise MissingExtraError(
                f"The {kind} '{best.provides.name}' needs {', '.join(best.missing)}, which is not installed. "
                f"Install it with: {self._install_line(best.plugin)}"
            )
        return best

    def create(self, kind: Kind, name: str | None = None, *arguments: Any) -> Any:
        """Import and call the factory; what it returns is not opened yet."""
        offer = self.find(kind, name)
        try:
            factory = resolve(offer.provides.factory)
        except (ImportError, OSError) as error:
            what = f"The {kind} '{offer.provides.name}' of plugin '{offer.plugin.name}'"
            if library := missing_library(error):
                raise PluginError(
                    f"{what} needs the system's {library}, which is missing. "
                    f"Install it with: {install_line(library)}"
                ) from error
            raise PluginError(
                f"{what} cannot be loaded: {error}. Reinstall it with: "
                + command_here(offer.plugin.install or "pip install --force-reinstall mien")
            ) from error
        return factory(*arguments)

    def sees(self, name: str) -> bool:
        """Whether the source of that name, such as `camera`, has anything to open: it is installed and finds some."""
        named = (offer for offer in self.offers(Kind.SOURCE) if offer.provides.name == name)
        return any(resolve(offer.provides.factory).available() for offer in named if not offer.missing)

    def check_settings(self, config: Config) -> None:
        """Refuse a mistake in any plugin's table now, and not when that plugin happens to be opened.

        Raises `ConfigError` that names the key, and the nearest where it is misspelt. The table of a plugin
        whose dependency is missing is not looked at.
        """
        for plugin in self.plugins:
            table = config.plugin.get(plugin.name)
            if not table or missing_imports(plugin):
                continue
            if not plugin.settings:
                name = next(iter(table))
                raise ConfigError(
                    f"[plugin.{plugin.name}]: there is no setting '{name}'; it has none at all."
                )
            read_table(resolve(plugin.settings), table, plugin.name)

    def checks(self) -> list[Check]:
        """What `mien doctor` prints about plugins and their devices."""
        found = [Check(b.name, False, f"plugin cannot be loaded: {b.reason}") for b in self.broken]
        for plugin in self.plugins:
            if (lack := _lack(plugin) or _unloadable(plugin)) is not None:
                found.append(lack)
                continue
            found.append(Check(plugin.name, True, plugin.summary))
            found += _told(plugin, plugin.devices) + _told(plugin, plugin.doctor)
        return found

    def devices(self) -> list[Check]:
        """Only what the plugins say about hardware, and at once. A plugin that would see to some, but lacks its
        dependency, is told as missing itself.
        """
        found: list[Check] = []
        for plugin in self.plugins:
            if plugin.devices:
                lack = _lack(plugin)
                found += [lack] if lack is not None else _told(plugin, plugin.devices)
        return found

    def _install_line(self, plugin: Plugin) -> str:
        """How to get the plugin's dependency, and, when several are missing, all of them at once."""
        line, everything = command_here(plugin.install), command_here(EVERYTHING)
        several = sum(bool(missing_imports(other)) for other in self.plugins) > 1
        return f"{line}; or all that a desktop uses: {everything}" if several and everything != line else line


def _lack(plugin: Plugin) -> Check | None:
    missing = missing_imports(plugin)
    if not missing:
        return None
    return Check(plugin.name, False, f"missing {', '.join(missing)}", command_here(plugin.install))


def _unloadable(plugin: Plugin) -> Check | None:
    """What keeps a dependency that is there from being imported. Takes as long as importing it does."""
    for name in plugin.requires:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - a stranger's module may raise anything
            if plugin.doctor and not missing_library(error):
                return None  # it knows better what to do then
            return _failed(plugin, f"{name} cannot be loaded", error)
    return None


def _told(plugin: Plugin, reference: str) -> list[Check]:
    """What the plugin's own check says."""
    if not reference:
        return []
    try:
        checks: list[Check] = resolve(reference)()
    except Exception as error:  # noqa: BLE001 - a sick plugin must not hide the others
        return [_failed(plugin, "its own check failed", error)]
    return [replace(check, mend=_mend(check)) for check in checks]


def _failed(plugin: Plugin, what: str, error: Exception) -> Check:
    if library := missing_library(error):
        return Check(plugin.name, False, f"missing {library}", install_line(library))
    return Check(plugin.name, False, f"{what}: {error}", command_here(plugin.install))


def _mend(check: Check) -> str:
    """What mends it; a plugin need not know what its dependency wants of the system."""
    library = "" if check.ok else library_in(check.detail)
    return install_line(library) if library else command_here(check.mend)


def _unknown(kind: Kind, name: str, known: list[str], broken: tuple[Broken, ...]) -> str:
    text = f"There is no {kind} called '{name}'."
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        text += f" Did you mean '{close[0]}'?"
    elif known:
        text += f" Installed: {', '.join(known)}."
    if any(b.name == name for b in broken):
        text += " A plugin of that name is installed but broken; `mien doctor` says why."
    return text
