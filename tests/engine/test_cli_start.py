"""What a start and `mien doctor` say about the machine and the installation, and what they refuse first."""

import asyncio
import json
import os
import signal
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from mien import installation
from mien.cli import machine, signals, warm
from mien.cli.absence import FaceWatch
from mien.cli.live import Live, _tell_missing, check_files, open_main
from mien.config import load_config
from mien.engine import MAIN
from mien.errors import ConfigError, InputError, MissingExtraError
from mien.frames import FaceParams
from mien.notices import Board
from mien.plugins import Registry
from mien.stage import Check, Kind, Plugin, Provides, Tracked
from mien.testing.stages import MemoryOutput
from world import avatar, world

pytestmark = pytest.mark.unit


# --- the machine ----------------------------------------------------------------------------------------


@pytest.fixture
def linux(monkeypatch):
    monkeypatch.setattr(machine.platform, "system", lambda: "Linux")


def test_a_microphone_is_what_records(linux, tmp_path):
    (tmp_path / "pcmC0D0p").touch()
    assert not machine.microphone(tmp_path).ok, "a loudspeaker is none"
    (tmp_path / "pcmC0D0c").touch()
    (tmp_path / "cards").write_text(
        " 0 [PCH     ]: HDA-Intel - HDA Intel PCH\n      HDA Intel PCH at 0x6001\n"
    )
    check = machine.microphone(tmp_path, tmp_path / "cards")
    assert check.ok
    assert "HDA Intel PCH" in check.detail


def test_a_microphone_that_may_not_be_opened_names_the_group(linux, tmp_path, monkeypatch):
    (tmp_path / "pcmC0D0c").touch()
    monkeypatch.setattr(machine.os, "access", lambda *_: False)
    assert machine.microphone(tmp_path).mend == machine.GRANT_SOUND


def test_a_gpu_is_found_with_its_driver_or_without(tmp_path):
    proc, bus = tmp_path / "gpus", tmp_path / "devices"
    nothing = machine.gpu(proc, bus, smi="no-such-program")
    assert not nothing.ok
    assert not nothing.mend
    card = bus / "0000:01:00.0"
    card.mkdir(parents=True)
    (card / "vendor").write_text("0x10de\n")
    (card / "class").write_text("0x030000\n")
    assert machine.gpu(proc, bus, smi="no-such-program").mend == machine.INSTALL_DRIVER
    (proc / "0000:01:00.0").mkdir(parents=True)
    (proc / "0000:01:00.0" / "information").write_text("Model: \t\t NVIDIA T4\nIRQ: 1\n")
    found = machine.gpu(proc, bus, smi="no-such-program")
    assert found.ok
    assert "NVIDIA T4" in found.detail


