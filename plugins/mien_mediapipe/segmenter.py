"""The segmenter service: person or background, with MediaPipe's selfie segmentation."""

from __future__ import annotations

import cv2
import numpy as np

from mien.errors import PluginError
from mien.frames import Bytes, Float
from mien.stage import Context, Segmenter
from mien_mediapipe.graph import Graph

_SIZE = 256
_GRAPH = """
input_stream: "image"
output_stream: "mask"
node { calculator: "TfLiteCustomOpResolverCalculator" output_side_packet: "OP_RESOLVER:operations" }
node {
  calculator: "ImageToTensorCalculator"
  input_stream: "IMAGE:image"
  output_stream: "TENSORS:input"
  options { [mediapipe.ImageToTensorCalculatorOptions.ext] {
    output_tensor_width: 256 output_tensor_height: 256 output_tensor_float_range { min: 0 max: 1 } } }
}
node {
  calculator: "InferenceCalculator"
  input_side_packet: "OP_RESOLVER:operations"
  input_stream: "TENSORS:input"
  output_stream: "TENSORS:answer"
  options { [mediapipe.InferenceCalculatorOptions.ext] {
    model_path: "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite"
    delegate { xnnpack { num_threads: 1 } } } }
}
node {
  calculator: "TensorsToSegmentationCalculator"
  input_stream: "TENSORS:answer"
  output_stream: "MASK:mask_image"
  options { [mediapipe.TensorsToSegmentationCalculatorOptions.ext] { activation: NONE } }
}
node { calculator: "FromImageCalculator" input_stream: "IMAGE:mask_image" output_stream: "IMAGE_CPU:mask" }
"""


class SelfieSegmenter(Segmenter):
    """Sees 256x256 px whatever the picture's size; edges are as sharp as that allows."""

    def __init__(self) -> None:
        self._graph: Graph | None = None

    def open(self, context: Context) -> None:
        self._graph = Graph(_GRAPH, ("mask",), (_SIZE, _SIZE))

    def close(self) -> None:
        if self._graph is not None:
            self._graph.close()
            self._graph = None

    def segment(self, pixels: Bytes) -> Float:
        if self._graph is None:
            raise PluginError("The MediaPipe segmenter is closed.")
        from mediapipe.python import packet_getter

        height, width = pixels.shape[:2]
        shrink = cv2.INTER_AREA if min(width, height) > _SIZE else cv2.INTER_LINEAR
        small = np.asarray(cv2.resize(pixels, (_SIZE, _SIZE), interpolation=shrink), np.uint8)
        mask = packet_getter.get_image_frame(self._graph.run(small)["mask"]).numpy_view()
        grown = cv2.resize(mask.reshape(_SIZE, _SIZE), (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(grown, np.float32).clip(0, 1)
