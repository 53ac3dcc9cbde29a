"""Reads the pickles that models are published as without executing anything in them.

A pickle is a program: it names functions and calls them. Here every name that it may use stands for something
inert of this module, which only ever builds numpy arrays, sparse matrices and plain data. Any other
name is refused. FLAME's files come from Python 2 and hold objects of chumpy, a package long abandoned: of
these only the values are read.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csc_array, csr_array

from mien.errors import PackageError

MOST_BYTES = 1 << 30
_PLAIN_TYPE = re.compile(r"[<>|=]?[biufcSUV?]\d{0,4}$")


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


class _Ndarray:
    """Stands for the class numpy.ndarray where a pickle names it; never made."""

    def __new__(cls, *_: object) -> Self:
        raise pickle.UnpicklingError("numpy.ndarray made in an unusual way")


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


def _empty(kind: object, shape: object, _dtype: object) -> NDArray[Any]:
    """numpy.core.multiarray._reconstruct: an empty array, filled by its state afterwards."""
    if kind is not _Ndarray or tuple(np.atleast_1d(np.asarray(shape))) != (0,):
        raise pickle.UnpicklingError("an array of an unusual kind")
    return np.empty(0, np.int8)


def _dtype(name: object, *_: object) -> np.dtype[Any]:
    if not isinstance(name, str) or not _PLAIN_TYPE.match(name):
        raise pickle.UnpicklingError(f"an array of {name!r}")
    # A copy: the byte order that follows would be written into numpy's own.
    return np.dtype(name, False, True)


def _scalar(kind: object, value: object = b"") -> Any:
    if not isinstance(kind, np.dtype):
        raise pickle.UnpicklingError("a number of an unusual kind")
    raw = value.encode("latin1") if isinstance(value, str) else value
    return np.frombuffer(raw, kind)[0] if isinstance(raw, bytes) else kind.type(0)


def _from_buffer(buffer: object, kind: object, shape: Any, order: Any) -> NDArray[Any]:
    """numpy's own for pickles of protocol 5."""
    if not isinstance(kind, np.dtype) or not isinstance(buffer, (bytes, bytearray)):
        raise pickle.UnpicklingError("an array of an unusual kind")
    return np.frombuffer(buffer, kind).reshape(shape, order=order)


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
    ("numpy", "ndarray"): _Ndarray,
    ("numpy", "dtype"): _dtype,
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
            return flat[np.asarray(held.state["idxs"])].reshape(held.state["preferred_shape"])
        case _Csc() | _Csr():
            state = held.state
            build: Callable[..., Any] = csc_array if isinstance(held, _Csc) else csr_array
            return build((state["data"], state["indices"], state["indptr"]), shape=state["_shape"])
        case _Coo():
            state = held.state
            rows, columns = state["coords"] if "coords" in state else (state["row"], state["col"])
            return coo_array((state["data"], (rows, columns)), shape=state["_shape"])
        case np.ndarray():
            return None if held.dtype.hasobject else held
        case str() | int() | float() | np.generic():
            return held
    return None
