"""Every test module says its kind; kinds that this machine cannot run are skipped, or demanded in CI."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest

from chromium import find_chromium

KINDS = {"unit", "plugin", "browser", "torch", "gpu", "data", "slow"}
PLUGINS = Path(__file__).with_name("plugins")
FOLDERS = {PLUGINS: "plugin", PLUGINS / "torch": "torch", PLUGINS / "train": "torch"}
"""Tests that import what they test, by the kind that they cannot even be collected without."""
SHARED = Path(os.environ.get("MIEN_SHARED", Path(__file__).parents[2] / "shared"))

REQUIRED = set(filter(None, os.environ.get("MIEN_REQUIRE", "").split(",")))
"""Kinds that must run: a machine that lacks what they need fails instead of skipping."""


def _lacking(kind: str) -> str:
    """Why this machine cannot run tests of `kind`; empty when it can."""
    match kind:
        case "browser":
            needed = ("aiortc", "cv2", "fastapi", "playwright", "uvicorn")
            return _missing(needed) or ("" if find_chromium() else "chromium is not installed")
        case "plugin":
            needed = ("aiortc", "av", "cv2", "fastapi", "mediapipe", "pythonosc", "pyvirtualcam", "skimage")
            return _missing(needed)
        case "torch":
            return _missing(("torch",))
        case "data":
            return "" if (SHARED / "data").is_dir() else "the reference clips are not here"
        case "gpu":
            return "" if find_spec("torch") and Path("/dev/nvidia0").exists() else "no CUDA device"
    return ""


def _missing(names: Iterable[str]) -> str:
    missing = [name for name in names if find_spec(name) is None]
    return f"{', '.join(missing)} not installed" if missing else ""


def _demand(kind: str, reason: str) -> None:
    """Raises when tests of `kind` must run here and cannot."""
    if kind in REQUIRED:
        raise pytest.UsageError(f"tests of kind '{kind}' are required here, but {reason}")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    kind = FOLDERS.get(collection_path, "")
    if reason := _lacking(kind):
        _demand(kind, reason)
        return True
    return None


def pytest_report_header() -> list[str]:
    lacking = {folder: _lacking(kind) for folder, kind in FOLDERS.items() if folder.is_dir()}
    return [f"tests/{f.relative_to(PLUGINS.parent)} is left out: {why}" for f, why in lacking.items() if why]


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    for item in items:
        kinds = KINDS & {mark.name for mark in item.iter_markers()}
        if not kinds:
            raise pytest.UsageError(
                f"{item.location[0]} does not say its kind: set pytestmark to one of {KINDS}"
            )
        for kind in kinds:
            if reason := _lacking(kind):
                _demand(kind, reason)
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of reference clips; only for tests of kind `data`."""
    return SHARED / "data"


@pytest.fixture(autouse=True)
def _private_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own configuration and data; the cache is shared for speed."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
