"""Discovery, preference, and clear words when something is missing."""

import pytest

from mien.cli.main import run_app
from mien.errors import MissingExtraError, PluginError
from mien.libraries import install_line, library_in
from mien.plugins import Broken, Registry
from mien.stage import Check, Kind, Plugin, Provides

pytestmark = pytest.mark.unit

FACTORY = "mien.testing.stages:GreyTracker"


def plugin(name, kind=Kind.TRACKER, rank=0, **more):
    return Plugin(name, f"the {name}", (Provides(kind, name, FACTORY, rank=rank),), **more)


def test_the_highest_rank_is_preferred_and_a_name_overrules_it():
    registry = Registry([plugin("a"), plugin("b", rank=5)])
    assert registry.find(Kind.TRACKER).provides.name == "b"
    assert registry.find(Kind.TRACKER, "a").provides.name == "a"
    assert type(registry.create(Kind.TRACKER)).__name__ == "GreyTracker"


def test_an_unusable_plugin_is_listed_last_and_names_its_install_line():
    registry = Registry(
        [plugin("a"), plugin("b", rank=5, requires=("no_such_module",), install="pip install 'mien[b]'")]
    )
    assert [o.provides.name for o in registry.offers(Kind.TRACKER)] == ["a", "b"]
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[b\]'"):
        registry.find(Kind.TRACKER, "b")
    with pytest.raises(MissingExtraError, match="no_such_module"):
        Registry([registry.plugins[1]]).find(Kind.TRACKER)


def test_unknown_names_get_the_nearest():
    registry = Registry([plugin("mediapipe")])
    with pytest.raises(PluginError, match="Did you mean 'mediapipe'"):
        registry.find(Kind.TRACKER, "medipipe")
    with pytest.raises(PluginError, match="mien doctor"):
        registry.find(Kind.ENCODER)


def test_a_broken_plugin_neither_hides_nor_harms_the_others():
    def bad() -> list[Check]:
        raise RuntimeError

    registry = Registry([plugin("good", doctor="tests_no_such:thing")], [Broken("bad", "ImportError: x")])
    checks = {c.name: c for c in registry.checks()}
    assert not checks["bad"].ok
    assert "ImportError" in checks["bad"].detail
    assert registry.find(Kind.TRACKER).provides.name == "good"


def test_a_factory_that_cannot_be_imported_is_a_plugin_error():
    sick = Plugin(
        "sick", "", (Provides(Kind.TRACKER, "sick", "no.such.module:X"),), install="pip install sick"
    )
    with pytest.raises(PluginError, match="pip install sick"):
        Registry([sick]).create(Kind.TRACKER, "sick")


@pytest.mark.parametrize(
    ("library", "mend"),
    [
        ("libGL.so.1", "sudo apt install libgl1 libglib2.0-0"),
        ("libGLESv2.so.2", "sudo apt install libegl1 libgles2"),
        ("libodd.so.7", "apt-file search libodd.so.7"),
    ],
)
def test_a_library_that_the_system_lacks_is_not_pips_to_bring(library, mend, monkeypatch, capsys):
    def resolve(reference):
        raise ImportError(f"{library}: cannot open shared object file: No such file or directory")

    monkeypatch.setattr("mien.plugins.resolve", resolve)
    registry = Registry([plugin("cam", install="pip install cam", doctor="cam.doctor:checks")])
    with pytest.raises(PluginError) as caught:
        registry.create(Kind.TRACKER, "cam")
    assert mend in str(caught.value)
    assert "pip" not in str(caught.value)
    check = registry.checks()[-1]
    assert library in check.detail
    assert check.mend.startswith(mend)
    own = Check("networks", False, f"{library}: cannot open shared object file", "pip install cam")
    monkeypatch.setattr("mien.plugins.resolve", lambda reference: lambda: [own])
    assert registry.checks()[-1].mend.startswith(mend)
    monkeypatch.setattr("mien.cli.app.app", lambda: resolve("late"))
    with pytest.raises(SystemExit) as end:
        run_app()
    assert end.value.code == 2
    assert mend in (said := capsys.readouterr().err)
    assert said.count("\n") == 1


def test_a_dependency_that_is_there_but_does_not_load_is_not_ok(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path)
    words = "libGL.so.1: cannot open shared object file: No such file or directory"
    (tmp_path / "unloadable_vision.py").write_text(f"raise ImportError({words!r})")
    (tmp_path / "unloadable_other.py").write_text("raise ImportError('built for another Python')")
    registry = Registry(
        [
            plugin("photo", requires=("unloadable_vision",), install="pip install photo"),
            plugin("other", requires=("unloadable_other",), install="pip install other"),
            plugin("sound", requires=("math",)),
        ]
    )
    photo, other, sound = registry.checks()
    assert not photo.ok
    assert "libGL.so.1" in photo.detail
    assert photo.mend == "sudo apt install libgl1 libglib2.0-0"
    assert not other.ok
    assert "another Python" in other.detail
    assert "pip install other" in other.mend
    assert sound.ok


def test_the_engines_own_stages_come_through_the_same_door():
    registry = Registry.discover()
    assert not registry.broken
    assert registry.find(Kind.TRACKER, "fit").plugin.name == "mien"
    names = [p.name for p in registry.plugins]
    assert len(names) == len(set(names))


def test_a_package_that_looks_for_its_library_itself_is_understood():
    assert library_in("PortAudio library not found") == "libportaudio.so.2"
    assert install_line("libportaudio.so.2") == "sudo apt install libportaudio2"
