"""Where imported face models lie, and how they are found by name.

The assets folder is the one that MIEN_ASSETS names, else `assets` in the user's data folder. A model NAME is
`NAME.npz` in it, in the format of `mien.face.modelfile`. ICT-FaceKit is also read as other programs keep
it, `ict_facekit.npz` beside `ict_to_mediapipe.npz`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mien.config import data_dir
from mien.errors import ConfigError, PackageError

BUILT_IN = "mien-head"
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
"""What a face model can be called: never a path, because whoever loads models also takes paths."""
NAMES = ("ict-facekit", "flame2020", "flame2023", "bfm2009", "bfm2017", "bfm2019")
"""Models that mien knows how to come by; `mien.face.importers.catalogue` says how."""
_ALSO = {"ict-facekit": "ict_facekit.npz"}


def folder() -> Path:
    """The assets folder; it need not exist."""
    named = os.environ.get("MIEN_ASSETS")
    return Path(named).expanduser() if named else data_dir() / "assets"


def file_of(name: str, assets: Path | None = None) -> Path:
    """Where an imported model of that name belongs. Raises ConfigError for what cannot be a name."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise ConfigError(f"{name!r} cannot be the name of a face model. Use letters, digits and hyphens.")
    return (assets or folder()).expanduser() / f"{name}.npz"


def installed(name: str, assets: Path | None = None) -> Path | None:
    """The file of a model by name, or None."""
    own = file_of(name, assets)
    if own.is_file():
        return own.resolve()
    also = own.with_name(_ALSO.get(name, own.name))
    return also.resolve() if also.is_file() and not _is_own(also) else None


def _is_own(path: Path) -> bool:
    """Whether a file that could be another program's is one of mien's. What cannot be read is not."""
    from mien.face import modelfile  # which takes its time, and most names don't need it

    try:
        return modelfile.is_own(path)
    except PackageError:
        return False


def find(name: str, assets: Path | None = None) -> Path:
    """The file of a model by name. Raises ConfigError that says how to come by it."""
    if name == Path(name).name and (path := installed(name, assets)) is not None:
        return path
    where = assets or folder()
    if name in NAMES:
        raise ConfigError(
            f"face model {name!r} is not in {where} (MIEN_ASSETS). Run `mien assets get {name}`, or use the "
            f"built-in {BUILT_IN}."
        )
    known = ", ".join((BUILT_IN, *NAMES))
    raise ConfigError(f"face model {name!r}: no such model in {where} (MIEN_ASSETS). Known models: {known}.")
