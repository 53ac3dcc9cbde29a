"""The avatar package: one file that holds a person's look and the consent to use it.

A package is a zip (`docs/avatar-package.md` describes it for other programs):

    manifest.json           what it is, who made it, the consent record, size and SHA-256 of every member
    images/NAME.png         pictures that anyone can open
    arrays/NAME.npy         what else the renderer needs
    subject/FIELD.npy       the arrays of `mien.face.subject.Subject`

Packages come from strangers, so reading one is defensive: nothing is extracted to disk, nothing is
unpickled, every size is bounded before memory is taken, and every member is checked against the manifest.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import mien
from mien.avatar import manifest as manifests
from mien.avatar import members
from mien.avatar.archive import Reader, Writer
from mien.errors import ConsentError, PackageError
from mien.face.camera import Camera
from mien.face.subject import Subject
from mien.frames import Bytes
from mien.wholefile import whole_file

SUFFIX = ".avatar"

_SUBJECT_ARRAYS = (
    "identity",
    "offsets",
    "neutral",
    "gains",
    "rest_rotation",
    "rest_translation",
    "rest_gaze",
)


@dataclass(frozen=True, slots=True)
class Consent:
    """The record that the depicted person agrees to be animated, or why nobody has to.

    statement: what was agreed to, in words. holder: who agreed. basis: `self` (the maker is the person),
    `document` (a text file that the maker vouches for) or `public-domain`. date: ISO 8601.

    Raises `ConsentError` when any of it is empty or the date is none: an empty record cannot exist.
    """

    statement: str
    holder: str
    basis: Literal["self", "document", "public-domain"]
    date: str

    def __post_init__(self) -> None:
        for name in ("statement", "holder"):
            if not getattr(self, name).strip():
                raise ConsentError(f"The consent record has an empty {name}. Say who agrees, and to what.")
        if self.basis not in {"self", "document", "public-domain"}:
            raise ConsentError(
                f"The consent record has the basis {self.basis!r}; use self, document or public-domain."
            )
        try:
            datetime.datetime.fromisoformat(self.date)
        except ValueError:
            raise ConsentError(
                f"The consent record is dated {self.date!r}; write the date as 2025-01-31."
            ) from None


@dataclass(frozen=True, slots=True, eq=False)
class AvatarContent:
    """What a `Maker` produces and a `Renderer` consumes.

    renderer: the name of the renderer that understands it. face_model: the name of the 3DMM it was fitted
    with; model_fingerprint: which edition of it (`mien.avatar.fitted`), empty when not known. subject: the
    person as seen by the camera of the portrait crop (a square; `subject.camera.width` px a side). images:
    name -> uint8 (H, W), (H, W, 3) or (H, W, 4); `portrait` is there by convention. arrays: name -> any
    boolean, integer or floating-point array. Names are lower-case identifiers.

    Loaded arrays are read-only.
    """

    renderer: str
    face_model: str
    subject: Subject
    images: Mapping[str, Bytes] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    title: str = ""
    model_fingerprint: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Avatar:
    """An avatar package in memory. created: ISO 8601, UTC. path: where it was loaded from or saved to."""

    content: AvatarContent
    consent: Consent
    created: str
    engine_version: str
    path: Path | None = None

    @classmethod
    def new(cls, content: AvatarContent, consent: Consent) -> Avatar:
        """An avatar made now by this version of the engine."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        return cls(content, consent, created=now, engine_version=mien.__version__)


def save_avatar(avatar: Avatar, path: str | Path) -> None:
    """Write the package. It appears whole under its name or not at all.

    Raises `PackageError` when the content cannot be stored or the file cannot be written.
    """
    path = Path(path)
    content, subject = avatar.content, avatar.content.subject
    manifests.checked_title(content.title)
    writer = Writer()
    for name, image in content.images.items():
        writer.add(f"images/{_checked_name(name)}.png", members.encode_png(name, image), compressed=True)
    for name, array in content.arrays.items():
        writer.add(f"arrays/{_checked_name(name)}.npy", members.encode_npy(name, array))
    for name in _SUBJECT_ARRAYS:
        writer.add(f"subject/{name}.npy", members.encode_npy(name, getattr(subject, name)))
    with manifests.explained(path, "It was not written."):
        document = manifests.Manifest(
            format=manifests.FORMAT,
            version=manifests.VERSION,
            created=avatar.created,
            engine=avatar.engine_version,
            title=content.title,
            renderer=content.renderer,
            face_model=content.face_model,
            face_model_fingerprint=content.model_fingerprint,
            subject=manifests.SubjectRecord(
                model=subject.model,
                epoch=subject.epoch,
                camera=manifests.CameraRecord(
                    width=subject.camera.width,
                    height=subject.camera.height,
                    focal=float(subject.camera.focal),
                    cx=float(subject.camera.cx),
                    cy=float(subject.camera.cy),
                ),
            ),
            consent=manifests.ConsentRecord(
                statement=avatar.consent.statement,
                holder=avatar.consent.holder,
                basis=avatar.consent.basis,
                date=avatar.consent.date,
            ),
            members=writer.records,
        )
    try:
        with whole_file(path) as partial, partial.open("wb") as file:
            writer.write(file, document)
    except OSError as error:
        raise PackageError(f"{path} cannot be written: {error.strerror or error}.") from error


