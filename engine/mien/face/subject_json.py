"""Subjects as JSON, as performances and checkpoints hold them (docs/performance-format.md)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from mien.face.camera import Camera
from mien.face.subject import REFLECTANCE, Subject
from mien.frames import EXPRESSIONS
from mien.numbers import bounded, number, whole

_MOST_PX = 1 << 16
_SHAPES: Mapping[str, tuple[int, ...] | None] = {
    "identity": None,
    "offsets": (478, 3),
    "neutral": (EXPRESSIONS,),
    "gains": (EXPRESSIONS,),
    "rest_rotation": (3,),
    "rest_translation": (3,),
    "rest_gaze": (2, 2),
    "reflectance": (REFLECTANCE,),
    "rest_light": (9, 3),
}
"""Of each array; None: a list of any length."""
_LATER = frozenset({"reflectance", "rest_light"})
"""Arrays that files of earlier versions lack."""


def subject_to_json(subject: Subject) -> dict[str, Any]:
    """Plain values; arrays as little-endian float32 in base64 with their shape."""
    camera = subject.camera
    result: dict[str, Any] = {
        "model": subject.model,
        "epoch": subject.epoch,
        "person": subject.person,
        "camera": {
            "width": camera.width,
            "height": camera.height,
            **{name: float(getattr(camera, name)) for name in ("focal", "cx", "cy")},
        },
        "focal_confidence": subject.focal_confidence,
    }
    for name in _SHAPES:
        array = np.ascontiguousarray(getattr(subject, name), "<f4")
        result[name] = {"shape": array.shape, "data": base64.b64encode(array.tobytes()).decode()}
    return result


def subject_from_json(values: dict[str, Any]) -> Subject:
    """Raises `KeyError`, `TypeError` or `ValueError` when `values` is not what `subject_to_json` makes."""
    arrays = {}
    for name, shape in _SHAPES.items():
        if name in _LATER and name not in values:
            continue
        data = np.frombuffer(base64.b64decode(values[name]["data"], validate=True), "<f4")
        array = data.reshape(values[name]["shape"]).astype(np.float32)
        if array.shape != (shape or (array.size,)):
            raise ValueError(f"{name} has the shape {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite")
        array.setflags(write=False)
        arrays[name] = array
    confidence = number(values.get("focal_confidence", 0.0))
    bounded("focal_confidence", confidence, 0.0, 1.0)
    return Subject(
        str(values["model"]),
        camera=_camera(values["camera"]),
        epoch=whole(values["epoch"]),
        person=whole(values.get("person", 0)),
        focal_confidence=confidence,
        **arrays,
    )


def _camera(values: Mapping[str, Any]) -> Camera:
    width, height = (whole(values[name]) for name in ("width", "height"))
    for name, size in (("width", width), ("height", height)):
        bounded(f"camera {name}", size, 1, _MOST_PX)
    places = {name: number(values[name]) for name in ("focal", "cx", "cy")}
    for name, place in places.items():
        bounded(f"camera {name}", place, 1e-3 if name == "focal" else -100.0 * _MOST_PX, 100.0 * _MOST_PX)
    return Camera(width, height, **places)
