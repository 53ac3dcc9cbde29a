"""The rasterizer service on CUDA.

nvdiffrast draws both sides of what it is given, from the lowest row upwards. Here rows go from the top and what turns
away is left out, so each picture of a batch has its own list of triangles: they are laid behind one another and drawn
in nvdiffrast's range mode.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.errors import DeviceError
from mien.frames import Float
from mien.render.fragments import (
    check_attributes,
    check_out,
    check_positions,
    check_texture,
    check_triangles,
    packed,
)
from mien.stage import Context, Fragments, Rasterizer

Ints = NDArray[np.int32]


class NvdiffrastRasterizer(Rasterizer):
    """See `mien.stage.Rasterizer`; arrays go to the GPU and come back. Held to the CPU's by the same parity test."""

    def __init__(self, device: str = "cuda") -> None:
        self._device = torch.device(device)
        self._library: Any = None
        self._context: Any = None
        # nvdiffrast's context holds buffers of one drawing at a time.
        self._drawing = threading.Lock()

    @property
    def supports(self) -> frozenset[str]:
        return frozenset({"texture", "antialias"})

    def open(self, context: Context) -> None:
        """Raises `DeviceError` when there is no CUDA device."""
        import nvdiffrast.torch

        if self._device.type == "cuda" and not torch.cuda.is_available():
            raise DeviceError(
                "nvdiffrast needs an NVIDIA GPU that torch can use, and there is none. "
                'Draw on the CPU instead: [use] rasterizer = "raster"'
            )
        self._library = nvdiffrast.torch
        self._context = self._library.RasterizeCudaContext(device=self._device)

    def close(self) -> None:
        self._context = None

    def rasterize(
        self,
        positions: Float,
        triangles: Ints,
        height: int,
        width: int,
        *,
        cull: bool = True,
        out: Fragments | None = None,
    ) -> Fragments:
        """See `mien.stage.Rasterizer`. Raises `ValueError` when shapes do not fit."""
        check_positions(positions.shape)
        shape = (len(positions), height, width)
        check_out(out, shape)
        clip, corners = self._float(positions), self._corners(triangles)
        lists, starts = _drawable(clip, corners, cull)
        if not len(lists):
            return _handed_over(torch.zeros((*shape, 4), device=clip.device), lists[:, 0], out)
        picture = torch.repeat_interleave(torch.arange(len(clip), device=clip.device), _counts(starts, clip))
        drawn = corners[lists[:, 0]] + (picture * clip.shape[1]).to(torch.int32)[:, None]
        with self._drawing:
            pixels, _ = self._library.rasterize(
                self._context,
                clip.reshape(-1, 4),
                drawn.contiguous(),
                (height, width),
                ranges=starts,
                grad_db=False,
            )
        return _handed_over(pixels.flip(1), lists[:, 0], out)

    def interpolate(
        self, attributes: Float, fragments: Fragments, triangles: Ints, *, out: Float | None = None
    ) -> Float:
        """See `mien.stage.Rasterizer`. Raises `ValueError` when shapes do not fit."""
        check_attributes(attributes.shape, len(fragments.triangle))
        pixels = self._float(packed(fragments))
        values, _ = self._library.interpolate(self._float(attributes), pixels, self._corners(triangles))
        return _array(values, out)

    def texture(
        self, texture: Float, uv: Float, *, boundary: str = "wrap", out: Float | None = None
    ) -> Float:
        """See `mien.stage.Rasterizer`. Raises `ValueError` when shapes or the name of the boundary do not fit."""
        check_texture(texture.shape, uv.shape, boundary)
        values = self._library.texture(
            self._float(texture), self._float(uv), filter_mode="linear", boundary_mode=boundary
        )
        return _array(values, out)

    def antialias(
        self,
        colours: Float,
        fragments: Fragments,
        positions: Float,
        triangles: Ints,
        *,
        out: Float | None = None,
    ) -> Float:
        """See `mien.stage.Rasterizer`. Raises `ValueError` when shapes do not fit."""
        if colours.shape[:-1] != fragments.triangle.shape or len(positions) != len(colours):
            raise ValueError(f"colours must be {(*fragments.triangle.shape, 'C')}, not {colours.shape}")
        smooth = self._library.antialias(
            self._float(colours).flip(1).contiguous(),
            self._float(packed(fragments)).flip(1).contiguous(),
            self._float(positions),
            self._corners(triangles),
        )
        return _array(smooth.flip(1), out)

    def _float(self, values: Float) -> Tensor:
        # A copy: torch warns of arrays that are read-only, which a model's are.
        return torch.tensor(np.asarray(values, np.float32), device=self._device)

    def _corners(self, triangles: Ints) -> Tensor:
        check_triangles(triangles.shape)
        return torch.tensor(np.asarray(triangles, np.int32), device=self._device)


def _drawable(clip: Tensor, corners: Tensor, cull: bool) -> tuple[Tensor, Tensor]:
    """(K, 1) which triangle each drawn one is, picture after picture, and (N, 2) int32 on the CPU, where each picture's
    begin and how many they are.

    A triangle is seen from its front where the determinant of its corners' (x, y, w) is positive, even when some of
    them lie behind the camera (Olano and Greer 1997, "Triangle scan conversion using 2D homogeneous coordinates").
    """
    points = clip[:, corners.long()][..., [0, 1, 3]]
    front = torch.linalg.det(points)
    seen = front > 0 if cull else front != 0
    counts = seen.sum(dim=1).cpu()
    starts = torch.stack([torch.cumsum(counts, 0) - counts, counts], dim=1).to(torch.int32)
    return torch.nonzero(seen)[:, 1:], starts


def _counts(starts: Tensor, like: Tensor) -> Tensor:
    return starts[:, 1].long().to(like.device)


def _handed_over(pixels: Tensor, triangle_of: Tensor, out: Fragments | None) -> Fragments:
    """pixels: (N, H, W, 4) u, v, z/w and one more than the place in `triangle_of`, rows from the top."""
    place = torch.round(pixels[..., 3]).long() - 1
    shown = place >= 0
    triangle = torch.full(place.shape, -1, dtype=torch.int32, device=pixels.device)
    triangle[shown] = triangle_of[place[shown]].to(torch.int32)
    depth = torch.where(shown, pixels[..., 2], torch.inf)
    found = Fragments(triangle.cpu().numpy(), pixels[..., :2].contiguous().cpu().numpy(), depth.cpu().numpy())
    if out is None:
        return found
    np.copyto(out.triangle, found.triangle)
    np.copyto(out.barycentric, found.barycentric)
    np.copyto(out.depth, found.depth)
    return out


def _array(values: Tensor, out: Float | None) -> Float:
    found: Float = values.cpu().numpy()
    if out is None:
        return found
    np.copyto(out, found)
    return out
