"""The files that a command was given: what is wrong with them is told before anything slow begins."""

from __future__ import annotations

import os
from pathlib import Path

from mien.errors import InputError, MediaError
from mien.wholefile import whole_file


def check_clip(clip: Path) -> None:
    """Raises `InputError` when there is no such file."""
    if clip.is_dir():
        raise InputError(f"{clip} is a folder. Name a file in it.")
    if not clip.is_file():
        raise InputError(f"There is no file {clip}. Check the path.")


def check_out(out: Path, *inputs: Path) -> None:
    """Raises `InputError` when `out` has no place to be written to, or would overwrite one of `inputs`."""
    if out.is_dir():
        raise InputError(f"{out} is a folder. Name a file in it.")
    if not out.parent.is_dir():
        raise InputError(f"There is no folder {out.parent} to write {out.name} into. Make it first.")
    if not os.access(out.parent, os.W_OK):
        raise InputError(
            f"The folder {out.parent} cannot be written to. Choose another place for {out.name}."
        )
    if out.exists() and any(path.exists() and out.samefile(path) for path in inputs):
        raise InputError(f"{out} is what is read, and would be overwritten. Name another file.")


def write_whole(path: Path, text: str) -> None:
    """Write all of `text` or nothing: what stood there before stays until the new file is complete.

    Raises `MediaError`.
    """
    try:
        with whole_file(path) as partial:
            partial.write_text(text)
    except OSError as error:
        raise MediaError(
            f"{path} cannot be written: {error.strerror}. Make room, or choose another place."
        ) from error
