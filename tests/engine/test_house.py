"""The rules of the house: who may import whom, where things lie, what every module says."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PLUGINS = sorted(p for p in (ROOT / "plugins").iterdir() if p.is_dir() and p.name.startswith("mien_"))
HEAVY = {"cv2", "mediapipe", "av", "aiortc", "fastapi", "uvicorn", "torch", "skimage", "pyvirtualcam", "PIL"}


def imports(file: Path) -> set[str]:
    """Top-level names of everything that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


def sources(folder: Path) -> list[Path]:
    return [f for f in folder.rglob("*.py") if "make" not in f.relative_to(folder).parts]


def test_the_engine_imports_no_plugin():
    names = {p.name for p in PLUGINS}
    for file in sources(ROOT / "engine" / "mien"):
        assert not imports(file) & names, file


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda p: p.name)
def test_a_plugin_imports_no_other_plugin(plugin):
    others = {p.name for p in PLUGINS} - {plugin.name}
    for file in sources(plugin):
        assert not imports(file) & others, file


@pytest.mark.parametrize(
    ("package", "above"),
    [
        ("face", {"performance", "drive", "avatar", "engine", "session", "cliptracking", "cli"}),
        ("performance", {"drive", "avatar", "engine", "session", "cliptracking", "cli"}),
    ],
)
def test_a_package_knows_nothing_of_what_is_built_on_it(package, above):
    for file in sources(ROOT / "engine" / "mien" / package):
        tree = ast.parse(file.read_text())
        modules = [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module]
        modules += [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
        known = {
            parts[1] for parts in (m.split(".") for m in modules) if parts[0] == "mien" and len(parts) > 1
        }
        assert not known & above, file


def test_the_drawers_are_not_packages():
    assert not (ROOT / "engine" / "__init__.py").exists()
    assert not (ROOT / "plugins" / "__init__.py").exists()


def test_nothing_is_called_utils_or_manager():
    for file in ROOT.glob("[ep]*/**/*.py"):
        assert not {"utils", "helpers", "common", "misc", "manager"} & set(file.stem.split("_")), file


def test_every_module_says_what_it_is():
    for drawer in ("engine", "plugins", "benchmarks", "tests"):
        for file in (ROOT / drawer).rglob("*.py"):
            if file.name != "__init__.py":
                assert ast.get_docstring(ast.parse(file.read_text())), f"{file} has no docstring"


def test_modules_stay_small():
    for drawer in ("engine", "plugins"):
        for file in (ROOT / drawer).rglob("*.py"):
            assert len(file.read_text().splitlines()) <= 600, f"{file} asks to be split"


def heavy_after_importing(modules: str) -> list[str]:
    """Which heavy packages a fresh interpreter has loaded then."""
    code = f"import sys, {modules}; print(*sorted({HEAVY!r} & {{m.partition('.')[0] for m in sys.modules}}))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ended.stdout.split()


def test_the_engine_imports_light():
    modules = "mien.engine, mien.session, mien.face.model, mien.face.camera, mien.cli.main"
    assert heavy_after_importing(modules) == []


def test_descriptors_import_light():
    assert heavy_after_importing(", ".join(f"{p.name}.plugin" for p in PLUGINS)) == []


def test_nobody_prints_or_sleeps_in_the_engine():
    for drawer in ("engine", "plugins"):
        for file in sources(ROOT / drawer):
            tree = ast.parse(file.read_text())
            calls = [n.func for n in ast.walk(tree) if isinstance(n, ast.Call)]
            assert not [c for c in calls if isinstance(c, ast.Name) and c.id == "print"], file
            sleeps = [
                c
                for c in calls
                if isinstance(c, ast.Attribute) and c.attr == "sleep" and getattr(c.value, "id", "") == "time"
            ]
            assert not sleeps, file
