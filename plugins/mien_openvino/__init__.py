"""Exported networks on OpenVINO."""
