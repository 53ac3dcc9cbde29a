"""The wheel holds what it should, and says what to install when it stands alone."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.plugin, pytest.mark.slow]

ROOT = Path(__file__).parents[2]

BLOCK = """
import importlib.abc, sys
HEAVY = {"cv2", "mediapipe", "av", "aiortc", "fastapi", "uvicorn", "skimage", "pyvirtualcam"}
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HEAVY:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    """The wheel installed alone into an empty folder."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--target", folder, wheel], check=True)
    return folder


def test_contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entries = archive.read(next(n for n in names if n.endswith("entry_points.txt"))).decode()
    tops = {name.partition("/")[0] for name in names}
    plugins = {p.name for p in (ROOT / "plugins").iterdir() if p.name.startswith("mien_")}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"mien", *plugins}
    assert "mien/face/mien_head.npz" in names
    assert "mien/py.typed" in names
    assert "mien_webrtc/web/index.html" in names
    assert not [n for n in names if "/make/" in n or "/tests/" in n or "__pycache__" in n]
    assert "mien = mien.cli.main:run_app" in entries
    for plugin in plugins:
        assert f"{plugin}.plugin:plugin" in entries
    assert wheel.stat().st_size < 8 << 20


def run(site, *arguments, blocked=False):
    code = (BLOCK if blocked else "") + "from mien.cli.main import run_app; run_app()"
    # -I keeps the checkout out; the dependencies still come from this environment.
    path = f"import sys; sys.path.insert(0, {str(site)!r});\n"
    return subprocess.run(
        [sys.executable, "-I", "-c", path + code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
        timeout=120,
    )


def test_the_installed_wheel_finds_its_plugins(site):
    checks = json.loads(run(site, "doctor", "--json").stdout)["checks"]
    # A library that this machine lacks is not the wheel's fault; its mend says which.
    broken = [c for c in checks if "cannot be loaded" in c["detail"]]
    assert not [c for c in broken if not c["mend"].startswith("sudo apt install")]
    listed = json.loads(run(site, "plugins", "--json").stdout)
    assert {o["kind"] for o in listed["offers"]} >= {"source", "tracker", "renderer", "gateway", "rasterizer"}


def test_the_bare_wheel_names_the_install_line(site):
    checks = {c["name"]: c for c in json.loads(run(site, "doctor", "--json", blocked=True).stdout)["checks"]}
    assert checks["mediapipe"]["mend"].endswith('pip install "mien[mediapipe]"')
    assert {"machine", "microphone", "GPU"} <= set(checks)
    assert not checks["webrtc"]["ok"]
    result = run(site, "run", blocked=True)
    assert result.returncode == 2
    assert 'pip install "mien[webrtc]"' in result.stderr
    assert 'pip install "mien[desktop]"' in result.stderr
    assert result.stdout == "", "nothing slow has begun"
    assert 'pip install "mien[' in run(site, "plugins", blocked=True).stdout
    assert "Traceback" not in result.stderr
