"""MediaPipe's face mesh network with attention: a crop of a face to 478 landmarks and a score.

Grishchenko et al. 2020, "Attention Mesh: High-fidelity Face Mesh Prediction in Real-time".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mien.frames import Bytes, Float
from mien_mediapipe.graph import Graph
from mien_mediapipe.region import Region

_SIZE = 192
_LANDMARKS = 478
_GRAPH = """
input_stream: "image"
output_stream: "landmarks"
output_stream: "score"
node {
  calculator: "TfLiteCustomOpResolverCalculator"
  output_side_packet: "OP_RESOLVER:operations"
}
node {
  calculator: "ImageToTensorCalculator"
  input_stream: "IMAGE:image"
  output_stream: "TENSORS:input"
  options { [mediapipe.ImageToTensorCalculatorOptions.ext] {
    output_tensor_width: 192 output_tensor_height: 192 output_tensor_float_range { min: 0 max: 1 } } }
}
node {
  calculator: "InferenceCalculator"
  input_side_packet: "OP_RESOLVER:operations"
  input_stream: "TENSORS:input"
  output_stream: "TENSORS:answer"
  options { [mediapipe.InferenceCalculatorOptions.ext] {
    model_path: "mediapipe/modules/face_landmark/face_landmark_with_attention.tflite"
    delegate { xnnpack { num_threads: 1 } } } }
}
node {
  calculator: "SplitTensorVectorCalculator"
  input_stream: "answer"
  output_stream: "mesh"
  output_stream: "flag"
  options { [mediapipe.SplitVectorCalculatorOptions.ext] {
    ranges { begin: 0 end: 6 } ranges { begin: 6 end: 7 } } }
}
node {
  calculator: "TensorsToFloatsCalculator"
  input_stream: "TENSORS:flag"
  output_stream: "FLOAT:score"
  options { [mediapipe.TensorsToFloatsCalculatorOptions.ext] { activation: SIGMOID } }
}
node {
  calculator: "TensorsToFaceLandmarksWithAttention"
  input_stream: "TENSORS:mesh"
  output_stream: "LANDMARKS:landmarks"
}
"""

# A serialized NormalizedLandmark as the graph writes it: field tags and three floats. Reading the wire
# format costs 0.1 ms, walking 478 message objects more than 1 ms with the interpreter's lock held.
_WIRE = np.dtype(
    [("field", "u1", 2)] + [field for axis in "xyz" for field in ((f"{axis}_tag", "u1"), (axis, "<f4"))]
)


class FaceMesh:
    """The network, loaded. Not thread-safe."""

    def __init__(self) -> None:
        self._graph = Graph(_GRAPH, ("landmarks", "score"), (_SIZE, _SIZE))

    def find(self, pixels: Bytes, region: Region) -> tuple[Float, float]:
        """Look for one face in `region` of the picture, (H, W, 3) uint8 RGB.

        Returns landmarks (478, 3) float32 px and the score in [0, 1] that they show a face.
        """
        from mediapipe.python import packet_getter

        found = self._graph.run(region.crop(pixels, _SIZE))
        score = float(packet_getter.get_float(found["score"]))
        points = _points(packet_getter.get_proto(found["landmarks"]))
        return region.place(points), score

    def close(self) -> None:
        self._graph.close()


def _points(message: Any) -> Float:
    """NormalizedLandmarkList -> (478, 3) float32."""
    wire: bytes = message.SerializeToString()
    if len(wire) != _LANDMARKS * _WIRE.itemsize:
        landmarks = message.landmark
        return np.array([(point.x, point.y, point.z) for point in landmarks], np.float32)
    records = np.frombuffer(wire, _WIRE)
    return np.stack([records["x"], records["y"], records["z"]], axis=1)
