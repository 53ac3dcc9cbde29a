"""Reads the pickles that models are published as without executing anything in them.

A pickle is a program: it names functions and calls them. Here every name that it may use stands for something
inert of this module: numpy's arrays and types too, for a pickle may write whatever state it likes into what
it has made. Arrays come of it only in `_Array` and `_sparse`, which check what they are given. Any other name is
refused. FLAME's files come from Python 2 and hold objects of chumpy, a package long abandoned: of
these only the values are read.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csc_array, csr_array

from mien.errors import PackageError

MOST_BYTES = 1 << 30
"""Of a file, and of any array that is told of in fewer numbers."""
_NUMBERS = re.compile(r"[<>|=]?(?:\?|b1|[iu][1248]|f[248])", re.ASCII)
_ORDERS = frozenset("<>|=")


class _Inert:
    """Stands for a class: keeps what it is given, does nothing."""

    state: Mapping[str, Any]

    def __new__(cls, *_: object) -> Self:
        # Pickles make objects without calling __init__.
        made = super().__new__(cls)
        made.state = {}
        return made

    def __init__(self, *_: object) -> None:
        """Whatever it is given."""

    def __setstate__(self, state: Any) -> None:
        # Objects with slots come as (dict, slots).
        self.state = state[0] if isinstance(state, tuple) else state


class _Dtype(_Inert):
    """Stands for numpy.dtype: truth values, whole numbers or floats."""

    name: str

    def __new__(cls, name: object = None, *_: object) -> Self:
        if not isinstance(name, str) or not _NUMBERS.fullmatch(name):
            raise pickle.UnpicklingError(f"an array of {name!r}")
        made = super().__new__(cls)
        made.name = name
        return made

    def __setstate__(self, state: Any) -> None:
        """(version, byte order, ...): of the rest a number has nothing, and its size is in its name."""
        if state[1] not in _ORDERS:
            raise pickle.UnpicklingError(f"the byte order {state[1]!r}")
        self.name = state[1] + self.name.lstrip("<>|=")


class _Array(_Inert):
    """Stands for numpy.ndarray; `values` is the real one, made once its contents are there."""

    values: NDArray[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        """(version, shape, dtype, whether by columns, bytes); Python 2 leaves the version out of old files."""
        shape, kind, by_columns, raw = state[-4:]
        if isinstance(raw, str):
            raw = raw.encode("latin1")
        self.fill(raw, kind, shape, "F" if by_columns else "C")

    def fill(self, raw: object, kind: object, shape: Any, order: Any) -> None:
        if not isinstance(kind, _Dtype) or not isinstance(raw, (bytes, bytearray)):
            raise pickle.UnpicklingError("an array of an unusual kind")
        self.values = np.frombuffer(bytes(raw), np.dtype(kind.name)).reshape(_shape(shape), order=order)


def _shape(shape: Any) -> tuple[int, ...]:
    """Raises `UnpicklingError` unless it is a tuple of sizes."""
    if not isinstance(shape, (tuple, list)) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise pickle.UnpicklingError(f"the shape {shape!r}")
    return tuple(shape)


class _Chumpy(_Inert):
    """chumpy.ch.Ch: `x` is the value."""


class _Select(_Inert):
    """chumpy.reordering.Select: elements `idxs` of what `a` is when flat, in the shape `preferred_shape`."""


class _Csc(_Inert):
    """scipy's sparse matrix by columns."""


class _Csr(_Inert):
    """scipy's sparse matrix by rows."""


class _Coo(_Inert):
    """scipy's sparse matrix by coordinates."""


def _empty(kind: object, _shape: object, _dtype: object) -> _Array:
    """numpy.core.multiarray._reconstruct: an array that is filled by its state afterwards."""
    if kind is not _Array:
        raise pickle.UnpicklingError("an array of an unusual kind")
    return _Array()


def _scalar(kind: object, value: object = b"") -> Any:
    """numpy.core.multiarray.scalar, as a number of Python's."""
    made = _Array()
    made.fill(value.encode("latin1") if isinstance(value, str) else value, kind, (), "C")
    return made.values.item() if made.values is not None else None


def _from_buffer(buffer: object, kind: object, shape: Any, order: Any) -> _Array:
    """numpy's own for pickles of protocol 5."""
    made = _Array()
    made.fill(buffer, kind, shape, order)
    return made


def _rebuilt(kind: object, *_: object) -> object:
    """copy_reg._reconstructor: a bare object of one of the classes above."""
    if isinstance(kind, type) and issubclass(kind, _Inert):
        return kind()
    raise pickle.UnpicklingError(f"an object of {kind!r}")


