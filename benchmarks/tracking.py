"""How well and how fast faces are fitted: `python benchmarks/tracking.py --json OUT`.

On clips of people (not part of this project; `--data` names their folder): enrolment on the first second, error
on the rest, mean over clips. Jitter on a still portrait with a grey level of noise, lag by cross-correlation of
motion; blinks against marks made by eye (`tests/marks`), gaze on pictures of known gaze (`gaze.py`). Peers
(`peers.py`) run beside: MediaPipe's FaceLandmarker where its files are in the assets folder, whose blendshapes our
expressions are correlated with, and OpenSeeFace where `--peer openseeface=FOLDER` names a checkout. CPU times are
scaled by a reference kernel that runs in between (`reference.py`): `fit_cpu_ms` is the fit to landmarks, `track_cpu_ms`
all that a frame costs beside the landmarks, with what is left out live where time is short (`mien.face.spare`).

mien-head's identity modes were learned from faces of these clips, and some of its shapes were drawn to
FaceLandmarker's scores on them (`mien.face.make`): the figures of `--part fit` flatter it, the comparison with
another model included. docs/face-model.md has those of people who were left out.

`--part` runs some of it (minutes each on one core); a part's figures are put into the file that `--json` names
beside those of other parts that are there, and what is not measured yet is left out of the table.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from clips import NOSE, Clip, Costs, Maker, Replayed, frames_of, read, restless, still
from gaze import MEASURED, gaze_figures, glances
from machine import machine
from mien.errors import MienError
from mien.face.assets import BUILT_IN
from mien.face.camera import Camera, rotation_matrix
from mien.face.enrolment import enrol
from mien.face.fitting import Fitter
from mien.face.model import load_model
from mien.face.rig import ARKIT_NAMES, BLINKS, INDEX
from mien.face.tracker import LandmarkTracker
from mien.frames import Bytes, Float, VideoFrame
from mien.stage import Kind
from mien.testing.blinks import MarkedClip, agreement, marked_clips
from mien.testing.context import FakeContext
from peers import FaceLandmarker, OpenSeeFace

MARKS = Path(__file__).resolve().parents[1] / "tests" / "marks" / "blinks.json"
PEER = FaceLandmarker.name
AGREES = 0.7
PRESENT = 0.08
"""Deviation of a peer's weight over a clip, from which on the clip contains the shape."""

NAMED = (
    "mouthSmileLeft", "mouthSmileRight", "eyeBlinkLeft", "eyeBlinkRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "jawOpen", "mouthPucker", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight",
)  # fmt: skip
"""The fifteen shapes that must agree with FaceLandmarker's.

At least 4 of the 21 clips contain each, by FaceLandmarker's own weights (deviation above `PRESENT`), and they say
something by themselves. Eight more are contained as often, and are shown in the table but not named: eyeLookDown
(both sides) and eyeSquint (both), which FaceLandmarker raises in every blink (correlation with its own eyeBlink 0.6,
where ours leave a blink to eyeBlink); browDown (both), mouthPressRight and mouthShrugLower, which landmarks
barely show. That all eight are below `AGREES` was known when this list was written.
"""

RIGHT, LEFT, CHIN, BETWEEN_EYES = 33, 263, 152, 168
SIDES = (234, 454)
"""Points of the contour on the subject's right and left, beside the ears."""
LIDS = ((159, 145), (386, 374))
MOVES = {"nose": 0.02, "lids": 0.15, "jaw": 0.03, "yaw": 0.05}
"""What lag is measured on, and the least deviation over a clip that counts as motion: of the eye distance for
points, of weights and radians for the others."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the tracker made of a clip, filtered, per frame, NaN where it lost the face.

    points: (N, 478, 2) px; lids: (N, 2) eyeBlink; moves: kind of motion -> (N,) as tracked; raw: the same read
    straight off the landmarks, to compare in time only.
    """

    points: Float
    lids: Float
    moves: dict[str, Float]
    raw: dict[str, Float]


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


