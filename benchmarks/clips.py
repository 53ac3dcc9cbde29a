"""Clips for `tracking.py`: read once, with the landmarks of the product's landmarker and what peers saw."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mien.face.rig import ARKIT_NAMES
from mien.frames import Bytes, Float
from mien.stage import FaceLandmarks, Landmarker
from mien.testing.context import FakeContext
from mien_mediapipe.landmarker import MediaPipeLandmarker
from peers import Peer, Seen
from reference import Reference

Maker = Callable[[int, int], Peer]
"""Makes a peer for pictures of that width and height."""
NOSE = 1


@dataclass
class Clip:
    """Landmarks (N, 478, 3) px, NaN where lost; seconds (N,); what each peer saw; how to see its pictures again."""

    name: str
    width: int
    height: int
    points: Float
    seconds: Float
    peers: dict[str, PeerTrack]
    pictures: Callable[[], Iterator[Bytes]]


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
        if len(self.runs[name]) % 100 == 1:
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


def read(
    path: Path, seconds: float, makers: tuple[Maker, ...], costs: Costs, frames: int | None = None
) -> Clip:
    """The first `seconds` of a clip, or so many of its first frames."""
    landmarker = MediaPipeLandmarker()
    landmarker.open(FakeContext())
    peers: list[Peer] = []
    points, times, tracks = [], [], {}
    pixels = np.zeros((1, 1, 3), np.uint8)
    for moment, pixels in islice(frames_of(path, seconds), frames):
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

    def pictures() -> Iterator[Bytes]:
        return (one for _, one in islice(frames_of(path, seconds), frames))

    return Clip(path.stem, width, height, np.array(points), np.array(times), tracks, pictures)


def restless(portrait: Bytes, frames: int = 110) -> list[Bytes]:
    """A still picture with a grey level of noise, as a camera would show it."""
    rng = np.random.default_rng(1)
    noisy = (portrait.astype(np.int16) + rng.integers(-1, 2, portrait.shape) for _ in range(frames))
    return [one.clip(0, 255).astype(np.uint8) for one in noisy]


def still(pictures: list[Bytes]) -> Clip:
    """The landmarker on a still face."""
    landmarker = MediaPipeLandmarker()
    landmarker.open(FakeContext())
    points = np.array([landmarker.detect(one)[0].points for one in pictures])
    landmarker.close()
    height, width = pictures[0].shape[:2]
    return Clip("still", width, height, points, np.arange(len(pictures)) / 25, {}, lambda: iter(pictures))
