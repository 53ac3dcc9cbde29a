"""ONNX Runtime as a plugin."""

from __future__ import annotations

from mien.stage import Kind, Plugin, Provides

plugin = Plugin(
    name="onnxruntime",
    summary="Runs exported networks on the CPU (ONNX Runtime)",
    provides=(
        Provides(
            kind=Kind.RUNTIME,
            name="onnxruntime",
            factory="mien_onnxruntime.runtime:OnnxRuntime",
            summary="fp32, and int8 where the network was quantised",
            rank=10,
        ),
    ),
    requires=("onnxruntime",),
    install='pip install "mien[onnxruntime]"',
    settings="mien_onnxruntime.settings:Settings",
)
