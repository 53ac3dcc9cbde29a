"""How well and how fast faces are fitted: `python benchmarks/tracking.py --json OUT`.

On clips of people (not part of this project; `--data` names their folder): enrolment on the first second, error
on the rest, mean over clips. Jitter on a still portrait with a grey level of noise, lag by cross-correlation of
motion; blinks against marks made by eye (`tests/marks`), gaze on pictures of known gaze (`gaze.py`). Peers
(`peers.py`) run beside: MediaPipe's FaceLandmarker where its files are in the assets folder, whose blendshapes our
expressions are correlated with, and OpenSeeFace where `--openseeface` names its folder. CPU times are scaled by a
reference kernel that runs in between (`reference.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from gaze import gaze_errors
from mien.errors import MienError
from mien.face.camera import Camera, rotation_matrix
from mien.face.enrolment import enrol
from mien.face.fitting import Fitter
from mien.face.model import BUILT_IN, FaceModel, load_model
from mien.face.rig import ARKIT_NAMES, INDEX
from mien.face.tracker import LandmarkTracker
from mien.frames import Bytes, Float, VideoFrame
from mien.stage import FaceLandmarks, Kind, Landmarker
from mien.testing.blinks import BLINKS, MarkedClip, agreement, marked_clips
from mien.testing.context import FakeContext
from mien_mediapipe.landmarker import MediaPipeLandmarker
from peers import FaceLandmarker, OpenSeeFace, Peer, Seen
from reference import Reference

Maker = Callable[[int, int], Peer]
"""Makes a peer for pictures of that width and height."""
Makers = tuple[Maker, ...]
MARKS = Path(__file__).resolve().parents[1] / "tests" / "marks" / "blinks.json"
MARKED_S = 16.05
"""Seconds of a clip in which blinks were marked."""
PEER = FaceLandmarker.name
AGREES = 0.7

NOSE, RIGHT, LEFT = 1, 33, 263
PRESENT = 0.08  # deviation of a peer's weight over a clip, from which on the clip contains the shape


@dataclass
class Clip:
    """Landmarks (N, 478, 3) px, NaN where lost; seconds (N,); what each peer saw."""

    name: str
    width: int
    height: int
    points: Float
    seconds: Float
    peers: dict[str, PeerTrack]


@dataclass
class PeerTrack:
    """What a peer made of a clip, per frame, NaN where it found nothing or another face than ours: noses (N, 2)
    px; errors (N, 2), with and without what it learned about the person; weights (N, 52).
    """

    noses: list[Float] = field(default_factory=list)
    errors: list[tuple[float, float]] = field(default_factory=list)
    weights: list[Float] = field(default_factory=list)

    def note(self, peer: Peer, seen: Seen | None, ours: FaceLandmarks | None) -> None:
        if seen is None or ours is None or np.abs(seen.points[peer.nose] - ours.points[NOSE, :2]).max() > 40:
            self.noses.append(np.full(2, np.nan, np.float32))
            self.errors.append((np.nan, np.nan))
            self.weights.append(np.full(len(ARKIT_NAMES), np.nan, np.float32))
            return
        self.noses.append(seen.points[peer.nose])
        self.errors.append((peer.error(seen.points, seen.modelled), peer.error(seen.points, seen.plain)))
        self.weights.append(np.full(len(ARKIT_NAMES), np.nan) if seen.weights is None else seen.weights)


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


def read(path: Path, seconds: float, makers: Makers, costs: Costs) -> Clip:
    landmarker = MediaPipeLandmarker()
    landmarker.open(FakeContext())
    peers: list[Peer] = []
    points, times, tracks = [], [], {}
    pixels = np.zeros((1, 1, 3), np.uint8)
    for moment, pixels in frames_of(path, seconds):
        if not times:
            peers = [make(pixels.shape[1], pixels.shape[0]) for make in makers]
            tracks = {peer.name: PeerTrack() for peer in peers}
        faces = costs.time("mediapipe", lambda p=pixels: landmarker.detect(p))
        points.append(faces[0].points if faces else np.full((478, 3), np.nan, np.float32))
        times.append(moment)
        for peer in peers:
            seen = costs.time(peer.name, lambda p=pixels, peer=peer: peer.look(p))
            tracks[peer.name].note(peer, seen, faces[0] if faces else None)
    landmarker.close()
    for peer in peers:
        peer.close()
    height, width = pixels.shape[:2]
    return Clip(path.stem, width, height, np.array(points), np.array(times), tracks)


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


def tracked(model: str, clip: Clip) -> tuple[Float, Float]:
    """The tracker's own landmarks, filtered, (N, 478, 2) px, and eyeBlink weights, (N, 2); NaN where lost."""
    context = FakeContext(services={Kind.LANDMARKER: lambda: Replayed(clip.points)}, face_model=model)
    tracker = LandmarkTracker()
    tracker.open(context)
    empty = np.zeros((clip.height, clip.width, 3), np.uint8)
    found, lids, fitter, epoch = [], [], None, None
    for index, moment in enumerate(clip.seconds):
        seen = tracker.process(VideoFrame(empty, round(moment * 1e9), index=index))
        if seen.params is None or seen.subject is None:
            found.append(np.full((478, 2), np.nan, np.float32))
            lids.append(np.full(2, np.nan, np.float32))
            continue
        if fitter is None or epoch != seen.subject.epoch:
            epoch, fitter = seen.subject.epoch, Fitter(load_model(model), seen.subject.camera, seen.subject)
        head = fitter.posed(seen.params.expression) @ rotation_matrix(seen.params.rotation).T
        found.append(seen.subject.camera.project(head + seen.params.translation))
        lids.append(seen.params.expression[list(BLINKS)])
    return np.array(found), np.array(lids)


