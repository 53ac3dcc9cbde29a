"""Gaze on pictures of heads whose eyes are known to look somewhere, through the real landmarker.

The gains of `mien.face.gaze` are found on one set of people and measured on another: other identities of
`mien-head` and of ICT-FaceKit (if it is installed), in another light, before another camera.
`python benchmarks/gaze.py` shows both sets, and the gains that would suit each best.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from mien.errors import MienError
from mien.face.camera import Camera, rotation_matrix
from mien.face.gaze import GAINS
from mien.face.make.shading import Look
from mien.face.model import BUILT_IN, load_model
from mien.frames import Float
from mien.testing.sitter import NOISE, Sitter, turn
from mien_mediapipe.landmarker import MediaPipeLandmarker

ENROLLING, LOOKING = 26, 3
"""Frames that look into the camera at first, and frames of each glance, the last of which counts."""
STRAIGHT, TURNED = 10, 16
"""Glances with the head straight, and with the head turned."""
MOST_GAZE, MOST_TURN = 20.0, 12.0
"""Degrees: gazes are spread evenly over a disc of that radius, heads over a square."""
_SPREAD = 0.8
"""Standard deviations of the first modes of identity."""
_MODES = 20


@dataclass(frozen=True, slots=True)
class Scene:
    """Somebody in front of a camera. seed: who, and where they look; place: of the head, (3,) cm."""

    model: str
    seed: int
    look: Look
    camera: Camera
    place: tuple[float, float, float]

    @property
    def pupils_px(self) -> float:
        """How far the pupils of an average face are apart."""
        return 6.3 * self.camera.focal / -self.place[2]


_SQUARE, _WIDE = Camera.guess(640, 640), Camera.guess(640, 480)
_OTHER, _SHORT = Camera.guess(720, 720), Camera(640, 640, 900.0, 320.0, 320.0)
_INDOORS = Look()
_LAMP_LEFT = Look(((-0.5, 0.6, 0.62, 0.7), (0.7, 0.1, 0.7, 0.2)), 0.25, (0.95, 0.9, 0.85), (90, 120, 140))
_CEILING = Look(((0.0, 0.8, 0.6, 0.5),), 0.45, (0.7, 0.6, 0.52), (60, 40, 30))
_WINDOW = Look(((0.8, 0.2, 0.56, 0.6),), 0.35, (1.0, 0.95, 0.92), (120, 130, 90))
_SCREEN = Look(((0.0, 0.3, 0.95, 0.6), (-0.7, 0.6, 0.3, 0.3)), 0.2, (0.5, 0.4, 0.34), (50, 32, 24))
_STUDIO = Look(((-0.6, 0.7, 0.4, 0.45), (0.6, 0.7, 0.4, 0.45)), 0.2, (0.9, 0.82, 0.8), (110, 150, 190))
_ICT = "ict-facekit"

TUNING = (
    Scene(BUILT_IN, 11, _INDOORS, _SQUARE, (0.0, 1.5, -50.0)),
    Scene(BUILT_IN, 12, _LAMP_LEFT, _WIDE, (2.0, 1.0, -48.0)),
    Scene(BUILT_IN, 13, _CEILING, _SQUARE, (-1.0, 2.0, -52.0)),
    Scene(_ICT, 14, _INDOORS, _WIDE, (0.0, 1.0, -50.0)),
    Scene(_ICT, 15, _LAMP_LEFT, _SQUARE, (1.0, 1.5, -52.0)),
    Scene(_ICT, 16, _CEILING, _SQUARE, (0.0, 1.5, -48.0)),
)
MEASURED = (
    Scene(BUILT_IN, 21, _WINDOW, _OTHER, (1.0, 1.5, -55.0)),
    Scene(BUILT_IN, 22, _SCREEN, _SHORT, (0.0, 1.0, -36.0)),
    Scene(BUILT_IN, 23, _STUDIO, _OTHER, (-1.5, 0.5, -52.0)),
    Scene(_ICT, 24, _WINDOW, _SHORT, (0.5, 1.0, -36.0)),
    Scene(_ICT, 25, _SCREEN, _OTHER, (1.0, 1.0, -55.0)),
    Scene(_ICT, 26, _STUDIO, _OTHER, (0.0, 1.5, -52.0)),
)


@dataclass(frozen=True, slots=True)
class Glance:
    """Degrees, yaw and pitch, (2,) each. head, gaze: of the picture; found: the gaze tracked in the head;
    space: angle between both directions in the room.
    """

    person: int
    head: Float
    gaze: Float
    found: Float
    space: float


def sitter_of(scene: Scene, rng: np.random.Generator) -> Sitter:
    """Raises `MienError` where the scene's model isn't installed."""
    model = load_model(scene.model)
    identity = np.zeros(len(model.identity), np.float32)
    modes = min(_MODES, len(identity))
    identity[:modes] = rng.normal(0, _SPREAD, modes)
    return Sitter(model, MediaPipeLandmarker, scene.camera, scene.place, identity, scene.look, scene.seed)


def _direction(gaze: Float) -> Float:
    yaw, pitch = np.radians(gaze)
    return np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], np.float32)


def glances(scenes: tuple[Scene, ...]) -> list[Glance]:
    """Of everybody in the scenes whose model is installed."""
    found = []
    for person, scene in enumerate(scenes):
        rng = np.random.default_rng(scene.seed)
        try:
            sitter = sitter_of(scene, rng)
        except MienError:
            continue
        rest: Float | None = None
        straight = np.zeros(2, np.float32)
        for shot in range(1 + STRAIGHT + TURNED):
            head, gaze = straight, straight
            if shot:
                reach, way = MOST_GAZE * np.sqrt(rng.random()), 2 * np.pi * rng.random()
                gaze = np.array([reach * np.cos(way), reach * np.sin(way)], np.float32)
            if shot > STRAIGHT:
                head = rng.uniform(-MOST_TURN, MOST_TURN, 2).astype(np.float32)
            picture = sitter.photograph(gaze, head)
            seen = sitter.see(picture, LOOKING if shot else ENROLLING, NOISE).params
            if seen is None:
                found.append(Glance(person, head, gaze, np.full(2, np.nan, np.float32), float("nan")))
                continue
            tracked = np.degrees(seen.gaze.mean(axis=0))
            rest = tracked if rest is None else rest
            ours = rotation_matrix(seen.rotation) @ _direction(tracked)
            truth = rotation_matrix(turn(head)) @ _direction(gaze)
            angle = float(np.degrees(np.arccos(np.clip(ours @ truth, -1, 1))))
            if shot:
                found.append(Glance(person, head, gaze, tracked - rest, angle))
        sitter.close()
    return found


def gaze_figures(seen: list[Glance]) -> dict[str, Any]:
    """Median angles, degrees, between the gaze tracked and the one shown.

    `gaze_degrees`: in the head, from where the eyes were when they looked into the camera at first, which is
    what is carried over to an avatar; `gaze_straight_degrees`: of these, with the head straight;
    `gaze_in_space_degrees`: eyes and head together, with nothing subtracted.
    """
    off = np.array([np.hypot(*(one.found - one.gaze)) for one in seen])
    still = np.array([not one.head.any() for one in seen])
    return {
        "gaze_degrees": round(float(np.nanmedian(off)), 2),
        "gaze_p90_degrees": round(float(np.nanpercentile(off, 90)), 2),
        "gaze_straight_degrees": round(float(np.nanmedian(off[still])), 2),
        "gaze_in_space_degrees": round(float(np.nanmedian([one.space for one in seen])), 2),
        "glances": len(seen),
    }


def best_gains(seen: list[Glance]) -> dict[str, float]:
    """By least squares: what the gains should have been for these glances."""
    seen = [one for one in seen if np.isfinite(one.found).all()]
    truth = np.array([one.gaze for one in seen])
    shown = np.array([one.found for one in seen])
    shown[:, 0] /= GAINS.aside
    shown[:, 1] /= np.where(shown[:, 1] > 0, GAINS.up, GAINS.down)
    best = {}
    for name, axis, which in (
        ("aside", 0, truth[:, 0] == truth[:, 0]),
        ("up", 1, truth[:, 1] > 0),
        ("down", 1, truth[:, 1] <= 0),
    ):
        x, y = shown[which, axis], truth[which, axis]
        best[name] = round(float(x @ y / (x @ x)), 2)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).resolve().parents[2] / "shared"
    parser.add_argument("--assets", type=Path, default=Path(os.environ.get("MIEN_ASSETS", here / "assets")))
    os.environ["MIEN_ASSETS"] = str(parser.parse_args().assets)
    table = Table(title="Gaze")
    for column in ("", "tuning", "measured"):
        table.add_column(column)
    sets = [glances(scenes) for scenes in (TUNING, MEASURED)]
    figures = [gaze_figures(seen) | best_gains(seen) for seen in sets]
    for person in range(len(TUNING)):
        for figure, seen, scenes in zip(figures, sets, (TUNING, MEASURED), strict=True):
            own = [one for one in seen if one.person == person]
            if own:
                name = f"{person}: {scenes[person].model}"
                figure[name] = f"{gaze_figures(own)['gaze_degrees']} {best_gains(own)}"
    for row in figures[0]:
        table.add_row(row, *(str(figure.get(row, "")) for figure in figures))
    Console().print(table)


if __name__ == "__main__":
    main()