def load_avatar(path: str | Path) -> Avatar:
    """Read and check a package.

    Raises `ConsentError` when the consent record is missing or empty, and `PackageError` when the file is
    not a package, is damaged, unsafe, of a newer version, or fitted to another edition of its face model. Every
    message names the file and the mend.
    """
    from mien.avatar.fitted import check_fitted

    path = Path(path)
    images: dict[str, Future[Bytes]] = {}
    arrays: dict[str, NDArray[Any]] = {}
    subject: dict[str, NDArray[Any]] = {}
    pixels = 0
    # Inflating PNGs is nearly all of the time and runs outside the interpreter lock.
    with Reader(path) as reader, ThreadPoolExecutor(2, "avatar") as pool:
        document = manifests.parse(path, reader.manifest())
        consent = _consent(path, document)
        for record in document.members:
            folder, _, file_name = record.name.partition("/")
            stem = file_name.partition(".")[0]
            data = reader.member(record)
            if folder == "images":
                pixels += members.png_pixels(path, record.name, data)
                if pixels > members.MAX_PIXELS:
                    raise PackageError(
                        f"{path}: its pictures have more than {members.MAX_PIXELS >> 20} megapixels in all, "
                        "which no avatar needs. It is not used."
                    )
                images[stem] = pool.submit(members.decode_png, path, record.name, data)
            else:
                into = arrays if folder == "arrays" else subject
                into[stem] = members.decode_npy(path, record.name, data)
    content = AvatarContent(
        renderer=document.renderer,
        face_model=document.face_model,
        subject=_subject(path, document, subject),
        images={name: image.result() for name, image in images.items()},
        arrays=arrays,
        title=document.title,
        model_fingerprint=document.face_model_fingerprint,
    )
    avatar = Avatar(content, consent, document.created, document.engine, path)
    check_fitted(avatar)
    return avatar


def _checked_name(name: str) -> str:
    if not manifests.NAME.fullmatch(name):
        raise PackageError(f"An avatar cannot hold a member called {name!r}: use a-z, 0-9 and _.")
    return name


def _consent(path: Path, document: manifests.Manifest) -> Consent:
    record = document.consent
    if record is None:
        raise ConsentError(
            f"{path} carries no consent record, so it is not used. Make it anew from the photo: "
            f"mien avatar create PHOTO --out {path.name} --consent self"
        )
    try:
        return Consent(record.statement, record.holder, record.basis, record.date)
    except ConsentError as error:
        raise ConsentError(f"{path}: {error}") from None


def _subject(path: Path, document: manifests.Manifest, arrays: dict[str, NDArray[Any]]) -> Subject:
    """Put the subject together; shapes are checked here once so that nobody has to later."""
    shapes: dict[str, tuple[int | None, ...]] = {
        "identity": (None,),
        "offsets": (478, 3),
        "neutral": (52,),
        "gains": (52,),
        "rest_rotation": (3,),
        "rest_translation": (3,),
        "rest_gaze": (2, 2),
    }
    for name, shape in shapes.items():
        if name not in arrays:
            raise PackageError(f"{path} lacks subject/{name}.npy. Make the avatar anew from its photo.")
        array = arrays[name]
        fits = array.ndim == len(shape) and all(
            want in {None, have} for want, have in zip(shape, array.shape, strict=True)
        )
        if not fits or array.dtype != np.float32 or not np.isfinite(array).all():
            raise PackageError(
                f"{path}: subject/{name}.npy is not what a face is described by "
                f"(shape {array.shape}, {array.dtype}). Make the avatar anew from its photo."
            )
    record = document.subject
    camera = record.camera
    estimated: dict[str, Any] = {name: arrays[name] for name in shapes}
    return Subject(
        model=record.model,
        camera=Camera(camera.width, camera.height, camera.focal, camera.cx, camera.cy),
        epoch=record.epoch,
        **estimated,
    )
