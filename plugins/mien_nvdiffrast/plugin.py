"""nvdiffrast as a rasterizer, where there is CUDA."""

from __future__ import annotations

from mien.stage import Kind, Plugin, Provides

plugin = Plugin(
    name="nvdiffrast",
    summary="Triangles to pixels on an NVIDIA GPU (nvdiffrast, whose licence excludes commercial use)",
    provides=(
        Provides(
            kind=Kind.RASTERIZER,
            name="nvdiffrast",
            factory="mien_nvdiffrast.rasterizer:NvdiffrastRasterizer",
            summary="CUDA, through torch",
            rank=-1,  # one face at 512 px is drawn on the CPU before its triangles have crossed the bus
        ),
    ),
    requires=("torch", "nvdiffrast"),
    install="pip install torch && pip install --no-build-isolation git+https://github.com/NVlabs/nvdiffrast",
)