def test_only_what_is_missing_is_told_in_a_line_each(capsys):
    _tell_missing([Check("camera", True, "one")])
    assert capsys.readouterr().out == ""
    _tell_missing([Check("camera", True, "one"), Check("GPU", False, "none", "buy one")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].split() == ["GPU", "none", "→", "buy", "one"]


# --- the installation -----------------------------------------------------------------------------------


def test_a_checkout_is_known_by_the_installers_note(tmp_path):
    note = {"dir_info": {"editable": True}, "url": tmp_path.as_uri()}
    assert installation.checkout(json.dumps(note)) is None, "without pins it is somebody else's"
    (tmp_path / "constraints.txt").touch()
    assert installation.checkout(json.dumps(note)) == tmp_path
    assert installation.checkout(json.dumps(note | {"dir_info": {}})) is None
    assert installation.checkout("") is None
    assert installation.checkout("[]") is None


def test_the_install_line_fits_the_installation(tmp_path, monkeypatch):
    monkeypatch.setattr(installation, "checkout", lambda: None)
    monkeypatch.setattr(installation.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(installation.shutil, "which", lambda _: "/elsewhere/pip")
    assert (
        installation.command_here('pip install "mien[av]"') == f'{tmp_path}/python -m pip install "mien[av]"'
    )
    (tmp_path / "pip").touch()
    assert installation.command_here('pip install "mien[av]"') == f'{tmp_path}/pip install "mien[av]"'
    monkeypatch.setattr(installation.shutil, "which", lambda _: str(tmp_path / "pip"))
    assert installation.command_here('pip install "mien[av]"') == 'pip install "mien[av]"'
    assert installation.command_here("sudo modprobe x") == "sudo modprobe x"
    monkeypatch.setattr(installation, "checkout", lambda: tmp_path)
    assert "--no-deps -r constraints.txt" in installation.command_here('pip install "mien[av]"')
    assert installation.command_here("pip install other") == "pip install other"


def test_several_missing_extras_are_told_at_once():
    lacking = [
        Plugin(name, "", (Provides(kind, name, ""),), requires=("no_such_module",), install=f"get {name}")
        for name, kind in (("a", Kind.TRACKER), ("b", Kind.RENDERER))
    ]
    with pytest.raises(MissingExtraError, match=r"get a; or all that a desktop uses: .*install"):
        Registry(lacking).find(Kind.TRACKER)
    with pytest.raises(MissingExtraError, match=r"get a$"):
        Registry(lacking[:1]).find(Kind.TRACKER)


def test_a_plugin_that_lacks_its_dependency_is_told_among_the_devices():
    plugin = Plugin("cam", "", (), requires=("no_such_module",), install="get cam", devices="no.such:thing")
    assert Registry([plugin]).devices() == [Check("cam", False, "missing no_such_module", "get cam")]
    assert Registry([Plugin("deaf", "", (), doctor="no.such:thing")]).devices() == []


# --- settings of plugins --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("plugin.av.lop=false", ["plugin.av", "'lop'", "Did you mean 'loop'"]),
        ("plugin.virtualcam.widht=640", ["plugin.virtualcam", "'width'"]),
        ("plugin.webrtc.max_viewer=1", ["plugin.webrtc", "'max_viewers'"]),
        ("plugin.raster.threads=0", ["plugin.raster", "threads", "0"]),
        ("plugin.mien.x=1", ["plugin.mien", "'x'", "none at all"]),
    ],
)
def test_a_mistake_in_a_plugins_table_is_refused_at_the_start(assignment, words, monkeypatch):
    monkeypatch.setattr("mien.plugins.missing_imports", lambda _: ())
    with pytest.raises(ConfigError) as caught:
        Registry.discover().check_settings(load_config(None, [assignment]))
    for word in words:
        assert word in str(caught.value)


def test_good_tables_pass():
    config = load_config(
        None, ["plugin.av.loop=false", "plugin.raster.threads=2", "plugin.webrtc.max_viewers=3"]
    )
    Registry.discover().check_settings(config)


# --- what is slow can be given up -----------------------------------------------------------------------


async def test_making_the_builtin_avatar_can_be_given_up_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (cache := tmp_path / "mien").mkdir()
    half = "import os, pathlib, time; pathlib.Path('{}', f'.x.avatar.{{os.getpid()}}.part').touch(); time.sleep(99)"
    monkeypatch.setattr(warm, "_CHILD", (sys.executable, "-c", half.format(cache)))
    task = asyncio.ensure_future(warm.warm_for(Registry([]), load_config()))
    async with asyncio.timeout(60):
        while not list(cache.iterdir()):  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not list(cache.iterdir())
    assert "only this once" in capsys.readouterr().out


@pytest.mark.parametrize("may_leave", [True, False])
def test_a_thread_that_hangs_does_not_hold_up_the_end(may_leave, monkeypatch):
    left = threading.Event()
    monkeypatch.setattr(signals, "_leave", left.set)
    monkeypatch.setattr(signals, "PATIENCE_S", 0.01)

    async def work():
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.to_thread(left.wait, 30 if may_leave else 0.1)

    async def nothing_to_lose():
        if not may_leave:
            await signals.never()

    assert signals.run_until_signal(work(), nothing_to_lose) == signal.SIGINT
    assert left.is_set() is may_leave


