"""The manifest of an avatar package: `manifest.json`, version 1."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mien.errors import ConsentError, PackageError
from mien.face.assets import NAME_PATTERN

FORMAT: Final = "mien-avatar"
VERSION = 1
MEMBER = "manifest.json"

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""How a member may be called, without folder and suffix."""

MAX_MEMBERS = 256

MAX_SHORT = 200
"""Characters of a title, a name, a date."""

_Short = Annotated[str, Field(max_length=MAX_SHORT)]
_ModelName = Annotated[str, Field(pattern=rf"^{NAME_PATTERN}$")]
_Side = Annotated[int, Field(ge=1, le=16384)]
_Pixels = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class MemberRecord(_Record):
    """One file of the package. size: bytes, uncompressed. sha256: of those bytes, hexadecimal."""

    name: Annotated[
        str, Field(pattern=r"^(images/[a-z][a-z0-9_]*\.png|(arrays|subject)/[a-z][a-z0-9_]*\.npy)$")
    ]
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class CameraRecord(_Record):
    """`mien.face.camera.Camera`, px."""

    width: _Side
    height: _Side
    focal: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
    cx: _Pixels
    cy: _Pixels


class SubjectRecord(_Record):
    """`mien.face.subject.Subject` without its arrays."""

    model: _ModelName
    camera: CameraRecord
    epoch: int = 0


class ConsentRecord(_Record):
    """`mien.avatar.package.Consent`."""

    statement: Annotated[str, Field(max_length=65536)]
    holder: _Short
    basis: Literal["self", "document", "public-domain"]
    date: _Short


class Manifest(_Record):
    """What stands in `manifest.json`. Unknown keys are ignored, so that later versions may add some."""

    format: Literal["mien-avatar"]
    version: int
    created: _Short
    engine: _Short
    title: _Short = ""
    renderer: _Short
    face_model: _ModelName
    face_model_fingerprint: Annotated[str, Field(pattern=r"^([0-9a-f]{16})?$")] = ""
    subject: SubjectRecord
    consent: ConsentRecord | None = None
    members: Annotated[tuple[MemberRecord, ...], Field(max_length=MAX_MEMBERS, strict=False)]


def parse(path: Path, data: bytes) -> Manifest:
    """Check a manifest read from `path`.

    The version is looked at before anything else, then consent: those two decide what a user has to do.
    """
    try:
        raw: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise PackageError(
            f"{path} has an unreadable manifest. Copy it again, or make the avatar anew."
        ) from None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise PackageError(f"{path} is a zip, but not an avatar package. Make one: mien avatar create PHOTO")
    version = raw.get("version")
    if isinstance(version, int) and version > VERSION:
        raise PackageError(
            f"{path} has format version {version}; this mien reads up to {VERSION}. "
            "Update it: pip install --upgrade mien"
        )
    if version != VERSION:
        raise PackageError(f"{path} has the unknown format version {version!r}. Make the avatar anew.")
    with explained(path, "Make the avatar anew."):
        return Manifest.model_validate(raw)


def checked_title(title: str) -> str:
    """`title`, which a package can hold. Raises `PackageError`."""
    if len(title) > MAX_SHORT:
        raise PackageError(
            f"The title {title[:20] + '...'!r} has {len(title)} characters; an avatar's has at most {MAX_SHORT}."
        )
    return title


@contextmanager
def explained(path: Path, mend: str) -> Iterator[None]:
    """A record that cannot be becomes a `PackageError` that names the file, the field and the mend, or a
    `ConsentError` where it is that of the consent.
    """
    try:
        yield
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        consent = where.startswith("consent") or error.title == ConsentRecord.__name__
        kind = ConsentError if consent else PackageError
        raise kind(f"{path}: the manifest's {where} is wrong: {problem['msg']}. {mend}") from None