def _encoded(text: object, _codec: object = "latin1") -> bytes:
    """_codecs.encode, by which Python 3 writes bytes for Python 2."""
    if not isinstance(text, str):
        raise pickle.UnpicklingError("bytes that are not text")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], object] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encoded,
    ("copy_reg", "_reconstructor"): _rebuilt,
    ("copyreg", "_reconstructor"): _rebuilt,
    ("chumpy.ch", "Ch"): _Chumpy,
    ("chumpy", "Ch"): _Chumpy,
    ("chumpy.reordering", "Select"): _Select,
}
for _module in ("builtins", "__builtin__"):
    _ALLOWED[_module, "set"] = set
    _ALLOWED[_module, "object"] = _Inert
for _package in ("numpy.core", "numpy._core"):
    _ALLOWED[f"{_package}.multiarray", "_reconstruct"] = _empty
    _ALLOWED[f"{_package}.multiarray", "scalar"] = _scalar
    _ALLOWED[f"{_package}.numeric", "_frombuffer"] = _from_buffer
for _layout, _stand_in in (("csc", _Csc), ("csr", _Csr), ("coo", _Coo)):
    for _module in (f"scipy.sparse.{_layout}", f"scipy.sparse._{_layout}"):
        for _ending in ("matrix", "array"):
            _ALLOWED[_module, f"{_layout}_{_ending}"] = _stand_in


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise _RefusedError(f"{module}.{name}") from None


class _RefusedError(pickle.UnpicklingError):
    """The pickle names something that no face model needs."""


def read_pickle(path: Path) -> dict[str, Any]:
    """The dictionary in a pickle: arrays, sparse arrays, text and numbers by name. What else is in it is left
    out. Raises PackageError for a damaged file, and for one that asks for anything but data.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise PackageError(f"{path}: {path.stat().st_size >> 20} MB, no face model is that large.")
        with path.open("rb") as file:
            content = _Reader(file, encoding="latin1").load()
        if not isinstance(content, dict):
            raise PackageError(f"{path}: holds no model (a dictionary was expected). Get a fresh copy.")
        return {str(key): value for key, held in content.items() if (value := _value(held)) is not None}
    except _RefusedError as error:
        raise PackageError(
            f"{path}: wants to run {error}, which is not data of a face model. Nothing was run. "
            "Get the file from its publisher."
        ) from error
    except OSError as error:
        raise PackageError(f"{path}: cannot be read ({error.strerror}). Check the path.") from error
    except MALFORMED as error:
        raise PackageError(
            f"{path}: not a readable pickle ({error}). Get a fresh copy of the file."
        ) from error


MALFORMED: tuple[type[Exception], ...] = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError,
    MemoryError, OverflowError, ImportError, RecursionError,
)  # fmt: skip
"""What the machine that reads pickles raises about bytes that are none."""


def _value(held: object) -> Any:
    """An array, sparse array, text or number; None for anything else."""
    match held:
        case _Chumpy():
            return _value(held.state["x"])
        case _Select():
            flat = np.asarray(_value(held.state["a"])).ravel()
            return flat[_whole(held.state["idxs"])].reshape(_shape(held.state["preferred_shape"]))
        case _Csc() | _Csr() | _Coo():
            return _sparse(held, held.state)
        case _Array():
            return held.values
        case str() | int() | float():
            return held
    return None


def _sparse(held: _Inert, state: Mapping[str, Any]) -> Any:
    """A sparse array that can be unpacked: no place in it lies outside, and it has at most `MOST_BYTES` then."""
    shape, data = _shape(state["_shape"]), _value(state["data"])
    if len(shape) != 2 or not isinstance(data, np.ndarray) or data.ndim != 1:
        raise pickle.UnpicklingError("a sparse array of an unusual kind")
    if math.prod(shape) * data.itemsize > MOST_BYTES:
        raise pickle.UnpicklingError(f"a sparse array of {' x '.join(map(str, shape))}")
    if isinstance(held, _Coo):
        places = state["coords"] if "coords" in state else (state["row"], state["col"])
        rows, columns = map(_whole, places)
        return coo_array((data, (rows, columns)), shape=shape)
    build = csc_array if isinstance(held, _Csc) else csr_array
    made = build((data, _whole(state["indices"]), _whole(state["indptr"])), shape=shape)
    # Unpacking goes by the places without looking where they lead.
    made.check_format(full_check=True)
    return made


def _whole(held: object) -> NDArray[np.int64]:
    """(N,) whole numbers: places in something."""
    places = np.asarray(_value(held))
    if places.dtype.kind not in "iu" or places.ndim != 1:
        raise pickle.UnpicklingError("places that are not whole numbers")
    return places.astype(np.int64)
