"""Gaze on pictures of heads whose eyes are known to look somewhere, through the real landmarker.

What `mien.face.gaze` and `mien.face.iris` have been tuned by is one set of people (`TUNING`), what is measured another
(`MEASURED`): other identities of `mien-head` and of ICT-FaceKit (if it is installed), other colours of skin and iris,
another light, before another camera. In both, pupils are at least 150 px apart, eyes turn by up to 20 degrees and heads
by up to 20 to the side and up or down; at most glances the lids are a little lower, squinted or wider than usual; half
of the people have a lamp mirrored in their eyes; cameras add noise and most of them JPEG's artefacts.
`python benchmarks/gaze.py` shows both sets, and by how much the gains should differ to suit each best.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from mien.errors import MienError
from mien.face.assets import BUILT_IN
from mien.face.camera import Camera, rotation_matrix
from mien.face.gaze import IRIS_DEPTH
from mien.face.landmark_basis import LANDMARKS, LandmarkBasis
from mien.face.make.shading import IRIS_DEGREES, Look
from mien.face.model import load_model
from mien.face.rig import INDEX
from mien.frames import EXPRESSIONS, Bytes, FaceParams, Float
from mien.testing.sitter import NOISE, Sitter, turn
from mien_mediapipe.landmarker import MediaPipeLandmarker

ENROLLING, LOOKING = 26, 3
"""Frames that look into the camera at first, and frames of each glance, the last of which counts."""
STRAIGHT, TURNED = 10, 16
"""Glances with the head straight, and with the head turned."""
MOST_GAZE, MOST_TURN = 20.0, 20.0
"""Degrees: gazes are spread evenly over a disc of that radius, heads over a square."""
LIDS = (("eyeBlink", 0.3), ("eyeSquint", 0.6), ("eyeWide", 0.6))
"""What lids do besides following the gaze, one of it or nothing, each as often, and how much of it at most."""
_GLINT, _GLINT_ASIDE = 0.12, 0.45
"""Radius of a lamp's mirror image and its place towards the lamp, of the iris' radius."""
_SPREAD = 0.8
"""Standard deviations of the first modes of identity."""
_MODES = 20


@dataclass(frozen=True, slots=True)
class Scene:
    """Somebody in front of a camera. seed: who, and where they look; place: of the head, (3,) cm. noise: grey levels
    up to which pictures differ; quality: of the JPEG that the camera sends, if it does; mirroring: whether eyes show
    the lamp.
    """

    model: str
    seed: int
    look: Look
    camera: Camera
    place: tuple[float, float, float]
    noise: int = NOISE
    quality: int | None = None
    mirroring: bool = False

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
    Scene(BUILT_IN, 11, _INDOORS, _SQUARE, (0.0, 1.5, -50.0), 2),
    Scene(BUILT_IN, 12, _LAMP_LEFT, _WIDE, (2.0, 1.0, -48.0), 4, 90, mirroring=True),
    Scene(BUILT_IN, 13, _CEILING, _SQUARE, (-1.0, 2.0, -52.0), 6, 75),
    Scene(_ICT, 14, _INDOORS, _WIDE, (0.0, 1.0, -50.0), 2, mirroring=True),
    Scene(_ICT, 15, _LAMP_LEFT, _SQUARE, (1.0, 1.5, -52.0), 4, 90),
    Scene(_ICT, 16, _CEILING, _SQUARE, (0.0, 1.5, -48.0), 6, 75, mirroring=True),
)
MEASURED = (
    Scene(BUILT_IN, 21, _WINDOW, _OTHER, (1.0, 1.5, -55.0), 3, 85),
    Scene(BUILT_IN, 22, _SCREEN, _SHORT, (0.0, 1.0, -36.0), 5, 80, mirroring=True),
    Scene(BUILT_IN, 23, _STUDIO, _OTHER, (-1.5, 0.5, -52.0), 2),
    Scene(_ICT, 24, _WINDOW, _SHORT, (0.5, 1.0, -36.0), 3, 85, mirroring=True),
    Scene(_ICT, 25, _SCREEN, _OTHER, (1.0, 1.0, -55.0), 5, 80),
    Scene(_ICT, 26, _STUDIO, _OTHER, (0.0, 1.5, -52.0), 2, mirroring=True),
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


class Studio:
    """Where pictures of one person are taken. Raises `MienError` where the scene's model isn't installed."""

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        model = load_model(scene.model)
        identity = np.zeros(len(model.identity), np.float32)
        modes = min(_MODES, len(identity))
        identity[:modes] = rng.normal(0, _SPREAD, modes)
        self.sitter = Sitter(
            model, MediaPipeLandmarker, scene.camera, scene.place, identity, scene.look, scene.seed
        )
        self._scene = scene
        basis = LandmarkBasis.of(model)
        self._radius = basis.eye_radius
        self._eyes = basis.placed_eyes(identity, np.zeros((LANDMARKS, 3), np.float32))

    def photograph(self, gaze: Float, head: Float, lids: dict[str, float]) -> Bytes:
        """(H, W, 3). gaze, head: (2,) degrees; lids: weights by ARKit name."""
        expression = np.zeros(EXPRESSIONS, np.float32)
        for name, weight in lids.items():
            expression[INDEX[name]] = weight
        picture = self.sitter.photograph(gaze, head, expression=expression)
        if self._scene.mirroring:
            self._mirror(picture, gaze, head)
        return picture

    def see(self, picture: Bytes, frames: int) -> FaceParams | None:
        """What the tracker makes of the last of so many copies, as they come from the camera."""
        return self.sitter.see(picture, frames, self._scene.noise, self._sent).params

    def _sent(self, picture: Bytes) -> Bytes:
        if self._scene.quality is None:
            return picture
        coded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self._scene.quality])[1]
        return np.ascontiguousarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1], np.uint8)

    def _mirror(self, picture: Bytes, gaze: Float, head: Float) -> None:
        """Paint a lamp's mirror image into each iris."""
        scene = self._scene
        irises = (self._eyes + IRIS_DEPTH * self._radius * _direction(gaze)) @ rotation_matrix(turn(head)).T
        iris_px = self._radius * np.sin(np.radians(IRIS_DEGREES)) * scene.camera.focal / -scene.place[2]
        x, y = scene.look.lamps[0][:2]
        at = scene.camera.project(np.asarray(irises + scene.place, np.float32))
        at += np.array([x, -y], np.float32) * _GLINT_ASIDE * iris_px
        down, right = np.mgrid[: picture.shape[0], : picture.shape[1]] + 0.5
        for one in at:
            away = np.hypot(right - one[0], down - one[1])
            share = np.clip(max(_GLINT * iris_px, 1) - away + 0.5, 0, 1)[..., None]
            picture[:] = picture + share * (250 - picture.astype(np.float32))


def _lids(rng: np.random.Generator) -> dict[str, float]:
    which, much = int(rng.integers(len(LIDS) + 1)), float(rng.random())
    if which == len(LIDS):
        return {}
    name, most = LIDS[which]
    return {name + side: much * most for side in ("Left", "Right")}


def _direction(gaze: Float) -> Float:
    yaw, pitch = np.radians(gaze)
    return np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], np.float32)


def glances(scenes: tuple[Scene, ...]) -> list[Glance]:
    """Of everybody in the scenes whose model is installed."""
    found = []
    for person, scene in enumerate(scenes):
        rng = np.random.default_rng(scene.seed)
        try:
            studio = Studio(scene, rng)
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
            picture = studio.photograph(gaze, head, _lids(rng) if shot else {})
            seen = studio.see(picture, LOOKING if shot else ENROLLING)
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
        studio.sitter.close()
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
    """By least squares: by how much more, or less, the gains should have exaggerated these glances."""
    seen = [one for one in seen if np.isfinite(one.found).all()]
    truth = np.array([one.gaze for one in seen])
    shown = np.array([one.found for one in seen])
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
