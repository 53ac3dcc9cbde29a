"""How long a face takes to move with a voice: `python benchmarks/speech_latency.py --json OUT`.

A program pushes a made vowel, again and again, over the WebSocket of an engine in a process of its own, with the
listener's network, the driver and the built-in photo avatar at rest but for the voice (no blinks, no nods). The stream
is watched over WHEP. Noted is when the first loud sample was pushed, when it was its turn to be heard, when the first
picture with a moved mouth was finished, and when its last packet had come to the viewer; all on the one clock of the
machine. Everything goes over loopback. A browser adds what it buffers, which `av_offset.py` shows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import lfilter
from websockets.asyncio.client import ClientConnection, connect

from chromium import engine_process
from counting import thread_cpu_ms
from machine import machine
from mien.clock import NS_PER_MS, NS_PER_S
from mien.config import load_config
from mien.engine import MAIN, Engine
from mien.face.lips import parted
from mien.frames import AudioFrame, Float, VideoFrame
from mien.stage import Driven, Kind, Output
from reference import NOMINAL_MS, Reference
from watching import Viewer, watching

RATE = 24_000
BLOCK = RATE // 50
VOWEL_S = 0.4
LOUD = 0.01
"""-40 dBFS."""
PARTED = 0.03
"""Of jawOpen: lips that are further apart than at rest by so much have moved."""
WARMUP_S = 8.0
"""Until the bitrate has grown, and whatever is made when first needed has been."""


def vowel() -> Float:
    """(N,) float32 at `RATE`: an open "a" that begins at once: pulses of 120 Hz through four formants."""
    count = round(VOWEL_S * RATE)
    at_s = np.arange(count) / RATE
    phase = np.cumsum(120 - 10 * at_s) / RATE
    sound = np.diff(np.floor(phase), prepend=-1.0)
    sound = lfilter([1], [1, -0.95], sound)
    for formant_hz, width_hz in ((730, 90), (1090, 110), (2440, 160), (3400, 250)):
        radius = np.exp(-np.pi * width_hz / RATE)
        turn = 2 * radius * np.cos(2 * np.pi * formant_hz / RATE)
        sound = lfilter([1 - turn + radius**2], [1, -turn, radius**2], sound)
    fade = np.minimum(1, (VOWEL_S - at_s) / 0.03)
    return np.asarray(0.6 * sound / np.abs(sound).max() * fade, np.float32)


# --- the engine's process -----------------------------------------------------------------------------------


class Notes(Output):
    """What leaves the session, and when."""

    def __init__(self) -> None:
        self.driven: list[tuple[int, float]] = []
        """capture time of a picture that is going to be drawn, and how far its lips are apart"""
        self.pictures: list[tuple[int, int]] = []
        """capture time, and when it was handed over"""
        self.onsets_ns: list[int] = []
        """capture times of the first loud samples"""
        self._silent = True

    async def face(self, driven: Driven) -> None:
        apart = parted(driven.params.expression - driven.avatar.neutral)
        self.driven.append((driven.params.capture_ns, apart))

    async def video(self, frame: VideoFrame) -> None:
        self.pictures.append((frame.capture_ns, time.monotonic_ns()))

    async def audio(self, frame: AudioFrame) -> None:
        loud = np.abs(frame.samples[:, 0]) > LOUD
        if self._silent and loud.any():
            self.onsets_ns.append(frame.capture_ns + int(loud.argmax()) * 10**9 // frame.rate)
        self._silent = not loud.any()


async def serve() -> None:
    """Run an engine until standard input ends; figures are those from the line "start" on."""
    engine = Engine(load_config(None, ["server.port=0"]))
    gateway = engine.registry.create(Kind.GATEWAY)
    try:
        address = await gateway.start(engine)
        session = await engine.open_session(MAIN)
        session.update_controls({"alive": {"blinks": 0, "saccades": 0, "nods": 0, "breathing": 0}})
        await session.add_output(notes := Notes())
        print(address, flush=True)
        read = asyncio.get_running_loop().run_in_executor
        await read(None, sys.stdin.readline)
        session.trace.clear()
        lag_ns = session._hearing.lag_ns
        begun_ns, cpu_ns, threads = time.monotonic_ns(), time.process_time_ns(), thread_cpu_ms()
        await read(None, sys.stdin.readline)
        took_ms = (time.monotonic_ns() - begun_ns) / NS_PER_MS
        spent = {name: total - threads.get(name, 0.0) for name, total in thread_cpu_ms().items()}
        figures = {
            "cpu_ms_per_40ms": (time.process_time_ns() - cpu_ns) / NS_PER_MS / took_ms * 40,
            "threads_cpu_ms_per_40ms": {
                name: round(ms / took_ms * 40, 2) for name, ms in sorted(spent.items()) if ms / took_ms > 1e-4
            },
            "listen_ms": statistics.median(session.trace.durations_ms("listen")),
            "lag_ns": lag_ns,
            "look_ahead_ms": session._hearing.listener.look_ahead_ms if session._hearing.listener else 0.0,
            "snapshot": session.snapshot(),
            "driven": notes.driven,
            "pictures": notes.pictures,
            "onsets_ns": notes.onsets_ns,
        }
        print(json.dumps(figures), flush=True)
    finally:
        await gateway.stop()
        await engine.close()


# --- the program that pushes, and the viewer ----------------------------------------------------------------


def blocks(bursts: int) -> list[tuple[Float, bool]]:
    """Sound in pieces of 20 ms, and whether a vowel begins with it; at any time within a frame interval."""
    rng = np.random.default_rng(7)
    pieces = [(np.zeros(BLOCK, np.float32), False)] * 50
    for _ in range(bursts):
        pieces += [(piece, n == 0) for n, piece in enumerate(np.split(vowel(), len(vowel()) // BLOCK))]
        pieces += [(np.zeros(BLOCK, np.float32), False)] * int(rng.integers(45, 75))
    return pieces


async def push(socket: ClientConnection, pieces: Sequence[tuple[Float, bool]]) -> list[int]:
    """Send them at the pace of sound, each when its last sample would be there; returns when vowels began."""
    begun, due_ns = [], time.monotonic_ns()
    for piece, begins in pieces:
        due_ns += BLOCK * 10**9 // RATE
        await asyncio.sleep(max(due_ns - time.monotonic_ns(), 0) / 1e9)
        if begins:
            begun.append(time.monotonic_ns())
        await socket.send((piece * 32767).astype("<i2").tobytes())
    return begun


async def drive(base: str, bursts: int, begin: Any) -> tuple[list[int], Viewer, Reference]:
    """Push and watch; begin(): called when all is warm."""
    reference = Reference()

    async def measure() -> None:
        while True:
            await asyncio.sleep(1)
            await asyncio.to_thread(reference.measure)

    address = base.replace("http", "ws", 1) + f"/api/sessions/main/voice?rate={RATE}"
    async with watching(base) as viewer, connect(address, max_queue=None) as socket:
        await socket.recv()  # it is ready
        warm = blocks(round(WARMUP_S / 1.6))
        await push(socket, warm)
        begin()
        measuring = asyncio.create_task(measure())
        begun = await push(socket, blocks(bursts))
        measuring.cancel()
        await asyncio.sleep(1)
        return begun, viewer, reference


class Ways:
    """Finds one beginning of a voice at each place that it passes."""

    def __init__(self, figures: dict[str, Any], viewer: Viewer) -> None:
        """figures: what the engine's process printed."""
        self._driven: list[tuple[int, float]] = figures["driven"]
        self._pictures: dict[int, int] = dict(figures["pictures"])
        self._onsets_ns: list[int] = figures["onsets_ns"]
        self._lag_ns: int = figures["lag_ns"]
        self._seen = [(viewer.video.captured_ns(came.rtp), came.came_ns) for came in viewer.video.received]

    def of(self, pushed_ns: int) -> dict[str, float] | None:
        """How long it took, ms, from one place to the next; None when pictures are missing where it began."""
        onset_ns = next((at for at in self._onsets_ns if 0 < at - pushed_ns < NS_PER_S), None)
        moved_ns = self._moved_ns(onset_ns) if onset_ns is not None else None
        if onset_ns is None or moved_ns is None:
            return None
        shown = next((seen for seen in self._seen if seen[0] >= moved_ns - NS_PER_MS), None)
        if shown is None:
            return None
        finished_ns = self._pictures[moved_ns]
        times = {
            "push_to_sound": onset_ns - pushed_ns,
            "sound_to_picture": finished_ns - onset_ns,
            "picture_later_than_meant": finished_ns - moved_ns - self._lag_ns,
            "delivery": shown[1] - finished_ns,
            "sound_to_viewer": shown[1] - onset_ns,
            "push_to_viewer": shown[1] - pushed_ns,
        }
        return {name: ns / NS_PER_MS for name, ns in times.items()}

    def _moved_ns(self, onset_ns: int) -> int | None:
        """Capture time of the first picture with parted lips."""
        rest = [apart for at, apart in self._driven if -600 < (at - onset_ns) / NS_PER_MS < -200]
        near = ((at, apart) for at, apart in self._driven if abs(at - onset_ns) < NS_PER_S // 4)
        if not rest:
            return None
        moved = statistics.median(rest) + PARTED
        return next((at for at, apart in near if apart > moved and at in self._pictures), None)


def speech_latency(bursts: int = 30) -> dict[str, Any]:
    """Medians and 90th percentiles over as many vowels, ms, with what the session cost meanwhile."""
    load = os.getloadavg()[0]
    with engine_process([sys.executable, str(Path(__file__)), "--serve"]) as (engine, words, told):
        base = told.readline().strip().rstrip("/")
        if not base:
            raise RuntimeError("The engine did not start; what it said stands above.")

        def begin() -> None:
            words.write("start\n")
            words.flush()

        begun, viewer, reference = asyncio.run(drive(base, bursts, begin))
        words.close()
        if not (line := told.readline()):
            raise RuntimeError("The engine has ended early; what it said stands above.")
        figures = json.loads(line)
        engine.wait(timeout=20)
    ways = Ways(figures, viewer)
    found = [way for pushed_ns in begun if (way := ways.of(pushed_ns)) is not None]
    if len(found) < bursts / 2:
        raise RuntimeError(
            f"The beginning of only {len(found)} of {bursts} vowels was found in sound and picture. The machine "
            f"is too busy (load {os.getloadavg()[0]:.1f}), or the face did not move."
        )
    spread = {
        name: {f"p{q}": round(float(np.percentile([one[name] for one in found], q)), 1) for q in (10, 50, 90)}
        for name in found[0]
    }
    cpu_ms = figures["cpu_ms_per_40ms"]
    spans = figures["snapshot"]["latency_ms"]
    return {
        "vowels": {"pushed": bursts, "found": len(found)},
        "latency_ms": spread,
        "look_ahead_ms": round(figures["look_ahead_ms"], 1),
        "meant_ms": round(figures["lag_ns"] / NS_PER_MS, 1),
        "stages_ms": {name: spans[name] for name in ("listen", "drive", "render", "encode") if name in spans},
        "cpu_ms_per_40ms": {
            "raw": round(cpu_ms, 2),
            "scaled": round(cpu_ms * reference.scale, 2),
            "by_thread_raw": figures["threads_cpu_ms_per_40ms"],
        },
        "reference_ms": {"median": round(statistics.median(reference.runs_ms), 2), "nominal": NOMINAL_MS},
        "dropped": figures["snapshot"]["dropped"],
        "level": figures["snapshot"]["level"],
        "load_average": {"before": round(load, 1), "after": round(os.getloadavg()[0], 1)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bursts", type=int, default=30, help="vowels, each about 1.6 s")
    parser.add_argument("--json", type=Path, metavar="OUT")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve())
        return
    result = speech_latency(arguments.bursts)
    for name, figures in result["latency_ms"].items():
        print(f"{name:25} {figures['p50']:7.1f} ms  ({figures['p10']:.1f} to {figures['p90']:.1f})")
    print(f"look-ahead {result['look_ahead_ms']} ms, with a frame interval {result['meant_ms']} ms")
    print(f"CPU {result['cpu_ms_per_40ms']['scaled']} ms per 40 ms, load {result['load_average']}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result | {"machine": machine()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
