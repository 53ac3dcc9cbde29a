"""How this installation of mien came to be, and so which command adds to it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

EVERYTHING = 'pip install "mien[desktop]"'
"""Brings what mien uses on a desktop, at once."""

_PIP = "pip install "
_OWN = 'pip install "mien'
_PINS = "constraints.txt"


def command_here(command: str) -> str:
    """`command`, a plugin's install line, as it has to be typed here.

    In a checkout that mien is run from (`make install`) the pinned dependencies lie beside it, and bring every
    extra at once. In an environment that is not the shell's own, `pip` alone would be somebody else's.
    """
    if not command.startswith(_PIP):
        return command
    pip = _pip()
    if command.startswith(_OWN) and (folder := checkout()) is not None:
        return f"cd {shlex.quote(str(folder))} && {pip} install --no-deps -r {_PINS}"
    return command.replace("pip", pip, 1)


def checkout(direct_url: str | None = None) -> Path | None:
    """The folder that mien is installed from in editable mode, if it is one with pinned dependencies.

    direct_url: what the installer noted (PEP 610); by default what it noted about mien.
    """
    noted = _noted() if direct_url is None else direct_url
    try:
        record = json.loads(noted)
        editable = record.get("dir_info", {}).get("editable", False)
        folder = Path(url2pathname(urlsplit(record["url"]).path))
    except (ValueError, KeyError, AttributeError):
        return None
    return folder if editable and (folder / _PINS).is_file() else None


def _noted() -> str:
    try:
        return distribution("mien").read_text("direct_url.json") or ""
    except PackageNotFoundError:
        return ""


def _pip() -> str:
    """`pip`, or the one of this Python by its path where the shell means another."""
    own = Path(sys.executable).parent
    found = shutil.which("pip")
    if found is not None and Path(found).parent == own:
        return "pip"
    if (beside := own / "pip").is_file():
        return shlex.quote(str(beside))
    return f"{shlex.quote(sys.executable) if os.name == 'posix' else sys.executable} -m pip"
