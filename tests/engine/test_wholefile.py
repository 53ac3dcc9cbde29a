"""Files that appear whole or not at all."""

import os
from pathlib import Path

import pytest

from mien.wholefile import whole_file

pytestmark = pytest.mark.unit


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_stood_there_stays_until_the_new_is_complete(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with whole_file(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == {"a.txt"}


def write_half(path: Path) -> None:
    with whole_file(path) as partial:
        partial.write_text("half")
        raise ValueError("no more")


def test_nothing_is_left_of_what_failed(tmp_path):
    with pytest.raises(ValueError, match="no more"):
        write_half(tmp_path / "a.txt")
    (tmp_path / "taken").mkdir()
    with pytest.raises(IsADirectoryError), whole_file(tmp_path / "taken"):
        pass
    assert names(tmp_path) == {"taken"}
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "none" / "a.txt"):
        pytest.fail("there is no such folder")


def test_two_writers_at_once_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"
    with whole_file(path) as first:
        first.write_text("first")
        with whole_file(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert names(tmp_path) == {"a.txt"}


def test_who_ends_a_process_can_tell_what_it_left(tmp_path):
    with whole_file(tmp_path / "a.txt") as partial:
        assert list(tmp_path.glob(f".*.{os.getpid()}.part")) == [partial]
