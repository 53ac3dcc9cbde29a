"""Where the eyes look and how far they are shut, as an image (Deep Video Portraits' third
conditioning image).

Channels: 0 and 1, direction of the eye that is seen there, x and y of the unit optical axis in camera space (right
and up), on visible eyeballs; 2, the ball, 0.5 on the
white and 1 on the iris; 3, closure of the lids, 0 open to 1 shut, on the eyeball and
on the skin around it, so that an eye without a visible ball still says that it is shut. 0 elsewhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mien.face.model import EYES, LIDS, FaceModel, Region, gaze_rotation
from mien.face.rig import BLINKS
from mien.frames import FaceParams, Float

CHANNELS = 4
IRIS = float(np.radians(27.0))
"""Angle at the eyeball's centre between the optical axis and the limbus."""
_SOFT = 0.03
_AROUND_CM = (0.5, 1.0)
"""Skin that near to a lid's rim moves with it altogether, and no longer."""


def lid_shares(model: FaceModel) -> Float:
    """(V, 2) float32 in [0, 1]: how much each vertex belongs to the left and to the right eye."""
    marks = model.landmarks.apply(model.mean)
    skin = model.vertex_region == Region.FACE
    near, far = _AROUND_CM
    shares = np.zeros((len(model.mean), 2), np.float32)
    for side, (eye, lids) in enumerate(zip(EYES, LIDS, strict=True)):
        away, _ = cKDTree(marks[list(lids)]).query(model.mean[skin])
        shares[skin, side] = np.clip((far - away) / (far - near), 0, 1)
        shares[model.vertex_region == eye, side] = 1
    return shares


def closures(params: FaceParams, shares: Float) -> Float:
    """shares: (V, 2), see `lid_shares` -> (V,) float32, closure at each vertex."""
    shut = np.clip(params.expression[list(BLINKS)], 0, 1)
    return np.asarray(shares @ shut, np.float32)


def gaze_map(
    params: FaceParams, rotation: Float, region: NDArray[np.int8], uv: Float, closure: Float
) -> Float:
    """One picture. rotation: (3, 3) head to camera; region: (H, W); uv: (H, W, 2); closure: (H, W) -> (H, W, 4)."""
    out = np.zeros((*region.shape, CHANNELS), np.float32)
    for eye, (yaw, pitch) in zip(EYES, params.gaze, strict=True):
        ball = region == eye
        axis = rotation @ gaze_rotation(float(yaw), float(pitch))[:, 2]
        out[ball, :2] = axis[:2]
        angle = np.linalg.norm(uv[ball] - np.float32(0.5), axis=1) * np.float32(np.pi)
        out[ball, 2] = 0.5 + 0.5 * np.clip((IRIS - angle) / _SOFT + 0.5, 0, 1)
    out[..., 3] = closure
    return out
