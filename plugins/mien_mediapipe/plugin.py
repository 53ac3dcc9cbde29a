"""Descriptor of the MediaPipe plugin; import-light."""

from __future__ import annotations

from mien.stage import Kind, Plugin, Provides

plugin = Plugin(
    name="mediapipe",
    summary="Face landmarks with irises, and person segmentation, with MediaPipe's bundled networks",
    provides=(
        Provides(
            Kind.LANDMARKER,
            "mediapipe",
            "mien_mediapipe.landmarker:MediaPipeLandmarker",
            "478 face landmarks, irises included; follows the largest face",
        ),
        Provides(
            Kind.SEGMENTER,
            "mediapipe",
            "mien_mediapipe.segmenter:SelfieSegmenter",
            "person or background, for people facing a camera",
        ),
    ),
    requires=("mediapipe", "cv2"),
    install='pip install "mien[mediapipe]"',
    doctor="mien_mediapipe.doctor:checks",
)
