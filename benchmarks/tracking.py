"""How well and how fast faces are fitted: `python benchmarks/tracking.py --json OUT`.

On clips of people (not part of this project; `--data` names their folder): enrolment on the first second, error
on the rest, mean over clips. Jitter on a still portrait with a grey level of noise, lag by cross-correlation of
motion. MediaPipe's FaceLandmarker runs as a peer where its `.task` file is in the assets folder: expressions are
correlated with its blendshapes. CPU times are scaled by a reference kernel that runs in between (`reference.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from mien.errors import MienError
from mien.face.camera import Camera, rotation_matrix
from mien.face.enrolment import enrol
from mien.face.fitting import Fitter
from mien.face.model import FaceModel, load_model
from mien.face.rig import ARKIT_NAMES, INDEX
from mien.face.tracker import LandmarkTracker
from mien.frames import Bytes, Float, VideoFrame
from mien.stage import FaceLandmarks, Kind, Landmarker
from mien.testing.context import FakeContext
from mien_mediapipe.landmarker import MediaPipeLandmarker
from reference import Reference

NOSE, RIGHT, LEFT = 1, 33, 263
PRESENT = 0.08  # deviation of a peer's weight over a clip, from which on the clip contains the shape


@dataclass
class Clip:
    """Landmarks (N, 478, 3) px, NaN where lost; seconds (N,); the peer's weights (N, 52), NaN where it lost."""

    name: str
    width: int
    height: int
    points: Float
    seconds: Float
    peer: Float | None


@dataclass
class Costs:
    """CPU ms of single runs, by what was run."""

    reference: Reference = field(default_factory=Reference)
    runs: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def time(self, name: str, work: Any) -> Any:
        started = time.process_time_ns()
        result = work()
        self.runs[name].append((time.process_time_ns() - started) / 1e6)
        if len(self.runs[name]) % 100 == 0:
            self.reference.measure()
        return result

    def median(self, name: str) -> float | None:
        return (
            round(statistics.median(self.runs[name]) * self.reference.scale, 2) if self.runs[name] else None
        )


class Peer:
    """MediaPipe's FaceLandmarker task: landmarks and blendshapes of its own."""

    def __init__(self, task: Path) -> None:
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision

        self._image = lambda pixels: mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(task)),
            output_face_blendshapes=True,
            running_mode=vision.RunningMode.VIDEO,
        )
        self._landmarker = vision.FaceLandmarker.create_from_options(options)
        self._ms = 0

    def look(self, pixels: Bytes) -> tuple[Float, Float] | None:
        """Landmarks (478, 2) px and weights (52,), or None."""
        self._ms += 40
        found = self._landmarker.detect_for_video(self._image(np.ascontiguousarray(pixels)), self._ms)
        if not found.face_blendshapes:
            return None
        weights = np.zeros(len(ARKIT_NAMES), np.float32)
        for one in found.face_blendshapes[0]:
            if one.category_name in INDEX:
                weights[INDEX[one.category_name]] = one.score
        size = np.array([pixels.shape[1], pixels.shape[0]])
        return np.array([(p.x, p.y) for p in found.face_landmarks[0]], np.float32) * size, weights

    def close(self) -> None:
        self._landmarker.close()


class Replayed(Landmarker):
    """Landmarks that were found before."""

    def __init__(self, points: Float) -> None:
        self._frames = iter(points)

    def detect(self, pixels: Bytes) -> list[FaceLandmarks]:
        points = next(self._frames)
        return [] if np.isnan(points).any() else [FaceLandmarks(points, 1.0)]


def frames_of(path: Path, seconds: float) -> Iterator[tuple[float, Bytes]]:
    import av

    with av.open(str(path)) as container:
        for picture in container.decode(video=0):
            if picture.time > seconds:
                return
            yield picture.time, np.ascontiguousarray(picture.to_ndarray(format="rgb24"))


