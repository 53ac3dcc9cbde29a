"""What was worked out so far, kept beside the result so that an interrupted run goes on where it was."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import __version__
from mien.errors import PackageError
from mien.wholefile import whole_file

SUFFIX = ".progress"
_FORMAT = 1


def fingerprint(clip: Path, **settings: Any) -> str:
    """What a checkpoint must have been made from to be of use: this file, these settings, this version.

    settings: whatever else changes the result, JSON values; of a face model its content's fingerprint too, not
    only its name.
    """
    status = clip.stat()
    return json.dumps(
        {
            "format": _FORMAT, "mien": __version__, "clip": clip.name, "bytes": status.st_size,
            "changed_ns": status.st_mtime_ns, **settings,
        },
        sort_keys=True,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A file of named arrays, replaced as a whole or not at all."""

    path: Path
    of: str
    """the `fingerprint` of what is worked on"""

    @classmethod
    def beside(cls, out: Path, of: str) -> Checkpoint:
        """`out` is the file that will be written in the end."""
        return cls(out.with_name(out.name + SUFFIX), of)

    def load(self) -> dict[str, NDArray[Any]] | None:
        """None when there is nothing to go on from: no file, a damaged one, or one made from something else."""
        try:
            # Opened here: numpy leaves a damaged file that it opened itself to the garbage collector.
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as held:
                if str(held["of"]) != self.of:
                    return None
                return {name: held[name] for name in held.files if name != "of"}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def save(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Raises `PackageError` when it cannot be written."""
        try:
            with whole_file(self.path) as partial, partial.open("wb") as file:
                np.savez(file, of=np.array(self.of), **arrays)
        except OSError as error:
            raise PackageError(
                f"Cannot write {self.path}: {error.strerror}. Make room, or choose another place for --out."
            ) from None

    def remove(self) -> None:
        """The result is there: it is not needed any more."""
        self.path.unlink(missing_ok=True)
