"""What can be said about the page's files without a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

WEB = Path(__file__).resolve().parents[2] / "web"
HTML = (WEB / "index.html").read_text()
MODULES = sorted(WEB.glob("*.js"))


def test_nothing_comes_from_elsewhere() -> None:
    for path in (*WEB.glob("*.js"), *WEB.glob("*.css"), *WEB.glob("*.html")):
        for url in re.findall(r"https?://[^\s'\"<>)]+", path.read_text()):
            assert url == "http://www.w3.org/2000/svg", f"{path.name} asks {url}"


def test_every_asset_is_there() -> None:
    for name in re.findall(r'"/assets/([^"]+)"', HTML):
        assert (WEB / name).is_file(), name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_imports_and_elements_exist(path: Path) -> None:
    text = path.read_text()
    for name in re.findall(r"from '\./([^']+)'|import\('\./([^']+)'\)", text):
        assert (WEB / "".join(name)).is_file(), name
    for identifier in re.findall(r"\bpart\('([^']+)'", text):
        assert f'id="{identifier}"' in HTML, identifier
    assert len(text.splitlines()) < 400
    assert max(map(len, text.splitlines())) <= 120


def test_labels_point_at_something() -> None:
    identifiers = re.findall(r'\bid="([^"]+)"', HTML)
    assert len(identifiers) == len(set(identifiers))
    for target in re.findall(r'(?:for|aria-controls|aria-labelledby)="([^"]+)"', HTML):
        assert target in identifiers, target


def test_types() -> None:
    """`tsc --checkJs`, where TypeScript is installed."""
    tsc = shutil.which("tsc")
    if tsc is None:
        pytest.skip("tsc is missing: npm install --global typescript")
    done = subprocess.run(
        [tsc, "-p", str(WEB / "jsconfig.json")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
