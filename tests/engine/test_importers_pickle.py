"""Pickles are read as data; one that wants to run something is refused and runs nothing."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import coo_matrix, csc_matrix, csr_matrix

from engine.published_models import chumpy, stand_in_of
from mien.errors import PackageError
from mien.face.importers.unpickling import read_pickle

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_arrays_come_through(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "model.pkl"
    content = {
        "plain": np.arange(6, dtype=np.float64).reshape(2, 3),
        "big_endian": np.arange(3, dtype=">u4"),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "columns": csc_matrix(np.eye(3)),
        "rows": csr_matrix(np.eye(3) * 2),
        "places": coo_matrix(np.eye(3) * 3),
        "number": np.float64(2.5),
        "text": "lbs",
    }
    if protocol != 0:
        path.write_bytes(pickle.dumps(content, protocol=protocol))
    else:
        path.write_bytes(pickle.dumps({k: content[k] for k in ("plain", "text")}, protocol=0))
    read = read_pickle(path)
    np.testing.assert_array_equal(read["plain"], content["plain"])
    assert read["text"] == "lbs"
    if protocol:
        np.testing.assert_array_equal(read["big_endian"], [0, 1, 2])
        np.testing.assert_array_equal(read["fortran"], content["fortran"])
        np.testing.assert_array_equal(read["columns"].toarray(), np.eye(3))
        np.testing.assert_array_equal(read["rows"].toarray(), np.eye(3) * 2)
        np.testing.assert_array_equal(read["places"].toarray(), np.eye(3) * 3)
        assert read["number"] == 2.5


def test_chumpy_is_read_without_chumpy(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    with chumpy() as package:
        inner = stand_in_of(package, "ch", "Ch")(x=np.arange(12.0).reshape(3, 4), _dirty_vars={"x"})
        chosen = stand_in_of(package, "reordering", "Select")(
            a=inner, idxs=np.array([0, 5, 10, 11]), preferred_shape=(2, 2)
        )
        path.write_bytes(pickle.dumps({"a": inner, "b": chosen}, protocol=2))
    read = read_pickle(path)
    np.testing.assert_array_equal(read["a"], np.arange(12.0).reshape(3, 4))
    np.testing.assert_array_equal(read["b"], [[0, 5], [10, 11]])


class Malicious:
    """Calls `function(*arguments)` when unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("place", ["value", "key", "alone"])
def test_a_command_is_refused_and_not_run(tmp_path: Path, protocol: int, place: str) -> None:
    ran, path = tmp_path / "ran", tmp_path / "model.pkl"
    evil: Any = Malicious(os.system, f"touch {ran}")
    content = {"value": {"v_template": evil}, "key": {evil: 1}, "alone": evil}[place]
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(PackageError, match=r"system.*Nothing was run") as caught:
        read_pickle(path)
    assert str(path) in str(caught.value)
    assert not ran.exists()


@pytest.mark.parametrize("function", [eval, exec, getattr, __import__, np.load, np.fromfile, open])
def test_other_functions_are_refused_too(tmp_path: Path, function: Any) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"a": Malicious(function, "1")}, protocol=2))
    with pytest.raises(PackageError, match="Nothing was run"):
        read_pickle(path)


def test_allowed_names_cannot_be_led_astray(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    for program in (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I999999999\ntS'd'\ntR.",
        b"cnumpy\nndarray\n(I999999999\ntR.",
        b"cnumpy\ndtype\n(S'O'\ntR.",
        b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.",
        b"ccopy_reg\n_reconstructor\n(c__builtin__\nset\nc__builtin__\nobject\nNtR.",
    ):
        path.write_bytes(program)
        with pytest.raises(PackageError, match=r"model\.pkl"):
            read_pickle(path)


@pytest.mark.parametrize("kept", [0, 1, 10, 200, -1])
def test_a_truncated_pickle_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "model.pkl"
    whole = pickle.dumps({"v_template": np.zeros((100, 3))}, protocol=2)
    path.write_bytes(whole[:kept])
    with pytest.raises(PackageError, match=r"model\.pkl"):
        read_pickle(path)


def test_a_pickle_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(PackageError, match="holds no model"):
        read_pickle(path)
    with pytest.raises(PackageError, match="cannot be read"):
        read_pickle(tmp_path / "nothing.pkl")
