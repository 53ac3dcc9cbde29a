"""Differentiable operations in torch, as a plugin."""

from __future__ import annotations

from mien.stage import Plugin

plugin = Plugin(
    name="torch",
    summary="Gradients through any rasterizer, for fitting (torch)",
    provides=(),
    requires=("torch",),
    install='pip install "mien[torch]"',
)
