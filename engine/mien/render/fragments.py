"""What rasterizers exchange: nvdiffrast's packing of a pixel in four numbers."""

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
