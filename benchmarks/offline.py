"""What offline tracking adds to the landmark fit: `python benchmarks/offline.py --json OUT`.

On clips of people (not part of this project; `--data` names their folder). Held out twice over: every tenth frame is
used for nothing that frames share (lens, identity, albedo), and of every frame only every other block of a
chequerboard (a 32nd of the face's square) is shown to the fit of pose, expression and light. The error is the mean
absolute difference in colour between the drawn and the real face on the *other* blocks, where both draw skin.

What is measured is what a performance holds: smoothed over the clip, with the lids that the landmarks tell. (`solved`
is the same before that.) So frames follow one another as they do in the clip; the held-out ones lie among them.

The landmark fit gets the same treatment where it doesn't differ: albedo from the same training frames by the same
least squares, light from the same blocks; its lens is the default guess, its geometry that of the enrolment, and its
pose and expression those of the real-time fit. CPU times are per frame at 512 px.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from machine import machine
from mien.face.camera import Camera, rotation_matrix
from mien.face.enrolment import enrol
from mien.face.fitting import Fit, Fitter
from mien.face.light import ambient
from mien.face.model import FaceModel, load_model
from mien.face.offline.bundle import Bundle, KeyFrame
from mien.face.offline.crop import cut
from mien.face.offline.picture import FrameState, Person, Photometry
from mien.face.offline.shape import ShapeFields
from mien.face.offline.tracking import LEVELS, OfflineTracking, Sighting
from mien.face.reflectance import Reflectance
from mien.frames import Bytes, FaceParams, Float
from mien.testing.context import FakeContext
from mien_mediapipe.landmarker import MediaPipeLandmarker
from mien_raster.rasterizer import NumbaRasterizer
from reference import Reference

HELD_EVERY, HELD = 10, 5
BLOCKS = 32
CLIPS = ("expressive_d10", "strong_6s", "turning_wojtek", "portrait_10s", "room_24s", "short_1")


@dataclass
class Clip:
    """Frames that show a face, and its landmarks."""

    name: str
    pixels: list[Bytes]
    points: list[Float]


def read(path: Path, frames: int) -> Clip:
    landmarker = MediaPipeLandmarker()
    landmarker.open(FakeContext())
    clip = Clip(path.stem, [], [])
    with av.open(str(path)) as container:
        for picture in container.decode(video=0):
            pixels = np.ascontiguousarray(picture.to_ndarray(format="rgb24"))
            faces = landmarker.detect(pixels)
            if faces:
                clip.pixels.append(pixels)
                clip.points.append(faces[0].points)
            if len(clip.pixels) == frames:
                break
    landmarker.close()
    return clip


def held(index: int) -> bool:
    return index % HELD_EVERY == HELD


def shown(side: int) -> NDArray[np.bool_]:
    """(side, side): the blocks that a fit may look at."""
    y, x = np.indices((side, side)) * BLOCKS // side
    return np.asarray((x + y) % 2 == 0)


def state_of(seen: Fit | FaceParams, light: Float) -> FrameState:
    rotation = np.ascontiguousarray(rotation_matrix(seen.rotation))
    return FrameState(
        rotation, seen.translation.copy(), seen.expression.copy(), seen.gaze.copy(), light.copy()
    )


class Compared:
    """The error of one candidate on one frame."""

    def __init__(self, photometry: Photometry, person: Person, light: Float) -> None:
        everywhere = np.ones_like(person.trust)
        self.photometry = photometry
        self.person = Person(person.subject, person.face, person.albedo, everywhere)
        self.light = light

    def error(self, pixels: Bytes, points: Float, state: FrameState) -> tuple[Float, NDArray[np.bool_]]:
        """(S, S) difference in colour, and where skin is drawn that the fit was not shown."""
        crop = cut(pixels, self.person.subject.camera, points, LEVELS[0])
        side = crop.camera.width
        state = state.copy()
        state.light = self.light
        for _ in range(2):  # the light follows from the albedo, drawn to what it was: twice settles it
            drawn = self.photometry.draw(self.person, state, crop, used=shown(side))
        off = np.abs(crop.colours - drawn.picture[:, :, :3]).mean(axis=2)
        return off, (drawn.picture[:, :, 3] > 0) & ~shown(side)


def landmark_candidate(
    model: FaceModel, rasterizer: NumbaRasterizer, clip: Clip, training: list[int], painted: list[int]
) -> tuple[Person, list[Fit], Float]:
    height, width = clip.pixels[0].shape[:2]
    camera = Camera.guess(width, height)
    subject = enrol(model, camera, [clip.points[i] for i in training])
    fitter = Fitter(model, camera, subject)
    fits = [fitter.fit(points) for points in clip.points]
    bundle = Bundle(model, rasterizer, ShapeFields.of(model), Reflectance.of(model))
    keys = [
        KeyFrame(
            cut(clip.pixels[i], camera, clip.points[i], LEVELS[0]),
            clip.points[i],
            state_of(fits[i], ambient()),
        )
        for i in painted
    ]
    person = bundle.unpainted(subject)
    bundle.paint(person, keys, first=True)
    light = np.mean([key.state.light for key in keys], axis=0).astype(np.float32)
    return person, fits, light


def measure(model: FaceModel, clip: Clip, reference: Reference) -> dict[str, Any]:
    rasterizer = NumbaRasterizer()
    rasterizer.open(FakeContext())
    height, width = clip.pixels[0].shape[:2]
    indices = range(len(clip.pixels))
    training = [i for i in indices if not held(i)]
    tracking = OfflineTracking(model, rasterizer, usable=lambda i: not held(i))
    for i in indices:
        tracking.see(i, Sighting(i * 40_000_000, clip.points[i], 1.0))
    started = time.process_time()
    tracking.plan(Camera.guess(width, height))
    for i in tracking.keys:
        tracking.keep(i, clip.pixels[i])
    person = tracking.meet()
    shared_s = time.process_time() - started

    plain, fits, light = landmark_candidate(model, rasterizer, clip, training, list(tracking.keys))
    photometry = Photometry(model, rasterizer)
    before = Compared(photometry, plain, light)
    after = Compared(photometry, person, tracking.start(0).light)
    costs = []
    for i in indices:
        started = time.process_time()
        tracking.solve(i, clip.pixels[i], shown)
        costs.append(time.process_time() - started)
    written = tracking.result()[1]
    errors = []
    for i in filter(held, indices):
        reference.measure()
        states = (
            (before, state_of(fits[i], light)),
            (after, tracking.solved[i][0]),
            (after, state_of(written[i], light)),
        )
        seen = [candidate.error(clip.pixels[i], clip.points[i], state) for candidate, state in states]
        everywhere = np.logical_and.reduce([where for _, where in seen])
        errors.append([float(off[everywhere].mean()) for off, _ in seen])
    landmark, solved, offline = np.mean(errors, axis=0).tolist()
    focal = tracking.focal
    assert focal is not None
    return {
        "frames": len(clip.pixels),
        "held_out_frames": len(errors),
        "landmark_error": round(landmark, 5),
        "solved_error": round(solved, 5),
        "offline_error": round(offline, 5),
        "lower_percent": round(100 * (1 - offline / landmark), 1),
        "frame_cpu_s": round(statistics.median(costs), 3),
        "shared_cpu_s": round(shared_s, 1),
        "focal_of_longer_side": round(person.subject.camera.focal / max(width, height), 2),
        "focal_confidence": round(focal.confidence, 2),
    }


def main() -> None:
    here = Path(__file__).resolve().parents[2] / "shared"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=here / "data", help="folder with expressive/ and talk/")
    parser.add_argument("--clips", nargs="*", default=list(CLIPS), help="parts of names")
    parser.add_argument("--model", default="mien-head")
    parser.add_argument("--frames", type=int, default=120, help="of each clip, from its beginning")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    paths = sorted((options.data / "expressive").glob("*.mp4")) + sorted(
        (options.data / "talk").glob("*.mp4")
    )
    paths = [p for p in paths if any(part in p.stem for part in options.clips)]
    if not paths:
        parser.error(f"no such clips in {options.data}; name their folder with --data")
    model, reference = load_model(options.model), Reference()
    clips = {}
    console = Console()
    for path in paths:
        clips[path.stem] = measure(model, read(path, options.frames), reference)
        console.print(path.stem, clips[path.stem], soft_wrap=True)
    lower = [one["lower_percent"] for one in clips.values()]
    result = {
        "clips": clips,
        "lower_percent": round(float(np.mean(lower)), 1),
        "frame_cpu_s_scaled": round(
            statistics.median(c["frame_cpu_s"] for c in clips.values()) * reference.scale, 3
        ),
    }
    table = Table(
        "", "landmarks", "solved", "written", "lower by", "CPU s / frame", title="Held-out photometric error"
    )
    for name, one in clips.items():
        row = (
            one["landmark_error"],
            one["solved_error"],
            one["offline_error"],
            f"{one['lower_percent']} %",
            one["frame_cpu_s"],
        )
        table.add_row(name, *map(str, row))
    console.print(table, f"mean: {result['lower_percent']} % lower")
    if options.json:
        options.json.write_text(json.dumps(result | {"machine": machine()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
