"""Which edition of a face model an avatar was fitted with.

The numbers in a package mean something on that very model only: on another edition of the same name the face
would be shown distorted, and nobody would know why.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from pathlib import Path

from mien.avatar.package import Avatar, AvatarContent
from mien.errors import ConfigError, PackageError

_LENGTH = 16
_ARRAYS = ("mean", "triangles", "identity", "triangle_region", "vertex_region", "eye_centres")


@functools.cache
def fingerprint(name: str) -> str:
    """Of the model called `name` as it is installed: the first 16 hexadecimal digits of the SHA-256 of its shape
    (mean, triangles, identity and expression bases, landmarks, eyes).

    Colours and texture coordinates are left out: they may change without harm to a fit. Raises `ConfigError`
    when there is no such model here, `PackageError` when it is damaged.
    """
    from mien.face.model import load_model

    model = load_model(name)
    digest = hashlib.sha256()
    arrays = [getattr(model, field) for field in _ARRAYS]
    arrays += [model.sparse.starts, model.sparse.rows, model.sparse.deltas]
    arrays += [model.landmarks.vertices, model.landmarks.weights]
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:_LENGTH]


def stamped(content: AvatarContent) -> AvatarContent:
    """`content`, which was fitted just now, with its model's fingerprint."""
    return dataclasses.replace(content, model_fingerprint=fingerprint(content.face_model))


def check_fitted(avatar: Avatar) -> None:
    """Raises `PackageError` when the installed model is another edition than the one fitted with. Packages from
    before there were fingerprints, and for models that are not installed, pass.
    """
    content = avatar.content
    if not content.model_fingerprint:
        return
    try:
        installed = fingerprint(content.face_model)
    except (ConfigError, PackageError):
        return  # whoever needs the model says so
    if installed != content.model_fingerprint:
        name = avatar.path or Path(content.title)
        raise PackageError(
            f"{name} was fitted to another edition of the face model '{content.face_model}' than this mien has, and "
            "would look distorted. Make it anew from its photo (or from images/portrait.png in it, which is a zip): "
            f"mien avatar create PHOTO --out {name}"
        )
