"""The assets folder: what is in it, what is added to it, and what can be downloaded into it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from mien.errors import InputError, PackageError
from mien.face import assets
from mien.face.assets import BUILT_IN
from mien.face.importers.catalogue import CATALOGUE, Known, known
from mien.face.importers.download import Progress, fetch, git_tree, unpack
from mien.face.importers.importing import Report, import_model
from mien.face.importers.raw import MODES
from mien.face.model import forget_models, save_model
from mien.face.modelfile import is_own, read_arrays


def listed(folder: Path | None = None) -> list[dict[str, str | int | bool]]:
    """Known models, then what else is in the assets folder: name, summary, licence, checksum (of what is downloaded,
    else empty), installed, bytes and where.
    """
    place = folder or assets.folder()
    rows: list[dict[str, str | int | bool]] = []
    for entry in CATALOGUE:
        path = assets.installed(entry.name, place)
        command = f"mien assets get {entry.name}" if entry.download else entry.page
        checksum = entry.download.checksum if entry.download else ""
        rows.append(_row(entry.name, entry.summary, entry.licence, checksum, path, command))
    shown = {row["where"] for row in rows}
    rows += [
        _row(path.stem, "imported", source, "", path, "")
        for path in sorted(place.glob("*.npz"))
        if str(path.resolve()) not in shown and (source := _source(path)) is not None
    ]
    return rows


def _source(path: Path) -> str | None:
    """Where an imported model is from and under which licence; None for a file that is no such model."""
    if path.name.startswith("."):
        return None
    try:
        return str(read_arrays(path, "source")["source"]) if is_own(path) else None
    except PackageError:
        return None


def _row(
    name: str, summary: str, licence: str, checksum: str, path: Path | None, else_: str
) -> dict[str, str | int | bool]:
    return {
        "name": name,
        "summary": summary,
        "licence": licence,
        "checksum": checksum,
        "installed": path is not None,
        "bytes": path.stat().st_size if path else 0,
        "where": str(path) if path else else_,
    }


def add(
    file: Path, name: str | None = None, modes: int = MODES, folder: Path | None = None
) -> tuple[Path, Report]:
    """Import a file into the assets folder as `NAME.npz` -> where it is, and the report. Raises InputError."""
    if name is not None:
        _checked(name, folder)
    model, report = import_model(file, name, modes)
    path = _checked(model.name, folder)
    if path.exists() and _is_of_others(path):
        raise InputError(f"{path} belongs to another program. Give another name with --name.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Uncompressed it loads in a fifth of the time, and what is compressed are float16 that hardly shrink.
        save_model(model, path, compress=False)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}). Set MIEN_ASSETS to a folder that can."
        ) from error
    forget_models()
    return path, report


def _is_of_others(path: Path) -> bool:
    try:
        return not is_own(path)
    except PackageError:
        return False  # nobody has any use for it


def _checked(name: str, folder: Path | None) -> Path:
    if name == BUILT_IN:
        raise InputError(f"{BUILT_IN} is the built-in model's name. Give another with --name.")
    return assets.file_of(name, folder)


def download(
    name: str,
    *,
    tell: Callable[[str], object],
    progress: Progress = lambda done, total: None,
    folder: Path | None = None,
) -> tuple[Path, Report]:
    """Download a model of the catalogue, check and import it -> where it is, and the report.

    Raises InputError: for one that is not openly hosted it says where to register and what to do then.
    """
    entry = known(name)
    if entry is None:
        names = ", ".join(other.name for other in CATALOGUE)
        raise InputError(f"{name}: no such model. Known models: {names}.")
    if entry.download is None:
        raise InputError(
            f"{name} is not openly hosted ({entry.licence}). Register at {entry.page}, download {entry.files}, "
            f"then run: mien assets import FILE --name {name}"
        )
    tell(f"{entry.name}: {entry.licence}; checksum: {entry.download.checksum}")
    place = folder or assets.folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{place} cannot be made ({error.strerror}). Set MIEN_ASSETS.") from error
    archive = place / f".{name}.zip"
    if not archive.exists():
        fetch(entry.download.url, archive, progress)
    try:
        return _unpacked(entry, archive, place, tell)
    finally:
        archive.unlink(missing_ok=True)


def _unpacked(entry: Known, archive: Path, place: Path, tell: Callable[[str], object]) -> tuple[Path, Report]:
    if entry.download is None:
        raise InputError(f"{entry.name} is not openly hosted.")
    with tempfile.TemporaryDirectory(dir=place, prefix=f".{entry.name}-") as scratch:
        folder = unpack(archive, entry.download.folder, Path(scratch))
        tree = git_tree(folder)
        if tree != entry.download.tree:
            raise PackageError(
                f"{entry.download.url}: not what it should be (tree {tree}, expected {entry.download.tree}). Nothing "
                "was imported. Download again; if it stays, report it."
            )
        tell("The checksum is right. Importing; this takes a minute.")
        return add(folder, entry.name, folder=place)
