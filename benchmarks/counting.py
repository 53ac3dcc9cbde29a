"""An engine that carries the number in the driver's picture over to the avatar's.

`python benchmarks/counting.py` is the engine process of `benchmarks/pipeline.py`: it prints its address, runs until
its standard input ends, and prints its figures as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from mien.config import Config, load_config
from mien.engine import MAIN, Engine
from mien.frames import Bytes, FaceParams, VideoFrame
from mien.plugins import Registry
from mien.stage import Background, Context, Kind, Plugin, Provides, Renderer, Tracked, Tracker
from mien.testing.numbers import paint, read
from reference import Reference


class Numbers:
    """Frame index -> number, from the tracker to the renderer, and what each stage cost its thread."""

    def __init__(self) -> None:
        self.of_frame: dict[int, int] = {}
        self.cpu_ms: dict[str, list[float]] = {"track": [], "render": []}
        self.echo: dict[int, Bytes] = {}
        self._lock = threading.Lock()

    def keep(self, index: int, number: int, pixels: Bytes | None = None) -> None:
        with self._lock:
            self.of_frame[index] = number
            if pixels is not None:
                self.echo[index] = pixels
            for old in (index - 100,):
                self.of_frame.pop(old, None)
                self.echo.pop(old, None)


class CountingTracker(Tracker):
    """Reads the number off each picture, then tracks it with the real tracker (or not at all)."""

    def __init__(self, numbers: Numbers, inner: Tracker | None) -> None:
        self._numbers, self._inner = numbers, inner

    def open(self, context: Context) -> None:
        if self._inner is not None:
            self._inner.open(context)

    def process(self, frame: VideoFrame) -> Tracked:
        start = time.thread_time_ns()
        number = read(frame.pixels)
        if number is not None:
            self._numbers.keep(frame.index, number, frame.pixels if self._inner is None else None)
        start = time.thread_time_ns()
        if self._inner is None:
            tracked = Tracked(FaceParams(frame.capture_ns, index=frame.index), faces=1)
        else:
            tracked = self._inner.process(frame)
        self._numbers.cpu_ms["track"].append((time.thread_time_ns() - start) / 1e6)
        return tracked

    def reset(self) -> None:
        if self._inner is not None:
            self._inner.reset()

    def close(self) -> None:
        if self._inner is not None:
            self._inner.close()


class CountingRenderer(Renderer):
    """Renders with the real renderer (in the control run it gives the input back) and paints the number on top."""

    def __init__(self, numbers: Numbers, inner: Renderer | None) -> None:
        self._numbers, self._inner = numbers, inner
        self.levels = 1
        self._size = (512, 512)

    def open(self, context: Context) -> None:
        self._size = context.size
        if self._inner is not None:
            self._inner.open(context)
            self.levels = self._inner.levels

    def process(self, params: FaceParams) -> VideoFrame:
        start = time.thread_time_ns()
        if self._inner is not None:
            picture = self._inner.process(params)
            pixels = picture.pixels
        else:
            pixels = self._numbers.echo.get(params.index, np.zeros((*self._size, 3), np.uint8))
        self._numbers.cpu_ms["render"].append((time.thread_time_ns() - start) / 1e6)
        painted = pixels.copy()
        if params.index in self._numbers.of_frame:
            paint(painted, self._numbers.of_frame[params.index])
        return VideoFrame(painted, params.capture_ns, index=params.index, epoch=params.epoch)

    def set_level(self, level: int) -> None:
        if self._inner is not None:
            self._inner.set_level(level)

    def set_background(self, background: Background) -> None:
        if self._inner is not None:
            self._inner.set_background(background)

    def close(self) -> None:
        if self._inner is not None:
            self._inner.close()


class CountingRegistry(Registry):
    """All that is installed, with tracker and renderer wrapped."""

    def __init__(self, real: Registry, numbers: Numbers, *, control: bool) -> None:
        self._real, self._numbers, self._control = real, numbers, control
        own = (Provides(Kind.TRACKER, "counting", "-:-", rank=1000),)
        super().__init__([*real.plugins, Plugin("counting", "benchmark", own)], real.broken)

    def create(self, kind: Kind, name: str | None = None, *arguments: Any) -> Any:
        if kind is Kind.TRACKER:
            inner = None if self._control else self._real.create(Kind.TRACKER, "fit")
            return CountingTracker(self._numbers, inner)
        made = self._real.create(kind, name, *arguments)
        if kind is Kind.RENDERER:
            return CountingRenderer(self._numbers, None if self._control else made)
        return made


def thread_cpu_ms() -> dict[str, float]:
    """CPU time of every thread so far, by name; native ones that Python didn't start are summed up as "native"."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    found: dict[str, float] = {}
    for task in Path("/proc/self/task").glob("*/stat"):
        try:
            fields = task.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
        name = names.get(int(task.parent.name), "native")
        ticks = int(fields[11]) + int(fields[12])
        found[name] = found.get(name, 0.0) + ticks * 1000 / os.sysconf("SC_CLK_TCK")
    return found


async def serve(config: Config, *, control: bool) -> dict[str, Any]:
    """Run an engine until standard input ends; returns the figures from the line "start" to the line "stop"."""
    numbers = Numbers()
    registry = Registry.discover()
    engine = Engine(config, CountingRegistry(registry, numbers, control=control))
    gateway = engine.registry.create(Kind.GATEWAY)
    address = await gateway.start(engine)
    session = await engine.open_session(MAIN)
    await session.warm()
    print(address, flush=True)
    reference = Reference()
    figures: dict[str, Any] = {}
    loop = asyncio.get_running_loop()
    begun = late = cpu = 0
    threads: dict[str, float] = {}
    dropped: dict[str, int] = {}
    try:
        while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
            match line:
                case "start":
                    begun = session.trace.delivered
                    late = session.trace.late
                    for durations in numbers.cpu_ms.values():
                        durations.clear()
                    dropped = session.snapshot()["dropped"]
                    session.trace.clear()
                    cpu = time.process_time_ns()
                    threads = thread_cpu_ms()
                case "reference":
                    before = time.process_time_ns()
                    await loop.run_in_executor(None, reference.measure)
                    cpu += time.process_time_ns() - before
                case "stop":
                    frames = session.trace.delivered - begun
                    figures = {
                        "frames": frames,
                        "cpu_ms": (time.process_time_ns() - cpu) / 1e6,
                        "threads_cpu_ms": {
                            name: round(total - threads.get(name, 0.0), 1)
                            for name, total in thread_cpu_ms().items()
                        },
                        "late": session.trace.late - late,
                        "render_cpu_ms": numbers.cpu_ms["render"],
                        "track_cpu_ms": numbers.cpu_ms["track"],
                        "spans_ms": {
                            name: session.trace.durations_ms(name) for name in session.trace.latency_ms()
                        },
                        "dropped": {
                            where: count - dropped.get(where, 0)
                            for where, count in session.snapshot()["dropped"].items()
                        },
                        "snapshot": session.snapshot(),
                        "notices": [notice.text for notice in session.board.recent],
                    }
                    print("stopped", flush=True)
    finally:
        await gateway.stop()
        await engine.close()
    figures["reference_ms"] = reference.runs_ms
    return figures


def main() -> None:
    control = "--control" in sys.argv
    assignments = [a for a in sys.argv[1:] if "=" in a]
    config = load_config(None, ["server.port=0", "run.source=browser", *assignments])
    result = asyncio.run(serve(config, control=control))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
