"""Contact sheets of an avatar: `python -m mien_photo.sheet NAME.avatar --out sheet.png`.

Rows of labelled cells: expressions, gaze, visemes, and the head turning. For looking at, not for tests.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from mien.avatar.package import Avatar, load_avatar
from mien.face.retargeting import (
    EXPRESSION,
    GAZE,
    HEAD,
    MOTION_SIZE,
    SHIFT,
    Motion,
    Reference,
    absolute_params,
)
from mien.face.rig import ARKIT_NAMES
from mien.frames import Bytes, FaceParams
from mien.plugins import Registry
from mien.stage import Kind
from mien.testing.context import FakeContext
from mien_photo.renderer import PhotoRenderer


@dataclass(frozen=True, slots=True)
class Cell:
    """What one picture shows. head: yaw, pitch, roll in degrees; gaze: yaw, pitch in degrees; shift: cm.

    weights: stems of expression names -> weight.
    """

    label: str
    weights: Mapping[str, float] = field(default_factory=dict)
    head: tuple[float, float, float] = (0, 0, 0)
    gaze: tuple[float, float] = (0, 0)
    shift: tuple[float, float, float] = (0, 0, 0)

    def motion(self) -> Motion:
        motion = np.zeros(MOTION_SIZE, np.float32)
        motion[HEAD] = np.radians(self.head)
        motion[SHIFT] = self.shift
        motion[GAZE] = np.radians([*self.gaze, *self.gaze])
        weights = motion[EXPRESSION]
        for stem, weight in self.weights.items():
            for i, name in enumerate(ARKIT_NAMES):
                if name.startswith(stem):
                    weights[i] = weight
        return motion


EXPRESSIONS = (
    Cell("at rest"),
    Cell("blink 0.3", {"eyeBlink": 0.3}),
    Cell("blink 0.6", {"eyeBlink": 0.6}),
    Cell("blink 1", {"eyeBlink": 1}),
    Cell("wide", {"eyeWide": 1, "browInnerUp": 0.6, "browOuterUp": 0.6}),
    Cell("squint", {"eyeSquint": 0.8, "cheekSquint": 0.5}),
    Cell("brows down", {"browDown": 0.9}),
    Cell("brows up", {"browInnerUp": 0.9, "browOuterUp": 0.9}),
    Cell("smile 0.5", {"mouthSmile": 0.5}),
    Cell("smile 1", {"mouthSmile": 1.0, "cheekSquint": 0.4}),
    Cell("smile, teeth", {"mouthSmile": 0.8, "jawOpen": 0.15, "mouthUpperUp": 0.4, "mouthLowerDown": 0.4}),
    Cell("frown", {"mouthFrown": 0.8}),
    Cell("jaw 0.1", {"jawOpen": 0.1}),
    Cell("jaw 0.3", {"jawOpen": 0.3}),
    Cell("jaw 0.6", {"jawOpen": 0.6}),
    Cell("jaw 1", {"jawOpen": 1.0}),
    Cell("laugh", {"mouthSmile": 0.9, "jawOpen": 0.45, "mouthUpperUp": 0.5, "eyeSquint": 0.5}),
    Cell("funnel", {"mouthFunnel": 0.8, "jawOpen": 0.25}),
    Cell("pucker", {"mouthPucker": 0.9}),
    Cell("press", {"mouthPress": 0.8}),
    Cell("roll in", {"mouthRoll": 0.8}),
    Cell("left", {"mouthLeft": 0.7, "jawLeft": 0.4}),
    Cell("puff", {"cheekPuff": 0.8}),
    Cell("sneer", {"noseSneer": 0.8}),
)
VISEMES = (
    Cell("AA", {"jawOpen": 0.55, "mouthStretch": 0.15}),
    Cell("E", {"jawOpen": 0.25, "mouthStretch": 0.35, "mouthSmile": 0.25}),
    Cell("I", {"jawOpen": 0.12, "mouthStretch": 0.3, "mouthSmile": 0.35, "mouthLowerDown": 0.3}),
    Cell("O", {"jawOpen": 0.35, "mouthFunnel": 0.55, "mouthPucker": 0.25}),
    Cell("U", {"jawOpen": 0.15, "mouthPucker": 0.75, "mouthFunnel": 0.25}),
    Cell("M B P", {"mouthPress": 0.35, "mouthRoll": 0.3}),
    Cell("F V", {"jawOpen": 0.12, "mouthRollLower": 0.55, "mouthUpperUp": 0.35}),
    Cell("S Z", {"jawOpen": 0.06, "mouthStretch": 0.25, "mouthLowerDown": 0.3, "mouthUpperUp": 0.2}),
)
GAZES = (
    Cell("look left 15", gaze=(15, 0)),
    Cell("look left 28", gaze=(28, 0)),
    Cell("look right 15", gaze=(-15, 0)),
    Cell("look right 28", gaze=(-28, 0)),
    Cell("look up 10", gaze=(0, 10)),
    Cell("look up 18", gaze=(0, 18)),
    Cell("look down 10", gaze=(0, -10)),
    Cell("look down 18", gaze=(0, -18)),
)
TURNS = (
    *(Cell(f"yaw {a}", head=(a, 0, 0)) for a in (-30, -20, -12, -6, 6, 12, 20, 30)),
    *(Cell(f"pitch {a}", head=(0, a, 0)) for a in (-30, -20, -12, -6, 6, 12, 20, 30)),
    *(Cell(f"roll {a}", head=(0, 0, a)) for a in (-20, -10, 10, 20)),
    Cell("yaw 20, jaw", {"jawOpen": 0.4}, head=(20, 0, 0)),
    Cell("yaw -20, smile", {"mouthSmile": 0.7, "jawOpen": 0.15}, head=(-20, 0, 0)),
    Cell("shift left", shift=(-3, 0, 0)),
    Cell("shift up, near", shift=(0, 2, -0.1)),
)
ALL = (*EXPRESSIONS, *VISEMES, *GAZES, *TURNS)


def draw(renderer: PhotoRenderer, avatar: Avatar, cells: Iterable[Cell]) -> list[Bytes]:
    """The pictures of `cells`, in order."""
    reference = Reference.of(avatar.content.subject)
    pictures = []
    for index, cell in enumerate(cells):
        params = absolute_params(cell.motion(), reference, FaceParams(capture_ns=0, index=index))
        pictures.append(renderer.process(params).pixels)
    return pictures


def tile(pictures: list[Bytes], labels: list[str], columns: int, side: int, part: str = "whole") -> Bytes:
    """Cells of `side` px; part: whole, face, eyes or mouth (fixed shares of the picture)."""
    areas = {
        "whole": (0, 1, 0, 1),
        "face": (0.22, 0.72, 0.2, 0.7),
        "eyes": (0.27, 0.42, 0.32, 0.68),
        "mouth": (0.42, 0.62, 0.34, 0.66),
    }
    y0, y1, x0, x1 = areas[part]
    cells = []
    for picture, label in zip(pictures, labels, strict=True):
        h, w = picture.shape[:2]
        cut = picture[int(y0 * h) : int(y1 * h), int(x0 * w) : int(x1 * w)]
        height = round(side * cut.shape[0] / cut.shape[1])
        small = cv2.resize(
            cut, (side, height), interpolation=cv2.INTER_AREA if side < cut.shape[1] else cv2.INTER_CUBIC
        )
        for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(small, label, (5, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, width, cv2.LINE_AA)
        cells.append(small)
    while len(cells) % columns:
        cells.append(np.zeros_like(cells[0]))
    return np.vstack([np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=512, help="px of a rendered picture")
    parser.add_argument("--cell", type=int, default=256, help="px of a cell")
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--part", choices=("whole", "face", "eyes", "mouth"), default="whole")
    parser.add_argument("--cells", choices=("all", "expressions", "visemes", "gazes", "turns"), default="all")
    given = parser.parse_args()
    cells = {"all": ALL, "expressions": EXPRESSIONS, "visemes": VISEMES, "gazes": GAZES, "turns": TURNS}[
        given.cells
    ]
    avatar = load_avatar(given.avatar)
    registry = Registry.discover()
    context = FakeContext(
        avatar=avatar,
        size=(given.size, given.size),
        services={Kind.RASTERIZER: lambda: registry.create(Kind.RASTERIZER)},
    )
    renderer = PhotoRenderer()
    renderer.open(context)
    pictures = draw(renderer, avatar, cells)
    renderer.close()
    context.close()
    sheet = tile(pictures, [cell.label for cell in cells], given.columns, given.cell, given.part)
    cv2.imwrite(str(given.out), sheet[..., ::-1])


if __name__ == "__main__":
    main()