def tracked(model: str, clip: Clip, costs: Costs | None = None) -> Measured:
    """The whole tracker on a clip, with all that it does where there is time; its landmarks were found before."""
    context = FakeContext(services={Kind.LANDMARKER: lambda: Replayed(clip.points)}, face_model=model)
    tracker = LandmarkTracker()
    tracker.open(context)
    points: list[Float] = []
    weights: list[Float] = []
    yaw: list[float] = []
    fitter, epoch = None, None
    for index, (moment, pixels) in enumerate(zip(clip.seconds, clip.pictures(), strict=True)):
        frame = VideoFrame(pixels, round(moment * 1e9), index=index)
        seen = costs.time("track", lambda f=frame: tracker.process(f)) if costs else tracker.process(frame)
        if seen.params is None or seen.subject is None:
            points.append(np.full((478, 2), np.nan, np.float32))
            weights.append(np.full(len(ARKIT_NAMES), np.nan, np.float32))
            yaw.append(float("nan"))
            continue
        if fitter is None or epoch != seen.subject.epoch:
            epoch, fitter = seen.subject.epoch, Fitter(load_model(model), seen.subject.camera, seen.subject)
        turn = rotation_matrix(seen.params.rotation)
        head = fitter.posed(seen.params.expression) @ turn.T
        points.append(seen.subject.camera.project(head + seen.params.translation))
        weights.append(seen.params.expression)
        yaw.append(float(np.arctan2(turn[0, 2], turn[2, 2])))
    context.close()
    found, expression = np.array(points), np.array(weights)
    across = np.nanmedian(np.linalg.norm(clip.points[:, RIGHT, :2] - clip.points[:, LEFT, :2], axis=1))
    axis = int(np.argmax(np.nanstd(clip.points[:, NOSE, :2], axis=0)))
    lids = expression[:, list(BLINKS)]
    moves = {
        "nose": found[:, NOSE, axis] / across,
        "lids": lids.mean(axis=1),
        "jaw": _apart(found, CHIN, BETWEEN_EYES) / across,
        "yaw": np.array(yaw),
    }
    flat = clip.points[:, :, :2]
    middle = flat[:, SIDES].mean(axis=1)[:, 0]
    raw = {
        "nose": flat[:, NOSE, axis] / across,
        "lids": -sum(_apart(flat, *pair) for pair in LIDS) / across,
        "jaw": _apart(flat, CHIN, BETWEEN_EYES) / across,
        "yaw": (flat[:, NOSE, 0] - middle) / _apart(flat, *SIDES),
    }
    return Measured(found, lids, moves, raw)


def _apart(points: Float, one: int, other: int) -> Float:
    """(N,) distance of two points of (N, P, 2)."""
    return np.asarray(np.linalg.norm(points[:, one] - points[:, other], axis=1))


def lag_frames(raw: Float, smooth: Float) -> float | None:
    """By how many frames `smooth` (N,) comes after `raw` (N,): the peak of their velocities' correlation, between
    frames by a parabola. None where they don't move alike.
    """
    a, b = np.nan_to_num(np.diff(raw)), np.nan_to_num(np.diff(smooth))
    scores = [float(a[4:-4] @ b[4 + k : len(b) - 4 + k]) for k in range(-3, 4)]
    alike = max(scores) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12)
    k = int(np.argmax(scores))
    if alike < 0.5:
        return None
    if not 0 < k < 6:
        return float(k - 3)
    low, mid, high = scores[k - 1 : k + 2]
    return k - 3 + (low - high) / (2 * (low - 2 * mid + high))


def lags(seen: list[Measured]) -> dict[str, Any]:
    """Mean over the clips in which something moves; `lag_frames` is the largest of these."""
    found: dict[str, list[float]] = {kind: [] for kind in MOVES}
    for one in seen:
        for kind, least in MOVES.items():
            if np.nanstd(one.moves[kind]) > least:
                lag = lag_frames(one.raw[kind], one.moves[kind])
                if lag is not None:
                    found[kind].append(lag)
    by_kind = {kind: round(float(np.mean(values)), 3) for kind, values in found.items() if values}
    return {
        "lag_frames": max(by_kind.values()) if by_kind else None,
        "lag_by_motion": by_kind,
        "lag_clips": {kind: len(values) for kind, values in found.items()},
    }


