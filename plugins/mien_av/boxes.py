"""The outermost structure of media files: enough to see that one is cut short, and to append to an MP4."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MAX_BOXES = 100_000


@dataclass(frozen=True, slots=True)
class Box:
    """A box of an ISO base media file (ISO/IEC 14496-12, section 4.2).

    start: where its header begins; content: where what it holds begins; end: where it says that it ends.
    """

    kind: bytes
    start: int
    content: int
    end: int


def top_level_boxes(file: BinaryIO) -> Iterator[Box]:
    """The boxes of an MP4 in order; ends at the first that makes no sense or runs past the file's end."""
    size = file.seek(0, os.SEEK_END)
    start = 0
    for _ in range(_MAX_BOXES):
        file.seek(start)
        header = file.read(16)
        if len(header) < 8:
            return
        length, kind = struct.unpack(">I4s", header[:8])
        content = start + 8
        if length == 1 and len(header) == 16:
            (length,) = struct.unpack(">Q", header[8:])
            content = start + 16
        end = size if length == 0 else start + length
        if end < content:
            return
        yield Box(kind, start, content, end)
        if end > size:
            return
        start = end


_STILL_GROWING = 0x7FFF_0000
"""From here on a RIFF file's length is none: what wrote it did not know it yet."""


def missing_bytes(path: Path) -> int:
    """How many bytes are missing at the end of a file that says how long it is (MP4, Matroska, AVI, WAV).

    0 when it is whole, or does not say. Raises `OSError`.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(64)
        if start[4:8] == b"ftyp":
            # Only boxes that matter: some cameras append notes of their own that are no boxes.
            ends = [box.end for box in top_level_boxes(file) if box.kind in {b"mdat", b"moov", b"moof"}]
            return max(0, max(ends, default=0) - size)
    if start[:4] == b"RIFF" and start[8:12] in {b"AVI ", b"WAVE"}:
        (length,) = struct.unpack("<I", start[4:8])
        return max(0, length + 8 - size) if length < _STILL_GROWING else 0
    if start[:4] == b"\x1a\x45\xdf\xa3":
        return max(0, _matroska_end(start) - size)
    return 0


def _matroska_end(start: bytes) -> int:
    """Where the segment ends (RFC 9559, section 4.5; sizes after RFC 8794, section 4); 0 when unknown."""
    header_length, at = _vint(start, 4)
    at += header_length
    if start[at : at + 4] != b"\x18\x53\x80\x67":
        return 0
    length, content = _vint(start, at + 4)
    return content + length if length else 0


def _vint(data: bytes, at: int) -> tuple[int, int]:
    """An EBML size and where the byte after it is; size 0 when it is reserved for "unknown" or absent."""
    if at >= len(data) or data[at] == 0:
        return 0, at + 1
    width = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + width], "big") & ((1 << 7 * width) - 1)
    unknown = value == (1 << 7 * width) - 1
    return (0 if unknown else value), at + width
