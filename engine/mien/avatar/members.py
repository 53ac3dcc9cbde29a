"""What lies in an avatar package: PNG pictures and npy arrays, encoded and decoded within bounds."""

from __future__ import annotations

import io
import math
import re
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import PackageError
from mien.frames import Bytes

MAX_PIXELS = 64 * 2**20
"""Bound on the pixels of all pictures of a package together."""

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_PNG = b"\x89PNG\r\n\x1a\n"
# What numpy.save writes for plain numbers. Matching it exactly leaves no room for pickles and objects.
_NPY = re.compile(
    rb"\{'descr': '([<|][biuf][1248])', 'fortran_order': (True|False), "
    rb"'shape': \((|\d{1,9},|\d{1,9}(?:, \d{1,9}){1,7})\), \} *\n"
)


def encode_png(name: str, image: Bytes) -> bytes:
    """image: uint8 (H, W), (H, W, 3) RGB or (H, W, 4) RGBA."""
    from PIL import Image

    channels = 1 if image.ndim == 2 else image.shape[2] if image.ndim == 3 else 0
    if (
        image.dtype != np.uint8
        or channels not in _MODES
        or image.ndim - 2 != (channels > 1)
        or not image.size
    ):
        raise PackageError(
            f"The picture {name!r} has shape {image.shape} and type {image.dtype}; "
            "a package takes uint8 (H, W), (H, W, 3) or (H, W, 4)."
        )
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def png_pixels(path: Path, name: str, data: bytes) -> int:
    """How many pixels a PNG says it has, without decoding it."""
    # IHDR comes first; a decoder that takes it from further behind would see another size than is asked here.
    if data[:8] != _PNG or data[12:16] != b"IHDR" or len(data) < 26:
        raise _unusable(path, name)
    width, height = struct.unpack(">II", data[16:24])
    return int(width * height)


def decode_png(path: Path, name: str, data: bytes) -> Bytes:
    """Inverse of `encode_png`, read-only, and as large as `png_pixels` says. Look at that first."""
    from PIL import Image

    claimed = png_pixels(path, name, data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures; its limit is not ours
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                if image.mode not in _MODES.values() or image.width * image.height != claimed:
                    raise _unusable(path, name)
                pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError):
        # Pillow's names for broken files; zlib errors arrive as OSError.
        raise _unusable(path, name) from None
    pixels.setflags(write=False)
    return pixels


def encode_npy(name: str, array: NDArray[Any]) -> bytes:
    """array: booleans, integers or floats of up to eight dimensions."""
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8 or array.ndim > 8:
        raise PackageError(
            f"The array {name!r} has type {array.dtype} and {array.ndim} dimensions; "
            "a package takes booleans, integers and floats of up to 8 bytes and 8 dimensions."
        )
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array, array.dtype.newbyteorder("<"), order="C"), allow_pickle=False)
    return buffer.getvalue()


def decode_npy(path: Path, name: str, data: bytes) -> NDArray[Any]:
    """Inverse of `encode_npy`, read-only, without a copy.

    numpy's own reader takes memory for whatever shape the header claims; here the claim must fit the
    bytes that are there.
    """
    if data[:8] != b"\x93NUMPY\x01\x00":
        raise _unusable(path, name)
    (length,) = struct.unpack_from("<H", data, 8) if len(data) >= 10 else (0,)
    header = _NPY.fullmatch(data[10 : 10 + length])
    if header is None:
        raise _unusable(path, name)
    shape = tuple(int(size) for size in re.findall(rb"\d+", header[3]))
    try:
        dtype = np.dtype(header[1].decode())
    except TypeError:  # f1, b8
        raise _unusable(path, name) from None
    body = memoryview(data)[10 + length :]
    if math.prod(shape) * dtype.itemsize != len(body):
        raise _unusable(path, name)
    array = np.frombuffer(body, dtype).reshape(shape, order="F" if header[2] == b"True" else "C")
    array.setflags(write=False)
    return array


def _unusable(path: Path, name: str) -> PackageError:
    return PackageError(
        f"{path}: {name} is damaged or of an unknown kind. Make the avatar anew from its photo."
    )
