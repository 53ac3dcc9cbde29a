"""The files that a command was given: what is wrong with them is told before anything slow begins."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from mien.errors import InputError, MediaError


def check_clip(clip: Path) -> None:
    """Raises `InputError` when there is no such file."""
    if clip.is_dir():
        raise InputError(f"{clip} is a folder. Name a file in it.")
    if not clip.is_file():
        raise InputError(f"There is no file {clip}. Check the path.")


def check_out(out: Path, *inputs: Path) -> None:
    """Raises `InputError` when `out` has no place to be written to, or would overwrite one of `inputs`,
    or one of these is an unfinished `out`.
    """
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
    for path in inputs:
        if _is_partial(path, out):
            raise InputError(
                f"{path} is the unfinished {out.name}, which is written there. Give what is made of it another name."
            )


def _is_partial(path: Path, out: Path) -> bool:
    """Whether `path` is named as what grows until it becomes `out`."""
    real, target = path.resolve(), out.resolve()
    name = real.name.removeprefix(".")
    return real.parent == target.parent and name.startswith(f"{target.name}.") and name.endswith(".part")


def write_whole(path: Path, text: str) -> None:
    """Write all of `text` or nothing: what stood there before stays until the new file is complete.

    Raises `MediaError`.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text)
        part.replace(path)
    except OSError as error:
        raise MediaError(
            f"{path} cannot be written: {error.strerror}. Make room, or choose another place."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
