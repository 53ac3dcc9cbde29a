"""The CPU rasterizer as a plugin."""

from __future__ import annotations

from mien.stage import Kind, Plugin, Provides

plugin = Plugin(
    name="raster",
    summary="Triangles to pixels on the CPU (numba)",
    provides=(
        Provides(
            kind=Kind.RASTERIZER,
            name="raster",
            factory="mien_raster.rasterizer:NumbaRasterizer",
            summary="edge functions with a depth buffer, row bands on threads",
        ),
    ),
    requires=("numba",),
    install='pip install "mien"',
    warm="mien_raster.rasterizer:warm",
    settings="mien_raster.settings:Settings",
)
