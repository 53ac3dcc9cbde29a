"""A MediaPipe calculator graph that takes one picture and answers before it returns.

The ready-made "solutions" of MediaPipe run their graphs on a thread pool and hide the face score and
the region of interest. Graphs of our own run on the calling thread (a lane), start no thread, and let
the landmarker decide where to look.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from mien.frames import Bytes
from mien_mediapipe.stderr import without_chatter

_ON_THIS_THREAD = 'executor { name: "" type: "ApplicationThreadExecutor" }\n'


class Graph:
    """A running graph with one input stream `image`.

    config: CalculatorGraphConfig in protobuf text format; outputs: the output streams to observe.
    Raises RuntimeError when MediaPipe rejects the graph. Not thread-safe: one caller at a time.
    """

    def __init__(self, config: str, outputs: tuple[str, ...], warm_up: tuple[int, int]) -> None:
        """warm_up: height and width of a black picture that is run once: the first one sets up buffers."""
        with without_chatter(), warnings.catch_warnings():
            # protobuf 4 deprecates what MediaPipe's own generated modules call.
            warnings.filterwarnings("ignore", message=".*(protobuf|GetPrototype|message factory).*")
            warnings.simplefilter("ignore", DeprecationWarning)
            import mediapipe
            from mediapipe.python import packet_creator
            from mediapipe.python._framework_bindings import calculator_graph, resource_util

            self._packet = packet_creator.create_image_frame
            self._format = mediapipe.ImageFormat.SRGB
            # Model paths in a graph are relative to the folder that holds the package.
            resource_util.set_resource_dir(str(Path(mediapipe.__file__).parents[1]))
            self._graph: Any = calculator_graph.CalculatorGraph(graph_config=_ON_THIS_THREAD + config)
            self._found: dict[str, Any] = {}
            for name in outputs:
                self._graph.observe_output_stream(name, self._found.__setitem__, False)
            self._graph.start_run({})
            self._count = 0
            self.run(np.zeros((*warm_up, 3), np.uint8))

    def run(self, pixels: Bytes) -> dict[str, Any]:
        """pixels: (H, W, 3) uint8 RGB, C-contiguous -> output stream name -> packet, where there is one."""
        self._found.clear()
        self._count += 1
        packet = self._packet(data=pixels, image_format=self._format)
        self._graph.add_packet_to_input_stream(stream="image", packet=packet.at(self._count))
        self._graph.wait_until_idle()
        return self._found

    def close(self) -> None:
        """Give the networks' memory back. The graph cannot be used afterwards."""
        if self._graph is not None:
            self._graph.close()
            self._graph = None
