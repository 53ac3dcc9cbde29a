"""Every test module says its kind; kinds that this machine cannot run are skipped, or demanded in CI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest

KINDS = {"unit", "plugin", "browser", "gpu", "data", "slow"}
SHARED = Path(os.environ.get("MIEN_SHARED", Path(__file__).parents[2] / "shared"))

REQUIRED = set(filter(None, os.environ.get("MIEN_REQUIRE", "").split(",")))
"""Kinds that must run: a machine that lacks what they need fails instead of skipping."""


def _lacking(kind: str) -> str:
    """Why this machine cannot run tests of `kind`; empty when it can."""
    match kind:
        case "browser":
            if find_spec("playwright") is None:
                return "playwright is not installed"
            return "" if shutil.which("chromium") else "chromium is not installed"
        case "plugin":
            needed = ("aiortc", "av", "cv2", "fastapi", "mediapipe", "pythonosc", "pyvirtualcam", "skimage")
            missing = [name for name in needed if find_spec(name) is None]
            return f"{', '.join(missing)} not installed" if missing else ""
        case "data":
            return "" if (SHARED / "data").is_dir() else "the reference clips are not here"
        case "gpu":
            return "" if find_spec("torch") and Path("/dev/nvidia0").exists() else "no CUDA device"
    return ""


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    for item in items:
        kinds = KINDS & {mark.name for mark in item.iter_markers()}
        if not kinds:
            raise pytest.UsageError(
                f"{item.location[0]} does not say its kind: set pytestmark to one of {KINDS}"
            )
        for kind in kinds:
            if reason := _lacking(kind):
                if kind in REQUIRED:
                    raise pytest.UsageError(f"tests of kind '{kind}' are required here, but {reason}")
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
