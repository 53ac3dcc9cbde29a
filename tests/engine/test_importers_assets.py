"""The assets folder and `mien assets`: list, download from a server on loopback, import."""

from __future__ import annotations

import dataclasses
import http.server
import json
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mien.cli.app import app
from mien.errors import ConfigError, InputError, PackageError
from mien.face import assets
from mien.face.importers import download, importing, store
from mien.face.importers.catalogue import CATALOGUE, Download, Known, known
from mien.face.model import load_model, save_model

pytestmark = pytest.mark.unit


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` under any path; goes silent after `breaks_after` bytes, once."""

    content = b""
    ranges = True
    breaks_after: int | None = None
    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/model.zip"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        body, status = self.server.content, self.server.status
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.ranges else 0
        if start >= len(body) > 0 and start:
            status = 416
        elif start:
            status = 206
        self.send_response(status)
        rest = body[start:] if status in {200, 206} else b""
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if self.server.breaks_after is not None:
            rest, self.server.breaks_after = rest[: self.server.breaks_after], None
        self.wfile.write(rest)

    def log_message(self, *_: object) -> None:
        """Not on the terminal."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def test_a_download_arrives(server: Server, tmp_path: Path) -> None:
    server.content = b"x" * 700_000
    told: list[tuple[int, int | None]] = []
    download.fetch(server.url, tmp_path / "a.zip", lambda done, total: told.append((done, total)))
    assert (tmp_path / "a.zip").read_bytes() == server.content
    assert told[-1] == (700_000, 700_000)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on(server: Server, tmp_path: Path, ranges: bool) -> None:
    server.content, server.ranges, server.breaks_after = bytes(range(256)) * 40, ranges, 4000
    with pytest.raises(InputError, match="run the same command again"):
        download.fetch(server.url, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists(), "whole or not at all"
    download.fetch(server.url, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == server.content
    assert server.asked[0] is None
    assert server.asked[1] is not None


def test_a_part_that_cannot_be_continued_is_begun_anew(server: Server, tmp_path: Path) -> None:
    server.content = b"new"
    (tmp_path / "a.zip.part").write_bytes(b"something old and longer")
    download.fetch(server.url, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == b"new"


def test_a_server_that_refuses_is_told(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(InputError, match="404"):
        download.fetch(server.url, tmp_path / "a.zip")
    with pytest.raises(InputError, match="web address"):
        download.fetch("file:///etc/passwd", tmp_path / "a.zip")


def packed(path: Path, folder: Path) -> Path:
    """As GitHub packs a repository: one folder at the top."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ICT-FaceKit-abc/README.md", "read me")
        for file in sorted(folder.rglob("*")):
            archive.write(file, Path("ICT-FaceKit-abc") / folder.name / file.relative_to(folder))
    return path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "FaceXModel"
    (folder / "deeper").mkdir(parents=True)
    (folder / "b.txt").write_text("b")
    (folder / "a.obj").write_text("v 0 0 0")
    (folder / "deeper" / "c").write_text("c")
    return folder


def test_the_tree_is_gits(repository: Path) -> None:
    def git(*words: str) -> str:
        base = ["git", "-c", "core.autocrlf=false", "-C", str(repository), *words]
        return subprocess.run(base, capture_output=True, text=True, check=True).stdout.strip()

    expected = download.git_tree(repository)
    git("init", "-q")
    git("add", ".")
    assert git("write-tree") == expected


def entry(url: str, tree: str) -> Known:
    ict = known("ict-facekit")
    assert ict is not None
    return dataclasses.replace(ict, download=Download(url, "FaceXModel", tree))


def test_what_is_downloaded_is_checked_and_imported(
    server: Server, tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.content = packed(tmp_path / "served.zip", repository).read_bytes()
    place, told = tmp_path / "assets", []
    monkeypatch.setattr(store, "known", lambda _: entry(server.url, download.git_tree(repository)))
    head = load_model()

    def import_model(path: Path, name: str | None, _: int) -> tuple[object, importing.Report]:
        assert (path / "deeper" / "c").read_text() == "c"
        return dataclasses.replace(head, name=name), importing.Report.of(
            dataclasses.replace(head, name=name), None
        )

    monkeypatch.setattr(store, "import_model", import_model)
    path, report = store.download("ict-facekit", tell=told.append, folder=place)
    assert path == place / "ict-facekit.npz"
    assert report.name == "ict-facekit"
    assert "MIT" in told[0]
    assert download.git_tree(repository) in told[0], "with the checksum that is expected"
    assert [file.name for file in place.iterdir()] == ["ict-facekit.npz"], "nothing is left lying about"
    assert len(load_model("ict-facekit", place).mean) == len(head.mean)


def test_something_else_is_not_imported(
    server: Server, tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.content = packed(tmp_path / "served.zip", repository).read_bytes()
    monkeypatch.setattr(store, "known", lambda _: entry(server.url, "0" * 40))
    with pytest.raises(PackageError, match="not what it should be"):
        store.download("ict-facekit", tell=lambda _: None, folder=tmp_path / "assets")
    assert not list((tmp_path / "assets").iterdir())
    server.content = b"no zip"
    with pytest.raises(PackageError, match="not a readable zip"):
        store.download("ict-facekit", tell=lambda _: None, folder=tmp_path / "assets")


def test_what_is_not_openly_hosted_says_where_to_register(tmp_path: Path) -> None:
    for name in ("flame2020", "flame2023", "bfm2009", "bfm2017", "bfm2019"):
        with pytest.raises(InputError, match=rf"Register at https://.*mien assets import FILE --name {name}"):
            store.download(name, tell=lambda _: None, folder=tmp_path)
    with pytest.raises(InputError, match="Known models: ict-facekit"):
        store.download("ict", tell=lambda _: None, folder=tmp_path)


def test_the_catalogue_and_the_loader_know_the_same() -> None:
    assert tuple(entry.name for entry in CATALOGUE) == assets.NAMES


def test_what_can_be_downloaded_is_listed_with_its_checksum(tmp_path: Path) -> None:
    rows = {row["name"]: row for row in store.listed(tmp_path)}
    ict = known("ict-facekit")
    assert ict is not None
    assert ict.download is not None
    assert rows["ict-facekit"]["checksum"] == f"git tree {ict.download.tree}"
    assert rows["flame2020"]["checksum"] == ""


def test_models_of_any_name_are_listed_and_loaded(tmp_path: Path) -> None:
    head, place = load_model(), tmp_path / "assets"
    save_model(dataclasses.replace(head, source="by a friend, CC0"), tmp_path / "mine.npz")
    for name in ("ict_mine", "ict_facekit"):
        store.add(tmp_path / "mine.npz", name, folder=place)
        assert load_model(name, place).name == name
    np.savez(place / "ict_to_mediapipe.npz", tv=np.zeros(3))
    (place / "broken.npz").write_bytes(b"no zip")
    rows = {row["name"]: row for row in store.listed(place)}
    assert not rows["ict-facekit"]["installed"], "what it is, not what it is called"
    assert set(rows) - set(assets.NAMES) == {"ict_mine", "ict_facekit"}
    assert rows["ict_mine"]["licence"] == "by a friend, CC0"


def test_what_other_programs_keep_is_not_overwritten(tmp_path: Path) -> None:
    place = tmp_path / "assets"
    place.mkdir()
    save_model(load_model(), tmp_path / "mine.npz")
    theirs = place / "ict_to_mediapipe.npz"
    np.savez(theirs, tv=np.zeros(3))
    before = theirs.read_bytes()
    with pytest.raises(InputError, match=r"ict_to_mediapipe\.npz.*--name"):
        store.add(tmp_path / "mine.npz", "ict_to_mediapipe", folder=place)
    assert theirs.read_bytes() == before
    (place / "mine.npz").write_bytes(b"broken")
    store.add(tmp_path / "mine.npz", "mine", folder=place)
    assert load_model("mine", place).name == "mine"


@pytest.mark.parametrize("name", ["../head", "", ".hidden", "a/b"])
def test_a_name_cannot_lead_elsewhere(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be the name"):
        assets.file_of(name, tmp_path)


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_ASSETS", str(tmp_path / "assets"))
    file = tmp_path / "mine.npz"
    save_model(load_model(), file)
    run = CliRunner()
    done = run.invoke(app, ["assets", "import", str(file), "--name", "my-head"])
    assert done.exit_code == 0, done.output
    assert "7,958 vertices" in done.output
    assert "use.face_model=my-head" in done.output
    assert load_model("my-head").name == "my-head"
    listed = json.loads(run.invoke(app, ["assets", "list", "--json"]).output)["assets"]
    by_name = {row["name"]: row for row in listed}
    assert by_name["my-head"]["installed"]
    assert not by_name["flame2020"]["installed"]
    assert by_name["ict-facekit"]["licence"].startswith("MIT")
    table = run.invoke(app, ["assets", "list"], env={"COLUMNS": "200"}).output
    assert "mien assets get ict-facekit" in table
    assert by_name["ict-facekit"]["checksum"] in table
    refused = run.invoke(app, ["assets", "get", "flame2020"])
    assert isinstance(refused.exception, InputError)
    taken = run.invoke(app, ["assets", "import", str(file), "--name", "mien-head"])
    assert isinstance(taken.exception, InputError)
