"""Makes `mien_head.npz`: python -m mien.face.make --data DATA --assets ASSETS --cache TRACKS --out FILE"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from mien.face.assets import BUILT_IN
from mien.face.make.assemble import build
from mien.face.make.study import Study
from mien.face.make.topology import face_triangles
from mien.face.make.tracks import read_tracks
from mien.face.model import save_model

SOURCE = "mien-head: made by the mien project (engine/mien/face/make), Apache-2.0"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mien.face.make", description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with talk/, expressive/, grid/, portraits/"
    )
    parser.add_argument("--assets", type=Path, required=True, help="folder with face_landmarker.task")
    parser.add_argument("--cache", type=Path, required=True, help="folder where the measured tracks are kept")
    parser.add_argument("--out", type=Path, required=True, help="the .npz to write")
    given = parser.parse_args()
    started = time.perf_counter()
    tracks = read_tracks(given.data, given.assets, given.cache)
    model = build(Study(tracks), face_triangles(), BUILT_IN, SOURCE)
    save_model(model, given.out)
    print(
        f"{given.out}: {len(model.mean)} vertices, {len(model.triangles)} triangles, "
        f"{given.out.stat().st_size >> 10} kB, {time.perf_counter() - started:.0f} s"
    )


if __name__ == "__main__":
    main()
