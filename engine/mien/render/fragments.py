"""What rasterizers exchange, nvdiffrast's packing of a pixel in four numbers, and what they refuse alike."""

from __future__ import annotations

import numpy as np

from mien.frames import Float
from mien.stage import Fragments


def packed(fragments: Fragments) -> Float:
    """(N, H, W, 4) float32: u, v, z/w, triangle + 1; all zero where nothing is. Rows from the top."""
    shown = fragments.triangle >= 0
    out = np.zeros((*shown.shape, 4), np.float32)
    out[..., :2] = np.where(shown[..., None], fragments.barycentric, np.float32(0))
    out[..., 2] = np.where(shown, fragments.depth, np.float32(0))
    out[..., 3] = fragments.triangle + 1
    return out


def unpacked(pixels: Float) -> Fragments:
    """pixels: (N, H, W, 4) as `packed` makes them; triangles up to 2^24, as float32 counts no further."""
    triangle = np.asarray(np.rint(pixels[..., 3]), np.int32) - 1
    depth = np.where(triangle >= 0, pixels[..., 2], np.float32(np.inf))
    return Fragments(triangle, np.ascontiguousarray(pixels[..., :2], np.float32), depth.astype(np.float32))


def empty_fragments(batch: int, height: int, width: int) -> Fragments:
    """Buffers for `rasterize(..., out=)`, contents undefined."""
    return Fragments(
        np.empty((batch, height, width), np.int32),
        np.empty((batch, height, width, 2), np.float32),
        np.empty((batch, height, width), np.float32),
    )


BOUNDARIES = ("wrap", "clamp", "zero")
"""What lies beyond a texture, see `mien.stage.Rasterizer.texture`."""


def check_positions(shape: tuple[int, ...]) -> None:
    """Raises `ValueError` unless positions of that shape are batches of points in clip space."""
    if len(shape) != 3 or shape[2] != 4:
        raise ValueError(f"positions must be (N, V, 4), not {shape}")


def check_triangles(shape: tuple[int, ...]) -> None:
    """Raises `ValueError` unless there are three corners to each triangle."""
    if len(shape) != 2 or shape[1] != 3:
        raise ValueError(f"triangles must be (T, 3), not {shape}")


def check_out(out: Fragments | None, wanted: tuple[int, int, int]) -> None:
    """Raises `ValueError` unless `out`, where one is given, holds pictures of that batch, height and width."""
    if out is not None and out.triangle.shape != wanted:
        raise ValueError(f"out is {out.triangle.shape}, wanted {wanted}")


def check_attributes(shape: tuple[int, ...], batch: int) -> None:
    """Raises `ValueError` unless attributes of that shape can be interpolated over `batch` pictures."""
    if len(shape) != 3 or shape[0] not in (1, batch):
        raise ValueError(f"attributes must be ({batch} or 1, V, C), not {shape}")


def check_texture(texture: tuple[int, ...], uv: tuple[int, ...], boundary: str) -> None:
    """Raises `ValueError` unless uv of that shape can be looked up in a texture of that shape."""
    if boundary not in BOUNDARIES:
        raise ValueError(f"boundary {boundary!r} is not one of {', '.join(BOUNDARIES)}")
    if len(uv) != 4 or uv[3] != 2:
        raise ValueError(f"uv must be (N, H, W, 2), not {uv}")
    if len(texture) != 4 or texture[0] not in (1, uv[0]) or 0 in texture:
        raise ValueError(f"texture must be ({uv[0]} or 1, Th, Tw, C), not {texture}")