async def test_files_are_finished_before_what_hangs_and_then_the_program_may_be_left(tmp_path, capsys):
    hanging = asyncio.Event()

    async def warm_up():  # opens a tracker on a thread, which can't be interrupted
        try:
            await hanging.wait()
        finally:
            await hanging.wait()

    (film := tmp_path / "x.mp4").touch()
    async with world() as w:
        live = Live(load_config())
        live._engine = w.engine
        await live.saved()  # nothing is written yet
        session = await w.engine.open_session(MAIN)
        await session.add_output(output := MemoryOutput())
        live._written[str(film)] = output
        live._hold(warm_up(), "warm-up")
        await asyncio.sleep(0)
        stopping = asyncio.create_task(live._stop(w.engine))
        await live.saved()
        assert output.closed == 1
        assert f"Wrote {film}." in capsys.readouterr().out
        assert not stopping.done()
        hanging.set()
        await stopping
        assert not w.engine.sessions


async def test_nobody_waits_for_devices_to_be_saved(tmp_path, capsys):
    offers = Registry([Plugin("cable", "", (Provides(Kind.OUTPUT, "virtualmic", ""),))])
    async with world() as w:
        live = Live(load_config())
        live._engine = w.engine
        session = await w.engine.open_session(MAIN)
        device, film = MemoryOutput(), MemoryOutput()
        await live._write_to(session, [("virtualmic", device, "cable")], offers)
        await live.saved()
        await live._write_to(session, [(str(tmp_path / "x.mp4"), film, "")], offers)
        waiting = asyncio.create_task(live.saved())
        await asyncio.sleep(0)
        assert not waiting.done()
        await live._stop(w.engine)
        await waiting
        assert (device.closed, film.closed) == (1, 1)
        assert capsys.readouterr().out.count("Writing to") == 2


async def test_everything_is_closed_though_the_gateway_fails_to_stop():
    class Sick:
        async def stop(self):
            raise RuntimeError("sick")

    async with world() as w:
        live = Live(load_config())
        live._gateway = Sick()
        session = await w.engine.open_session(MAIN)
        await session.add_output(output := MemoryOutput())
        with pytest.raises(RuntimeError, match="sick"):
            await live._stop(w.engine)
        assert output.closed == 1
        assert not w.engine.sessions


# --- a start that others cannot spoil ---------------------------------------------------------------------


@pytest.mark.parametrize("early", [[MAIN], ["a", "b", "c", "d"]], ids=["its name taken", "full"])
async def test_a_client_who_was_quicker_gives_way(early):
    async with world() as w:
        opening = [
            asyncio.create_task(w.engine.open_session(name)) for name in early[: w.engine.max_sessions]
        ]
        await asyncio.sleep(0)
        session = await open_main(w.engine, avatar("Mine"))
        assert w.engine.sessions[MAIN] is session
        assert session.avatar.content.title == "Mine"
        await asyncio.gather(*opening)


@pytest.mark.parametrize(
    ("source", "out"),
    [("{}", "{}"), ("file:{}", "{}"), ("{}", "file:{}"), ("demo", "{}"), ("{}", "{}/x.mp4")],
)
def test_what_is_read_is_never_written_to(source, out, tmp_path):
    (film := tmp_path / "in.mp4").write_bytes(b"precious")
    package = film if source == "demo" else "builtin"
    names = {"run.source": source.format(film), "run.out": (out.format(film),), "run.avatar": str(package)}
    with pytest.raises(InputError, match=r"overwritten|There is no folder"):
        check_files(Registry.discover(), load_config(options=names))


def test_places_that_are_no_files_are_not_looked_at():
    names = {"run.source": "demo", "run.out": ("web", "virtualcam:/dev/video9", "vmc")}
    check_files(Registry.discover(), load_config(options=names))


# --- nobody there ---------------------------------------------------------------------------------------


def test_a_source_without_any_face_is_told_once():
    session = SimpleNamespace(board=Board(), source_name="hill.mp4")
    watch = FaceWatch(session)

    def see(second, *, face=False):
        params = FaceParams(0, expression=np.zeros(52, np.float32)) if face else None
        watch.tracked(Tracked(params), SimpleNamespace(capture_ns=int(second * 1e9)))

    for second in (10.0, 11.0, 11.9):
        see(second)
    assert not session.board.recent
    see(12.0)
    see(13.0)
    (notice,) = session.board.recent
    assert "hill.mp4" in notice.text
    session.source_name = "face.mp4"
    see(20.0, face=True)
    see(30.0)
    assert len(session.board.recent) == 1, "who has left was there"
