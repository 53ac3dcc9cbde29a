"""The main job, measured end to end: `python benchmarks/pipeline.py --seconds 60 --json OUT`.

Chromium's fake camera plays a clip with a number painted into each frame. It goes over WHIP into an engine in its
own process, is tracked, drives the photo avatar (which gets the same number painted on top), is encoded once and
comes back over WHEP into the same Chromium. Before it, a control run without tracking and rendering tells a
noisy machine from a slow engine. CPU times are scaled by a reference kernel that runs in between (`reference.py`).

Without --clip the avatar itself is filmed: the built-in demo performance, rendered, is what the camera shows.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from chromium import CAMERA, FLAGS, engine_process, find_chromium
from machine import machine
from mien.testing.numbers import MODULUS, paint
from reference import NOMINAL_MS

HERE = Path(__file__).parent
FPS, SIDE = 25, 512
BUDGET_MS = 80


def write_y4m(pictures: Any, path: Path, limit: int) -> int:
    """(512, 512, 3) RGB pictures -> a numbered y4m at 25 fps; returns how many."""
    import cv2

    count = 0
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{SIDE} H{SIDE} F{FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for picture in pictures:
            if count == limit:
                break
            painted = np.ascontiguousarray(picture)
            paint(painted, count)
            file.write(b"FRAME\n" + cv2.cvtColor(painted, cv2.COLOR_RGB2YUV_I420).tobytes())
            count += 1
    return count


def pictures_of(clip: Path) -> Any:
    """The clip's frames at 25 fps, centre-cropped to a square of 512 px."""
    import av
    import cv2

    with av.open(str(clip)) as container:
        due = 0.0
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time < due:
                continue
            due += 1 / FPS
            pixels = frame.to_ndarray(format="rgb24")
            side = min(pixels.shape[:2])
            top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
            yield cv2.resize(
                pixels[top : top + side, left : left + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA
            )


def filmed_demo(seconds: float) -> Any:
    """The built-in performance on the built-in avatar, rendered: a face that any tracker must track."""
    from mien.clock import OfflineClock
    from mien.config import load_config
    from mien.engine import Engine
    from mien.testing.stages import MemoryOutput

    async def film() -> list[Any]:
        engine = Engine(load_config(None, ["video.size=512"]), clock=OfflineClock(), live=False)
        try:
            session = await engine.open_session("film")
            output = MemoryOutput()
            await session.add_output(output)
            make = engine.source_factory("demo")
            assert make is not None
            source = make()
            await session.run_to_end(source)
            return [p.pixels.copy() for p in output.pictures[: round(seconds * FPS)]]
        finally:
            await engine.close()

    return asyncio.run(film())


def drive(
    y4m: Path, seconds: float, warmup: float, *, control: bool = False, grab: bool = False
) -> dict[str, Any]:
    """One run; returns what the page and the engine saw. grab: also the returned pictures, as JPEG in base64."""
    from playwright.sync_api import sync_playwright

    command = [
        sys.executable,
        str(HERE / "counting.py"),
        *(["--control"] if control else []),
        f"video.budget_ms={BUDGET_MS}",
    ]
    with engine_process(command) as (engine, words, told):

        def say(word: str) -> None:
            words.write(word + "\n")
            words.flush()

        base = told.readline().strip().rstrip("/")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=find_chromium() or None,
                args=[
                    *FLAGS,
                    *CAMERA,
                    f"--use-file-for-fake-video-capture={y4m}",
                    "--disable-rtc-smoothness-algorithm",
                ],
            )
            page = browser.new_page()
            page.goto(base + "/api/status")
            argument = {"base": base, "seconds": seconds, "warmup": warmup, "grab": grab}
            script = (HERE / "pipeline.js").read_text()
            page.evaluate(
                f"argument => {{ window.result = ({script})(argument); "
                "window.result.catch(error => { window.failure = String(error); }); }",
                argument,
            )
            await_phase(page, "measuring")
            say("start")
            for _ in range(int(seconds)):
                page.wait_for_timeout(1000)
                say("reference")
            await_phase(page, "measured")
            say("stop")
            assert told.readline().strip() == "stopped"
            seen: dict[str, Any] = page.evaluate("window.result")
            browser.close()
        words.close()
        seen["engine"] = json.loads(told.readline())
        engine.wait(timeout=10)
        return seen


def await_phase(page: Any, phase: str, timeout_s: float = 60) -> None:
    """Wait until the page says that it is in `phase`; raises what went wrong in it."""
    for _ in range(int(timeout_s * 20)):
        state = page.evaluate("[window.phase, window.failure]")
        if state[1]:
            raise RuntimeError(f"the page failed: {state[1]}")
        if state[0] == phase:
            return
        page.wait_for_timeout(50)
    raise TimeoutError(f"the page did not come to '{phase}' within {timeout_s:g} s")


def percentiles(values: list[float]) -> dict[str, float]:
    """p50, p95, p99, rounded to a tenth."""
    if not values:
        return {}
    return {f"p{q}": round(float(np.percentile(values, q)), 1) for q in (50, 95, 99)}