def lag_frames(raw: Float, smooth: Float) -> float:
    """By how many frames `smooth` (N,) comes after `raw` (N,): the peak of their velocities' correlation."""
    a, b = np.nan_to_num(np.diff(raw)), np.nan_to_num(np.diff(smooth))
    scores = [float(a[4:-4] @ b[4 + k : len(b) - 4 + k]) for k in range(-3, 4)]
    k = int(np.argmax(scores))
    if not 0 < k < 6:
        return float(k - 3)
    low, mid, high = scores[k - 1 : k + 2]
    return k - 3 + (low - high) / (2 * (low - 2 * mid + high))


def restless(portrait: Bytes, frames: int = 110) -> list[Bytes]:
    """A still picture with a grey level of noise, as a camera would show it."""
    rng = np.random.default_rng(1)
    noisy = (portrait.astype(np.int16) + rng.integers(-1, 2, portrait.shape) for _ in range(frames))
    return [one.clip(0, 255).astype(np.uint8) for one in noisy]


def jitter_px(track: Float) -> float:
    """Mean step from frame to frame of points (N, P, 2), once they have settled."""
    return float(np.nanmean(np.abs(np.diff(track[len(track) // 2 :], axis=0))))


def still(pictures: list[Bytes]) -> Clip:
    """The landmarker on a still face."""
    landmarker = MediaPipeLandmarker()
    landmarker.open(FakeContext())
    points = np.array([landmarker.detect(one)[0].points for one in pictures])
    landmarker.close()
    height, width = pictures[0].shape[:2]
    return Clip("still", width, height, points, np.arange(len(pictures)) / 25, {})


def jitter_ratio(model: str, clip: Clip) -> float:
    """Jitter of the tracked landmarks on a still face, as a share of the landmarker's own."""
    firm = Fitter(load_model(model), Camera.guess(clip.width, clip.height)).basis.trust > 0
    return jitter_px(tracked(model, clip)[0][:, firm]) / jitter_px(clip.points[:, firm, :2])


def measure_peer(
    name: str, clips: list[Clip], make: Maker, pictures: list[Bytes], costs: Costs
) -> dict[str, Any]:
    """The figures of our own models, for a peer. Its CPU time is of all it does, landmarks included."""
    raw, lags, found = still(pictures), [], []
    for clip in clips:
        track = clip.peers[name]
        rest = clip.seconds >= clip.seconds[0] + 1
        found.append(np.nanmean(np.array(track.errors)[rest], axis=0))
        noses = np.array(track.noses)
        lags.append(max(lag_frames(clip.points[:, NOSE, axis], noses[:, axis]) for axis in (0, 1)))
    peer = make(raw.width, raw.height)
    seen = [peer.look(one) for one in pictures]
    steps = jitter_px(np.array([one.points[peer.inner] for one in seen if one is not None]))
    peer.close()
    closely, plainly = np.nanmean(found, axis=0)
    cpu_ms, landmarks_ms = costs.median(name), costs.median("mediapipe")
    return {
        "reprojection_iod_percent": round(float(closely), 3),
        "reprojection_no_offsets": round(float(plainly), 3),
        "fit_cpu_ms": None,
        "cpu_ms": cpu_ms,
        "cpu_ms_of_our_landmarks": landmarks_ms,
        "jitter_ratio": round(steps / jitter_px(raw.points[:, :468, :2]), 3),
        "lag_frames": round(float(np.mean(lags)), 3),
    }


def blinking(clips: list[Clip], lids: dict[str, Float], marks: list[MarkedClip]) -> dict[str, Any]:
    """Agreement with the marked blinks, over all marked clips that were run."""
    found = [agreement(lids[clip.name], mark) for mark in marks for clip in clips if clip.name in mark.clip]
    if not found:
        return {}
    hits = sum(one.hits for one in found)
    wrong = sum(len(one.missed) + len(one.invented) for one in found)
    return {
        "blinks_marked": sum(len(one.closed) for one in found),
        "blink_f1": round(2 * hits / (2 * hits + wrong), 3),
        "blink_peak_weight": round(float(np.median([peak for one in found for peak in one.closed])), 3),
    }


def measure(
    name: str, model: FaceModel, clips: list[Clip], pictures: list[Bytes], marks: list[MarkedClip]
) -> dict[str, Any]:
    costs = Costs()
    lids: dict[str, Float] = {}
    closely, plainly, lags, correlated = [], [], [], defaultdict(list)
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
        smooth, lids[clip.name] = tracked(name, clip)
        lags.append(max(lag_frames(clip.points[:, NOSE, axis], smooth[:, NOSE, axis]) for axis in (0, 1)))
        if PEER in clip.peers:
            theirs = np.array(clip.peers[PEER].weights)[rest]
            for shape, value in correlations(np.array(weights), theirs).items():
                correlated[shape].append(value)
    return {
        "reprojection_iod_percent": round(float(np.mean(closely)), 3),
        "reprojection_no_offsets": round(float(np.mean(plainly)), 3),
        "reprojection_by_clip": {c.name: round(e, 3) for c, e in zip(clips, closely, strict=True)},
        "fit_cpu_ms": costs.median("fit"),
        "jitter_ratio": round(jitter_ratio(name, still(pictures)), 3),
        "lag_frames": round(float(np.mean(lags)), 3),
        **blinking(clips, lids, marks),
        "correlation": {k: round(float(np.mean(v)), 2) for k, v in sorted(correlated.items())},
        "agreeing_shapes": sum(float(np.mean(v)) >= AGREES for v in correlated.values()),
        "reference_scale": round(costs.reference.scale, 3) if costs.reference.runs_ms else None,
    }


def show(result: dict[str, Any]) -> None:
    columns = result["models"] | result["peers"]
    table = Table(title="Tracking")
    table.add_column("", no_wrap=True)
    for name in columns:
        table.add_column(name)
    rows = (
        "reprojection_iod_percent", "reprojection_no_offsets", "fit_cpu_ms", "cpu_ms", "jitter_ratio", "lag_frames",
        "gaze_degrees", "blink_f1", "blink_peak_weight", "agreeing_shapes",
    )  # fmt: skip
    for row in rows:
        values = (one.get(row) for one in columns.values())
        table.add_row(row, *("" if value is None else str(value) for value in values))
    for shape in sorted({s for one in result["models"].values() for s in one["correlation"]}):
        table.add_row(
            f"  agrees on {shape}",
            *(str(one.get("correlation", {}).get(shape, "")) for one in columns.values()),
        )
    Console().print(table)


def main() -> None:
    here = Path(__file__).resolve().parents[2] / "shared"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=here / "data", help="folder with expressive/ and talk/")
    parser.add_argument("--assets", type=Path, default=Path(os.environ.get("MIEN_ASSETS", here / "assets")))
    parser.add_argument("--models", nargs="+", default=["mien-head", "ict-facekit"])
    parser.add_argument("--clips", nargs="*", default=[], help="parts of names; all clips without it")
    parser.add_argument(
        "--seconds", type=float, default=9, help="of each clip; more of those with marked blinks"
    )
    parser.add_argument("--openseeface", type=Path, help="a checkout of it, with its networks")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ["MIEN_ASSETS"] = str(options.assets)

    paths = [p for folder in ("expressive", "talk") for p in sorted((options.data / folder).glob("*.mp4"))]
    paths = [p for p in paths if not options.clips or any(part in p.stem for part in options.clips)]
    if not paths:
        parser.error(f"no clips in {options.data}; name their folder with --data")
    makers: dict[str, Maker] = {}
    if FaceLandmarker.runs(options.assets):
        makers[FaceLandmarker.name] = lambda _width, _height: FaceLandmarker(options.assets)
    if OpenSeeFace.runs(options.openseeface):
        makers[OpenSeeFace.name] = lambda width, height: OpenSeeFace(options.openseeface, width, height)
    marks = [mark for mark in marked_clips(MARKS) if any(mark.is_of(p) for p in paths if p.stem in mark.clip)]
    costs = Costs()
    clips = []
    for path in paths:
        marked = any(path.stem in mark.clip for mark in marks)
        clips.append(
            read(path, max(options.seconds, MARKED_S if marked else 0), tuple(makers.values()), costs)
        )
    pictures = restless(next(frames_of(paths[0], 1))[1])

    result: dict[str, Any] = {"models": {}, "peers": {}, "clips": [clip.name for clip in clips]}
    for name in options.models:
        try:
            model = load_model(name)
        except MienError as error:
            Console(stderr=True).print(f"{name} is left out: {error}")
            continue
        result["models"][name] = measure(name, model, clips, pictures, marks)
    if BUILT_IN in result["models"]:
        off = np.hypot(*gaze_errors().T)
        result["models"][BUILT_IN] |= {"gaze_degrees": round(float(np.nanmedian(off)), 2)}
    result["landmarks_cpu_ms"] = costs.median("mediapipe")
    for name, make in makers.items():
        result["peers"][name] = measure_peer(name, clips, make, pictures, costs)
    show(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
