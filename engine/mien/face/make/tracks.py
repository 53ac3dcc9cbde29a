"""MediaPipe tracks of many people: the measurements that the model is learned from.

Only landmarks and blendshape scores are kept, cached as one small `.npz` per file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.face.rig import ARKIT_NAMES
from mien.frames import Float

CLIPS = ("talk/*.mp4", "expressive/*.mp4", "grid/bbaf2n.mpg", "grid/brbk7n.mpg", "grid/lrwp9a.mpg",
         "grid/pwij3p.mpg", "grid/sbwe5n.mpg")  # fmt: skip
PORTRAITS = ("portraits/*",)
MAX_FRAMES = 400


@dataclass(frozen=True, slots=True)
class Track:
    """One file's measurements.

    points: (N, 478, 3) float32, px of the picture; x right, y down, z away from the camera.
    scores: (N, 52) float32, MediaPipe's blendshape scores in the order of `rig.ARKIT_NAMES` (tongueOut
    is not among them and stays 0).
    """

    name: str
    points: Float
    scores: Float


def read_tracks(data: Path, assets: Path, cache: Path) -> list[Track]:
    """Every usable file of the reference data, measured once and then read from `cache`."""
    cache.mkdir(parents=True, exist_ok=True)
    tracks = []
    for pattern in CLIPS + PORTRAITS:
        for path in sorted(data.glob(pattern)):
            kept = cache / f"{path.stem}.npz"
            if not kept.exists():
                points, scores = _measure(path, assets / "face_landmarker.task")
                np.savez_compressed(kept, points=points, scores=scores)
                print(f"  {path.name}: {len(points)} frames", flush=True)
            with np.load(kept) as stored:
                if len(stored["points"]):
                    tracks.append(Track(path.stem, stored["points"], stored["scores"]))
    return tracks


def _pictures(path: Path) -> Iterator[NDArray[np.uint8]]:
    """RGB pictures of a clip (evenly thinned to about `MAX_FRAMES`), or the one picture of a portrait."""
    import cv2

    if path.suffix.lower() in {".jpg", ".jpeg", ".png"}:
        yield cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        return
    clip = cv2.VideoCapture(str(path))
    step = max(1, int(clip.get(cv2.CAP_PROP_FRAME_COUNT)) // MAX_FRAMES)
    index = 0
    while clip.grab():
        if index % step == 0:
            ok, picture = clip.retrieve()
            if ok:
                if max(picture.shape) > 1280:
                    k = 1280 / max(picture.shape)
                    picture = cv2.resize(picture, None, fx=k, fy=k, interpolation=cv2.INTER_AREA)
                yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        index += 1
    clip.release()


def _measure(path: Path, task: Path) -> tuple[Float, Float]:
    import mediapipe as mp
    from mediapipe.tasks.python import BaseOptions, vision

    still = path.suffix.lower() in {".jpg", ".jpeg", ".png"}
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(task)),
        running_mode=vision.RunningMode.IMAGE if still else vision.RunningMode.VIDEO,
        output_face_blendshapes=True,
    )
    index = {name: i for i, name in enumerate(ARKIT_NAMES)}
    points, scores = [], []
    mesh = mp.solutions.face_mesh.FaceMesh(static_image_mode=still, max_num_faces=1, refine_landmarks=True)
    with mesh, vision.FaceLandmarker.create_from_options(options) as landmarker:
        for number, picture in enumerate(_pictures(path)):
            height, width = picture.shape[:2]
            seen = mesh.process(picture).multi_face_landmarks
            image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(picture))
            judged = landmarker.detect(image) if still else landmarker.detect_for_video(image, number * 40)
            if not seen or not judged.face_blendshapes:
                continue
            row = np.zeros(len(ARKIT_NAMES), np.float32)
            for category in judged.face_blendshapes[0]:
                if category.category_name in index:
                    row[index[category.category_name]] = category.score
            points.append([[p.x * width, p.y * height, p.z * width] for p in seen[0].landmark])
            scores.append(row)
    return (
        np.asarray(points, np.float32).reshape(-1, 478, 3),
        np.asarray(scores, np.float32).reshape(-1, 52),
    )
