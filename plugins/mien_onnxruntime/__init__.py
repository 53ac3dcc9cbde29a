"""Exported networks on ONNX Runtime."""
