"""The command line: clear words, right exit codes, never a traceback."""

import json
import os
import re
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
from typer.main import get_command

from mien.cli.app import app
from mien.cli.paths import write_whole
from mien.cli.render import render
from mien.config import load_config
from mien.errors import ConfigError, InputError, MediaError

pytestmark = [pytest.mark.unit, pytest.mark.slow]


def mien(*arguments, cwd=None):
    """Run the real entry point in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from mien.cli.main import run_app; run_app()", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        timeout=120,
        check=False,
    )


def refused(result, *words):
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr, result.stderr
    return True


def test_plugins_lists_every_kind():
    result = mien("plugins")
    assert result.returncode == 0
    for word in ("source", "tracker", "demo", "performance", "fit"):
        assert word in result.stdout
    listed = json.loads(mien("plugins", "--json").stdout)
    assert {"kind", "name", "plugin", "usable", "install", "summary"} == set(listed["offers"][0])


def test_doctor_is_for_people_and_for_programs():
    result = mien("doctor")
    assert result.returncode == 0
    assert "machine" in result.stdout
    checks = json.loads(mien("doctor", "--json").stdout)["checks"]
    assert all({"name", "ok", "detail", "mend"} == set(check) for check in checks)


def test_version_and_help():
    assert mien("--version").stdout.startswith("mien 0.")
    assert "render" in mien("--help").stdout


def commands(group, path="mien"):
    """Everything that has a --help: its name, and itself."""
    yield path, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, f"{path} {name}")


def test_help_names_everything_and_cuts_no_sentence():
    for path, command in commands(get_command(app)):
        assert command.help or command.hidden, path
        context = command.make_context(path, [], resilient_parsing=True)
        lines = command.get_help(context).splitlines()
        assert not [line for line in lines if line.startswith("  ") and line.endswith("...")], path
        undescribed = [one.name for one in command.params if not getattr(one, "help", "")]
        assert command.hidden or not undescribed, f"{path}: {undescribed}"


def test_a_value_that_cannot_be_names_the_option_that_gave_it():
    for options, assignments, words in (
        ({"video.size": 100}, (), "--size: video.size = 100 is not acceptable: it should be at least 128."),
        (
            {},
            ("video.fps=900",),
            "--set video.fps=900: video.fps = 900 is not acceptable: it should be at most 60.",
        ),
        (
            {},
            ("video.fsp=3",),
            "--set video.fsp=3: there is no setting 'video.fsp'. Did you mean 'video.fps'?",
        ),
    ):
        with pytest.raises(ConfigError, match=f"^{re.escape(words)}$"):
            load_config(assignments=assignments, options=options)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--set", "video.fsp=3"], ["video.fsp", "video.fps"]),
        (["run", "--port", "0", "--source", "nowhere.mp4"], ["nowhere.mp4", "demo"]),
        (["run", "--port", "0", "--avatar", "nobody.avatar"], ["nobody.avatar"]),
        (["run", "--config", "none.toml"], ["none.toml"]),
        (["render", "--drive", "none.mp4", "--out", "o.mp4"], ["none.mp4"]),
        (["render", "--avatar", "none.avatar", "--drive", "none.mp4", "--out", "o.mp4"], ["none."]),
        (["render", "--drive", ".", "--out", "o.mp4"], ["folder"]),
        (["render", "--drive", "demo", "--out", "none/o.mp4"], ["There is no folder none"]),
        (["render", "--drive", "demo", "--out", "o.mp4", "--emotion", "hapy=0.8"], ["hapy", "“happy”"]),
        (["render", "--drive", "demo", "--out", "o.mp4", "--emotion", "happy"], ["happy", "happy=0.8"]),
        (["render", "--drive", "demo", "--out", "o.mp4", "--emotion", "happy=3"], ["emotion.happy", "1"]),
        (
            ["render", "--drive", "demo", "--out", "o.mp4", "--mode", "mouth"],
            ["mode", "'mouth'", "'dubbing'"],
        ),
        (["track", "none.mp4", "--out", "x.performance"], ["none.mp4"]),
        (["run", "--set", "use.tracker=fitt"], ["'fit'"]),
        (["run", "--set", "plugin.nobody.x=1"], ["plugin.nobody"]),
        (["avatar", "show", "none.avatar"], ["none.avatar"]),
        (["avatar", "create", "none.jpg", "--out", "x.avatar", "--consent", "self"], ["none.jpg"]),
        (["avatar", "create", "none.jpg", "--out", "x.png", "--consent", "self"], ["x.avatar"]),
        (["avatar", "create", "none.jpg", "--out", "x.avatar", "--consent", "none.txt"], ["none.txt"]),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else None,
)
def test_mistakes_are_refused_in_one_line(tmp_path, arguments, words):
    result = mien(*arguments, cwd=tmp_path)
    assert refused(result, *words)
    assert len(result.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir()), "nothing half-written is left"


def test_a_report_is_written_whole_or_not_at_all(tmp_path):
    report = tmp_path / "r.json"
    write_whole(report, "first")
    write_whole(report, "second")
    assert report.read_text() == "second"
    (taken := tmp_path / "taken").mkdir()
    with pytest.raises(MediaError, match="taken cannot be written"):
        write_whole(taken, "third")
    assert {path.name for path in tmp_path.iterdir()} == {"r.json", "taken"}


def test_mode_and_emotions_are_set_from_the_first_picture_on(tmp_path, monkeypatch):
    told = []

    class Watched:
        def update_controls(self, patch):
            told.append(patch)
            raise InputError("seen enough")

    @asynccontextmanager
    async def session(config, avatar):
        yield None, Watched()

    monkeypatch.setattr("mien.cli.offline.offline_session", session)
    with pytest.raises(InputError, match="seen enough"):
        render("demo", tmp_path / "o.mp4", emotion=["happy=0.8", "sadly angry=0.1"])
    assert told == [{"emotion": {"happy": 0.8, "sadly angry": 0.1}}]
    with pytest.raises(InputError, match="seen enough"):
        render("demo", tmp_path / "o.mp4", mode="dubbing")
    assert told[1]["mode"] == "dubbing"
