"""Gradients through a rasterizer, for fitting by gradient descent: `DifferentiableRasterizer`.

The rasterizer service, whichever it is, says which triangle each pixel shows; that has no gradient. Where within the
triangle a pixel lies does: its barycentrics are computed once more from the clip-space positions of the corners, in
torch, and everything interpolated with them is differentiable by positions, attributes and texture (Laine et al. 2020,
"Modular Primitives for High-Performance Differentiable Rendering", section 3.3).

A silhouette that moves over a pixel changes its triangle, which these gradients don't see: fit inside of the outline,
or hold the outline by landmarks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mien.render.fragments import check_attributes, check_texture
from mien.stage import Rasterizer

_PADDING = {"clamp": "border", "zero": "zeros"}


@dataclass(frozen=True, slots=True)
class DifferentiableFragments:
    """What lies in each pixel; batch first, rows from the top, as `mien.stage.Fragments`.

    triangle: (N, H, W) int64, -1 where nothing is. barycentric: (N, H, W, 2), zero where nothing is. depth: (N, H, W),
    z/w, +inf where nothing is.
    """

    triangle: Tensor
    barycentric: Tensor
    depth: Tensor

    @property
    def covered(self) -> Tensor:
        """(N, H, W) bool."""
        return self.triangle >= 0


class DifferentiableRasterizer:
    """`rasterize`, `interpolate` and `texture` of a rasterizer service, on tensors and with gradients.

    Results have the type (float32 or float64) and device of what is given; the service itself is asked in float32.
    """

    def __init__(self, rasterizer: Rasterizer) -> None:
        """rasterizer: opened, see `Context.service(Kind.RASTERIZER)`."""
        self._rasterizer = rasterizer

    def rasterize(
        self, positions: Tensor, triangles: Tensor, height: int, width: int, *, cull: bool = True
    ) -> DifferentiableFragments:
        """positions: (N, V, 4) clip space; triangles: (T, 3) int. Raises `ValueError` when shapes do not fit."""
        found = self._rasterizer.rasterize(
            positions.detach().cpu().numpy().astype(np.float32),
            triangles.cpu().numpy().astype(np.int32),
            height,
            width,
            cull=cull,
        ).triangle
        triangle = torch.from_numpy(found.astype(np.int64)).to(positions.device)
        places = torch.nonzero(triangle >= 0, as_tuple=True)
        picture, row, column = places
        corners = positions[picture[:, None], triangles.long()[triangle[places]]]
        x, y, z, w = corners.unbind(dim=2)
        # Edge functions of the corners as the pixel's centre sees them: their shares are perspective-correct.
        across = ((2 * column + 1) / width - 1).to(positions.dtype)[:, None]
        upwards = (1 - (2 * row + 1) / height).to(positions.dtype)[:, None]
        x, y = x - across * w, y - upwards * w
        areas = torch.stack(
            [
                x[:, 1] * y[:, 2] - x[:, 2] * y[:, 1],
                x[:, 2] * y[:, 0] - x[:, 0] * y[:, 2],
                x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0],
            ],
            dim=1,
        )
        shares = areas / areas.sum(dim=1, keepdim=True)
        depth = (shares * z).sum(dim=1) / (shares * w).sum(dim=1)
        return DifferentiableFragments(
            triangle,
            positions.new_zeros((*triangle.shape, 2)).index_put(places, shares[:, :2]),
            positions.new_full(triangle.shape, torch.inf).index_put(places, depth),
        )

    def interpolate(
        self, attributes: Tensor, fragments: DifferentiableFragments, triangles: Tensor
    ) -> Tensor:
        """attributes: (N or 1, V, C) -> (N, H, W, C), zero where no triangle is. Raises `ValueError`."""
        batch = len(fragments.triangle)
        check_attributes(tuple(attributes.shape), batch)
        places = torch.nonzero(fragments.covered, as_tuple=True)
        picture = places[0] if len(attributes) == batch else torch.zeros_like(places[0])
        corners = attributes[picture[:, None], triangles.long()[fragments.triangle[places]]]
        two = fragments.barycentric[places]
        shares = torch.cat([two, 1 - two.sum(dim=1, keepdim=True)], dim=1)
        values = (corners * shares[:, :, None]).sum(dim=1)
        empty = attributes.new_zeros((*fragments.triangle.shape, attributes.shape[2]))
        return empty.index_put(places, values)

    def texture(self, texture: Tensor, uv: Tensor, *, boundary: str = "wrap") -> Tensor:
        """texture: (N or 1, Th, Tw, C), uv: (N, H, W, 2) -> (N, H, W, C), bilinear; places and boundary as in
        `mien.stage.Rasterizer.texture`. Raises `ValueError`.
        """
        check_texture(tuple(texture.shape), tuple(uv.shape), boundary)
        planes = texture.permute(0, 3, 1, 2).expand(len(uv), -1, -1, -1)
        if boundary == "wrap":
            # One texel of the other side around it is all that bilinear lookups ever reach.
            planes = functional.pad(planes, (1, 1, 1, 1), mode="circular")
            size = uv.new_tensor([texture.shape[2], texture.shape[1]])
            uv = ((uv - uv.floor()) * size + 1) / (size + 2)
        looked_up = functional.grid_sample(
            planes,
            uv * 2 - 1,
            mode="bilinear",
            padding_mode=_PADDING.get(boundary, "border"),
            align_corners=False,
        )
        return looked_up.permute(0, 2, 3, 1)
