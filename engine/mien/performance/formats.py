"""Formats by the suffix of a file's name."""

from __future__ import annotations

from pathlib import Path

from mien.errors import InputError
from mien.performance import jsonlines, livelink, wav
from mien.performance.take import Take
from mien.wholefile import whole_file


def write_as(take: Take, path: Path) -> str:
    """Write a take as the suffix of `path` says; returns what was written, for people.

    The file appears when it is whole. Raises `InputError`; then nothing is left behind.
    """
    try:
        with whole_file(path) as partial:
            match path.suffix.lower():
                case jsonlines.SUFFIX:
                    return f"{jsonlines.write_jsonl(take, partial)} frames"
                case livelink.SUFFIX:
                    return f"{livelink.write_livelink(take, partial)} frames"
                case wav.SUFFIX:
                    return f"{wav.write_wav(take, partial):.2f} s of sound"
                case _:
                    raise InputError(
                        f"{path.name} tells no format. End it in .jsonl, .csv (Live Link Face) or .wav."
                    )
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}.") from None


def read_as(path: Path, *, sound: Path | None = None, estimate_rest: bool = True) -> Take:
    """The take in a file of another format. sound, estimate_rest: for Live Link Face's. Raises `InputError`."""
    match path.suffix.lower():
        case jsonlines.SUFFIX if sound is not None:
            raise InputError(f"{path.name} holds its own sound; --sound is for .csv files.")
        case jsonlines.SUFFIX:
            return jsonlines.read_jsonl(path)
        case livelink.SUFFIX:
            heard = None if sound is None else wav.read_wav(sound)
            return livelink.read_livelink(path, estimate_rest=estimate_rest, sound=heard)
        case _:
            raise InputError(
                f"{path.name} tells no format. It should end in .jsonl or .csv (Live Link Face)."
            )
