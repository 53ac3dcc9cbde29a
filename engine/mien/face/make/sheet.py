"""A sheet to judge a model by: python -m mien.face.make.sheet --out sheet.png [--model FILE]"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.face.assets import BUILT_IN
from mien.face.make.shading import Painter
from mien.face.model import PosedFace, load_model
from mien.face.rig import ARKIT_NAMES, INDEX
from mien.frames import Float

Picture = NDArray[np.uint8]

COMBINED = {
    "open .5": "jawOpen .5",
    "open .6 close .6": "jawOpen .6, mouthClose .6",
    "smile": "mouthSmile .8, cheekSquint .5",
    "laugh": "mouthSmile .9, jawOpen .4, mouthUpperUp .4, eyeSquint .6",
    "ee": "mouthStretch .5, mouthLowerDown .6, mouthUpperUp .5, jawOpen .08",
    "oh": "jawOpen .35, mouthFunnel .7",
    "oo": "jawOpen .12, mouthPucker .7, mouthFunnel .3",
    "angry": "browDown .9, noseSneer .6, mouthPress .6, eyeSquint .4",
    "sad": "browInnerUp .8, mouthFrown .8, mouthShrugLower .5, eyeLookDown .3",
    "surprise": "browInnerUp .9, browOuterUp .8, eyeWide 1, jawOpen .5",
    "blink .5": "eyeBlink .5",
    "blink": "eyeBlink 1",
    "look left": "eyeLookOutLeft .7, eyeLookInRight .7",
    "look down": "eyeLookDown .8",
    "look up": "eyeLookUp .8",
    "tongue": "tongueOut 1, jawOpen .4",
}
"""Names without a side mean both."""
NEUTRAL = "neutral"
"""What the others are to be compared with; a name that moves nothing."""
_LABEL_PX = 20
TURNS = {"eyeLookOut": (36, 0), "eyeLookIn": (-36, 0), "eyeLookUp": (0, 27), "eyeLookDown": (0, -27)}
"""Outward yaw and pitch of the gaze, degrees, that each shape belongs to."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mien.face.make.sheet", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default=BUILT_IN, help="a name, or the path of an .npz")
    parser.add_argument("--size", type=int, default=220)
    parser.add_argument("--only", default="", help="parts of names, comma separated")
    parser.add_argument("--zoom", choices=("head", "face", "mouth", "eyes"), default="face")
    given = parser.parse_args()
    path = Path(given.model)
    model = load_model(path if path.is_file() else given.model)
    painter = Painter(model)
    names = [n for n in (NEUTRAL, *ARKIT_NAMES, *COMBINED, *model.identity_names) if wanted(n, given.only)]
    sheet = [
        grid([row(painter, name, given.size, given.zoom) for name in group])
        for group in (
            [n for n in names if n not in model.identity_names],
            [n for n in names if n in model.identity_names],
        )
        if group
    ]
    wide = max(part.shape[1] for part in sheet)
    sheet = [np.pad(part, ((0, 0), (0, wide - part.shape[1]), (0, 0)), constant_values=250) for part in sheet]
    cv2.imwrite(str(given.out), np.vstack(sheet)[:, :, ::-1])


def grid(rows: list[Picture], width: int = 2200) -> Picture:
    across = max(1, min(len(rows), width // rows[0].shape[1]))
    rows = rows + [np.full_like(rows[0], 250)] * (-len(rows) % across)
    return np.vstack([np.hstack(rows[i : i + across]) for i in range(0, len(rows), across)])


def wanted(name: str, only: str) -> bool:
    return not only or any(part.strip().lower() in name.lower() for part in only.split(","))


def look(written: str) -> tuple[Float, Float]:
    """ "jawOpen .5, yaw .2" -> expression (52,), gaze (2, 2). Eyes turn with their eyeLook shapes."""
    expression, gaze = np.zeros(52, np.float32), np.zeros((2, 2), np.float32)
    for part in written.split(","):
        name, weight = part.split()
        for each in (name, f"{name}Left", f"{name}Right"):
            if each in INDEX:
                expression[INDEX[each]] = float(weight)
    for name, turn in TURNS.items():
        for eye, side, outwards in ((0, "Left", 1), (1, "Right", -1)):
            gaze[eye] += expression[INDEX[f"{name}{side}"]] * np.radians(turn) * (outwards, 1)
    return expression, gaze


def row(painter: Painter, name: str, size: int, zoom: str) -> Picture:
    """Front and three-quarter view, labelled; identity modes at -2.5 and +2.5 standard deviations."""
    model = painter.model
    place = {
        "head": ((0, -3.5), 16.0),
        "face": ((0, -3.0), 10.0),
        "mouth": ((0, -7.0), 4.6),
        "eyes": ((0, 0), 5.4),
    }[zoom]
    identity = np.zeros(len(model.identity), np.float32)
    if name in model.identity_names:
        views = []
        for sign in (-2.5, 2.5):
            identity[model.identity_names.index(name)] = sign
            shape = PosedFace(model, identity).vertices(np.zeros(52, np.float32))
            views += [painter.picture(shape, yaw, 0, size, *place) for yaw in (0, -35)]
    else:
        expression, gaze = look(COMBINED.get(name, f"{name} 1"))
        shape = PosedFace(model, identity).vertices(expression, gaze)
        # The side that a lopsided shape moves is the one turned to the camera.
        aside = 38 if name.endswith("Right") else -38
        views = [painter.picture(shape, yaw, 0, size, *place) for yaw in (0, aside)]
    joined = np.pad(np.hstack(views), ((_LABEL_PX, 0), (0, 0), (0, 0)), constant_values=250)
    cv2.putText(joined, name, (5, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (20, 20, 120), 1, cv2.LINE_AA)
    return joined


if __name__ == "__main__":
    main()