def jitter_px(track: Float) -> float:
    """Mean step from frame to frame of points (N, P, 2), once they have settled."""
    return float(np.nanmean(np.abs(np.diff(track[len(track) // 2 :], axis=0))))


def blinking(clips: list[Clip], lids: dict[str, Float], marks: list[MarkedClip]) -> dict[str, Any]:
    """Agreement with the marked blinks: over the clips that thresholds were chosen on, and over held-out ones."""
    found = [
        (mark, agreement(lids[clip.name], mark)) for mark in marks for clip in clips if clip.name in mark.clip
    ]
    figures: dict[str, Any] = {}
    for key, held_out in (("blink", False), ("blink_held_out", True)):
        which = [one for mark, one in found if mark.held_out is held_out]
        if which:
            hits = sum(one.hits for one in which)
            wrong = sum(len(one.missed) + len(one.invented) for one in which)
            peaks = [peak for one in which for peak in one.closed]
            figures |= {
                f"{key}s_marked": len(peaks),
                f"{key}_f1": round(2 * hits / (2 * hits + wrong), 3),
                f"{key}_peak_weight": round(float(np.median(peaks)), 3),
            }
    figures["blink_f1_by_clip"] = {mark.clip: round(one.f1, 3) for mark, one in found}
    return figures


# --- parts --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """What is run on what."""

    paths: list[Path]
    seconds: float
    models: list[str]
    makers: dict[str, Maker]
    marks: list[MarkedClip]

    def clips(self, costs: Costs, makers: tuple[Maker, ...] = (), seconds: float | None = None) -> list[Clip]:
        return [read(path, seconds or self.seconds, makers, costs) for path in self.paths]

    def portrait(self) -> list[Bytes]:
        """A still face."""
        return restless(next(frames_of(self.paths[0], 1))[1])


Part = Callable[[Run], dict[str, Any]]


def fit_part(run: Run) -> dict[str, Any]:
    """Reprojection, cost, agreement with FaceLandmarker, lag."""
    makers = tuple(make for name, make in run.makers.items() if name == PEER)
    costs = Costs()
    clips = run.clips(costs, makers)
    models = {name: fitting(name, clips) for name in run.models}
    return {
        "models": models,
        "clips": [clip.name for clip in clips],
        "landmarks_cpu_ms": costs.median("mediapipe"),
    }


def fitting(name: str, clips: list[Clip]) -> dict[str, Any]:
    model = load_model(name)
    costs = Costs()
    closely, plainly, seen = [], [], []
    correlated: dict[str, list[float]] = defaultdict(list)
    for clip in clips:
        found = ~np.isnan(clip.points[:, 0, 0])
        first = clip.seconds < clip.seconds[found.argmax()] + 1
        camera = Camera.guess(clip.width, clip.height)
        subject = enrol(model, camera, clip.points[found & first])
        rest = found & ~first
        weights: list[Float] = []
        closely.append(errors(Fitter(model, camera, subject), clip.points[rest], costs, weights))
        bare = replace(subject, offsets=np.zeros_like(subject.offsets))
        plainly.append(errors(Fitter(model, camera, bare), clip.points[rest], None, []))
        seen.append(tracked(name, clip, costs))
        if PEER in clip.peers:
            theirs = np.array(clip.peers[PEER].weights)[rest]
            for shape, value in correlations(np.array(weights), theirs).items():
                correlated[shape].append(value)
    agreed = {shape: round(float(np.mean(values)), 2) for shape, values in sorted(correlated.items())}
    named = {shape: agreed.get(shape) for shape in NAMED} if agreed else {}
    return {
        "reprojection_iod_percent": round(float(np.mean(closely)), 3),
        "reprojection_no_offsets": round(float(np.mean(plainly)), 3),
        "reprojection_by_clip": {c.name: round(e, 3) for c, e in zip(clips, closely, strict=True)},
        "fit_cpu_ms": costs.median("fit"),
        "track_cpu_ms": costs.median("track"),
        "reference_scale": round(costs.reference.scale, 3) if costs.reference.runs_ms else None,
        **lags(seen),
        "named_shapes": named,
        "named_shapes_agreeing": sum(value is not None and value >= AGREES for value in named.values()),
        "other_shapes": {shape: value for shape, value in agreed.items() if shape not in NAMED},
        "clips_with_shape": {shape: len(values) for shape, values in sorted(correlated.items())},
    }


def still_part(run: Run) -> dict[str, Any]:
    """Jitter of the tracked landmarks on a still face, as a share of the landmarker's own."""
    clip = still(run.portrait())
    models = {}
    for name in run.models:
        firm = Fitter(load_model(name), Camera.guess(clip.width, clip.height)).basis.trust > 0
        steps = jitter_px(tracked(name, clip).points[:, firm])
        models[name] = {"jitter_ratio": round(steps / jitter_px(clip.points[:, firm, :2]), 3)}
    return {"models": models}


def blinks_part(run: Run) -> dict[str, Any]:
    """Blinks against marks."""
    costs = Costs()
    clips = [
        read(path, float("inf"), (), costs, frames=mark.frames + 2)
        for mark in run.marks
        for path in run.paths
        if path.stem in mark.clip
    ]
    models = {}
    for name in run.models:
        lids = {clip.name: tracked(name, clip).lids for clip in clips}
        models[name] = blinking(clips, lids, run.marks)
    return {"models": models}


def gaze_part(_run: Run) -> dict[str, Any]:
    """Gaze on pictures of people other than those that the gains were found on."""
    return {"models": {BUILT_IN: gaze_figures(glances(MEASURED))}}


def peers_part(run: Run) -> dict[str, Any]:
    """The figures of our own models, for peers. Their CPU time is of all they do, landmarks included."""
    costs = Costs()
    clips = run.clips(costs, tuple(run.makers.values()))
    pictures = run.portrait()
    landmarks = still(pictures)
    found: dict[str, Any] = {}
    for name, make in run.makers.items():
        off, late = [], []
        for clip in clips:
            track = clip.peers[name]
            rest = clip.seconds >= clip.seconds[0] + 1
            if np.isfinite(np.array(track.errors)[rest]).any():
                off.append(np.nanmean(np.array(track.errors)[rest], axis=0))
            noses = np.array(track.noses)
            axis = int(np.argmax(np.nanstd(clip.points[:, NOSE, :2], axis=0)))
            lag = lag_frames(clip.points[:, NOSE, axis], noses[:, axis])
            late += [] if lag is None else [lag]
        peer = make(landmarks.width, landmarks.height)
        seen = [peer.look(one) for one in pictures]
        steps = jitter_px(np.array([one.points[peer.inner] for one in seen if one is not None]))
        peer.close()
        closely, plainly = np.mean(off, axis=0)
        found[name] = {
            "reprojection_iod_percent": round(float(closely), 3),
            "reprojection_no_offsets": round(float(plainly), 3),
            "fit_cpu_ms": None,
            "cpu_ms": costs.median(name),
            "cpu_ms_of_our_landmarks": costs.median("mediapipe"),
            "jitter_ratio": round(steps / jitter_px(landmarks.points[:, :468, :2]), 3),
            "lag_frames": round(float(np.mean(late)), 3),
        }
    return {"peers": found}


PARTS: dict[str, Part] = {
    "fit": fit_part, "still": still_part, "blinks": blinks_part, "gaze": gaze_part, "peers": peers_part,
}  # fmt: skip


# --- the table ----------------------------------------------------------------------------------------


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """`other` over `one`; of each model and peer, figures stay of which `other` says nothing."""
    result = one | other
    for key in ("models", "peers"):
        before, after = one.get(key, {}), other.get(key, {})
        if before or after:
            result[key] = {name: before.get(name, {}) | after.get(name, {}) for name in before | after}
    return result


def show(result: dict[str, Any]) -> None:
    columns = result.get("models", {}) | result.get("peers", {})
    table = Table(title="Tracking")
    table.add_column("", no_wrap=True)
    for name in columns:
        table.add_column(name)
    rows = (
        "reprojection_iod_percent", "reprojection_no_offsets", "fit_cpu_ms", "track_cpu_ms", "cpu_ms", "jitter_ratio",
        "lag_frames", "gaze_degrees", "gaze_straight_degrees", "gaze_in_space_degrees", "blink_f1", "blink_peak_weight",
        "blink_held_out_f1", "blink_held_out_peak_weight", "named_shapes_agreeing",
    )  # fmt: skip
    for row in rows:
        values = [one.get(row) for one in columns.values()]
        if any(value is not None for value in values):
            table.add_row(row, *("" if value is None else str(value) for value in values))
    for key, label in (
        ("lag_by_motion", "lag of"),
        ("named_shapes", "agrees on"),
        ("other_shapes", "(agrees on)"),
    ):
        for name in dict.fromkeys(name for one in columns.values() for name in one.get(key, {})):
            cells = (one.get(key, {}).get(name) for one in columns.values())
            table.add_row(f"  {label} {name}", *("" if cell is None else str(cell) for cell in cells))
    Console().print(table)


def main() -> None:
    here = Path(__file__).resolve().parents[2] / "shared"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=here / "data", help="folder with expressive/ and talk/")
    parser.add_argument("--assets", type=Path, default=Path(os.environ.get("MIEN_ASSETS", here / "assets")))
    parser.add_argument("--models", nargs="+", default=["mien-head", "ict-facekit"])
    parser.add_argument("--clips", nargs="*", default=[], help="parts of names; all clips without it")
    parser.add_argument("--seconds", type=float, default=9, help="of each clip")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="openseeface=its checkout, with networks",
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ["MIEN_ASSETS"] = str(options.assets)
    folders = {name: Path(folder) for name, _, folder in (one.partition("=") for one in options.peer)}
    if unknown := set(folders) - {OpenSeeFace.name}:
        parser.error(f"no peer is called {', '.join(sorted(unknown))}; there is {OpenSeeFace.name}")

    paths = [p for folder in ("expressive", "talk") for p in sorted((options.data / folder).glob("*.mp4"))]
    paths = [p for p in paths if not options.clips or any(part in p.stem for part in options.clips)]
    if not paths:
        parser.error(f"no clips in {options.data}; name their folder with --data")
    makers: dict[str, Maker] = {}
    if FaceLandmarker.runs(options.assets):
        makers[FaceLandmarker.name] = lambda _width, _height: FaceLandmarker(options.assets)
    if (folder := folders.get(OpenSeeFace.name)) is not None:
        if not OpenSeeFace.runs(folder):
            parser.error(f"OpenSeeFace cannot run: {folder} must be a checkout, and onnxruntime be installed")
        makers[OpenSeeFace.name] = lambda width, height: OpenSeeFace(folder, width, height)
    models = []
    for name in options.models:
        try:
            load_model(name)
        except MienError as error:
            Console(stderr=True).print(f"{name} is left out: {error}")
            continue
        models.append(name)
    marks = [mark for mark in marked_clips(MARKS) if any(mark.is_of(p) for p in paths if p.stem in mark.clip)]
    run = Run(paths, options.seconds, models, makers, marks)
    result: dict[str, Any] = {}
    if options.json and options.json.is_file():
        result = json.loads(options.json.read_text())
    for part in options.part:
        result = merged(result, PARTS[part](run) | {"machine": machine()})
        if options.json:
            options.json.write_text(json.dumps(result, indent=2) + "\n")
    show(result)


if __name__ == "__main__":
    main()
