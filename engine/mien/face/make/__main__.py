"""Makes `mien_head.npz`: python -m mien.face.make --data DATA --assets ASSETS --cache TRACKS --out FILE"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.face.make import calibrate, identity
from mien.face.make.assemble import build
from mien.face.make.neutral import (
    aligned,
    calmness,
    levelled,
    neutral_shapes,
    procrustes_mean,
)
from mien.face.make.topology import COUNT, OVAL, face_triangles, mirror_map
from mien.face.make.tracks import read_tracks
from mien.face.model import save_model

Doubles = NDArray[np.float64]
SOURCE = "mien-head: made by the mien project (engine/mien/face/make), Apache-2.0"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mien.face.make", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with talk/, expressive/, grid/, portraits/")
    parser.add_argument("--assets", type=Path, required=True, help="folder with face_landmarker.task")
    parser.add_argument("--cache", type=Path, required=True, help="folder where the measured tracks are kept")
    parser.add_argument("--out", type=Path, required=True, help="the .npz to write")
    given = parser.parse_args()
    started = time.perf_counter()
    tracks = read_tracks(given.data, given.assets, given.cache)
    triangles = face_triangles()
    shapes = neutral_shapes(tracks)
    first = levelled(next(iter(shapes.values())))
    rough = levelled(np.mean([aligned(shape, first) for shape in shapes.values()], axis=0))
    mirror = mirror_map(rough[:COUNT])
    calm = {t.name: float(np.sort(calmness(t))[:8].mean()) for t in tracks}
    weights = np.array([1 / (1 + calm[name] ** 2) for name in shapes])
    mean = procrustes_mean(list(shapes.values()), mirror, weights)
    inner = tuple(i for i in range(COUNT) if i not in OVAL)
    people = [aligned(shape, mean, inner)[:COUNT] for name, shape in shapes.items() if calm[name] < 7]
    modes = identity.Modes(identity.learn(people, mean[:COUNT], mirror))
    moved, scores = calibrate.examples(tracks, mean)

    def calibrated(authored: Doubles) -> Doubles:
        result = calibrate.calibrated(authored, moved, scores, mirror)
        print(f"motion explained: authored {calibrate.explained(authored, moved, scores):.3f}, "
              f"calibrated {calibrate.explained(result, moved, scores):.3f}")  # fmt: skip
        return result

    model = build(mean[:COUNT], triangles, mirror, modes, calibrated, "mien-head", SOURCE)
    save_model(model, given.out)
    print(
        f"{given.out}: {len(model.mean)} vertices, {len(model.triangles)} triangles, {len(people)} people, "
        f"{given.out.stat().st_size >> 10} kB, {time.perf_counter() - started:.0f} s"
    )


if __name__ == "__main__":
    main()
