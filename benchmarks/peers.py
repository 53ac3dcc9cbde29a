"""Other face trackers, run beside ours: MediaPipe's FaceLandmarker, and OpenSeeFace where its folder is given.

3DDFA_V2 is no peer here: what turns its numbers into points is the Basel Face Model
(`configs/bfm_noneck_v3.pkl`), whose licence is personal and which is had by registration; a copy of the repository
that could be had without it cannot run.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.face.rig import ARKIT_NAMES, INDEX
from mien.frames import Bytes, Float


@dataclass(frozen=True, slots=True)
class Seen:
    """points: (N, 2) px, landmarks found; modelled: (N, 2), where the peer's own 3D face puts them; plain:
    (N, 2), the same without what it learned about the person; weights: (52,) ARKit, if it has them.
    """

    points: Float
    modelled: Float
    plain: Float
    weights: Float | None = None


class Peer(ABC):
    """Another tracker. corners: the outer eye corners among its points; nose: a point that moves with the
    head; inner: the points that count, without the contour of the face.
    """

    name: str
    corners: tuple[int, int]
    nose: int
    inner: Any

    @abstractmethod
    def look(self, pixels: Bytes) -> Seen | None:
        """One frame of a clip, (H, W, 3) uint8 RGB."""

    @abstractmethod
    def close(self) -> None: ...

    def error(self, points: Float, modelled: Float) -> float:
        """Percent of the distance of the outer eye corners."""
        right, left = self.corners
        off = np.linalg.norm(points - modelled, axis=1)[self.inner].mean()
        return float(100 * off / np.linalg.norm(points[right] - points[left]))


class FaceLandmarker(Peer):
    """MediaPipe's task with blendshapes; its 3D face is the canonical one, moved rigidly."""

    name = "face_landmarker"
    corners, nose, inner = (33, 263), 1, slice(0, 468)
    _HALF_FOV = np.radians(63.0 / 2)
    """Half the vertical angle of view that its face geometry is computed for."""

    def __init__(self, assets: Path) -> None:
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision

        self._image = lambda pixels: mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(assets / "face_landmarker.task")),
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
            running_mode=vision.RunningMode.VIDEO,
        )
        self._landmarker = vision.FaceLandmarker.create_from_options(options)
        lines = (assets / "canonical_face_model.obj").read_text().splitlines()
        self._canonical = np.array([line.split()[1:4] for line in lines if line.startswith("v ")], np.float32)
        self._ms = 0

    @staticmethod
    def runs(assets: Path) -> bool:
        return all((assets / name).is_file() for name in ("face_landmarker.task", "canonical_face_model.obj"))

    def look(self, pixels: Bytes) -> Seen | None:
        self._ms += 40
        found = self._landmarker.detect_for_video(self._image(np.ascontiguousarray(pixels)), self._ms)
        if not found.face_blendshapes:
            return None
        weights = np.zeros(len(ARKIT_NAMES), np.float32)
        for one in found.face_blendshapes[0]:
            if one.category_name in INDEX:
                weights[INDEX[one.category_name]] = one.score
        height, width = pixels.shape[:2]
        points = np.array([(p.x, p.y) for p in found.face_landmarks[0]], np.float32) * (width, height)
        matrix = np.asarray(found.facial_transformation_matrixes[0], np.float32)
        x, y, z = (self._canonical @ matrix[:3, :3].T + matrix[:3, 3]).T
        focal = height / 2 / np.tan(self._HALF_FOV)
        modelled = np.stack([width / 2 - focal * x / z, height / 2 + focal * y / z], axis=1)
        return Seen(points[: len(modelled)], modelled, modelled, weights)

    def close(self) -> None:
        self._landmarker.close()


class OpenSeeFace(Peer):
    """https://github.com/emilianavt/OpenSeeFace, its fastest network; 66 points, a rigid face that adapts."""

    name = "openseeface"
    corners, nose, inner = (36, 45), 30, slice(17, 66)

    def __init__(self, folder: Path, width: int, height: int) -> None:
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
        module = importlib.import_module("tracker")
        self._tracker = module.Tracker(
            width, height, model_type=0, max_threads=1, silent=True, no_gaze=True,
            model_dir=str(folder / "models"),
        )  # fmt: skip

    @staticmethod
    def runs(folder: Path | None) -> bool:
        """Whether its folder was given, and onnxruntime, which it needs, is installed."""
        if folder is None or not (folder / "tracker.py").is_file():
            return False
        return importlib.util.find_spec("onnxruntime") is not None

    def look(self, pixels: Bytes) -> Seen | None:
        import cv2

        faces = [
            face for face in self._tracker.predict(np.ascontiguousarray(pixels[:, :, ::-1])) if face.success
        ]
        if not faces:
            return None
        face, tracker = faces[0], self._tracker
        # It counts rows first.
        points = np.asarray(face.lms[:66, 1::-1], np.float32)
        modelled, plain = (
            cv2.projectPoints(
                np.asarray(shape[:66], np.float64), np.asarray(face.rotation), np.asarray(face.translation),
                tracker.camera, tracker.dist_coeffs,
            )[0][:, 0, ::-1]
            for shape in (face.face_3d, tracker.face_3d)
        )  # fmt: skip
        return Seen(points, np.asarray(modelled, np.float32), np.asarray(plain, np.float32))

    def close(self) -> None:
        self._tracker = None
