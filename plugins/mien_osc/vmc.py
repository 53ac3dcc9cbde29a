"""One frame of a face in the words of the Virtual Motion Capture protocol (protocol.vmc.info).

VMC is OSC over UDP in Unity's space: left-handed, x to the avatar's right, y up, z out of the face. Seen
from the engine's head space only x is reversed, so a rotation keeps its turn about x and reverses those about
y and z. Blend shapes carry the names of Unity's ARKitBlendShapeLocation ("perfect sync"), which are Apple's
with a capital.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from mien.face.camera import axis_angle, rotation_matrix
from mien.face.retargeting import Reference, eye_look, head_angles, head_matrix
from mien.face.rig import ARKIT_NAMES
from mien.frames import FaceParams, Float

Value = str | float | int
Message = tuple[str, tuple[Value, ...]]
"""Address and arguments, numbers with a point last."""

_LOADED, _CALIBRATED, _NORMAL = 1, 3, 0


def face_motion(params: FaceParams, avatar: Reference) -> tuple[Float, Float, Float]:
    """What an avatar's face does, relative to its own rest: the way back from `absolute_params`.

    Returns head (3,) yaw, pitch, roll; gaze (2, 2) yaw, pitch, radians; weights (52,), 0 to 1.
    """
    head = head_angles(avatar.rotation.T @ rotation_matrix(params.rotation))
    gaze = np.asarray(params.gaze - avatar.gaze, np.float32)
    rest = avatar.expression
    lids = eye_look(params.gaze)
    weights = (params.expression - lids - rest) / np.maximum(1.0 - rest, 0.1)
    return head, gaze, np.asarray(np.clip(weights + eye_look(gaze), 0, 1), np.float32)


def quaternion(yaw: float, pitch: float, roll: float) -> tuple[float, float, float, float]:
    """Unity's x, y, z, w of a turn given in head space, radians: to the left, up, crown to the right."""
    turn = axis_angle(head_matrix(np.array([yaw, pitch, roll], np.float32)))
    angle = math.sqrt(float(turn @ turn))
    if angle < 1e-9:
        return 0.0, 0.0, 0.0, 1.0
    x, y, z = (turn * (math.sin(angle / 2) / angle)).tolist()
    return x, -y, -z, math.cos(angle / 2)


def messages(
    params: FaceParams, avatar: Reference, time_s: float, *, capitals: bool = True, eye_bones: bool = True
) -> Iterator[Message]:
    """All of one frame, in the order in which receivers want it."""
    head, gaze, weights = face_motion(params, avatar)
    yield "/VMC/Ext/OK", (_LOADED, _CALIBRATED, _NORMAL)
    yield "/VMC/Ext/T", (time_s,)
    yield "/VMC/Ext/Bone/Pos", ("Head", 0.0, 0.0, 0.0, *quaternion(*head.tolist()))
    if eye_bones:
        for bone, (yaw, pitch) in zip(("LeftEye", "RightEye"), gaze.tolist(), strict=True):
            yield "/VMC/Ext/Bone/Pos", (bone, 0.0, 0.0, 0.0, *quaternion(yaw, pitch, 0.0))
    for name, weight in zip(ARKIT_NAMES, weights.tolist(), strict=True):
        yield "/VMC/Ext/Blend/Val", (name[0].upper() + name[1:] if capitals else name, weight)
    yield "/VMC/Ext/Blend/Apply", ()
