"""Files that appear whole under their name or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


def partial_of(path: Path) -> Path:
    """A name beside `path` for what grows until it becomes `path`: hidden, nobody else's, and of this process."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.{os.getpid()}.part")


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file to write instead of `path`, whose name and place it takes when the body ends well and it is on disk.

    What stood at `path` stays until then. When anything is raised nothing is left behind, and several writers at once
    don't meet: the last to end has the name. Raises `OSError`, already before the body when there is no place for it.
    """
    partial = partial_of(path)
    partial.touch(exist_ok=False)
    try:
        yield partial
        # Else a power cut right after could leave the name with nothing in it.
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
