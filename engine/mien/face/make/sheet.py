"""A sheet to judge a model by: python -m mien.face.make.sheet --out sheet.png [--model FILE]"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.face.make.shading import picture
from mien.face.model import BUILT_IN, FaceModel, PosedFace, load_model
from mien.face.rig import ARKIT_NAMES, INDEX

Picture = NDArray[np.uint8]
Look = tuple[dict[str, float], tuple[float, float]]

COMBINED: dict[str, Look] = {
    "open .5": ({"jawOpen": 0.5}, (0, 0)),
    "open .6 close .6": ({"jawOpen": 0.6, "mouthClose": 0.6}, (0, 0)),
    "smile": ({"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8, "cheekSquintLeft": 0.5, "cheekSquintRight": 0.5}, (0, 0)),
    "laugh": ({"mouthSmileLeft": 0.9, "mouthSmileRight": 0.9, "jawOpen": 0.4, "mouthUpperUpLeft": 0.4, "mouthUpperUpRight": 0.4,
               "eyeSquintLeft": 0.6, "eyeSquintRight": 0.6}, (0, 0)),
    "ee": ({"mouthStretchLeft": 0.5, "mouthStretchRight": 0.5, "mouthLowerDownLeft": 0.6, "mouthLowerDownRight": 0.6,
            "mouthUpperUpLeft": 0.5, "mouthUpperUpRight": 0.5, "jawOpen": 0.08}, (0, 0)),
    "oh": ({"jawOpen": 0.35, "mouthFunnel": 0.7}, (0, 0)),
    "oo": ({"jawOpen": 0.12, "mouthPucker": 0.7, "mouthFunnel": 0.3}, (0, 0)),
    "angry": ({"browDownLeft": 0.9, "browDownRight": 0.9, "noseSneerLeft": 0.6, "noseSneerRight": 0.6, "mouthPressLeft": 0.6,
               "mouthPressRight": 0.6, "eyeSquintLeft": 0.4, "eyeSquintRight": 0.4}, (0, 0)),
    "sad": ({"browInnerUp": 0.8, "mouthFrownLeft": 0.8, "mouthFrownRight": 0.8, "mouthShrugLower": 0.5}, (0, -0.15)),
    "surprise": ({"browInnerUp": 0.9, "browOuterUpLeft": 0.8, "browOuterUpRight": 0.8, "eyeWideLeft": 1, "eyeWideRight": 1, "jawOpen": 0.5}, (0, 0)),
    "blink .5": ({"eyeBlinkLeft": 0.5, "eyeBlinkRight": 0.5}, (0, 0)),
    "blink": ({"eyeBlinkLeft": 1, "eyeBlinkRight": 1}, (0, 0)),
    "look left": ({"eyeLookOutLeft": 0.7, "eyeLookInRight": 0.7}, (0.45, 0)),
    "look down": ({"eyeLookDownLeft": 0.8, "eyeLookDownRight": 0.8}, (0, -0.4)),
    "look up": ({"eyeLookUpLeft": 0.8, "eyeLookUpRight": 0.8}, (0, 0.35)),
    "tongue": ({"tongueOut": 1, "jawOpen": 0.4}, (0, 0)),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mien.face.make.sheet", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default=BUILT_IN)
    parser.add_argument("--size", type=int, default=220)
    parser.add_argument("--only", default="", help="parts of names, comma separated")
    parser.add_argument("--zoom", choices=("head", "face", "mouth", "eyes"), default="face")
    given = parser.parse_args()
    model = load_model(given.model)
    names = [n for n in (*ARKIT_NAMES, *COMBINED, *model.identity_names) if wanted(n, given.only)]
    sheet = [
        grid([row(model, name, given.size, given.zoom) for name in group])
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


def row(model: FaceModel, name: str, size: int, zoom: str) -> Picture:
    """Front and three-quarter view, labelled; identity modes at -2.5 and +2.5 standard deviations."""
    place = {
        "head": ((0, -3.5), 16.0),
        "face": ((0, -3.0), 10.0),
        "mouth": ((0, -7.0), 4.6),
        "eyes": ((0, 0), 5.4),
    }[zoom]
    if name in model.identity_names:
        at = np.zeros(len(model.identity), np.float32)
        views = []
        for sign in (-2.5, 2.5):
            at[model.identity_names.index(name)] = sign
            shape = PosedFace(model, at).vertices(np.zeros(52, np.float32))
            views += [picture(model, shape, 0, 0, size, *place), picture(model, shape, -35, 0, size, *place)]
    else:
        weights, (yaw, pitch) = COMBINED.get(name, ({name: 1.0}, (0.0, 0.0)))
        expression = np.zeros(52, np.float32)
        for shape_name, weight in weights.items():
            expression[INDEX[shape_name]] = weight
        gaze = np.array([[yaw, pitch]] * 2, np.float32)
        shape = PosedFace(model, np.zeros(len(model.identity), np.float32)).vertices(expression, gaze)
        views = [picture(model, shape, 0, 0, size, *place), picture(model, shape, -38, 0, size, *place)]
    joined = np.hstack(views)
    cv2.putText(joined, name, (5, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (20, 20, 120), 1, cv2.LINE_AA)
    return joined


if __name__ == "__main__":
    main()
