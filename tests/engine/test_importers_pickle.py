"""Pickles are read as data; one that wants to run something is refused and runs nothing."""

from __future__ import annotations

import contextlib
import copyreg
import os
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import coo_matrix, csc_matrix, csr_matrix

from engine.published_models import chumpy, stand_in_of
from mien.errors import PackageError
from mien.face.importers.raw import Parts
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


class Altered:
    """Pickled as `held` with another state."""

    def __init__(self, held: Any, **state: Any) -> None:
        self.held, self.state = held, state

    def __reduce__(self) -> Any:
        kind = type(self.held)
        return copyreg._reconstructor, (kind, object, None), {**vars(self.held), **self.state}  # type: ignore[attr-defined]


@pytest.mark.parametrize("make", [csc_matrix, csr_matrix])
@pytest.mark.parametrize(
    "state",
    [
        {"indices": np.array([0, 1, 10**6], np.int32)},
        {"indices": np.array([0, 1, -(10**6)], np.int32)},
        {"indices": np.array([0.0, 1.0, 2.0])},
        {"indptr": np.array([0, 1, 2, 10**6], np.int32)},
        {"indptr": np.array([0, 3, 1, 3], np.int32)},
        {"data": np.zeros((3, 1))},
        {"_shape": (10**9, 3)},
        {"_shape": (1 << 40, 1 << 40)},
        {"_shape": (-3, 3)},
        {"_shape": "33"},
    ],
)
def test_a_sparse_array_that_points_astray_is_refused(
    tmp_path: Path, make: Any, state: dict[str, Any]
) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"J_regressor": Altered(make(np.eye(3)), **state)}, protocol=2))
    with pytest.raises(PackageError, match=r"model\.pkl"):
        read_pickle(path)


@pytest.mark.parametrize("place", [3, -1, 10**9])
def test_coordinates_that_lie_outside_are_refused(tmp_path: Path, place: int) -> None:
    path = tmp_path / "model.pkl"
    row = np.array([0, 1, place], np.int32)
    held = Altered(coo_matrix(np.eye(3)), row=row, coords=(row, np.arange(3)))
    path.write_bytes(pickle.dumps({"a": held}, protocol=2))
    with pytest.raises(PackageError, match=r"model\.pkl"):
        read_pickle(path)


def test_a_sparse_array_is_unpacked_only_in_the_shape_that_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"a": coo_matrix(([1.0], ([0], [0])), (10**4, 10**4))}, protocol=2))
    values = read_pickle(path)
    values["a"].toarray = lambda: pytest.fail("unpacked")
    with pytest.raises(PackageError, match="expected 5 x any"):
        Parts(path, "FLAME", values).floats("a", 5, None)


@pytest.mark.parametrize("array", [np.arange(4.0), np.array([b"abcd"])], ids=["numbers", "text"])
def test_a_type_cannot_be_altered_after_use(tmp_path: Path, array: np.ndarray) -> None:
    """A state written a second time into the type of an array, with 1 MB for each element."""
    path = tmp_path / "model.pkl"
    plain = pickletools.optimize(pickle.dumps({"kind": array.dtype, "a": array}, protocol=2))
    again = b"(I3\nS'<'\nNNNI1000000\nI1\nI0\ntb0."
    for memo in (arg for op, arg, _ in pickletools.genops(plain) if op.name == "BINPUT"):
        path.write_bytes(plain[:-1] + b"h" + bytes([memo]) + again)
        with contextlib.suppress(PackageError):
            assert read_pickle(path)["a"].dtype == np.float64


@pytest.mark.parametrize(
    "array", [np.array(["text"]), np.array([b"x"]), np.zeros(2, "V8"), np.zeros(2, complex)]
)
def test_arrays_of_no_numbers_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"a": array}, protocol=2))
    with pytest.raises(PackageError, match="an array of"):
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
