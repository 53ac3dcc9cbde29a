"""OpenVINO as a plugin."""

from __future__ import annotations

from mien.stage import Kind, Plugin, Provides

plugin = Plugin(
    name="openvino",
    summary="Runs exported networks on the CPU (OpenVINO)",
    provides=(
        Provides(
            kind=Kind.RUNTIME,
            name="openvino",
            factory="mien_openvino.runtime:OpenVino",
            summary="fp32, and int8 where the network was quantised; the faster one for large networks",
            rank=5,
        ),
    ),
    requires=("openvino",),
    install='pip install "mien[openvino]"',
    settings="mien_openvino.settings:Settings",
)
