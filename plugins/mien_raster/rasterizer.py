"""The rasterizer service on the CPU."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from mien.frames import Float
from mien.render.fragments import (
    check_attributes,
    check_out,
    check_positions,
    check_texture,
    check_triangles,
    empty_fragments,
)
from mien.stage import Context, Fragments, Rasterizer
from mien_raster.antialiasing import antialias, opposite_corners
from mien_raster.bands import Bands, balanced, even
from mien_raster.kernels import rasterize_band, row_costs, to_screen
from mien_raster.sampling import CLAMP, WRAP, ZERO, interpolate, lookup
from mien_raster.settings import read_settings

Ints = NDArray[np.int32]

_BOUNDARIES = {"wrap": WRAP, "clamp": CLAMP, "zero": ZERO}


def warm() -> None:
    """Compile (or load from the cache) every kernel of this plugin."""
    rasterizer = NumbaRasterizer()
    positions = np.array([[[-1, -1, 0, 1], [1, -1, 0, 1], [0, 1, 0, 1], [0, 1, 2, 1]]], np.float32)
    triangles = np.array([[0, 1, 2], [0, 1, 3]], np.int32)
    fragments = rasterizer.rasterize(positions, triangles, 4, 4)
    drawn = rasterizer.interpolate(positions, fragments, triangles)
    rasterizer.antialias(drawn, fragments, positions, triangles)
    rasterizer.texture(drawn, np.zeros((1, 4, 4, 2), np.float32))
    row_costs(positions[0], triangles, 4, True, np.empty(4, np.float32))


class NumbaRasterizer(Rasterizer):
    """Edge functions with a depth buffer in numba; the reference for GPU rasterizers.

    Setting `threads` (default 1): row bands are drawn on that many threads, of which this object owns all but the
    caller's. The kernels release the GIL; whoever draws several pictures at once on lanes needs only 1.
    """

    def __init__(self) -> None:
        self._bands = Bands()
        self._neighbours: tuple[Ints, Ints] | None = None

    @property
    def supports(self) -> frozenset[str]:
        return frozenset({"texture", "antialias"})

    def open(self, context: Context) -> None:
        """Raises `ConfigError` when the settings are none."""
        settings = read_settings(context.settings)
        self._bands.close()
        self._bands = Bands(settings.threads)

    def close(self) -> None:
        self._bands.close()

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
        clip, corners = _clip_space(positions), _corners(triangles)
        batch = len(clip)
        check_out(out, (batch, height, width))
        if out is None:
            out = empty_fragments(batch, height, width)
        screen = np.empty_like(clip)
        bands = self._bands.per_picture(batch)
        jobs = []
        for i in range(batch):
            to_screen(clip[i], width, height, screen[i])
            if bands == 1:
                cuts = [(0, height)]
            else:
                costs = np.empty(height, np.float32)
                row_costs(screen[i], corners, height, cull, costs)
                cuts = balanced(costs, bands)
            planes = out.triangle[i], out.barycentric[i], out.depth[i]
            jobs += [
                partial(rasterize_band, clip[i], screen[i], corners, top, bottom, cull, *planes)
                for top, bottom in cuts
            ]
        self._bands.run(jobs)
        return out

    def interpolate(
        self, attributes: Float, fragments: Fragments, triangles: Ints, *, out: Float | None = None
    ) -> Float:
        """See `mien.stage.Rasterizer`. Raises `ValueError` when shapes do not fit."""
        corners = _corners(triangles)
        values = np.ascontiguousarray(attributes, np.float32)
        batch, height, width = fragments.triangle.shape
        check_attributes(values.shape, batch)
        if out is None:
            out = np.empty((batch, height, width, values.shape[2]), np.float32)
        jobs = []
        for i in range(batch):
            given = values[i % len(values)], fragments.triangle[i], fragments.barycentric[i], corners
            cuts = even(height, self._bands.per_picture(batch))
            jobs += [partial(interpolate, *given, top, bottom, out[i]) for top, bottom in cuts]
        self._bands.run(jobs)
        return out

    def texture(
        self, texture: Float, uv: Float, *, boundary: str = "wrap", out: Float | None = None
    ) -> Float:
        """See `mien.stage.Rasterizer`. Raises `ValueError` when shapes or the name of the boundary do not fit."""
        texels, places = np.ascontiguousarray(texture, np.float32), np.ascontiguousarray(uv, np.float32)
        check_texture(texels.shape, places.shape, boundary)
        batch, height, width = places.shape[:3]
        if out is None:
            out = np.empty((batch, height, width, texels.shape[3]), np.float32)
        jobs = []
        for i in range(batch):
            given = texels[i % len(texels)], places[i], _BOUNDARIES[boundary]
            cuts = even(height, self._bands.per_picture(batch))
            jobs += [partial(lookup, *given, top, bottom, out[i]) for top, bottom in cuts]
        self._bands.run(jobs)
        return out

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
        clip, corners = _clip_space(positions), _corners(triangles)
        values = np.ascontiguousarray(colours, np.float32)
        batch, height, width = fragments.triangle.shape
        if values.shape[:-1] != (batch, height, width) or len(clip) != batch:
            raise ValueError(f"colours must be ({batch}, {height}, {width}, C), not {values.shape}")
        if out is None:
            out = np.empty_like(values)
        across = self._across(corners)
        screen = np.empty_like(clip)
        jobs = []
        for i in range(batch):
            to_screen(clip[i], width, height, screen[i])
            given = values[i], fragments.triangle[i], fragments.depth[i], screen[i]
            jobs.append(partial(antialias, *given, corners, across, out[i]))
        self._bands.run(jobs)
        return out

    def _across(self, triangles: Ints) -> Ints:
        """Neighbours are found once for a list that cannot change, such as a model's."""
        kept = self._neighbours
        if kept is not None and kept[0] is triangles:
            return kept[1]
        across = opposite_corners(triangles)
        if not triangles.flags.writeable:
            self._neighbours = triangles, across
        return across


def _clip_space(positions: Float) -> Float:
    check_positions(positions.shape)
    return np.ascontiguousarray(positions, np.float32)


def _corners(triangles: Ints) -> Ints:
    check_triangles(triangles.shape)
    return np.ascontiguousarray(triangles, np.int32)
