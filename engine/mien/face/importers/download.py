"""Downloads that may break off and go on, and are checked before they are used."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from mien.errors import InputError, PackageError

Progress = Callable[[int, int | None], None]
"""Bytes so far, and of how many where that is known."""

MOST_BYTES = 2 << 30
_TIMEOUT_S = 30.0
_CHUNK = 1 << 18
_SCHEMES = ("https", "http")


def fetch(url: str, path: Path, progress: Progress = lambda done, total: None) -> None:
    """Download `url` to `path`, which appears whole or not at all.

    What came of a download that broke off is kept beside it as `NAME.part` and continued where the server can.
    Raises InputError.
    """
    if urllib.parse.urlsplit(url).scheme not in _SCHEMES:
        raise InputError(f"{url} is not a web address.")
    part = path.with_name(path.name + ".part")
    try:
        _receive(url, part, progress)
    except urllib.error.HTTPError as error:
        raise InputError(
            f"{url}: the server answered {error.code} {error.reason}. Try again later."
        ) from error
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise InputError(
            f"{url}: the download broke off ({reason}). Check the network and run the same command again."
        ) from error
    part.replace(path)


def _receive(url: str, part: Path, progress: Progress) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "mien"})  # noqa: S310 - scheme checked above
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        error.close()
        # There is nothing beyond what we have, or it is another file by now.
        part.unlink()
        _receive(url, part, progress)
        return
    with response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length and length.isdigit() else None
        with part.open("ab" if have else "wb") as file:
            while chunk := response.read(_CHUNK):
                have += len(chunk)
                if have > MOST_BYTES:
                    raise InputError(f"{url}: more than {MOST_BYTES >> 30} GB, that is no face model.")
                file.write(chunk)
                progress(have, total)
        if total is not None and have < total:
            raise ConnectionError(f"{have} of {total} bytes came")


def unpack(archive: Path, folder: str, into: Path) -> Path:
    """Unpack `folder` of a repository's zip (which has one folder at its top) -> where it lies now.

    Raises PackageError for a damaged archive or one without it. Names cannot lead out of `into`.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            chosen = [
                entry for entry in packed.infolist() if PurePosixPath(entry.filename).parts[1:2] == (folder,)
            ]
            if sum(entry.file_size for entry in chosen) > MOST_BYTES:
                raise PackageError(f"{archive}: unpacks to more than {MOST_BYTES >> 30} GB.")
            for entry in chosen:
                packed.extract(entry, into)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise PackageError(
            f"{archive}: not a readable zip ({error}). Delete it and download again."
        ) from error
    if not chosen:
        raise PackageError(f"{archive}: there is no folder {folder} in it. Delete it and download again.")
    return into / PurePosixPath(chosen[0].filename).parts[0] / folder


def git_tree(folder: Path) -> str:
    """git's hash of a folder of plain files and folders: the one that `git ls-tree` shows for it."""
    entries = []
    for path in folder.iterdir():
        mode, name = (b"40000", path.name + "/") if path.is_dir() else (b"100644", path.name)
        digest = git_tree(path) if path.is_dir() else _git_hash(b"blob", path.read_bytes())
        entries.append((name.encode(), mode + b" " + path.name.encode() + b"\0" + bytes.fromhex(digest)))
    return _git_hash(b"tree", b"".join(line for _, line in sorted(entries)))


def _git_hash(kind: bytes, content: bytes) -> str:
    # git's own choice of hash: it finds damage; the commit is pinned in our source.
    return hashlib.sha1(kind + b" %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
