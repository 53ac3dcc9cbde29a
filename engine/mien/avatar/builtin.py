"""The avatar that is there before anybody made one: the astronaut of scikit-image.

The picture is read from the installed scikit-image package; the avatar is made from it once and kept in the
user's cache folder.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import inspect
from pathlib import Path

import numpy as np

import mien
from mien.avatar.fitted import stamped
from mien.avatar.package import SUFFIX, Avatar, Consent, load_avatar, save_avatar
from mien.config import cache_dir
from mien.errors import MissingExtraError, PackageError
from mien.frames import Bytes
from mien.installation import command_here
from mien.stage import Context, Maker

TITLE = "Astronaut"
INSTALL = 'pip install "mien[photo]"'
STATEMENT = (
    "This is NASA's portrait of the astronaut Eileen Collins, a work of the United States government in the "
    "public domain, distributed with scikit-image as skimage.data.astronaut() (from NASA's Great Images "
    "collection; no known copyright restrictions). It stands here as a demonstration of the software. "
    "It implies no endorsement by the person or by NASA."
)


def builtin_avatar(maker: Maker, context: Context, cache: Path | None = None) -> Avatar:
    """Load the astronaut from the cache, or make it.

    maker: not yet opened; it is opened, used and closed only when the avatar is not there yet. cache: a
    folder, `mien.config.cache_dir()` by default; where it cannot be written the avatar is made each time.
    Raises `MissingExtraError` when scikit-image is not installed.
    """
    path = cached_path(maker, context, cache)
    if path.exists():
        try:
            return load_avatar(path)
        except PackageError as error:
            context.notice(f"The cached built-in avatar is made anew: {error}")
    avatar = _made(maker, context)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_avatar(avatar, path)
    except (OSError, PackageError) as error:
        context.notice(f"The built-in avatar is not kept for the next start: {error}")
    return avatar


def cached_path(maker: Maker, context: Context, cache: Path | None = None) -> Path:
    """Where the astronaut of this very maker lies, if it was made before."""
    return (cache or cache_dir()) / f"astronaut-{_fingerprint(maker, context)}{SUFFIX}"


def portrait() -> Bytes:
    """(512, 512, 3) uint8 RGB."""
    try:
        from skimage.data import astronaut
    except ImportError:
        raise MissingExtraError(
            f"The built-in avatar needs scikit-image: {command_here(INSTALL)}. "
            "Or make an avatar from your own photo: mien avatar create PHOTO"
        ) from None
    return np.asarray(astronaut(), np.uint8)  # type: ignore[no-untyped-call]


def _made(maker: Maker, context: Context) -> Avatar:
    picture = portrait()
    try:
        maker.open(context)
        content = maker.make(picture)
    finally:
        maker.close()
    content = dataclasses.replace(stamped(content), title=TITLE)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return Avatar.new(content, Consent(STATEMENT, "NASA", "public-domain", today))


def _fingerprint(maker: Maker, context: Context) -> str:
    """Changes whenever the same picture may give another avatar: version, settings, or the code that makes
    it (which in a development checkout changes without a new version).
    """
    digest = hashlib.sha256(
        repr((mien.__version__, context.face_model, sorted(context.settings.items()))).encode()
    )
    for folder in (Path(inspect.getfile(type(maker))).parent, Path(mien.__file__).parent / "face"):
        for file in sorted(folder.glob("*.*")):
            if file.suffix in {".py", ".npz"}:
                status = file.stat()
                digest.update(f"{file.name} {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]