def read(path: Path, seconds: float, task: Path | None, costs: Costs) -> Clip:
    landmarker = MediaPipeLandmarker()
    landmarker.open(FakeContext())
    peer = Peer(task) if task else None
    points, times, weights = [], [], []
    pixels = np.zeros((1, 1, 3), np.uint8)
    for moment, pixels in frames_of(path, seconds):
        faces = costs.time("mediapipe", lambda p=pixels: landmarker.detect(p))
        points.append(faces[0].points if faces else np.full((478, 3), np.nan, np.float32))
        times.append(moment)
        if peer:
            seen = costs.time("face_landmarker", lambda p=pixels: peer.look(p))
            far = seen is None or not faces or np.abs(seen[0] - faces[0].points[:, :2]).mean() > 20
            weights.append(np.full(52, np.nan, np.float32) if far else seen[1])
    landmarker.close()
    if peer:
        peer.close()
    height, width = pixels.shape[:2]
    return Clip(
        path.stem, width, height, np.array(points), np.array(times), np.array(weights) if peer else None
    )


def errors(fitter: Fitter, points: Float, costs: Costs | None, expressions: list[Float]) -> float:
    """Percent of the distance of the outer eye corners, mean over landmarks and frames."""
    firm = fitter.basis.trust > 0
    found = []
    for one in points:
        fit = costs.time("fit", lambda p=one: fitter.fit(p)) if costs else fitter.fit(one)
        off = np.linalg.norm(fitter.project(fit) - one[:, :2], axis=1)[firm].mean()
        found.append(off / np.linalg.norm(one[RIGHT, :2] - one[LEFT, :2]))
        weights = fit.expression.copy()
        weights[[INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]] = fit.closed
        expressions.append(weights)
    return 100 * float(np.mean(found))


def correlations(ours: Float, theirs: Float) -> dict[str, float]:
    """Per shape that the clip contains."""
    seen = ~np.isnan(theirs[:, 0])
    found = {}
    for k, name in enumerate(ARKIT_NAMES):
        a, b = ours[seen, k], theirs[seen, k]
        if len(b) > 25 and b.std() > PRESENT:
            found[name] = float(np.corrcoef(a, b)[0, 1]) if a.std() > 1e-4 else 0.0
    return found


def tracked(model: str, clip: Clip) -> Float:
    """The tracker's own landmarks, filtered, (N, 478, 2) px; NaN where lost."""
    context = FakeContext(services={Kind.LANDMARKER: lambda: Replayed(clip.points)}, face_model=model)
    tracker = LandmarkTracker()
    tracker.open(context)
    empty = np.zeros((clip.height, clip.width, 3), np.uint8)
    found, fitter, epoch = [], None, None
    for index, moment in enumerate(clip.seconds):
        seen = tracker.process(VideoFrame(empty, round(moment * 1e9), index=index))
        if seen.params is None or seen.subject is None:
            found.append(np.full((478, 2), np.nan, np.float32))
            continue
        if fitter is None or epoch != seen.subject.epoch:
            epoch, fitter = seen.subject.epoch, Fitter(load_model(model), seen.subject.camera, seen.subject)
        head = fitter.posed(seen.params.expression) @ rotation_matrix(seen.params.rotation).T
        found.append(seen.subject.camera.project(head + seen.params.translation))
    return np.array(found)


def lag_frames(raw: Float, smooth: Float) -> float:
    """By how many frames `smooth` (N,) comes after `raw` (N,): the peak of their velocities' correlation."""
    a, b = np.nan_to_num(np.diff(raw)), np.nan_to_num(np.diff(smooth))
    scores = [float(a[4:-4] @ b[4 + k : len(b) - 4 + k]) for k in range(-3, 4)]
    k = int(np.argmax(scores))
    if not 0 < k < 6:
        return float(k - 3)
    low, mid, high = scores[k - 1 : k + 2]
    return k - 3 + (low - high) / (2 * (low - 2 * mid + high))


