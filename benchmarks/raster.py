"""What rasterizing costs: `python benchmarks/raster.py --json OUT`.

On the CPU, a head of 18 k triangles (mien-head, and part of it once more) at 256, 512 and 1024 px, in batches of 1
and 8, on one and two threads: median milliseconds per picture of CPU time (raw, and scaled by the reference kernel)
and of wall time, and interpolation of three attributes. One and two threads take turns, so that their ratio is of the
same moments. `free` says how much of a second core there was: the wall time of the reference kernel on two threads
over that on one, 1 when the core was free, 2 when it was taken. With a core that others use, two threads cannot help.

`--rasterizer nvdiffrast`, on a machine with CUDA, measures that one: wall time from arrays to arrays, so with the way
to the GPU and back, in batches of 1, 8 and 32.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

# Idle BLAS threads spin for a while, on the very core that the second thread is to have.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from machine import machine
from mien.face.camera import Camera, rotation_matrix
from mien.face.model import load_model
from mien.frames import Float
from mien.plugins import Registry
from mien.render.fragments import empty_fragments
from mien.render.projection import lens_of, pose_matrix, to_clip
from mien.stage import Kind, Rasterizer
from mien.testing.context import FakeContext
from reference import Reference

TRIANGLES = 18_000
CPU = "raster"
SIZES, BATCHES, THREADS = (256, 512, 1024), (1, 8), (1, 2)
WIDE_BATCHES = (1, 8, 32)
"""Of what draws many pictures at once."""
GOAL_MS, GOAL_RATIO = 3.0, 0.6


def scene(batch: int) -> tuple[Float, np.ndarray]:
    """Clip space (N, V, 4) of turned heads that fill four tenths of the picture, and their triangles."""
    model = load_model()
    lens = lens_of(Camera(512, 512, 1024.0, 256.0, 270.0))
    clips = np.empty((batch, len(model.mean), 4), np.float32)
    for k in range(batch):
        rotation = rotation_matrix(np.array([0.1, 0.3 * np.cos(k), 0.05 * k]))
        pose = pose_matrix(rotation, np.array([0, 0, -50], np.float32))
        to_clip(model.mean.astype(np.float32), pose, lens, clips[k])
    more = model.triangles[: TRIANGLES - len(model.triangles)]
    return clips, np.ascontiguousarray(np.concatenate([model.triangles, more]))


def wall_ms(work: Callable[[], object]) -> float:
    start = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - start) / 1e6


def second_core(one: Reference, other: Reference) -> float:
    """Wall time of the reference work on two threads over that on one."""
    alone = wall_ms(one.measure)
    beside = threading.Thread(target=other.measure)

    def both() -> None:
        beside.start()
        one.measure()
        beside.join()

    return wall_ms(both) / alone


def opened(name: str) -> dict[int, Rasterizer]:
    """The rasterizers to compare, by threads of their own; what draws elsewhere has one."""
    registry = Registry.discover()
    made: dict[int, Rasterizer] = {}
    for threads in THREADS if name == CPU else THREADS[:1]:
        made[threads] = registry.create(Kind.RASTERIZER, name)
        made[threads].open(FakeContext(settings={"threads": threads} if name == CPU else {}))
    return made


def measured(name: str, size: int, batch: int, rounds: int, reference: Reference) -> dict[str, float]:
    """Milliseconds per picture."""
    clips, triangles = scene(batch)
    attributes = np.random.default_rng(0).random((batch, clips.shape[1], 3)).astype(np.float32)
    rasterizers = opened(name)
    hits, drawn = empty_fragments(batch, size, size), np.empty((batch, size, size, 3), np.float32)
    times: dict[str, list[float]] = {}

    def note(name: str, ms: float) -> None:
        times.setdefault(name, []).append(ms / batch)

    other, free = Reference(), []
    for rasterizer in rasterizers.values():
        rasterizer.rasterize(clips, triangles, size, size, out=hits)
        rasterizer.interpolate(attributes, hits, triangles, out=drawn)
    for _ in range(rounds):
        free.append(second_core(reference, other))
        for threads, rasterizer in rasterizers.items():
            start = time.thread_time_ns()
            note(
                f"wall_ms_{threads}",
                wall_ms(lambda r=rasterizer: r.rasterize(clips, triangles, size, size, out=hits)),
            )
            if threads == 1:
                note("cpu_ms", (time.thread_time_ns() - start) / 1e6)
            interpolation = wall_ms(
                lambda r=rasterizer: r.interpolate(attributes, hits, triangles, out=drawn)
            )
            note(f"interpolate_wall_ms_{threads}", interpolation)
    for rasterizer in rasterizers.values():
        rasterizer.close()
    figures = {name: statistics.median(values) for name, values in times.items()}
    figures["cpu_ms_scaled"] = figures["cpu_ms"] * reference.scale
    if len(rasterizers) > 1:
        pairs = zip(times["wall_ms_1"], times["wall_ms_2"], strict=True)
        figures["ratio"] = statistics.median(two / one for one, two in pairs)
        figures["ratio_best"] = min(times["wall_ms_2"]) / min(times["wall_ms_1"])
    figures["free"] = statistics.median(free)
    return {name: round(value, 3) for name, value in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rasterizer", default=CPU, metavar="NAME", help="which one (default: %(default)s)")
    parser.add_argument("--batches", type=int, nargs="+", metavar="N", help="pictures drawn at once")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", type=Path, metavar="OUT")
    options = parser.parse_args()

    reference = Reference()
    found: dict[str, dict[str, float]] = {}
    on_cpu = options.rasterizer == CPU
    batches = options.batches or (BATCHES if on_cpu else WIDE_BATCHES)
    columns = ["cpu_ms", "cpu_ms_scaled", "wall_ms_1", "interpolate_wall_ms_1", "free"]
    if on_cpu:
        columns[3:4] = ["wall_ms_2", "ratio", "ratio_best"]
    table = Table(
        "size x batch", *columns, title=f"{options.rasterizer}: ms per picture, {TRIANGLES} triangles"
    )
    for size in SIZES:
        for batch in batches:
            name = f"{size}x{batch}"
            rounds = max(options.rounds // batch, 5)
            found[name] = measured(options.rasterizer, size, batch, rounds, reference)
            table.add_row(name, *(f"{found[name][column]:.2f}" for column in columns))
    Console().print(table)
    if on_cpu:
        Console().print(f"goals at 512x1: cpu_ms_scaled {GOAL_MS}, ratio {GOAL_RATIO}")
    if options.json:
        written = {
            "machine": machine(),
            "rasterizer": options.rasterizer,
            "triangles": TRIANGLES,
            "reference_scale": reference.scale,
            "raster": found,
        }
        options.json.write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    main()
