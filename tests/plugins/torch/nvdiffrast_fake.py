"""nvdiffrast's interface on the CPU, with its conventions: the lowest row first, both sides drawn, indices from 1.

Triangles are drawn by the project's own rasterizer, so that it tells how the plugin speaks to nvdiffrast and nothing of
nvdiffrast; textures are looked up by SciPy.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import map_coordinates

from mien.render.fragments import packed, unpacked
from mien_raster.rasterizer import NumbaRasterizer

DRAW = NumbaRasterizer()
MODES = {"wrap": "grid-wrap", "clamp": "nearest", "zero": "grid-constant"}
"""SciPy's names of what lies beyond a texture's edge."""


class RasterizeCudaContext:
    def __init__(self, device=None):
        self.device = device


def rasterize(glctx, pos, tri, resolution, ranges=None, grad_db=True):
    assert isinstance(glctx, RasterizeCudaContext)
    assert pos.is_contiguous()
    assert tri.is_contiguous()
    assert (pos.dtype, tri.dtype, ranges.dtype) == (torch.float32, torch.int32, torch.int32)
    pictures = []
    for start, count in ranges.tolist():
        hits = DRAW.rasterize(pos[None].numpy(), tri[start : start + count].numpy(), *resolution, cull=False)
        pixels = packed(hits)
        pixels[..., 3] += start * (pixels[..., 3] > 0)
        pictures.append(pixels[:, ::-1])
    return torch.from_numpy(np.concatenate(pictures)), None


def interpolate(attr, rast, tri):
    assert attr.is_contiguous()
    assert rast.is_contiguous()
    return torch.from_numpy(DRAW.interpolate(attr.numpy(), unpacked(rast.numpy()), tri.numpy())), None


def texture(tex, uv, filter_mode, boundary_mode):
    assert filter_mode == "linear"
    (_, height, width, channels), (pictures, *_) = tex.shape, uv.shape
    places = np.moveaxis(uv.numpy()[..., ::-1] * [height, width] - 0.5, -1, 0)
    found = [
        map_coordinates(
            tex[n % len(tex), :, :, c].double().numpy(), places[:, n], order=1, mode=MODES[boundary_mode]
        )
        for n in range(pictures)
        for c in range(channels)
    ]
    values = np.stack(found).reshape(pictures, channels, *uv.shape[1:3]).astype(np.float32)
    return torch.from_numpy(np.moveaxis(values, 1, -1).copy())


def antialias(color, rast, pos, tri):
    assert color.is_contiguous()
    assert rast.is_contiguous()
    hits, colours = unpacked(rast.numpy()[:, ::-1]), np.ascontiguousarray(color.numpy()[:, ::-1])
    smooth = DRAW.antialias(colours, hits, pos.numpy(), tri.numpy())
    return torch.from_numpy(smooth[:, ::-1].copy())
