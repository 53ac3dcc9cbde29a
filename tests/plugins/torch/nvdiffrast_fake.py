"""nvdiffrast's interface on the CPU, with its conventions: the lowest row first, both sides drawn, indices from 1.

Drawn by the project's own rasterizer, so that it tells how the plugin speaks to nvdiffrast and nothing of nvdiffrast.
"""

from __future__ import annotations

import numpy as np
import torch

from mien.render.fragments import packed, unpacked
from mien_raster.rasterizer import NumbaRasterizer

DRAW = NumbaRasterizer()


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
    return torch.from_numpy(DRAW.texture(tex.numpy(), uv.numpy(), boundary=boundary_mode))


def antialias(color, rast, pos, tri):
    assert color.is_contiguous()
    assert rast.is_contiguous()
    hits, colours = unpacked(rast.numpy()[:, ::-1]), np.ascontiguousarray(color.numpy()[:, ::-1])
    smooth = DRAW.antialias(colours, hits, pos.numpy(), tri.numpy())
    return torch.from_numpy(smooth[:, ::-1].copy())