def latencies(sent: list[Any], received: list[Any]) -> list[float]:
    """For each number that came back: ms between its last showing by the camera and its first return."""
    result, place = [], 0
    shown: dict[int, float] = {}
    last = None
    for number, at in received:
        while place < len(sent) and sent[place][1] <= at:
            if sent[place][0] is not None:
                shown[sent[place][0]] = sent[place][1]
            place += 1
        if number is None or number == last:
            continue
        last = number
        if number in shown and at - shown[number] < 2000:
            result.append(at - shown[number])
    return result


def summary(seen: dict[str, Any]) -> dict[str, Any]:
    """The figures of one run."""
    engine, received = seen["engine"], seen["received"]
    scale = NOMINAL_MS / statistics.median(engine["reference_ms"])
    numbers = [n for n, _ in received]
    steps = [(b - a) % MODULUS for a, b in itertools.pairwise(numbers) if None not in {a, b}]
    span = (received[-1][1] - received[0][1]) / 1000
    spans = engine["spans_ms"]
    work = [name for name in ("track", "drive", "render", "encode") if name in spans]
    packet = spans.get("packet", [])
    before, after = seen["before"], seen["after"]
    overhead = statistics.median(packet) - sum(
        statistics.median(spans[n]) for n in [*work, "receive"] if n in spans
    )
    return {
        "fps_distinct": round(len([s for s in steps if s != 0]) / span, 2),
        "repeats": steps.count(0),
        "unread": numbers.count(None),
        "dropped": sum(engine["dropped"].values()),
        "dropped_where": engine["dropped"],
        "late_percent": round(100 * sum(p > BUDGET_MS for p in packet) / max(1, len(packet)), 2),
        "freezes": after.get("freezeCount", 0) - before.get("freezeCount", 0),
        "frames_decoded": after["framesDecoded"] - before["framesDecoded"],
        "render_cpu_ms": round(statistics.median(engine["render_cpu_ms"]) * scale, 2),
        "render_cpu_ms_raw": round(statistics.median(engine["render_cpu_ms"]), 2),
        "track_cpu_ms": round(statistics.median(engine["track_cpu_ms"]) * scale, 2),
        "capture_to_packet_cpu_ms": round(engine["cpu_ms"] / engine["frames"] * scale, 2),
        "capture_to_packet_cpu_ms_raw": round(engine["cpu_ms"] / engine["frames"], 2),
        "threads_cpu_ms": {
            name: round(total / engine["frames"], 2)
            for name, total in sorted(engine["threads_cpu_ms"].items(), key=lambda item: -item[1])
            if total > 0
        },
        "capture_to_packet_ms": percentiles(packet),
        "glass_to_glass_ms": percentiles(latencies(seen["sent"], received)),
        "engine_overhead_ms": round(overhead, 2),
        "stages_ms": {name: percentiles(values) for name, values in spans.items()},
        "level": engine["snapshot"]["level"],
        "codecs": seen["codecs"],
        "reference_scale": round(scale, 3),
        "notices": engine["notices"],
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    """Both runs side by side."""
    rows = [
        ("fps_distinct", "distinct frames per second", 24),
        ("repeats", "repeated frames", None),
        ("dropped", "frames dropped", None),
        ("late_percent", f"late, of {BUDGET_MS} ms at packet hand-off, %", 1),
        ("freezes", "freezes", 0),
        ("render_cpu_ms", "render, CPU ms a frame, scaled", 20),
        ("capture_to_packet_cpu_ms", "engine, CPU ms a frame, scaled", 45),
        ("capture_to_packet_ms", "capture to packet, ms", None),
        ("glass_to_glass_ms", "glass to glass, ms", (110, 150)),
        ("engine_overhead_ms", "of it engine overhead, ms", None),
        ("reference_scale", "reference scale", None),
    ]

    def cell(value: Any) -> str:
        return " / ".join(f"{v:g}" for v in value.values()) if isinstance(value, dict) else f"{value:g}"

    lines = [f"{'':44} {'goal':>9} " + " ".join(f"{name:>22}" for name in results)]
    for key, label, goal in rows:
        aim = "" if goal is None else "/".join(map(str, goal)) if isinstance(goal, tuple) else str(goal)
        lines.append(f"{label:44} {aim:>9} " + " ".join(f"{cell(r[key]):>22}" for r in results.values()))
    return "\n".join(lines) + "\n(p50 / p95 / p99 where there are three)"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--warmup", type=float, default=5)
    parser.add_argument("--clip", type=Path, help="what the camera shows (default: the filmed demo)")
    parser.add_argument("--json", type=Path, metavar="OUT")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        y4m = Path(folder) / "camera.y4m"
        pictures = pictures_of(arguments.clip) if arguments.clip else filmed_demo(20)
        print(f"camera: {write_y4m(pictures, y4m, 20 * FPS)} frames of {arguments.clip or 'the filmed demo'}")
        results = {}
        for name in ("control", "avatar"):
            seen = drive(y4m, arguments.seconds, arguments.warmup, control=name == "control")
            results[name] = summary(seen)
    print(table(results))
    if arguments.json:
        document = {
            "benchmark": "pipeline",
            "seconds": arguments.seconds,
            "clip": arguments.clip.name if arguments.clip else "filmed demo",
            "machine": machine(),
            "mien": version("mien"),
            **results["avatar"],
            "control": results["control"],
        }
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
