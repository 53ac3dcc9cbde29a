"""The rasterizer service on the CPU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError
from mien.frames import Float
from mien.stage import Context, Fragments, Rasterizer
from mien_raster.kernels import interpolate, rasterize_band, to_screen

Ints = NDArray[np.int32]

_MOST_THREADS = 64


def warm() -> None:
    """Compile (or load from the cache) every kernel of this plugin."""
    rasterizer = NumbaRasterizer()
    positions = np.array([[[-1, -1, 0, 1], [1, -1, 0, 1], [0, 1, 0, 1], [0, 1, 2, 1]]], np.float32)
    triangles = np.array([[0, 1, 2], [0, 1, 3]], np.int32)
    fragments = rasterizer.rasterize(positions, triangles, 4, 4)
    rasterizer.interpolate(positions, fragments, triangles)


class NumbaRasterizer(Rasterizer):
    """Edge functions with a depth buffer in numba; the reference for GPU rasterizers.

    Setting `threads` (default 1): row bands of one picture are drawn on that many threads. The kernels
    release the GIL; whoever draws several pictures at once on lanes of its own needs only 1.
    """

    def __init__(self) -> None:
        self._threads = 1
        self._pool: ThreadPoolExecutor | None = None

    def open(self, context: Context) -> None:
        """Raises `ConfigError` when `threads` is not a whole number from 1 to 64."""
        threads = context.settings.get("threads", 1)
        if type(threads) is not int or not 1 <= threads <= _MOST_THREADS:
            raise ConfigError(
                f"[plugin.raster] threads = {threads!r} is not usable. "
                f"Give a whole number from 1 to {_MOST_THREADS}."
            )
        self._threads = threads
        if threads > 1:
            self._pool = ThreadPoolExecutor(threads - 1, thread_name_prefix="raster")

    def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True)

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
        if positions.ndim != 3 or positions.shape[2] != 4:
            raise ValueError(f"positions must be (N, V, 4), not {positions.shape}")
        if triangles.ndim != 2 or triangles.shape[1] != 3:
            raise ValueError(f"triangles must be (T, 3), not {triangles.shape}")
        batch = positions.shape[0]
        clip = np.ascontiguousarray(positions, np.float32)
        corners = np.ascontiguousarray(triangles, np.int32)
        if out is None:
            out = empty_fragments(batch, height, width)
        elif out.triangle.shape != (batch, height, width):
            raise ValueError(f"out is {out.triangle.shape}, wanted {(batch, height, width)}")
        screen = np.empty(clip.shape[1:], np.float32)
        for i in range(batch):
            to_screen(clip[i], width, height, screen)
            self._draw(clip[i], screen, corners, cull, out.triangle[i], out.barycentric[i], out.depth[i])
        return out

    def _draw(
        self,
        clip: Float,
        screen: Float,
        triangles: Ints,
        cull: bool,
        triangle: Ints,
        barycentric: Float,
        depth: Float,
    ) -> None:
        height = triangle.shape[0]
        edges = [0, height]
        if self._pool is not None and height >= 2 * self._threads:
            edges = _band_edges(screen[:, 1], height, self._threads)

        def band(top: int, bottom: int) -> None:
            rasterize_band(clip, screen, triangles, top, bottom, cull, triangle, barycentric, depth)

        if self._pool is None or len(edges) == 2:
            band(0, height)
            return
        pending = [self._pool.submit(band, *edges[k : k + 2]) for k in range(1, len(edges) - 1)]
        band(edges[0], edges[1])
        for future in pending:
            future.result()

    def interpolate(
        self, attributes: Float, fragments: Fragments, triangles: Ints, *, out: Float | None = None
    ) -> Float:
        """See `mien.stage.Rasterizer`."""
        corners = np.ascontiguousarray(triangles, np.int32)
        values = np.ascontiguousarray(attributes, np.float32)
        batch, height, width = fragments.triangle.shape
        if out is None:
            out = np.empty((batch, height, width, values.shape[2]), np.float32)
        for i in range(batch):
            interpolate(values[i], fragments.triangle[i], fragments.barycentric[i], corners, out[i])
        return out


def empty_fragments(batch: int, height: int, width: int) -> Fragments:
    """Buffers for `rasterize(..., out=)`, contents undefined."""
    return Fragments(
        np.empty((batch, height, width), np.int32),
        np.empty((batch, height, width, 2), np.float32),
        np.empty((batch, height, width), np.float32),
    )


def _band_edges(rows: Float, height: int, bands: int) -> list[int]:
    """Rows at which to cut so that each band holds as many corners: strictly growing, 0 to height."""
    cuts = np.quantile(rows, np.arange(1, bands) / bands)
    inner = sorted({int(np.clip(cut, 1, height - 1)) for cut in cuts})
    return [0, *inner, height]
