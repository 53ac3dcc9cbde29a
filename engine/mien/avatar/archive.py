"""Reading and writing the zip of an avatar package within bounds."""

from __future__ import annotations

import hashlib
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import BinaryIO, Self

from mien.avatar.manifest import MAX_MEMBERS, MEMBER, Manifest, MemberRecord
from mien.errors import PackageError

MAX_BYTES = 256 * 2**20
"""Bound on what a package may unpack to."""

MAX_RATIO = 200
"""Bound on unpacked / packed size, for packages that unpack to more than `_RATIO_FROM` bytes: a short
array of zeros legitimately packs a thousandfold."""

_RATIO_FROM = 16 * 2**20
_MAX_MANIFEST = 2**20
_EPOCH = (1980, 1, 1, 0, 0, 0)  # equal content gives equal files
_DAMAGED = "is damaged or cut short. Copy it again, or make the avatar anew."


class Writer:
    """Collects members, then writes them behind the manifest that lists them."""

    def __init__(self) -> None:
        self._members: list[tuple[MemberRecord, bytes, int]] = []

    def add(self, name: str, data: bytes, *, compressed: bool = False) -> None:
        """compressed: the data are packed already (PNG), the zip only stores them."""
        record = MemberRecord(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        self._members.append((record, data, zipfile.ZIP_STORED if compressed else zipfile.ZIP_DEFLATED))

    @property
    def records(self) -> tuple[MemberRecord, ...]:
        return tuple(record for record, _, _ in self._members)

    def write(self, file: BinaryIO, manifest: Manifest) -> None:
        """Raises `PackageError` when the package would be larger than what is read back."""
        total = sum(record.size for record in self.records)
        if total > MAX_BYTES or len(self._members) > MAX_MEMBERS:
            raise PackageError(
                f"The avatar holds {total / 2**20:.0f} MB in {len(self._members)} members; "
                f"a package takes {MAX_BYTES >> 20} MB in {MAX_MEMBERS}."
            )
        with zipfile.ZipFile(file, "w") as archive:
            text = manifest.model_dump_json(indent=2)
            archive.writestr(zipfile.ZipInfo(MEMBER, _EPOCH), text, zipfile.ZIP_DEFLATED)
            for record, data, method in self._members:
                archive.writestr(zipfile.ZipInfo(record.name, _EPOCH), data, method, compresslevel=6)


class Reader:
    """An opened package whose table of contents has been found harmless.

    Raises `PackageError`, naming the file and the mend, for everything that is wrong with it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._archive = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise PackageError(
                f"{path} does not exist. Make one: mien avatar create PHOTO --out {path.name} --consent self"
            ) from None
        except OSError as error:
            raise PackageError(f"{path} cannot be read: {error.strerror or error}.") from error
        except (zipfile.BadZipFile, NotImplementedError, ValueError):
            raise PackageError(f"{path} {_why_no_zip(path)}") from None
        try:
            self._entries = self._checked_entries()
        except BaseException:
            self._archive.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._archive.close()

    def manifest(self) -> bytes:
        """The bytes of `manifest.json`."""
        entry = self._entries.get(MEMBER)
        if entry is None:
            raise PackageError(f"{self.path} is a zip, but not an avatar package: it has no {MEMBER}.")
        if entry.file_size > _MAX_MANIFEST:
            raise PackageError(f"{self.path} has a manifest of {entry.file_size >> 20} MB; it is not used.")
        return self._read(entry)

    def member(self, record: MemberRecord) -> bytes:
        """The bytes of one member, equal in size and SHA-256 to what the manifest says."""
        entry = self._entries.get(record.name)
        if entry is None:
            raise PackageError(f"{self.path} lacks {record.name}, which its manifest lists. Copy it again.")
        data = self._read(entry) if entry.file_size == record.size else b""
        if len(data) != record.size or hashlib.sha256(data).hexdigest() != record.sha256:
            raise PackageError(
                f"{self.path}: {record.name} was changed since the package was made (its checksum differs). "
                "Copy it again, or make the avatar anew."
            )
        return data

    def _read(self, entry: zipfile.ZipInfo) -> bytes:
        # ZipExtFile never returns more than the declared size, which is bounded; more data fail its CRC.
        try:
            with self._archive.open(entry) as file:
                return file.read()
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError):
            # RuntimeError and its NotImplementedError: encrypted or of an exotic kind.
            raise PackageError(f"{self.path} {_DAMAGED}") from None

    def _checked_entries(self) -> dict[str, zipfile.ZipInfo]:
        entries = self._archive.infolist()
        if len(entries) > 2 * MAX_MEMBERS:
            raise PackageError(f"{self.path} holds {len(entries)} files; an avatar has far fewer. Not used.")
        named: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            if _leaves(entry):
                raise PackageError(
                    f"{self.path} holds {entry.filename!r}, a path that leaves the package. "
                    "It is not used; get the avatar from somebody you trust."
                )
            if entry.filename in named:
                raise PackageError(f"{self.path} holds {entry.filename!r} twice. Make the avatar anew.")
            named[entry.filename] = entry
        unpacked = sum(entry.file_size for entry in entries)
        packed = self.path.stat().st_size
        if unpacked > MAX_BYTES or (unpacked > _RATIO_FROM and unpacked > MAX_RATIO * packed):
            raise PackageError(
                f"{self.path} would unpack from {packed / 2**20:.1f} to {unpacked / 2**20:.0f} MB "
                f"(a zip bomb?); an avatar has at most {MAX_BYTES >> 20} MB. It is not used."
            )
        return named


def _leaves(entry: zipfile.ZipInfo) -> bool:
    """Whether a name would land outside a folder that the zip is extracted to, on any system."""
    # `orig_filename`: ZipInfo cuts `filename` at a NUL byte and turns the system's separator into "/".
    name = entry.orig_filename
    path = PurePosixPath(name)
    return (
        not name
        or path.is_absolute()
        or ".." in path.parts
        or any(character in name for character in "\\:\0")
        or stat.S_ISLNK(entry.external_attr >> 16)
    )


def _why_no_zip(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PK\x03\x04":
        return _DAMAGED
    return "is not an avatar package. Make one from a photo: mien avatar create PHOTO --out NAME.avatar"
