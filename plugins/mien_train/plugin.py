"""Training as a plugin: it provides no stage, only the command `python -m mien_train`."""

from __future__ import annotations

from mien.stage import Plugin

plugin = Plugin(
    name="train",
    summary="Trains the networks that mien ships: python -m mien_train",
    provides=(),
    requires=("torch", "onnx"),
    install='pip install "mien[train]"',
)