def still(model: str, portrait: Bytes, frames: int = 110) -> float:
    """Jitter of the tracked landmarks on a still face, as a share of the landmarker's own."""
    rng = np.random.default_rng(1)
    landmarker = MediaPipeLandmarker()
    landmarker.open(FakeContext())
    noisy = (portrait + rng.integers(-1, 2, portrait.shape) for _ in range(frames))
    points = [landmarker.detect(one.clip(0, 255).astype(np.uint8))[0].points for one in noisy]
    landmarker.close()
    height, width = portrait.shape[:2]
    clip = Clip("still", width, height, np.array(points), np.arange(frames) / 25, None)
    firm = Fitter(load_model(model), Camera.guess(width, height)).basis.trust > 0
    settled = slice(frames // 2, None)

    def jitter(track: Float) -> float:
        return float(np.abs(np.diff(track[settled][:, firm, :2], axis=0)).mean())

    return jitter(tracked(model, clip)) / jitter(clip.points)


def measure(name: str, model: FaceModel, clips: list[Clip], portrait: Bytes) -> dict[str, Any]:
    costs = Costs()
    closely, plainly, lags, agreement = [], [], [], defaultdict(list)
    for clip in clips:
        seen = ~np.isnan(clip.points[:, 0, 0])
        first = clip.seconds < clip.seconds[seen.argmax()] + 1
        camera = Camera.guess(clip.width, clip.height)
        subject = enrol(model, camera, clip.points[seen & first])
        rest = seen & ~first
        weights: list[Float] = []
        closely.append(errors(Fitter(model, camera, subject), clip.points[rest], costs, weights))
        bare = replace(subject, offsets=np.zeros_like(subject.offsets))
        plainly.append(errors(Fitter(model, camera, bare), clip.points[rest], None, []))
        smooth = tracked(name, clip)
        lags.append(max(lag_frames(clip.points[:, NOSE, axis], smooth[:, NOSE, axis]) for axis in (0, 1)))
        if clip.peer is not None:
            for shape, value in correlations(np.array(weights), clip.peer[rest]).items():
                agreement[shape].append(value)
    return {
        "reprojection_iod_percent": round(float(np.mean(closely)), 3),
        "reprojection_no_offsets": round(float(np.mean(plainly)), 3),
        "reprojection_by_clip": {c.name: round(e, 3) for c, e in zip(clips, closely, strict=True)},
        "fit_cpu_ms": costs.median("fit"),
        "jitter_ratio": round(still(name, portrait), 3),
        "lag_frames": round(float(np.mean(lags)), 3),
        "correlation": {k: round(float(np.mean(v)), 2) for k, v in sorted(agreement.items())},
        "reference_scale": round(costs.reference.scale, 3) if costs.reference.runs_ms else None,
    }


def show(result: dict[str, Any]) -> None:
    table = Table("", *result["models"], title="Tracking")
    rows = ["reprojection_iod_percent", "reprojection_no_offsets", "fit_cpu_ms", "jitter_ratio", "lag_frames"]
    for row in rows:
        table.add_row(row, *(str(one[row]) for one in result["models"].values()))
    for shape in sorted({s for one in result["models"].values() for s in one["correlation"]}):
        values = (one["correlation"].get(shape, "") for one in result["models"].values())
        table.add_row(f"  agrees on {shape}", *map(str, values))
    console = Console()
    console.print(table)
    for name, peer in result["peers"].items():
        console.print(f"{name}: {peer}")


def main() -> None:
    here = Path(__file__).resolve().parents[2] / "shared"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=here / "data", help="folder with expressive/ and talk/")
    parser.add_argument("--assets", type=Path, default=Path(os.environ.get("MIEN_ASSETS", here / "assets")))
    parser.add_argument("--models", nargs="+", default=["mien-head", "ict-facekit"])
    parser.add_argument("--clips", nargs="*", default=[], help="parts of names; all clips without it")
    parser.add_argument("--seconds", type=float, default=12, help="of each clip")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ["MIEN_ASSETS"] = str(options.assets)

    paths = sorted((options.data / "expressive").glob("*.mp4")) + sorted(
        (options.data / "talk").glob("*.mp4")
    )
    paths = [p for p in paths if not options.clips or any(part in p.stem for part in options.clips)]
    if not paths:
        parser.error(f"no clips in {options.data}; name their folder with --data")
    task = options.assets / "face_landmarker.task"
    costs = Costs()
    clips = [read(path, options.seconds, task if task.is_file() else None, costs) for path in paths]
    portrait = next(frames_of(paths[0], 1))[1].astype(int)

    result: dict[str, Any] = {"models": {}, "peers": {}, "clips": [clip.name for clip in clips]}
    for name in options.models:
        try:
            model = load_model(name)
        except MienError as error:
            Console(stderr=True).print(f"{name} is left out: {error}")
            continue
        result["models"][name] = measure(name, model, clips, portrait)
    result["landmarks_cpu_ms"] = costs.median("mediapipe")
    if costs.runs["face_landmarker"]:
        result["peers"]["face_landmarker"] = {"cpu_ms": costs.median("face_landmarker")}
    show(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
