"""Numbers painted into pictures, to find a frame again at the other end of a codec.

The number stands in a row of sixteen black or white cells along the top edge: twelve bits and a checksum of
four, so a picture torn or blurred by the codec is noticed.
"""

from __future__ import annotations

from mien.frames import Bytes

CELLS, BITS = 16, 12
MODULUS = 1 << BITS


def checksum(number: int) -> int:
    """Four bits, never zero, so that a black strip is no number."""
    return (number ^ number >> 4 ^ number >> 8) % 15 + 1


def paint(pixels: Bytes, number: int) -> None:
    """pixels: (H, W, 3) uint8, W a multiple of 16; the strip's height is W / 32."""
    code = number % MODULUS << 4 | checksum(number % MODULUS)
    cell = pixels.shape[1] // CELLS
    for i in range(CELLS):
        pixels[: pixels.shape[1] // 32, i * cell : (i + 1) * cell] = 255 * (code >> (CELLS - 1 - i) & 1)


def read(pixels: Bytes) -> int | None:
    """The number in a picture, or None."""
    width = pixels.shape[1]
    row = pixels[width // 128 : width // 40].reshape(-1, width, pixels.shape[2]).mean(axis=(0, 2))
    cell = width // CELLS
    code = 0
    for i in range(CELLS):
        code = code << 1 | int(row[i * cell + cell // 4 : (i + 1) * cell - cell // 4].mean() > 128)
    number = code >> 4
    return number if code & 15 == checksum(number) else None
