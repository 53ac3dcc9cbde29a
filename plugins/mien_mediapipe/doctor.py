"""What `mien doctor` says about this plugin."""

from __future__ import annotations

import importlib.metadata

import numpy as np

from mien.stage import Check


def checks() -> list[Check]:
    """Load the networks once and run them on an empty picture."""
    version = importlib.metadata.version("mediapipe")
    try:
        from mien_mediapipe.face_detector import FaceDetector, Range
        from mien_mediapipe.face_mesh import FaceMesh
        from mien_mediapipe.region import Region

        detector, mesh = FaceDetector(Range.NEAR), FaceMesh()
        empty = np.zeros((192, 192, 3), np.uint8)
        detector.find(empty)
        mesh.find(empty, Region(96, 96, 192))
        mesh.close()
        detector.close()
    except (ImportError, RuntimeError, OSError) as error:
        return [Check("face landmarks", False, f"MediaPipe {version} does not run: {error}", _MEND)]
    return [Check("face landmarks", True, f"MediaPipe {version}, networks loaded")]


_MEND = 'pip install --force-reinstall "mien[mediapipe]"'
