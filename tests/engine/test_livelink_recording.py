"""A real recording of Live Link Face: its angles and its shapes must say the same."""

from pathlib import Path

import numpy as np
import pytest

from mien.face.retargeting import EXPRESSION, GAZE, Reference, relative_motion
from mien.face.rig import INDEX
from mien.frames import FaceParams
from mien.performance.livelink import read_livelink

pytestmark = pytest.mark.data


def test_eyes_look_where_the_shapes_say_and_the_rest_is_calm(data: Path) -> None:
    take = read_livelink(data / "audio2blendshape" / "livelink_range_of_motion.csv")
    assert take.fps == pytest.approx(30, abs=0.05)
    frames = [event for event in take.events if isinstance(event, FaceParams)][::8]
    seconds = (frames[-1].capture_ns - frames[0].capture_ns) / 1e9
    assert seconds == pytest.approx(134.3, abs=0.2)

    def weight(name: str) -> np.ndarray:
        return np.array([params.expression[INDEX[name]] for params in frames])

    gaze = np.stack([params.gaze.reshape(4) for params in frames], -1)
    for eye, side, outwards in ((0, "Left", 1), (2, "Right", -1)):
        yaw = outwards * (weight(f"eyeLookOut{side}") - weight(f"eyeLookIn{side}"))
        pitch = weight(f"eyeLookUp{side}") - weight(f"eyeLookDown{side}")
        assert np.corrcoef(gaze[eye], yaw)[0, 1] > 0.97
        assert np.corrcoef(gaze[eye + 1], pitch)[0, 1] > 0.97

    rest = Reference.of(take.subject)
    motions = np.stack([relative_motion(params, rest) for params in frames])
    assert np.abs(np.median(motions[:, GAZE], axis=0)).max() < 1e-3
    assert np.median(motions[:, EXPRESSION], axis=0).max() < 0.3
    assert motions[:, EXPRESSION].max() == 1.0
